"""A backward pass that rounds more than it would have to."""

import math

import numpy as np
import pytest

from fastcheck.verdict.yardstick import in_words, times_as_rough

UNIT = 2.0**-8
RNG = np.random.default_rng(0)
TRUTHS = np.broadcast_to(RNG.standard_normal(40), (32, 40))
ROUNDING = UNIT * RNG.uniform(-1.0, 1.0, (32, 40)) * np.abs(TRUTHS)


def test_the_same_rounding_is_not_too_much():
    assert times_as_rough(ROUNDING, ROUNDING[:8], TRUTHS, UNIT) == 0.0
    assert times_as_rough(2.0 * ROUNDING, ROUNDING[:8], TRUTHS, UNIT) == 0.0


@pytest.mark.parametrize("times", [5.0, 50.0])
def test_several_times_as_much_is(times):
    assert times_as_rough(times * ROUNDING, ROUNDING[:8], TRUTHS, UNIT) == pytest.approx(times, rel=0.3)


def test_a_few_runs_far_off_do_not_count():
    """Rounding carried a pre-activation across its kink there."""
    errors = ROUNDING.copy()
    errors[np.arange(6), :] += 0.5
    assert times_as_rough(errors, ROUNDING[:8], TRUTHS, UNIT) == 0.0


def test_what_a_rounding_of_the_numbers_leaves_is_never_too_much():
    assert times_as_rough(ROUNDING, 0.0 * ROUNDING[:8], TRUTHS, UNIT) == 0.0
    assert times_as_rough(10.0 * ROUNDING, 0.0 * ROUNDING[:8], TRUTHS, UNIT) == math.inf


def test_it_is_said_how_many_times():
    assert in_words(4.2, "the other") == "rounds 4.2 times as much as the other does"
    assert in_words(math.inf, "the other") == "rounds where the other does not"
