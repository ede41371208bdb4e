"""Runs inside runs, and runs in several threads at once."""

import threading

import numpy as np
import pytest

from fastcheck import NoRule
from fastcheck.engines.program.arrays.program import Program
from tests.engines.program.arrays.stateful import Layer

INPUT = np.array([0.5, -1.25, 2.0])
CHANGE = np.array([[0.1, 0.2, -0.1], [-0.1, -0.2, 0.1]])


def run(function):
    return Program(function, [INPUT]).run({0: CHANGE})


def test_a_run_inside_a_run():
    def outer(x):
        inner = Program(lambda y: np.zeros(2) + y, [np.ones(2)]).run({0: np.full((1, 2), 0.5)}).changes[0]
        made = np.zeros(3)
        made[:] = x * inner[0, 0]
        return made

    np.testing.assert_array_equal(run(outer).changes[0], CHANGE / 2)


def slow(x):
    made = np.zeros(3)
    for _ in range(20):
        made[:] = made + np.tanh(x)
    return made


def test_threads_run_at_once_and_others_are_left_alone():
    program = Program(slow, [INPUT])
    right = program.run({0: CHANGE}).changes[0]
    found, plain, errors = [], [], []

    def work(target):
        try:
            for _ in range(30):
                target()
        except BaseException as error:
            errors.append(error)

    threads = [
        threading.Thread(target=work, args=(lambda: found.append(program.run({0: CHANGE}).changes[0]),))
        for _ in range(3)
    ]
    threads.append(threading.Thread(target=work, args=(lambda: plain.append(slow(INPUT)),)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert all(np.array_equal(one, right) for one in found)
    assert all(type(one) is np.ndarray for one in plain)
    assert np.zeros(1).base is None
    assert type(np.zeros(1)) is np.ndarray


def test_threads_share_an_object_without_meeting():
    layer = Layer()
    program = Program(layer.forward, [INPUT])
    right = program.run({0: CHANGE}).changes[0]
    found, errors = [], []

    def work():
        try:
            for _ in range(20):
                found.append(program.run({0: CHANGE}).changes[0])
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert all(np.array_equal(one, right) for one in found)


def test_a_thread_of_the_function_itself_is_outside_the_run():
    def function(x):
        made = []
        thread = threading.Thread(target=lambda: made.append(np.zeros(3)))
        thread.start()
        thread.join()
        made[0][:] = x
        return made[0]

    with pytest.raises(NoRule, match="plain array"):
        run(function)
