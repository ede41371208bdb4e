"""Costs that call a solver: what it leaves out is no mistake of a gradient's, and the report says where to look."""

from functools import lru_cache, partial
from importlib import import_module

import numpy as np
import pytest
import scipy
import scipy.optimize
import scipy.sparse.linalg
from scipy import integrate
from scipy.integrate import solve_ivp

import fastcheck as fc
from fastcheck.checks.solvers import SOLVERS, solver_of


def decay(rate, **how):
    """The square of exp(-rate), by solving an equation."""
    return float(solve_ivp(lambda t, y: -rate * y, (0.0, 1.0), [1.0], **how).y[0, -1]) ** 2


def loose(theta):
    return decay(theta[0]) + theta[1] ** 2


def tight(theta):
    return decay(theta[0], rtol=1e-12, atol=1e-14) + theta[1] ** 2


def right(theta):
    return np.array([-2.0 * np.exp(-2.0 * theta[0]), 2.0 * theta[1]])


THETA = np.array([0.7, -1.2])


def test_a_loose_solver_is_named():
    """Once all that was said was that the gradient is off by 1e-4."""
    report = fc.check_function(loose, THETA, right(THETA))
    assert report.verdict == "fail"
    assert "The cost calls solve_ivp" in str(report)


def test_a_tight_one_is_not():
    report = fc.check_function(tight, THETA, right(THETA))
    assert report.ok, str(report)
    assert "solve_ivp" not in str(report)


@pytest.mark.parametrize("factor", [2.0, -1.0])
def test_what_no_tolerance_explains_is_not_blamed_on_it(factor):
    report = fc.check_function(loose, THETA, factor * right(THETA))
    assert report.verdict == "fail"
    assert "solve_ivp" not in str(report)


def test_layers_are_looked_through():
    report = fc.check_vjp(lambda x: np.array([decay(x[0]), x[1]]),
                          lambda d, x: d * np.array([-2.0 * np.exp(-2.0 * x[0]), 1.0]), THETA)
    assert "The cost calls solve_ivp" in str(report)


class Decay:
    """A cost with a state, which calls a solver in a method of its own."""

    def __init__(self, weight):
        self.weight = weight

    def __call__(self, theta):
        return self.weight * self.solved(theta)

    def solved(self, theta):
        return decay(theta[0])


def rooted(theta, tree):
    """The root of a tree, and no solver."""
    return float(tree.root) * scipy.optimize.rosen(theta)


CALLS = {
    "minimize": lambda theta: float(scipy.optimize.minimize(lambda x: (x - theta) ** 2, 0.0).fun),
    "quad": lambda theta: integrate.quad(lambda x: x * theta[0], 0.0, 1.0)[0],
    "brentq": lambda theta: [scipy.optimize.brentq(lambda x: x - theta[0], -9.0, 9.0)][0],
    "cg": lambda theta: float(scipy.sparse.linalg.cg(np.eye(2), theta)[0][0]),
    "solve_ivp": loose,
    None: lambda theta: float(np.sum(scipy.special.expit(theta))),
}


@pytest.mark.parametrize("name", list(CALLS), ids=str)
def test_who_is_called(name):
    assert solver_of(CALLS[name]) == name


@pytest.mark.parametrize("cost", [partial(decay, rtol=1e-3), Decay(2.0), Decay(2.0).solved, lru_cache(decay)])
def test_whatever_the_cost_is(cost):
    assert solver_of(cost) == "solve_ivp"


def test_names_alone_are_no_solvers():
    assert solver_of(rooted) is None


def test_all_of_them_are_scipys():
    for module, names in SOLVERS.items():
        for name in names:
            function = getattr(import_module(module), name)
            assert solver_of(lambda theta: function(theta)) == name  # noqa: B023 - called here
