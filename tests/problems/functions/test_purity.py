"""Costs that are no functions are refused by name; odd but honest ones are accepted."""

import numpy as np
import pytest

import fastcheck as fc
from fastcheck._errors import ChangedArgumentError, NondeterministicError
from tests.support.user_functions import cubes, cubes_gradient, point


def check(cost, **options):
    theta = point()
    return fc.check_function(cost, theta, cubes_gradient(theta), **options)


@pytest.mark.parametrize("convert", [
    float, np.float64, np.asarray, lambda value: np.array([[value]]), lambda value: np.array([value]), np.longdouble,
])
def test_one_real_number_is_accepted_in_any_form(convert):
    assert check(lambda theta: convert(cubes(theta))).ok


@pytest.mark.parametrize(("value", "words"), [
    (None, "expected a number, got None.*return statement"),
    (np.ones(3), r"array of shape \(3,\).*sum or average"),
    (1.0 + 1.0j, "complex one.*real part"),
    ("1.0", "expected a real number"),
    (True, "expected a real number"),
    ([1.0, [2.0]], "expected a number"),
    ({}, "expected a real number"),
])
def test_anything_else_is_refused_by_name(value, words):
    with pytest.raises(TypeError, match=words):
        check(lambda theta: value)


def test_random_numbers_are_found():
    generator = np.random.default_rng(0)
    with pytest.raises(NondeterministicError, match=r"dropout.*random numbers.*seed"):
        check(lambda theta: cubes(theta * (generator.random(theta.size) > 0.5)))


def test_state_that_follows_the_parameters_is_found():
    mean = np.zeros(1)

    def batch_statistics(theta):
        value = cubes(theta) + mean[0]
        mean[0] = 0.9 * mean[0] + 0.1 * theta[0]
        return value

    with pytest.raises(NondeterministicError, match="batch statistics"):
        check(batch_statistics)


@pytest.mark.parametrize("engine", ["differences", "program", None])
@pytest.mark.parametrize("share", [0.3, 0.7, 1.0])
def test_state_that_begins_to_drift_late_is_found(engine, share):
    calls = [0]

    def drifting(theta, limit=float("inf")):
        calls[0] += 1
        return cubes(theta) + (1e-3 if calls[0] > limit else 0.0)

    check(drifting, engine=engine)
    last, calls[0] = calls[0], 0
    limit = max(3, round(share * last) - 1)  # the last call alone gives another value, where the share is 1
    with pytest.raises((NondeterministicError, fc.NoRule), match="after other parameters were tried|other values"):
        check(lambda theta: drifting(theta, limit), engine=engine)


def test_sums_in_another_order_are_no_randomness():
    generator = np.random.default_rng(0)
    assert check(lambda theta: cubes(theta) * (1.0 + 1e-15 * generator.choice((-1.0, 1.0)))).ok


@pytest.mark.parametrize("options", [{}, {"vectorized": True}])
def test_a_cost_that_writes_to_its_argument_is_found(options):
    def writing(theta):
        value = np.sum(theta**3, axis=-1)
        theta *= 0.5
        return value

    with pytest.raises(ChangedArgumentError, match=r"changed its own argument.*copy"):
        check(writing, **options)


def test_a_cost_that_writes_seldom_is_found():
    calls = [0]

    def writing(theta):
        calls[0] += 1
        value = cubes(theta)
        if calls[0] > 3:
            theta[3] += 1.0
        return value

    with pytest.raises((ChangedArgumentError, NondeterministicError)):
        check(writing)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_cost_that_is_not_finite_fails(value):
    report = check(lambda theta: value)
    assert report.verdict == "fail"
    assert "cost" in report.summary


def test_a_cost_that_is_nan_nearby_fails_there_and_says_where():
    theta = np.array([1.0, 0.0, 2.0])
    with np.errstate(all="ignore"):
        gradient = np.array([1.0, np.inf, 0.5])
    report = fc.check_function(lambda t: np.log(t[0]) + np.log(t[2]) + np.sqrt(t[1]), theta, gradient)
    assert report.verdict == "fail"
    assert report.worst(1)[0].index == (1,)


def test_nan_gradients_fail_and_are_named():
    theta = point()
    gradient = cubes_gradient(theta)
    gradient[11] = np.nan
    report = fc.check_function(cubes, theta, gradient)
    assert report.verdict == "fail"
    assert report.worst(1)[0].index == (11,)
