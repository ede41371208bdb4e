"""Losses that stop gradients: what autodiff gives is named as the gradient of another function."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fastcheck.jax as fj

W = np.array([0.7, -1.3, 0.4, 2.2])
LOSSES = {
    "a factor": lambda w: jnp.sum(w * jax.lax.stop_gradient(w)),
    "straight through": lambda w: jnp.sum((w + jax.lax.stop_gradient(jnp.round(w) - w)) ** 3),
    "a target": lambda w: jnp.mean((jnp.sin(w) - jax.lax.stop_gradient(jnp.cos(w))) ** 2),
    "in a compiled function": lambda w: jax.jit(lambda v: jnp.sum(v**2 * jax.lax.stop_gradient(jnp.exp(v))))(w),
    "in a loop": lambda w: jax.lax.scan(lambda c, v: (c * v + jax.lax.stop_gradient(jnp.sin(c)), c), 1.0, w)[0],
}


def said(report):
    return any("that of another function" in note for note in report.notes)


@pytest.mark.parametrize("precision", ["float64", "float32"])
@pytest.mark.parametrize("name", LOSSES)
def test_a_gradient_that_autodiff_gives_is_named(name, precision):
    with jax.enable_x64(precision == "float64"):
        report = fj.check(LOSSES[name], jnp.asarray(W, precision))
    assert report.verdict == "fail"
    assert said(report)


@pytest.mark.parametrize("name", LOSSES)
def test_a_wrong_one_is_not(name):
    with jax.enable_x64(True):
        gradient = jax.grad(LOSSES[name])(jnp.asarray(W))
        assert not said(fj.check(LOSSES[name], jnp.asarray(W), 1.01 * gradient))


def test_nothing_is_said_where_nothing_is_stopped():
    with jax.enable_x64(True):
        report = fj.check(lambda w: jnp.sum(w**2), jnp.asarray(W), jnp.asarray(W))
    assert report.verdict == "fail"
    assert not said(report)


def test_nothing_is_said_where_stopping_changes_nothing():
    """A softmax stops the gradient of the maximum it takes off, and single precision leaves a wrong entry small."""
    with jax.enable_x64(False):
        w = jnp.asarray(W, "float32")
        gradient = jax.grad(lambda w: jnp.sum(jax.nn.softmax(w) * jnp.arange(4.0)))(w)
        report = fj.check(lambda w: jnp.sum(jax.nn.softmax(w) * jnp.arange(4.0)), w, gradient * (1 + 2e-5),
                          tolerance=1e-7)
    assert report.verdict == "fail"
    assert not said(report)


def test_backward_passes_by_hand_are_named_where_they_alone_are_wrong():
    @jax.custom_vjp
    def rounded(x):
        return jnp.round(x)

    rounded.defvjp(lambda x: (jnp.round(x), None), lambda _, g: (g,))
    x = np.array([0.7, -1.2, 2.6], np.float32)
    report = fj.check(lambda p: jnp.sum(rounded(p) ** 2 + jnp.sin(p)), x)
    assert report.verdict == "fail"
    assert any("jax.custom_vjp" in note for note in report.notes), str(report)
    wrong = jax.grad(lambda p: jnp.sum(jnp.sin(p)))(x) * 1.5
    report = fj.check(lambda p: jnp.sum(jnp.sin(p)), x, wrong)
    assert not any("jax.custom_vjp" in note for note in report.notes)
