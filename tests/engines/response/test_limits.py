"""The response engine keeps to its memory, and tells its progress."""

from itertools import islice

import numpy as np
import pytest

from fastcheck.engines.response import engine, groups
from fastcheck.engines.response.prepare import FORWARD_SAMPLES, blocks
from fastcheck.runtime.run import Run
from tests.support.problems import network, problem


def memory(arrays):
    return sum(part.nbytes for part in arrays if isinstance(part, np.ndarray))


@pytest.mark.parametrize("limit", [1 << 19, 1 << 21, 1 << 23])
def test_what_works_at_once_stays_within_its_share_of_the_memory(monkeypatch, limit):
    """Half of the limit for a block of samples and its responses, half for the buffers of the threads' tasks."""
    given = problem(network([5, 300, 40, 2], "relu", "softmax", "cross_entropy"), 70)
    theta, seen = memory([given.theta]), []

    def only_count(task, items, threads, done):
        seen.append((items, threads))
        return [2] * len(items)

    for block in islice(blocks(given, 1e-7, Run(64, limit)), 1):
        monkeypatch.setattr(engine, "run_all", only_count)
        found = engine.respond(block, [np.arange(n) for n in given.network.widths[1:]], Run(64, limit))
        held = memory(block.arrays) - theta + memory(block.inputs)
        held += sum(memory([layer.powers, layer.bounds, layer.kinds]) for layer in found)
        assert held <= limit / 2 or block.m == FORWARD_SAMPLES
        items, threads = seen[-1]
        most = max(task.units.size for task in items)
        buffers = 2 * 2 * 8 * 300 * most  # two, with a float for both signs of each unit at the widest layer
        least = most == groups.LEAST_COLUMNS
        assert buffers <= limit / 16 or least
        assert threads * buffers <= limit / 2 or threads == 1
        assert threads == 64 or (threads + 1) * buffers > limit / 4  # and no fewer than need be


@pytest.mark.parametrize("limit", [1 << 30, 1 << 16])
def test_progress_rises_to_the_number_of_parameters(monkeypatch, limit):
    """Whether the samples come in one block or several, and each block's work in one piece or many."""
    monkeypatch.setattr(engine, "TASK_OPERATIONS", (1e3, 1e4))
    calls = []
    given = problem(network([4, 6, 5, 3], "relu", "softmax", "cross_entropy"), 150)
    engine.differences(given, None, 1e-7, Run(1, limit, lambda done, total: calls.append((done, total))))
    n = given.network.size
    done = [first for first, _ in calls]
    assert {total for _, total in calls} == {n}
    assert done == sorted(done)
    assert done[-1] == n
    assert 0 <= done[0] <= 0.2 * n
    assert np.max(np.diff(done)) <= 0.2 * n
