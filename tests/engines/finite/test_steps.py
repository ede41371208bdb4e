"""Steps are found that reach the accuracy a cost allows; its noise and its kinks are told apart."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from fastcheck.engines.finite.stencils import central, power_of_two
from fastcheck.engines.finite.steps import first_step, likely_step, refine

ONE = np.zeros(1, dtype=np.int64)

# function, place, derivative there
CLASSIC = {
    "exp": (np.exp, 1.0, np.exp(1.0)),
    "exp, steep": (lambda x: np.exp(1000.0 * x), 0.01, 1000.0 * np.exp(10.0)),
    "exp, near 0": (np.exp, 1e-8, 1.0 + 1e-8),
    "log": (np.log, 0.01, 100.0),
    "log, near 0": (np.log, 1e-6, 1e6),
    "sin": (np.sin, 1.0, np.cos(1.0)),
    "sin at 0": (np.sin, 0.0, 1.0),
    "sin, fast": (lambda x: np.sin(1e5 * x), 1.0, 1e5 * np.cos(1e5)),
    "sqrt": (np.sqrt, 1e-6, 500.0),
    "1/x": (lambda x: 1.0 / x, 1e-3, -1e6),
    "tan, near its pole": (np.tan, 1.5, 1.0 / np.cos(1.5) ** 2),
    "Squire and Trapp": (lambda x: np.exp(x) / np.sqrt(np.sin(x) ** 3 + np.cos(x) ** 3), 1.5, 4.053427893898621),
    "square": (np.square, 3.0, 6.0),
    "arctan, narrow": (lambda x: np.arctan(1e3 * x), 1e-3, 500.0),
}


def lines_of(function, x):
    def lines(which, distances):
        lines.evaluations += distances.size
        with np.errstate(all="ignore"):
            return (x + distances) - x, function(x + distances)

    lines.evaluations = 0
    return lines


def refined(function, x):
    lines = lines_of(function, x)
    found = refine(lines, ONE, first_step(np.array([x])), float(function(x)), np.zeros(1))
    return found, lines


@pytest.mark.parametrize("name", CLASSIC)
def test_refined_steps_reach_twelve_digits(name):
    function, x, wanted = CLASSIC[name]
    found, _ = refined(function, x)
    error = abs(found.slope[0] - wanted)
    assert error <= 4e-13 * abs(wanted)
    assert error <= 8.0 * found.error[0] + 1e-16 * abs(wanted)
    assert found.smooth[0]


@pytest.mark.parametrize("name", ["exp", "log", "sin", "sin at 0", "square", "sqrt", "arctan, narrow"])
def test_a_good_first_step_costs_six_evaluations(name):
    assert refined(*CLASSIC[name][:2])[1].evaluations == 8


@pytest.mark.parametrize("name", CLASSIC)
@pytest.mark.parametrize(("order", "digits"), [(2, 3e-10), (4, 3e-12)])
def test_steps_of_lower_orders_follow_from_the_table(name, order, digits):
    function, x, wanted = CLASSIC[name]
    found, lines = refined(function, x)
    slope, below, above = central(lines, ONE, found.best_step(order), order)
    assert abs(slope[0] - wanted) <= digits * abs(wanted)
    step = found.best_step(order)[0]
    assert (below[0], above[0]) == (function(x - step), function(x + step))


def test_noise_is_told_from_a_kink():
    found, _ = refined(lambda x: np.asarray(np.sin(x), dtype=np.float32).astype(np.float64), 1.0)
    assert found.smooth[0]
    assert 3e-9 < found.noise[0] < 3e-7
    assert abs(found.slope[0] - np.cos(1.0)) < 3e-6


@pytest.mark.parametrize("place", [1e-3, 1e-5, 3e-7])
@pytest.mark.parametrize("size", [1e-3, 1.0, 1e3])
def test_a_kink_nearby_is_stepped_around(place, size):
    found, _ = refined(lambda x: np.sin(x) + size * np.maximum(x - 1.0 - place, 0.0), 1.0)
    assert found.smooth[0]
    assert abs(found.slope[0] - np.cos(1.0)) < 8.0 * found.error[0] < 3e-7


@settings(deadline=None)
@given(st.floats(0.01, 6.0), st.floats(-3.0, 1.0))
def test_no_kink_goes_unseen(offset, size):
    """Wherever it lies between the nodes of the table, the error is known."""
    jump = 10.0**size
    found, _ = refined(lambda x: x**2 + jump * np.maximum(x - 1.0 - offset / 256.0, 0.0), 1.0)
    assert abs(found.slope[0] - 2.0) <= 8.0 * found.error[0]


def test_a_kink_at_the_place_itself_shows_in_the_one_sided_derivatives():
    found, _ = refined(lambda x: np.abs(x - 1.0) + x, 1.0)
    assert not found.smooth[0]
    assert found.left[0] == pytest.approx(0.0, abs=1e-6)
    assert found.right[0] == pytest.approx(2.0, abs=1e-6)


def test_a_pole_within_the_first_step_is_left():
    found, _ = refined(np.log, 1e-9)
    assert abs(found.slope[0] - 1e9) < 1e-3


def test_no_line_disturbs_another():
    names = list(CLASSIC)
    places = np.array([CLASSIC[name][1] for name in names])

    def lines(which, distances):
        with np.errstate(all="ignore"):
            moved = places[which][:, None] + distances
            costs = [CLASSIC[names[line]][0](row) for line, row in zip(which, moved, strict=True)]
        return moved - places[which][:, None], np.array(costs)

    def shifted(which, distances):
        """All functions with the same cost at 0, as one cost on many lines has."""
        made, costs = lines(which, distances)
        return made, costs - at_zero[which][:, None] + 2.0

    at_zero = np.array([float(CLASSIC[n][0](places[k])) for k, n in enumerate(names)])
    everything = np.arange(len(names))
    start, noise = np.array([first_step(places[[k]])[0] for k in everything]), np.full(len(names), 1e-13)
    together = refine(shifted, everything, start, 2.0, noise).slope
    alone = [refine(shifted, everything[[k]], start[[k]], 2.0, noise[[k]]).slope[0] for k in everything]
    np.testing.assert_allclose(together, alone, rtol=1e-14)  # BLAS may sum rows differently


def test_a_constant_is_flat():
    found, lines = refined(lambda x: np.full_like(x, 3.0), 1.0)
    assert found.slope[0] == 0.0
    assert lines.evaluations == 8


def test_first_steps_are_powers_of_two_near_the_size_of_the_parameters():
    steps = first_step(np.array([1.0, 1000.0, 0.0, 1e-6, np.nan]))
    np.testing.assert_array_equal(steps, power_of_two(steps))
    assert steps[0] == 2.0**-8
    assert 1e-9 < steps[3] < 1e-8
    assert steps[2] > 0.0
    assert np.isfinite(steps[4])


def test_steps_are_learnt_from_a_few_parameters():
    values = np.array([1e-6, 1.0, 0.0, -1e3])
    same = likely_step(values, np.array([1e-3, 1.0, 1e2]), np.array([2.0**-20, 2.0**-19, 2.0**-20]))
    np.testing.assert_array_equal(power_of_two(same), 2.0**-20)
    known = np.array([1e-3, 1.0, 1e2])
    grown = likely_step(values, known, power_of_two(known * 2.0**-20))
    assert np.all(np.abs(np.log2(grown[[0, 1, 3]] / (np.abs(values[[0, 1, 3]]) * 2.0**-20))) <= 1.0)
    assert grown[2] > 0.0
