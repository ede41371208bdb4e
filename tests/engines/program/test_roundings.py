"""Rounding inside a program: how far it reaches into the slopes of entries."""

import numpy as np
import pytest

from fastcheck.engines.program.arrays.program import Program
from fastcheck.engines.program.rounded import Roundings
from fastcheck.engines.program.roundings import STEP, rounding_along

X = 1e-5 * np.array([1.0, 2.3, 0.7])
FRAMEWORKS = ["numpy", "torch", "jax"]


def program_of(function, x, framework="numpy"):
    """Return the sum of a function of a framework's array namespace and of x, which stands for theirs."""
    if framework == "numpy":
        return Program(lambda x: function(np, x).sum(), [x])
    if framework == "torch":
        torch = pytest.importorskip("torch")
        from fastcheck.torch.program.program import TorchProgram

        return TorchProgram(lambda x: function(torch, x).sum(), [torch.tensor(x)], cut_loss=True)
    jax = pytest.importorskip("jax")
    from fastcheck.jax.program.sited import SitedProgram
    from fastcheck.jax.program.traced import Traced

    with jax.enable_x64(True):
        jaxpr = jax.make_jaxpr(lambda x: function(jax.numpy, x).sum())(x)
    return SitedProgram(Traced(jaxpr, jaxpr.consts), [x])


def errors(function, x, framework="numpy", seed=0):
    program = program_of(function, x, framework)
    weights = [np.ones(np.shape(out)) for out in program.outputs]
    return rounding_along(program, weights, {0: STEP * np.diag(x)}, seed) / (STEP * x)


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize(("function", "reach"), [
    (lambda xp, x: (1 - xp.cos(x)) / x**2, lambda x: 1 / x**3), (lambda xp, x: xp.sin(x) / x, lambda x: 1 / x),
    (lambda xp, x: (xp.exp(x) - 1) / x, lambda x: 1 / x**2), (lambda xp, x: 1 / x - 1 / xp.sin(x), lambda x: 1 / x**2),
])
def test_it_is_as_large_as_the_slopes_of_what_is_rounded(function, reach, framework):
    found = errors(function, X, framework) / (np.finfo(float).eps * reach(X))
    assert (found > 0.02).all()
    assert (found < 20.0).all()


@pytest.mark.parametrize("framework", ["torch", "jax"])
def test_numbers_that_only_move_are_not_rounded(framework):
    program = program_of(lambda xp, x: xp.concatenate([-x.reshape(3, 1), x[:2, None]])[1:].T, X, framework)
    changes = {0: np.diag(X)}
    plain, off = program.run(changes), program.rounded(changes, Roundings([0], np.zeros(3, int)))
    np.testing.assert_array_equal(off.changes[0], plain.changes[0])


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_where_nothing_cancels_it_is_rounding(framework):
    assert (errors(lambda xp, x: x**3 * xp.exp(x), np.array([0.3, 1.2]), framework) < 1e-14).all()


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_it_is_the_same_each_time(framework):
    def tanh(xp, x):
        return xp.tanh(x)

    np.testing.assert_array_equal(errors(tanh, X, framework), errors(tanh, X, framework))
    assert (errors(tanh, X, framework) != errors(tanh, X, framework, seed=7)).any()


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_kink_tells_nothing(framework):
    found = errors(lambda xp, x: xp.maximum(x - x[np.array([2, 1, 0])], 0.0 * x), np.ones(3), framework)
    np.testing.assert_array_equal(found, 0.0)


def test_a_program_that_cannot_be_followed_tells_nothing():
    class Lost:
        outputs = ()

        def rounded(self, changes, roundings):
            return None

    np.testing.assert_array_equal(rounding_along(Lost(), (), {0: np.ones((2, 3))}, 0), 0.0)
