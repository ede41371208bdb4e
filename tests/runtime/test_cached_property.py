"""Attributes computed once, in whatever thread or process asks."""

import multiprocessing
import threading

from fastcheck.runtime.cached_property import cached_property


class Slow:
    """Has an attribute that can be made to wait."""

    def __init__(self, gate=None):
        self.gate, self.entered, self.computed = gate, threading.Event(), 0

    @cached_property
    def value(self):
        """What is computed."""
        self.computed += 1
        self.entered.set()
        if self.gate is not None:
            self.gate.wait()
        return 42


def test_computed_once_for_each_instance():
    one, other = Slow(), Slow()
    assert (one.value, one.value, one.computed, other.computed) == (42, 42, 1, 0)
    assert vars(one)["value"] == 42
    assert Slow.value.__doc__ == "What is computed."


def test_neither_threads_nor_forked_children_wait_for_others():
    gate = threading.Event()
    waiting = Slow(gate)
    thread = threading.Thread(target=lambda: waiting.value)
    thread.start()
    waiting.entered.wait()
    try:
        context = multiprocessing.get_context("fork")
        child = context.Process(target=lambda: Slow().value, daemon=True)  # forked while the thread is computing
        child.start()
        child.join(20)
        assert child.exitcode == 0
    finally:
        gate.set()
        thread.join()
