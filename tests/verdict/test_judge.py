"""Right gradients pass at any scale, mistakes fail wherever they stand, and what nothing exercises gets no verdict."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from fastcheck.checks.network import check
from fastcheck.engines.base import ENGINES
from fastcheck.problems.networks.network import Network
from fastcheck.verdict import judge as judging
from fastcheck.verdict.comparison import CHUNK
from tests.support.course_exercise import exercise, gradients_with
from tests.support.fake_gradients import LARGE, SHAPES, Made, failing, verdicts

# --- right gradients --------------------------------------------------------------------------------------------

@pytest.mark.parametrize("norm", [1, 2, np.inf])
@pytest.mark.parametrize("scale", [1e-300, 1e-12, 1.0, 1e12, 1e300])
def test_a_right_gradient_passes_at_any_scale_in_any_norm(norm, scale):
    made = Made()
    made.gradapprox *= scale
    made.gradient *= scale
    made.noise = made.noise * scale
    report = made.report(norm=norm)
    assert report.ok
    assert report.difference < 1e-15


@pytest.mark.parametrize("norm", [1, 2, np.inf])
def test_the_difference_is_the_seeds_formula(norm):
    made = Made()
    made.gradient += 1e-3 * made.rng.standard_normal(made.gradient.size)
    g, a = made.gradient, made.gradapprox
    ratio = np.linalg.norm(g - a, norm) / (np.linalg.norm(g, norm) + np.linalg.norm(a, norm))
    report = made.report(norm=norm)
    assert report.difference == pytest.approx(ratio, rel=1e-13)
    for tensor in report.tensors:
        g, a = made[tensor.name].ravel(), made.approx(tensor.name).ravel()
        ratio = np.linalg.norm(g - a, norm) / (np.linalg.norm(g, norm) + np.linalg.norm(a, norm))
        assert tensor.difference == pytest.approx(ratio, rel=1e-13)


def test_large_tensors_are_worked_on_in_chunks():
    made = Made({"W1": (3, CHUNK - 1), "b1": (3, 1)})
    made.gradient += 1e-3 * made.rng.standard_normal(made.gradient.size)
    g, a = made.gradient, made.gradapprox
    ratio = np.linalg.norm(g - a) / (np.linalg.norm(g) + np.linalg.norm(a))
    assert made.report().difference == pytest.approx(ratio, rel=1e-12)
    made.gradient[:] = made.gradapprox
    made["W1"][2, CHUNK - 5] *= 1.001
    report = made.report()
    assert failing(report) == {"W1"}
    assert report.tensor("W1").worst == (2, CHUNK - 5)
    assert report.tensor("W1").wrong == 1


def test_large_tensors_are_added_up_on_threads(monkeypatch):
    """To the same bits."""
    monkeypatch.setattr(judging, "LARGE", 1)
    made = Made()
    made.gradient += 1e-3 * made.rng.standard_normal(made.gradient.size)
    alone, together = (made.report(threads=threads) for threads in (1, 3))
    assert [t.difference for t in together.tensors] == [t.difference for t in alone.tensors]
    assert (together.difference, str(together)) == (alone.difference, str(alone))


def test_rounding_of_small_entries_beside_large_ones_is_no_mistake():
    made = Made()
    for name in SHAPES:
        made.approx(name).reshape(-1)[::2] *= 1e-9
    made.gradient = made.gradapprox + 1e-15 * made.rng.standard_normal(made.gradient.size)
    assert made.report().ok


# --- what is scale-free -----------------------------------------------------------------------------------------

SPOILED = {
    "right": lambda made: None,
    "factor": lambda made: np.multiply(made["W2"], 2.0, out=made["W2"]),
    "sign": lambda made: np.negative(made["b1"], out=made["b1"]),
    "entry": lambda made: made["W3"].__setitem__((1, 2), made["W3"][1, 2] * 1.0001),
    "little": lambda made: np.multiply(made["W1"], 1.0 + 3e-8, out=made["W1"]),
    "zeros": lambda made: made["b3"].__setitem__(slice(None), 0.0),
    "nan": lambda made: made["W1"].__setitem__((0, 0), np.nan),
}


@settings(max_examples=30, deadline=None)
@given(exponent=st.integers(-280, 280), spoiled=st.sampled_from(sorted(SPOILED)), norm=st.sampled_from([1, 2, np.inf]))
def test_no_scale_of_the_cost_changes_a_verdict(exponent, spoiled, norm):
    made = Made()
    SPOILED[spoiled](made)
    before = made.report(norm=norm)
    scale = 10.0**exponent
    for vector in (made.gradient, made.gradapprox):
        vector *= scale
    made.noise, made.cost = made.noise * scale, made.cost * scale
    after = made.report(norm=norm)
    assert verdicts(after) == verdicts(before)
    assert after.difference == pytest.approx(before.difference, rel=1e-6, nan_ok=True)


@pytest.mark.parametrize("scale", [1e-12, 1e-30, 1e-200])
def test_a_small_tensor_cannot_hide_behind_large_ones(scale):
    made = Made()
    for vector in (made["b2"], made.approx("b2")):
        vector *= scale
    assert made.report(noise=None).ok
    made["b2"][:] *= 2.0
    made.noise = np.array([1e-16, 1e-16, 1e-16, 1e-16 * scale, 1e-16, 1e-16])
    report = made.report()
    assert failing(report) == {"b2"}
    assert report.difference <= 1e-12


@pytest.mark.parametrize("size", [1e-6, 1e-3, 1.0])
def test_one_entry_of_half_a_million_wrong_by_a_hundred_thousandth_is_found(size):
    made = Made(LARGE)
    made.noise = np.full(6, 1e-15)
    assert made.report().ok
    for vector in (made["W2"], made.approx("W2")):
        vector[17, 100] = 1.01 * size * np.sqrt(np.mean(made.approx("W2") ** 2))
    made["W2"][17, 100] *= 1.0 + 1e-5
    report = made.report()
    assert failing(report) == {"W2"}
    assert (report.worst(1)[0].tensor, report.worst(1)[0].index) == ("W2", (17, 100))
    assert report.difference < 1e-7  # the textbook's number does not see it


# --- what is not finite -----------------------------------------------------------------------------------------

@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("side", ["gradient", "gradapprox", "both"])
@pytest.mark.parametrize("norm", [1, 2, np.inf])
def test_what_is_not_finite_fails_and_says_where(value, side, norm):
    made = Made()
    place = made.place("W2", 3, 4)
    for vector in {"gradient": [made.gradient], "gradapprox": [made.gradapprox],
                   "both": [made.gradient, made.gradapprox]}[side]:
        vector[place] = value
    report = made.report(norm=norm)
    assert not report.ok
    assert report.verdict == "fail"
    assert failing(report) == {"W2"}
    assert "[3, 4]" in report.failures[0].diagnosis
    assert report.worst(1)[0].index == (3, 4)
    assert np.isnan(report.difference)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_cost_that_is_not_finite_fails(value):
    made = Made()
    made.cost = value
    made.theta[made.place("b1", 2, 0)] = value
    report = made.report()
    assert report.verdict == "fail"
    assert "b1[2, 0]" in " ".join(report.notes)


def test_numbers_too_large_to_be_squared_are_still_numbers():
    made = Made()
    made.gradient *= 1e307
    made.gradapprox *= 1e307
    assert made.report().ok
    made["W1"][0, 0] *= -1.0
    assert failing(made.report()) == {"W1"}


# --- zeros and coverage -----------------------------------------------------------------------------------------

def test_zero_agrees_with_zero_and_is_counted():
    made = Made()
    made["W1"][:2] = made.approx("W1")[:2] = 0.0
    report = made.report()
    assert report.ok
    assert report.tensor("W1").zeros == 10
    assert report.tensor("W1").dead == 2
    assert "10 of" in " ".join(report.notes)


def test_nothing_exercised_is_inconclusive():
    made = Made()
    made.gradient[:] = made.gradapprox[:] = 0.0
    report = made.report()
    assert report.verdict == "inconclusive"
    assert report.difference == 0.0
    assert "nothing was exercised" in report.summary


@pytest.mark.parametrize("side", ["gradient", "gradapprox"])
def test_zero_against_something_fails(side):
    made = Made()
    getattr(made, side)[:] = 0.0
    assert failing(made.report()) == set(SHAPES)
    made = Made()
    made.gradapprox *= 1e-30
    made.gradient *= 1e-30
    made.noise = made.noise * 1e-30
    made["W1" if side == "gradient" else "W2"][:] = 0.0
    assert len(failing(made.report())) == 1


def test_only_checked_entries_are_judged():
    made = Made()
    made.indices = np.array([0, 3, 31, 40, 41, 100])
    assert made.report().ok
    made["W1"][0, 3] *= 2.0
    report = made.report()
    assert failing(report) == {"W1"}
    assert report.tensor("W1").worst == (0, 3)
    assert [t.checked for t in report.tensors] == [2, 1, 2, 0, 1, 0]
    made["W1"][0, 3] /= 2.0
    made["W1"][0, 4] *= 2.0
    report = made.report()
    assert report.ok
    assert "Nothing was checked of b2 and b3" in " ".join(report.notes)


# --- the course exercise ----------------------------------------------------------------------------------------

@pytest.mark.parametrize("engine", ENGINES)
def test_the_course_exercise(engine):
    X, Y, parameters = exercise()
    net = Network.from_parameters(parameters)
    names = [f"d{t.name}" for t in net.tensors]

    def report(*mistakes):
        gradients = gradients_with(*mistakes)
        return check(net, parameters, {name: gradients[name] for name in names}, X, Y, engine=engine)

    right = report()
    if engine == "reference":
        assert right.difference == pytest.approx(1.1890913024229996e-07, rel=1e-3)
        assert right.verdict == "inconclusive"
        assert "rounding of the cost" in right.summary
    else:
        assert right.ok
        assert right.difference < (1e-14 if engine == "response" else 1e-8)
    both = report("dW2", "db1")
    assert both.verdict == "fail"
    assert failing(both) == {"W2", "b1"}
    assert "dW2 is 2.000 times the numerical gradient" in str(both)
    assert "db1 is 4.000 times the numerical gradient" in str(both)
    assert both.difference == pytest.approx(0.2850931567761623, rel=1e-6)
