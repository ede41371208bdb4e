"""Losses that normalise what hardly varies: the bias before it has a gradient of nothing but rounding."""

import numpy as np
import pytest

jax = pytest.importorskip("jax")
door = pytest.importorskip("fastcheck.jax")
jnp = jax.numpy
SEEDS = (8, 18)


def case(dtype, seed):
    rng = np.random.default_rng(seed)
    share = 10.0 ** rng.uniform(-4.0, -1.0)
    given = {"b": rng.normal(size=6), "gain": rng.uniform(0.5, 2.0, 6), "v": rng.normal(size=(6, 2)),
             "w": rng.normal(size=(5, 6))}  # fmt: skip
    x, labels = share * rng.normal(size=(12, 5)), rng.integers(0, 2, 12)

    def loss(p, x):
        z = x @ p["w"] + p["b"]
        a = (z - z.mean(0)) / jnp.sqrt(z.var(0) + 1e-5)
        return -jnp.mean(jax.nn.log_softmax((a * p["gain"]) @ p["v"])[jnp.arange(12), labels])

    return loss, {name: jnp.asarray(value, dtype) for name, value in given.items()}, (jnp.asarray(x, dtype),)


def spoiled(loss, parameters, args):
    """The gradient with an error of a thousandth of the largest in one entry of the bias's."""
    sizes = [float(jnp.sqrt(jnp.mean(g**2))) for g in jax.grad(loss)(parameters, *args).values()]

    def gradients(p, *args):
        found = jax.grad(loss)(p, *args)
        return {**found, "b": found["b"].at[2].add(1e-3 * max(sizes))}

    return gradients


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_right_gradients_pass_and_wrong_ones_do_not(dtype):
    failed = 0
    with jax.enable_x64(True):
        for seed in SEEDS:
            loss, parameters, args = case(dtype, seed)
            assert door.check(loss, parameters, args=args).verdict == "pass"
            wrong = spoiled(loss, parameters, args)
            assert door.check(loss, parameters, wrong(parameters, *args), args=args).verdict != "pass"
            report = door.check(loss, parameters, wrong, args=args)
            assert report.verdict != "pass", str(report)
            failed += report.verdict == "fail"
    assert failed == len(SEEDS)
