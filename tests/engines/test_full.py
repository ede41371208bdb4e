"""The full engine against the reference: the same textbook, compiled."""

import multiprocessing
import threading

import numpy as np
import pytest

from fastcheck.engines import full, reference
from fastcheck.runtime.run import Run
from tests.support.problems import PAIRS, RUN, gradient, network, problem

WIDTHS = ([4, 3], [4, 5, 3], [3, 6, 4, 2], [2, 3, 4, 3, 2], [2, 3, 2, 3, 2, 2], [1, 1, 1])


@pytest.mark.parametrize("depth", [
    number if number == 3 else pytest.param(number, marks=pytest.mark.slow) for number in range(len(WIDTHS))])
@pytest.mark.parametrize(("hidden", "cost", "output"), PAIRS)
def test_agrees_with_reference(hidden, cost, output, depth):
    given = problem(network(WIDTHS[depth], hidden, output, cost, 0.5 * (depth % 2)), m=1 + depth % 3, seed=depth)
    fast, slow = full.differences(given, None, 1e-7, RUN), reference.differences(given, None, 1e-7, RUN)
    size = 1e-13 * abs(slow.cost)
    assert np.all(np.abs(fast.J_plus - slow.J_plus) <= size)
    assert np.all(np.abs(fast.J_minus - slow.J_minus) <= size)
    assert abs(fast.cost - slow.cost) <= size


def test_larger_than_one_block(monkeypatch):
    given = problem(network([4, 5, 3], "tanh", "softmax", "cross_entropy"))
    whole = full.differences(given, None, 1e-5, RUN)
    monkeypatch.setattr(full, "BLOCK_OPERATIONS", 1.0)
    seen = []
    pieces = full.differences(given, None, 1e-5, Run(2, 1 << 30, lambda done, total: seen.append((done, total))))
    assert np.array_equal(whole.J_plus, pieces.J_plus)
    assert seen[-1] == (given.theta.size, given.theta.size)
    assert len(seen) == given.theta.size


def test_chosen_positions():
    given = problem(network([4, 5, 3], "tanh", "softmax", "cross_entropy"))
    chosen = np.array([0, 7, 30])
    found = full.differences(given, chosen, 1e-5, RUN)
    assert np.allclose(found.gradapprox, gradient(given)[chosen], rtol=1e-6)


def _check_in_child(queue):
    given = problem(network([30, 40, 10], "relu", "softmax", "cross_entropy"), 20)
    queue.put(float(full.differences(given, np.arange(50), 1e-6, RUN).gradapprox.sum()))


def test_after_fork_and_from_many_threads():
    given = problem(network([30, 40, 10], "relu", "softmax", "cross_entropy"), 20)
    wanted = float(full.differences(given, np.arange(50), 1e-6, RUN).gradapprox.sum())
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_check_in_child, args=(queue,), daemon=True)
    child.start()
    assert queue.get(timeout=60) == wanted
    child.join()
    found = []

    def check():
        found.append(full.differences(given, np.arange(50), 1e-6, RUN).gradapprox.sum())

    threads = [threading.Thread(target=check) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [wanted] * 4
