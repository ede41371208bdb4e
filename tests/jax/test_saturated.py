"""Saturated units: right backward passes by hand lose digits of 1 - a that no truth loses; mistakes are no rounding."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fastcheck.jax as fj


def units(factor):
    """Sigmoids whose backward pass is off by a factor."""
    @jax.custom_vjp
    def sigmoid(z):
        return jax.nn.sigmoid(z)

    def forward(z):
        a = sigmoid(z)
        return a, a

    sigmoid.defvjp(forward, lambda a, g: (factor * g * (a * (1.0 - a)),))
    return sigmoid


def verdict(factor, at, dtype, hand_in):
    rng = np.random.default_rng(0)
    with jax.enable_x64(dtype == np.float64):
        parameters = {"w": jnp.asarray(rng.standard_normal((3, 2)), dtype), "b": jnp.full(2, at, dtype)}
        x, sigmoid = jnp.asarray(0.1 * rng.standard_normal((4, 3)), dtype), units(factor)

        def loss(p, x):
            return jnp.mean((sigmoid(x @ p["w"] + p["b"]) - 0.3) ** 2) + 1.0

        gradients = jax.grad(loss)(parameters, x) if hand_in else None
        return fj.check(loss, parameters, gradients, (x,)).verdict


POINTS = [(np.float64, 20.0), (np.float64, 28.0), pytest.param(np.float32, 10.0, marks=pytest.mark.slow)]


@pytest.mark.parametrize("hand_in", [False, True])
@pytest.mark.parametrize(("dtype", "at"), POINTS)
def test_right_ones(dtype, at, hand_in):
    assert verdict(1.0, at, dtype, hand_in) != "fail"


@pytest.mark.parametrize("factor", [2.0, -1.0, 0.0, 1.05])
@pytest.mark.parametrize(("dtype", "at"), POINTS)
def test_mistakes(dtype, at, factor):
    assert verdict(factor, at, dtype, hand_in=False) == "fail"
