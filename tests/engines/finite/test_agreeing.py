"""A first look at usual steps: what agrees at them is done with, and nothing that is wrong gets by."""

import numba
import numpy as np
import pytest

import fastcheck as fc
from fastcheck.engines.finite import agreeing, plan_steps
from tests.support.jit_mode import needs_compiled

pytestmark = needs_compiled("costs that are machine code")
SIZE = 60
THETA = np.random.default_rng(0).normal(size=SIZE) + 2.0
GRADIENT = np.cos(THETA) * np.exp(np.sin(THETA)) + 1.0


@numba.njit
def smooth(theta):
    return np.sum(np.exp(np.sin(theta)) + theta)


@numba.njit
def rounded(theta):
    return float(np.float32(np.sum(np.exp(np.sin(theta)) + theta)))


@numba.njit
def wavy(theta):
    """Flat but for waves that are shorter than any usual step."""
    return 1.0 + 1e-9 * np.sum(np.sin(1e9 * theta))


@pytest.fixture
def looks(monkeypatch):
    """The tensors that were asked about, and those that agreed."""
    seen, usual = [], agreeing.agreeing

    def look(check, tensors):
        found = usual(check, tensors)
        seen.append((len(tensors), len(found)))
        return found

    monkeypatch.setattr(plan_steps, "agreeing", look)
    return seen


def check(cost=smooth, gradient=GRADIENT, **options):
    return fc.check_function(cost, THETA, gradient, **options)


def test_a_right_gradient_takes_little_more_than_two_evaluations_of_each_entry(looks):
    report = check()
    assert report.verdict == "pass"
    assert looks == [(1, 1)]
    assert report.facts["evaluations"] <= 2 * SIZE + 2 * (agreeing.TRIED + 1) + 2
    np.testing.assert_allclose(report.gradapprox, GRADIENT, rtol=0, atol=5e-9)
    assert report.difference < 1e-9


@pytest.mark.parametrize("factor", [1.5, 1.0001, 1.0 + 3e-7, -1.0, 0.0])
@pytest.mark.parametrize("entries", [slice(None), 0, 7, SIZE - 1])
def test_what_is_wrong_fails(factor, entries):
    wrong = GRADIENT.copy()
    wrong[entries] *= factor
    report = check(gradient=wrong)
    assert report.verdict == "fail"
    if isinstance(entries, int):
        assert [entry.index for entry in report.tensors[0].entries(1)] == [(entries,)]


@pytest.mark.parametrize("factor", [1.5, 1.0001, 0.0])
def test_a_wrong_gradient_costs_few_evaluations_more(monkeypatch, factor):
    found = check(gradient=factor * GRADIENT).facts["evaluations"]
    monkeypatch.setattr(plan_steps, "agreeing", lambda check, tensors: {})
    assert found <= check(gradient=factor * GRADIENT).facts["evaluations"] + 2 * (agreeing.TRIED + 1)


@pytest.mark.parametrize("cost", [rounded, wavy])
@pytest.mark.parametrize("gradient", [GRADIENT, 1.1 * GRADIENT, np.zeros(SIZE)])
def test_costs_with_few_digits_are_judged_as_they_are_without(monkeypatch, looks, cost, gradient):
    found = check(cost, gradient)
    assert looks == [(1, 0)]
    monkeypatch.setattr(plan_steps, "agreeing", lambda check, tensors: {})
    assert found.verdict == check(cost, gradient).verdict


@pytest.mark.parametrize("period", [2.0**-12, 2.0**-14, 2.0**-15, 2.0**-16, 2.0**-17, 2.0**-20, 1e-4, 1e-5])
def test_waves_with_a_period_that_a_step_may_be_a_multiple_of_are_seen(period):
    """Every power of two moves such a cost as if it had no waves."""
    @numba.njit
    def waves(theta):
        return np.sum(np.exp(np.sin(theta)) + theta) + 0.01 * period * np.sum(np.sin(2.0 * np.pi / period * theta))

    assert check(waves).verdict == "fail"


def test_some_entries_may_have_few_digits(looks):
    """They are looked at again, and those that are wrong are found."""
    scales = np.where(np.arange(SIZE) % 20 == 3, 1e-9, 1.0)

    @numba.njit
    def cost(theta):
        return np.sum(scales * (np.exp(np.sin(theta)) + theta))

    assert check(cost, scales * GRADIENT).verdict == "pass"
    wrong = scales * GRADIENT
    wrong[3] *= 1.5
    assert check(cost, wrong).verdict == "fail"
    assert looks == [(1, 1)] * 2


@pytest.mark.parametrize("options", [
    {"order": 4}, {"epsilon": 1e-5}, {"time_limit": 60.0}, {"complex_step": True},
])
def test_who_asks_for_something_gets_that(looks, options):
    report = check(**options)
    assert report.verdict == "pass"
    assert all(agreed == 0 for _, agreed in looks)


def test_python_costs_are_given_steps_of_their_own(looks):
    assert check(smooth.py_func, engine="differences").verdict == "pass"
    assert looks == [(1, 0)]


def test_tensors_are_told_apart(looks):
    """One that agrees, one that is wrong, and one so small that its steps are chosen in any case."""

    @numba.njit
    def cost(p):
        return np.sum(np.sin(p[0])) + np.sum(np.exp(p[1])) + np.sum(p[2] ** 3)

    a, b, c = np.linspace(0.1, 1.0, 40), np.linspace(-1.0, 1.0, 30), np.array([1.0, 2.0, 3.0])
    right = (np.cos(a), np.exp(b), 3.0 * c**2)
    assert fc.check_function(cost, (a, b, c), right).verdict == "pass"
    wrong = fc.check_function(cost, (a, b, c), (right[0], 1.01 * right[1], right[2]))
    assert [tensor.verdict for tensor in wrong.tensors] == ["pass", "fail", "pass"]
    assert looks == [(2, 2), (2, 1)]
