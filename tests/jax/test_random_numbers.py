"""Losses of random numbers whose parameters are learned: JAX differentiates quantiles, not the draws."""

import numpy as np
import pytest

jax = pytest.importorskip("jax")
door = pytest.importorskip("fastcheck.jax")
jnp, random = jax.numpy, jax.random
KEY = random.key(0)
DRAWS = {
    "gamma": lambda a: random.gamma(KEY, a, (9,)),
    "dirichlet": lambda a: random.dirichlet(KEY, a * jnp.ones(3), (5,))[:, 0],
}


def loss_of(name):
    return lambda p: jnp.mean(DRAWS[name](jnp.exp(p)) ** 2)


def jitted(p):
    return jax.jit(jax.vmap(lambda key: random.gamma(key, jnp.exp(p)) ** 2))(random.split(KEY, 5)).mean()


def is_excused(report):
    return report.verdict == "inconclusive" and "quantiles" in str(report)


@pytest.mark.slow
@pytest.mark.parametrize("name", DRAWS)
def test_gradients_along_quantiles_are_inconclusive(name):
    with jax.enable_x64(True):
        assert is_excused(door.check(loss_of(name), jnp.asarray(0.3)))


@pytest.mark.slow
def test_a_multiple_of_them_fails():
    with jax.enable_x64(True):
        loss, p = loss_of("gamma"), jnp.asarray(0.3)
        assert door.check(loss, p, 1.01 * jax.grad(loss)(p)).verdict == "fail"


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_so_they_are_in_compiled_functions_and_in_single_precision(dtype):
    with jax.enable_x64(dtype == "float64"):
        assert is_excused(door.check(jitted, jnp.asarray(0.9, dtype)))


def test_normal_numbers_move_as_they_are_drawn():
    with jax.enable_x64(True):
        report = door.check(lambda p: jnp.mean((p["m"] + p["s"] * random.normal(KEY, (9,))) ** 2),
                            {"m": jnp.asarray(0.3), "s": jnp.asarray(np.e)})
    assert report.verdict == "pass"


def test_gamma_numbers_of_fixed_parameters_stand_still():
    with jax.enable_x64(True):
        assert door.check(lambda p: jnp.mean(p * random.gamma(KEY, 1.5, (9,)) ** 2), jnp.asarray(0.3)).verdict == "pass"


@pytest.mark.slow
def test_draws_in_single_precision_are_those_of_the_loss():
    """In double precision the sampler draws other numbers: it was another loss that was differenced."""
    key = random.key(3)
    with jax.enable_x64(False):
        p = jnp.asarray(0.9, "float32")
        report = door.check(lambda p: jnp.sum(random.gamma(key, jnp.exp(p), (3,))), p)
        assert report.cost == pytest.approx(float(jnp.sum(random.gamma(key, jnp.exp(p), (3,)))), rel=1e-5)
