"""Rounding that several runs share, told from a mistake by runs further away."""

import math

import numpy as np
import pytest

from fastcheck._constants import UNIT_ROUNDOFFS
from fastcheck.verdict.shared import (
    FURTHER_OFF_DOUBLE,
    is_mostly_rounding,
    is_rounding_alone,
    power_beside,
    repeats_itself,
    stands_out,
)

SHAPE, SINGLE, HALF = (8, 5), UNIT_ROUNDOFFS["float32"], UNIT_ROUNDOFFS["bfloat16"]
RNG = np.random.default_rng(0)
TRUTH = RNG.standard_normal(40)
TRUTHS = TRUTH * (1.0 + 1e-7 * RNG.standard_normal((32, 1)))
THERE = TRUTH * (1.0 + 1e-2 * RNG.standard_normal((24, 40)))
ROUNDING = 1e-3 * RNG.standard_normal((24, 40)) * np.abs(TRUTH).mean()
SHARED = np.broadcast_to(ROUNDING[0], TRUTHS.shape)


def power(errors, gradients, unit=SINGLE):
    return power_beside(errors, TRUTHS, (gradients, THERE), SHAPE, unit)


@pytest.mark.parametrize("unit", [SINGLE, HALF])
def test_rounding_goes_to_all_sides_further_away(unit):
    assert 0.0 < power(SHARED, THERE + ROUNDING, unit) < 3e-3


def test_the_stated_power_is_what_is_seen():
    """Half of it passes, twice of it does not."""
    seen = power(SHARED, THERE + ROUNDING)
    assert math.isfinite(power(SHARED + 0.5 * seen * TRUTHS, (1.0 + 0.5 * seen) * THERE + ROUNDING))
    for side in (-1.0, 1.0):
        wrong = SHARED + side * 2.0 * seen * TRUTHS
        assert power(wrong, (1.0 + side * 2.0 * seen) * THERE + ROUNDING) == math.inf


def test_what_is_said_to_be_rounding_is_not_claimed_to_be_seen():
    """Rounding near by, and of runs further away less, may make up for a mistake that is as large."""
    each = 1e-4 * np.random.default_rng(5).standard_normal((24, 1)) * THERE
    for shared in (2e-4, -2e-4):
        assert power(shared * TRUTHS, THERE + each) > 2e-4 + 3e-4


def zeroed(part):
    def change(gradients):
        found = gradients.reshape(-1, *SHAPE).copy()
        found[(slice(None), *part)] = 0.0
        return found.reshape(len(gradients), -1)
    return change


MISTAKES = {
    "factor": lambda g: 1.01 * g, "sign": lambda g: -g, "zero": lambda g: 0.0 * g,
    "row": zeroed((2,)), "column": zeroed((slice(None), 3)),
    "largest entry": zeroed(np.unravel_index(np.argmax(np.abs(TRUTH)), SHAPE)),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_the_same_further_away(name):
    change = MISTAKES[name]
    assert power(change(TRUTHS + SHARED) - TRUTHS, change(THERE + ROUNDING)) == math.inf


@pytest.mark.parametrize("name", ["row", "column", "largest entry", "sign"])
def test_so_it_is_where_the_truth_turns_around(name):
    """At points so far away that the gradient has another direction at each."""
    change, there = MISTAKES[name], np.random.default_rng(4).standard_normal((24, 40)) + 0.5 * TRUTH
    found = power_beside(change(TRUTHS + SHARED) - TRUTHS, TRUTHS, (change(there + ROUNDING), there), SHAPE, SINGLE)
    assert found == math.inf


def test_what_is_larger_than_anything_further_away_is_no_rounding():
    assert power(10.0 * SHARED, THERE + ROUNDING) == math.inf


def test_rounding_alone_goes_to_all_sides():
    errors = 1e-7 * np.random.default_rng(1).standard_normal((32, 5))
    assert is_rounding_alone(errors)
    assert is_mostly_rounding(errors)
    assert not repeats_itself(errors)
    assert not is_rounding_alone(errors, 1e-8)
    assert not is_rounding_alone(errors + 1e-6)
    assert not is_mostly_rounding(errors + 1e-6)
    assert repeats_itself(errors + 1e-6)
    errors[0] *= 20.0
    assert stands_out(errors)
    assert not is_rounding_alone(errors)
    assert not is_mostly_rounding(errors)


def test_how_far_off_the_first_may_be_is_what_the_caller_says():
    errors = 1e-9 * np.random.default_rng(2).standard_normal((24, 1))
    errors[0] = 5.0 * np.abs(errors[1:]).max()
    assert not is_mostly_rounding(errors)
    assert is_mostly_rounding(errors, FURTHER_OFF_DOUBLE)
    errors[0] *= 3.0
    assert not is_mostly_rounding(errors, FURTHER_OFF_DOUBLE)


def test_one_that_stands_alone_is_told_by_the_largest_of_the_others():
    errors = 1e-7 * np.random.default_rng(1).standard_normal((32, 5))
    largest = np.linalg.norm(errors[1:], axis=1).max()
    assert is_rounding_alone(errors, 3.1 * largest, alone=True)
    assert not is_rounding_alone(errors, 2.9 * largest, alone=True)
