"""Chords of a cost along entries: by exact changes, and by plain calls where those cannot follow so far."""

import numpy as np
import pytest

import fastcheck as fc
from fastcheck.engines.program.arrays.program import Program
from fastcheck.engines.program.chords import steepest_chords
from fastcheck.engines.program.problem import ProgramProblem
from fastcheck.problems.parameters.tensor import Tensor

AT = np.array([1.5, -0.5, 2.0])


def chords(function, theta=AT):
    program = Program(function, [theta])
    tensors = (Tensor("theta", theta.shape, 0, theta.size),)
    problem = ProgramProblem(lambda values: Program(function, values), lambda values: [function(*values)], program,
                             (np.ones(()),), tensors, theta, float(function(theta)))
    return steepest_chords(problem, np.arange(theta.size), 2)


def at_once(x):
    return np.sum(np.where(x > 0, x**2, 0.0))


def one_by_one(x):
    total = 0.0
    for value in x:
        if value > 0:  # far away another branch is taken than here
            total += value**2
    return total


def test_branches_give_what_masks_give():
    np.testing.assert_allclose(chords(one_by_one), chords(at_once), rtol=1e-12)


@pytest.mark.parametrize("error", [ValueError, IndexError, KeyError, RuntimeError])
def test_where_the_function_is_not_defined_far_away_they_are_those_of_the_rest(error):
    def defined_near(x):
        if x.max() > 5.0:
            raise error("too far")
        return one_by_one(x)

    found = chords(defined_near)
    assert np.isfinite(found).all()
    assert (found > 0.0).all()


def hinge_loss(W, X, y, missing=False):
    """CS231n's loops."""
    loss, dW = 0.0, np.zeros(W.shape)
    for i in range(len(X)):
        scores = X[i].dot(W)
        for j in range(W.shape[1]):
            margin = scores[j] - scores[y[i]] + 1
            if j != y[i] and margin > 0:
                loss += margin
                dW[:, j] += X[i]
                dW[:, y[i]] -= X[i]
    loss, dW = loss / len(X), dW / (1 if missing else len(X))
    return loss + 0.01 * np.sum(W * W), dW + 0.02 * W


def test_a_loop_with_branches_is_differenced_exactly_whether_its_gradient_is_right_or_wrong():
    rng = np.random.RandomState(1)
    W, X, y = rng.randn(5, 4) * 0.1, rng.randn(7, 5), rng.randint(4, size=7)
    for missing in (False, True):
        report = fc.check_function(lambda W: hinge_loss(W, X, y)[0], W, hinge_loss(W, X, y, missing)[1])
        assert (report.engine, report.verdict) == ("program", "fail" if missing else "pass")
    assert "7 times" in report.tensors[0].diagnosis


@pytest.mark.parametrize("wrong", [1.00001, 1.01, -1.0, 0.0])
def test_a_wrong_gradient_fails_where_an_index_is_out_of_range_far_away(wrong):
    """Of a picture that is read between its pixels, at places that move."""
    rng = np.random.default_rng(0)
    picture, places = rng.normal(size=9), 7.0 * rng.random(12)

    def read(at):
        first = np.floor(at).astype(int)
        return picture[first] * (1.0 + first - at) + picture[first + 1] * (at - first)

    first = np.floor(places).astype(int)
    gradient = 2.0 * read(places) * (picture[first + 1] - picture[first])
    assert fc.check_function(lambda at: np.sum(read(at) ** 2), places, gradient).ok
    report = fc.check_function(lambda at: np.sum(read(at) ** 2), places, wrong * gradient)
    assert report.verdict == "fail"
    assert report.engine == "program"


def lennard_jones(x):
    i, j = np.triu_indices(len(x), 1)
    sixth = 1.0 / np.sum((x[i] - x[j]) ** 2, axis=1) ** 3
    return 4.0 * np.sum(sixth**2 - sixth)


def forces_of_lennard_jones(x):
    apart = x[:, None] - x[None]
    squared = np.sum(apart**2, axis=2) + np.eye(len(x))
    slope = 4.0 * (-12.0 / squared**7 + 6.0 / squared**4) * (1.0 - np.eye(len(x)))
    return np.sum(slope[:, :, None] * apart, axis=1)


def inverse_powers(x):
    return np.sum(1.0 / x**8)


VOLTS = np.linspace(0.3, 0.7, 9)
AMPERES = 1e-9 * np.exp(VOLTS / 0.05)


def diode(x):
    """Shockley's equation, whose exponential is infinite where the ideality factor is small."""
    return 1e4 * np.sum((1e-9 * x[0] * (np.exp(VOLTS / (0.0259 * x[1])) - 1.0) - AMPERES) ** 2)


def gradient_of_diode(x):
    e = np.exp(VOLTS / (0.0259 * x[1]))
    off = 2e4 * (1e-9 * x[0] * (e - 1.0) - AMPERES)
    return np.array([np.sum(off * 1e-9 * (e - 1.0)), -np.sum(off * 1e-9 * x[0] * e * VOLTS) / 0.0259 / x[1] ** 2])


