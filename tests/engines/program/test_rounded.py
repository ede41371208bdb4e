"""Changes of results that are off by a rounding each."""

import numpy as np
import pytest

from fastcheck.engines.program.arrays.program import Program
from fastcheck.engines.program.rounded import Roundings, far_away, near_by

VALUES = [np.array([1.0, np.inf, np.nan]), np.array([1.0, -2.0]), np.array([[np.inf], [2.0]]), np.float64(3.0)]


@pytest.mark.parametrize("off", [near_by, far_away])
@pytest.mark.parametrize("value", VALUES)
def test_what_is_not_finite_is_off_by_nothing(value, off):
    draws = np.full((2, *np.shape(value)), 1e-15)
    found = off(np, value, np.zeros(np.shape(value)), draws)
    np.testing.assert_array_equal(found, np.where(np.isfinite(value), 1e-15 * value, 0.0))


def test_a_result_that_is_moved_far_is_rounded_where_it_arrives():
    value, change, draws = np.array([1.0]), np.array([7.0]), np.array([[0.5], [0.25]])
    assert far_away(np, value, change, draws) == 7.0 + 8.0 * 0.5
    assert near_by(np, value, change, draws) == 7.0 * 1.25 + 0.5


def test_draws_depend_on_the_operation_and_the_seed_alone():
    roundings = Roundings([3, 4], np.array([-1, 0, 1]))
    draws = roundings.draws(5, (2, 3))
    assert draws.shape == (2, 3, 2, 3)
    assert not draws[:, -1].any()
    np.testing.assert_array_equal(draws[:, 0], Roundings([3], np.array([0])).draws(5, (2, 3))[:, 0])
    assert not np.array_equal(draws, roundings.draws(6, (2, 3)))


@pytest.mark.parametrize("whole", [np.floor, np.ceil, np.rint, np.trunc, np.sign])
def test_whole_numbers_are_not_off(whole):
    """What rounds to whole numbers rounds no further: places between grid points lead where they led."""
    program = Program(lambda x: whole(x), [np.array([0.4, 3.3, -2.7])])
    moves = np.array([[0.0, 0.0, 0.0], [-9.2, 0.0, 0.0], [0.0, 0.1, 9.1]])
    for far in (False, True):
        found = program.rounded({0: moves}, Roundings([3], np.zeros(3, int), far=far)).changes[0]
        np.testing.assert_array_equal(found, np.rint(found))
        np.testing.assert_array_equal(found[0], 0.0)


def test_results_beside_whole_numbers_are_off():
    program = Program(lambda x: np.exp(x) + np.floor(x) @ np.ones((3, 3)), [np.array([0.4, 3.3, -2.7])])
    roundings = Roundings([3], np.zeros(2, int), far=True)
    assert program.rounded({0: np.array([[0.0, 0.0, 0.0], [9.2, 0.0, 0.0]])}, roundings).changes[0].all()
