"""Losses moved inside, at the outputs of products: fewer columns, and the same derivatives."""

import numpy as np
import pytest

jax = pytest.importorskip("jax")
door = pytest.importorskip("fastcheck.jax")
JaxCost = pytest.importorskip("fastcheck.jax.cost").JaxCost
JaxFunction = pytest.importorskip("fastcheck.jax.function").JaxFunction
engine = pytest.importorskip("fastcheck.engines.program.engine")
jnp, lax = jax.numpy, jax.lax
Run = pytest.importorskip("fastcheck.runtime.run").Run
RNG = np.random.default_rng(7)


def numbers(*shape):
    return RNG.standard_normal(shape)


X, LABELS, IMAGES = numbers(12, 20), RNG.integers(0, 5, 12), numbers(4, 6, 6, 2)


def cross_entropy(logits):
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(logits), LABELS[:, None], 1))


def dense(p):
    return cross_entropy(jnp.tanh(X @ p["w"] + p["b"]) @ p["v"] / 3.0)


def penalised(p):
    return dense(p) + 0.1 * jnp.sum(p["w"] ** 2) + 0.2 * jnp.sum(jnp.abs(p["v"]) * 2.0)


def transposed_and_sliced(p):
    hidden = jnp.einsum("nd,hd->nh", X, p["w"].T[:, :]) - p["b"]
    return jnp.sum(jax.nn.gelu(hidden)[:, ::2] @ p["v"][1::2]) - jnp.sum(hidden[:, 0] / (3.0 + hidden[:, 1] ** 2))


@jax.custom_vjp
def layer(x, w):
    return jnp.sin(x @ w)


layer.defvjp(lambda x, w: (layer(x, w), (x, w)), lambda r, g: (
    (g * jnp.cos(r[0] @ r[1])) @ r[1].T, r[0].T @ (g * jnp.cos(r[0] @ r[1]))))


def custom(p):
    return jnp.mean(jnp.where(np.arange(12) % 3 > 0, jnp.sum(layer(X, p["w"]) @ p["v"] + p["b"][:5], 1) ** 2, 0.0))


def convolved(p):
    kinds = ("NHWC", "HWIO", "NHWC")
    h = lax.conv_general_dilated(IMAGES, p["k"], (2, 1), [(1, 2), (0, 1)], rhs_dilation=(1, 2), dimension_numbers=kinds)
    h = jax.nn.silu(h + p["b"])
    h = lax.conv_general_dilated(h, p["up"], (1, 1), [(1, 1), (2, 0)], lhs_dilation=(2, 1), dimension_numbers=kinds,
                                 feature_group_count=2)
    return jnp.sum(h**2) / 7.0


def tied(p):
    tokens = np.arange(24).reshape(3, 8) % 7
    h = p["e"][tokens] + p["p"]
    scores = jax.nn.softmax(h @ h.transpose(0, 2, 1) / 2.0)
    return jnp.mean(jax.nn.logsumexp(jnp.tanh(scores @ h @ p["w"]) @ p["e"].T, axis=-1))


LOSSES = {
    "dense": (dense, {"w": numbers(20, 16), "b": numbers(16), "v": numbers(16, 5)}),
    "penalised": (penalised, {"w": numbers(20, 16), "b": numbers(16), "v": numbers(16, 5)}),
    "transposed": (transposed_and_sliced, {"w": numbers(20, 16), "b": numbers(16), "v": numbers(16, 5)}),
    "custom": (custom, {"w": numbers(20, 16), "b": numbers(16), "v": numbers(16, 5)}),
    "convolved": (convolved, {"k": numbers(3, 2, 2, 8), "b": numbers(8), "up": numbers(2, 2, 4, 8)}),
    "tied": (tied, {"e": numbers(7, 12), "p": numbers(8, 12), "w": numbers(12, 12)}),
}


@pytest.mark.parametrize("name", LOSSES)
def test_derivatives_by_units_are_those_of_the_loss(name):
    loss, parameters = LOSSES[name]
    with jax.enable_x64(True):
        function = JaxFunction(loss, (parameters,), loss, wide=False)
        right = np.concatenate([np.asarray(g).ravel() for g in jax.tree.leaves(jax.grad(loss)(parameters))])
        problem = JaxCost(function).problem
        found, done = engine.differences(problem, np.arange(problem.theta.size), Run(1, 1 << 28))
    assert done.size == problem.theta.size
    assert np.abs(found.gradapprox - right).max() <= 1e-12 * np.abs(right).max()
    assert "units" in found.facts["ways"].values()
    assert found.facts["columns"] < problem.theta.size


def test_a_wrong_entry_is_found_by_units():
    loss, parameters = LOSSES["penalised"]
    with jax.enable_x64(True):
        gradients = {name: np.array(g) for name, g in jax.grad(loss)(parameters).items()}
        gradients["w"][3, 2] += 1e-6
        report = door.check(loss, parameters, gradients, method="all")
    assert report.verdict == "fail"
    assert tuple(report.worst(1)[0].index) == (3, 2)
