"""Exact differences at the ends of the range of numbers, and of costs whose insides round."""

import numpy as np
import pytest

import fastcheck as fc

P = np.random.default_rng(0).standard_normal(4)


def verdicts(cost, at, gradient):
    """Of the right gradient, and of wrong ones."""
    yield fc.check_function(cost, at, gradient, engine="program").verdict
    one = gradient.copy()
    one[2] *= 1.001
    for wrong in (-gradient, 1.01 * gradient, 0.0 * gradient, one):
        yield fc.check_function(cost, at, wrong, engine="program").verdict


@pytest.mark.parametrize("power", [-300, -250, -200, -150, -30, 50, 150, 250, 300])
def test_costs_and_parameters_of_any_scale(power):
    s = 10.0**power
    cases = [
        (lambda p: float(np.sum(np.sin(p)) * s), P, np.cos(P) * s),
        (lambda p: float(np.sum(np.tanh(p / s))), P * s, (1 - np.tanh(P) ** 2) / s),
        (lambda p: float(np.sum(p * np.arange(1, 5))), P * s, np.arange(1.0, 5.0)),
    ]
    for cost, at, gradient in cases:
        assert list(verdicts(cost, at, gradient)) == ["pass", "fail", "fail", "fail", "fail"]


def test_a_tiny_entry_beside_ordinary_ones():
    at = np.array([1e-300, 1e-100, 2.0])
    assert fc.check_function(lambda t: float(np.sum(np.log(t))), at, 1 / at).verdict == "pass"


@pytest.mark.parametrize("offset", [1e8, 1e12, 1e16])
def test_rounding_inside_a_cost_is_no_fault_of_the_program(offset):
    """What literal subtraction shows is a staircase; with longer steps it approaches the exact change."""
    def cost(p):
        return float(np.sum((p + offset) - offset))

    report = fc.check_function(cost, np.full(3, 4.0), np.ones(3))
    assert (report.verdict, report.engine) == ("pass", "program")
    assert fc.check_function(cost, np.full(3, 4.0), np.full(3, 1.01)).verdict == "fail"


@pytest.mark.parametrize("at", [1e200 * P, np.array([1.0, np.nan, 2.0, 3.0]), np.array([1.0, np.inf, 2.0, 3.0])])
@pytest.mark.parametrize("gradient", [P, np.inf * P, np.nan * P])
def test_what_is_not_finite_warns_of_nothing_inside(at, gradient, recwarn):
    def cost(p):
        with np.errstate(all="ignore"):
            return float(np.sum(p**2))

    assert fc.check_function(cost, at, gradient).verdict == "fail"
    assert not recwarn.list
