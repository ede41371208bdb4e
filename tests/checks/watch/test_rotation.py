"""Turns: every parameter exactly once in each, in an order that the seed decides."""

import numpy as np
import pytest

from fastcheck.checks.watch.rotation import Rotation
from tests.support.problems import network

NET = network([3, 5, 2, 4], "tanh", "softmax", "cross_entropy")


@pytest.mark.parametrize("share", [1, 2, 3, 7, 10])
def test_one_turn_covers_every_parameter_once(share):
    rotation, counts = Rotation(NET, np.random.default_rng(0)), np.zeros(NET.size, int)
    coverage = [rotation.coverage]
    while not rotation.finished:
        assert rotation.left + len(coverage[1:]) * share == rotation.units
        positions = rotation.ahead(share)
        assert rotation.coverage == coverage[-1]
        rotation.done(share)
        assert np.all(np.diff(positions) > 0)
        counts[positions] += 1
        assert rotation.coverage == counts.mean()
        coverage.append(rotation.coverage)
    assert np.all(counts == 1)
    assert coverage == sorted(coverage)
    assert rotation.left == rotation.units == 11


def test_all_units_at_once_are_all_of_theta():
    rotation = Rotation(NET, np.random.default_rng(0))
    for share in (11, 100):
        assert rotation.ahead(share) is None
        rotation.done(share)
    assert (rotation.finished, rotation.coverage) == (2, 1.0)


def test_order_comes_from_the_seed_and_changes_with_every_turn():
    def order(seed):
        rotation = Rotation(NET, np.random.default_rng(seed))
        found = []
        for _ in range(22):
            found.append(tuple(rotation.ahead(1)))
            rotation.done(1)
        return found

    one = order(0)
    assert one == order(0)
    assert one != order(1)
    assert one[:11] != one[11:]
    assert sorted(one[:11]) == sorted(one[11:])
