"""numerical_gradient gives gradients in the caller's structure; rel_error is CS231n's."""

from collections import OrderedDict
from typing import NamedTuple

import numba
import numpy as np
import pytest

import fastcheck as fc
from tests.support.refusals import refuses

RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((7, 3)), RNG.standard_normal(7)


class Pair(NamedTuple):
    W: object
    b: object


def loss(p, X, Y):
    return float(np.mean((np.tanh(X @ p["W"]) @ np.ones(2) + p["b"] - Y) ** 2))


def gradient(p, X, Y):
    h = np.tanh(X @ p["W"])
    d = 2.0 * (h @ np.ones(2) + p["b"] - Y) / len(Y)
    return {"W": X.T @ (d[:, None] * (1.0 - h**2)), "b": float(d.sum())}


@pytest.mark.parametrize(("options", "precision"), [
    ({}, 1e-14), ({"engine": "program"}, 1e-14), ({"engine": "differences"}, 1e-8), ({"epsilon": 1e-6}, 1e-8),
    ({"engine": "differences", "order": 6}, 1e-10),
])
def test_gradients_come_in_the_structure_of_the_parameters(options, precision):
    p = {"W": RNG.standard_normal((3, 2)), "b": 0.25}
    before = p["W"].copy()
    found, right = fc.numerical_gradient(loss, p, (X, Y), **options), gradient(p, X, Y)
    np.testing.assert_allclose(found["W"], right["W"], rtol=precision, atol=precision)
    assert found["b"] == pytest.approx(right["b"], rel=precision, abs=precision)
    assert type(found["b"]) is float
    np.testing.assert_array_equal(p["W"], before)
    found["W"][...] = 0.0  # an array of its own


@pytest.mark.parametrize(("parameters", "cost"), [
    (np.ones((2, 2)), lambda x: np.sum(x**2)), (3.0, lambda x: x**2), ([np.ones(2), 2.0], lambda x: x[0].sum() * x[1]),
    (Pair(np.ones(2), 1.0), lambda p: p.W.sum() * p.b), (OrderedDict(a=np.ones(3)), lambda p: p["a"] @ p["a"]),
    ({"a": {"b": [np.ones(1)]}}, lambda p: p["a"]["b"][0][0] ** 2),
])
def test_structures(parameters, cost):
    found = fc.numerical_gradient(cost, parameters)
    assert type(found) is (np.ndarray if isinstance(parameters, np.ndarray) else type(parameters))
    assert fc.check_function(cost, parameters, found).difference < 1e-12


def test_jitted_stacked_and_analytic_costs():
    theta = np.arange(1.0, 4.0)
    right = 3 * theta**2
    jitted = numba.njit(lambda x: np.sum(x**3))
    np.testing.assert_allclose(fc.numerical_gradient(jitted, theta), right, rtol=1e-8)
    stacked = fc.numerical_gradient(lambda x: (x**3).sum(axis=1), theta, vectorized=True)
    np.testing.assert_allclose(stacked, right, rtol=1e-8)
    analytic = fc.numerical_gradient(lambda x: np.sum(x**3), theta, complex_step=True)
    np.testing.assert_allclose(analytic, right, rtol=1e-14)


def test_a_class_and_its_own_parameters():
    class Model:
        def __init__(self):
            self.w = np.arange(1.0, 4.0)

        def loss(self):
            return float(self.w @ self.w)

    model = Model()
    np.testing.assert_allclose(fc.numerical_gradient(lambda: model.loss(), [model.w])[0], 2 * model.w, rtol=1e-14)


def test_no_entry_is_looked_at_twice():
    calls = []

    def cost(x):
        calls.append(1)
        return float(np.sum(np.sin(x)))

    x = RNG.standard_normal(300)
    found = fc.numerical_gradient(cost, x, engine="differences")
    np.testing.assert_allclose(found, np.cos(x), rtol=1e-6, atol=1e-8)
    assert len(calls) < 2.5 * 300


@pytest.mark.parametrize(("call", "kind", "words"), [
    (lambda: fc.numerical_gradient(None, np.ones(2)), TypeError, ["cost", "NoneType"]),
    (lambda: fc.numerical_gradient(lambda x: x, np.ones(2)), TypeError, ["cost", "one number"]),
    (lambda: fc.numerical_gradient(lambda x: 1.0, "x"), TypeError, ["theta in parameters"]),
    (lambda: fc.numerical_gradient(lambda x: 1.0, np.ones(2), gradients=0), TypeError, ["gradients"]),
    (lambda: fc.rel_error(np.ones(2), np.ones((2, 1))), ValueError, ["y", "(2,)", "(2, 1)"]),
    (lambda: fc.rel_error("a", np.ones(1)), TypeError, ["x", "'a'"]),
])
def test_refusals(call, kind, words):
    refuses(kind, words, call)


def test_the_relative_error_is_cs231ns():
    x, y = RNG.standard_normal((4, 5)), RNG.standard_normal((4, 5))
    x[0, 0], y[0, 0] = 1e-12, -1e-12
    theirs = np.max(np.abs(x - y) / (np.maximum(1e-8, np.abs(x) + np.abs(y))))
    assert fc.rel_error(x, y) == theirs
    assert fc.rel_error(x, x) == 0.0
    assert fc.rel_error(0.0, 0.0) == 0.0
    assert fc.rel_error(1e-12, -1e-12) == pytest.approx(2e-4)
    assert np.isnan(fc.rel_error(np.array([1.0, np.nan]), np.ones(2)))
    assert np.isnan(fc.rel_error(np.inf, np.inf))
    assert fc.rel_error([], []) == 0.0
