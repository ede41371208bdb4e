"""Gradients in low precision that round more than automatic differentiation does of the same function."""

import numpy as np
import pytest

jax = pytest.importorskip("jax")
door = pytest.importorskip("fastcheck.jax")
jnp, lax = jax.numpy, jax.lax

HALVES = pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
RNG = np.random.default_rng(0)
X, UP = RNG.standard_normal((512, 6)), np.linspace(0.5, 1.5, 3072).reshape(512, 6)
W = {"weight": RNG.standard_normal(6), "shift": RNG.standard_normal(6)}


def added_in_turn(rows):
    return lax.scan(lambda total, row: (total + row, None), jnp.zeros_like(rows[0]), rows)[0]


def scaled_by(add):
    @jax.custom_vjp
    def scaled(x, weight):
        return x * weight

    scaled.defvjp(lambda x, weight: (x * weight, (x, weight)),
                  lambda kept, d: (d * kept[1], add(d * kept[0]).astype(kept[1].dtype)))
    return scaled


def sharp(rows):
    return jnp.sum(rows.astype(jnp.float32), 0)


def loss_of(scaled):
    def loss(p, x):
        return jnp.sum(scaled(x + p["shift"], p["weight"]).astype(jnp.float32) * UP[: len(x)].astype(np.float32))

    return loss


def at(dtype):
    return {name: jnp.asarray(value, dtype) for name, value in W.items()}, (jnp.asarray(X, dtype),)


@HALVES
@pytest.mark.parametrize("around", [lambda f: f, jax.jit, jax.checkpoint], ids=["plain", "jit", "checkpoint"])
def test_sums_that_are_kept_in_low_precision_are_doubted(around, dtype):
    parameters, args = at(dtype)
    report = door.check(loss_of(around(scaled_by(added_in_turn))), parameters, args=args)
    assert report.verdict == "inconclusive", report
    assert [tensor.name for tensor in report.tensors if tensor.verdict != "pass"] == ["weight"]
    assert "automatic differentiation" in str(report)


@HALVES
def test_what_automatic_differentiation_leaves_as_well_passes(dtype):
    parameters, args = at(dtype)
    assert door.check(loss_of(scaled_by(sharp)), parameters, args=args).verdict == "pass"


@HALVES
def test_gradients_by_hand_are_held_against_those_of_jax(dtype):
    parameters, (x,) = at(dtype)
    rows = 256 if dtype is jnp.bfloat16 else 512  # so many that sums in turn round much, and not all to one side
    args = (x[:rows],)

    def by_hand(add):
        def gradients(p, x):
            d = jnp.asarray(UP[:rows], dtype)
            return {"weight": add(d * (x + p["shift"])).astype(dtype), "shift": sharp(d * p["weight"]).astype(dtype)}

        return gradients

    loss = loss_of(lambda x, weight: x * weight)
    assert door.check(loss, parameters, by_hand(sharp), args=args).verdict == "pass"
    assert door.check(loss, parameters, by_hand(added_in_turn), args=args).verdict == "inconclusive"