def point_and_gradient(name):
    rng = np.random.default_rng(0)
    if name == "particles":
        x = rng.normal(size=(3, 3)) + 2.0 * np.arange(3)[:, None]
        return lennard_jones, x, forces_of_lennard_jones(x)
    if name == "powers":
        x = 1.0 + rng.random(5)
        return inverse_powers, x, -8.0 / x**9
    x = np.array([1.2, 1.7])
    return diode, x, gradient_of_diode(x)


@pytest.mark.parametrize("wrong", [1.00001, 1.01, -1.0, 0.0])
@pytest.mark.parametrize("name", ["particles", "powers", "diode"])
def test_a_pole_where_all_parameters_are_zero_excuses_nothing(name, wrong):
    cost, x, right = point_and_gradient(name)
    gradient = right.copy()
    gradient.flat[np.argmax(np.abs(right))] *= wrong
    assert fc.check_function(cost, x, right).verdict == "pass"
    assert fc.check_function(cost, x, wrong * right).verdict == "fail"
    assert fc.check_function(cost, x, gradient).verdict == "fail"


KELVINS = np.linspace(280.0, 340.0, 9)
RATES = 6e12 * np.exp(-8e4 / 8.314 / KELVINS)


def arrhenius(p):
    return np.sum((p["A"] * np.exp(-p["E"] / (8.314 * KELVINS)) / RATES - 1.0) ** 2)


def gradient_of_arrhenius(p):
    e = np.exp(-p["E"] / (8.314 * KELVINS)) / RATES
    off = 2.0 * (p["A"] * e - 1.0)
    return {"A": np.sum(off * e), "E": -np.sum(off * p["A"] * e / (8.314 * KELVINS))}


@pytest.mark.parametrize("wrong", [1.00001, 1.01, -1.0])
@pytest.mark.parametrize("name", ["A", "E"])
def test_products_that_are_far_larger_where_all_is_smaller_excuse_nothing(name, wrong):
    """A rate of reaction: its exponential is 1e-14, and multiplied by 1e13."""
    p = {"A": 7e12, "E": 8.02e4}
    right = gradient_of_arrhenius(p)
    assert fc.check_function(arrhenius, p, right).verdict == "pass"
    assert fc.check_function(arrhenius, p, {**right, name: wrong * right[name]}).verdict == "fail"


INPUTS = np.array([1.0, 1.3, 0.8])


def expit(z):
    return 1.0 / (1.0 + np.exp(-z))


SATURATED = {
    "squares of tanh": (lambda w: np.sum((np.tanh(w * INPUTS) - 1.0) ** 2) / 2,
                        lambda w: np.sum((np.tanh(w * INPUTS) - 1.0) * (1.0 - np.tanh(w * INPUTS) ** 2) * INPUTS)),
    "log of expit": (lambda w: -np.sum(np.log(expit(w * INPUTS))),
                     lambda w: np.sum((expit(w * INPUTS) - 1.0) * INPUTS)),
    "log1p": (lambda w: np.sum(np.log1p(np.exp(-w * INPUTS))), lambda w: np.sum((expit(w * INPUTS) - 1.0) * INPUTS)),
    "logaddexp": (lambda w: np.sum(np.logaddexp(0.0, -w * INPUTS)),
                  lambda w: np.sum((expit(w * INPUTS) - 1.0) * INPUTS)),
    "squares of expit": (lambda w: np.sum((expit(w * INPUTS) - 1.0) ** 2),
                         lambda w: np.sum(2.0 * (expit(w * INPUTS) - 1.0) * expit(w * INPUTS)
                                          * (1.0 - expit(w * INPUTS)) * INPUTS)),
    "far lifetimes": (lambda w: -np.sum(np.log(1.0 - np.exp(-w * INPUTS))),
                      lambda w: -np.sum((1.0 / (1.0 - np.exp(-w * INPUTS)) - 1.0) * INPUTS)),
    "double exponentials": (lambda w: np.sum(1.0 - np.exp(-np.exp(-w * INPUTS))),
                            lambda w: np.sum(np.exp(-np.exp(-w * INPUTS)) * np.log(np.exp(-np.exp(-w * INPUTS)))
                                             * INPUTS)),
}  # fmt: skip


@pytest.mark.parametrize("name", SATURATED)
@pytest.mark.parametrize("w", [8.0, 15.0, 20.0, 25.0, 30.0, 35.0])
@pytest.mark.parametrize("weight", [1.0, 1e6])
def test_right_gradients_of_saturated_scalars_do_not_fail(name, w, weight):
    cost, slope = SATURATED[name]
    report = fc.check_function(lambda p: weight * cost(p[0]), np.array([w]), np.array([weight * slope(w)]))
    assert report.verdict != "fail"
