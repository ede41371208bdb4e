"""Right gradients of functions that lose digits inside, in units that are saturated or by cancelling, are not wrong."""

import numpy as np
import pytest

jax = pytest.importorskip("jax")

import fastcheck.jax as fj  # noqa: E402 - after the framework is known to be there
from tests.support.lost_digits import CASES  # noqa: E402 - after the framework is known to be there

jnp = jax.numpy


def checked(name, dtype, factor=1.0, seed=0, method=None):
    case = CASES[name]
    with jax.enable_x64(dtype == np.float64):
        t = jnp.asarray(case.at(np.random.default_rng(seed)), dtype)
        gradient = jnp.asarray(factor * case.slope(np.asarray(t, np.float64)), dtype)
        return fj.check(lambda p: case.value(jnp, p), t, gradient, method=method)


def verdict(*args, **options):
    return checked(*args, **options).verdict


@pytest.mark.parametrize("name", CASES)
def test_functions(name):
    """Exact differences are held against plain calls, which lose digits as well."""
    report = checked(name, np.float64)
    assert report.verdict != "fail"
    assert report.engine == "program"


@pytest.mark.parametrize("name", [name for name in CASES if "softmax" not in name])  # its loss is infinite
def test_functions_in_single_precision(name):
    assert verdict(name, np.float32) != "fail"


@pytest.mark.parametrize("name", CASES)
def test_directions(name):
    assert verdict(name, np.float64, method="directional") != "fail"


@pytest.mark.parametrize("factor", [1.01, -1.0])
@pytest.mark.parametrize("name", CASES)
def test_mistakes(name, factor):
    assert verdict(name, np.float64, factor) == "fail"
