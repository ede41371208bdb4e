"""Rounding inside a program: how far it reaches into the slopes of entries."""

import numpy as np
import pytest

from fastcheck.engines.program.arrays.program import Program
from fastcheck.engines.program.roundings import STEP, rounding_along

X = 1e-5 * np.array([1.0, 2.3, 0.7])


def errors(function, x, seed=0):
    program = Program(lambda x: np.sum(function(x)), [x])
    moves = STEP * np.diag(x)
    return rounding_along(program, (np.ones(()),), {0: moves}, seed) / (STEP * x)


@pytest.mark.parametrize(("function", "reach"), [
    (lambda x: (1 - np.cos(x)) / x**2, lambda x: 1 / x**3), (lambda x: np.sin(x) / x, lambda x: 1 / x),
    (lambda x: (np.exp(x) - 1) / x, lambda x: 1 / x**2), (lambda x: 1 / x - 1 / np.sin(x), lambda x: 1 / x**2),
])
def test_it_is_as_large_as_the_slopes_of_what_is_rounded(function, reach):
    found = errors(function, X) / (np.finfo(float).eps * reach(X))
    assert (found > 0.02).all()
    assert (found < 20.0).all()


def test_where_nothing_cancels_it_is_rounding():
    assert (errors(lambda x: x**3 * np.exp(x), np.array([0.3, 1.2])) < 1e-14).all()


def test_it_is_the_same_each_time():
    np.testing.assert_array_equal(errors(np.tanh, X), errors(np.tanh, X))
    assert (errors(np.tanh, X) != errors(np.tanh, X, seed=7)).any()


def test_a_kink_and_a_program_that_cannot_be_watched_tell_nothing():
    np.testing.assert_array_equal(errors(lambda x: np.maximum(x - x[::-1], 0.0), np.ones(3)), 0.0)

    class Plain:
        outputs = ()

    np.testing.assert_array_equal(rounding_along(Plain(), (), {0: np.ones((2, 3))}, 0), 0.0)
