"""``fastcheck.jax.program.rounding``: rounding inside equations that hold jaxprs of their own."""

import numpy as np
import pytest

jax = pytest.importorskip("jax")

from fastcheck.engines.program.roundings import STEP, rounding_along  # noqa: E402 - after the framework is there
from fastcheck.jax.program.sited import SitedProgram  # noqa: E402 - after the framework is there
from fastcheck.jax.program.traced import Traced  # noqa: E402 - after the framework is there

jnp, lax = jax.numpy, jax.lax
X = 1e-5 * np.array([1.0, 2.3, 0.7])


def errors(function, x=X):
    """Return what rounding leaves in the slopes of a sum."""
    with jax.enable_x64(True):
        jaxpr = jax.make_jaxpr(lambda x: function(x).sum())(x)
    program = SitedProgram(Traced(jaxpr, jaxpr.consts), [x])
    return rounding_along(program, program.weights, {0: STEP * np.diag(x)}, 0) / (STEP * x)


def cancelling(x):
    return (1 - jnp.cos(x)) / x**2


def custom(x):
    found = jax.custom_jvp(cancelling)
    found.defjvp(lambda x, dx: (found(*x), -x[0] / 12 * dx[0]))
    return found(x)


def steps(x):
    return lax.scan(lambda carry, _: (carry, cancelling(carry)), x, None, length=4)[1].mean(0)


def until(x):
    return lax.while_loop(lambda state: state[0] < 3, lambda state: (state[0] + 1, cancelling(x)), (0, x))[1]


HOLDING = {
    "jit": jax.jit(cancelling), "custom": custom, "scan": steps, "while": until,
    "cond": lambda x: lax.cond(True, cancelling, jnp.sin, x),
    "a branch that a number chooses": lambda x: lax.cond(x[0] > 0.0, cancelling, jnp.sin, x),
    "checkpoint": jax.checkpoint(cancelling), "vmap": jax.vmap(lambda x: lax.map(cancelling, x[None])[0]),
}  # fmt: skip


@pytest.mark.parametrize("name", HOLDING)
def test_it_is_seen_inside(name):
    found = errors(HOLDING[name]) / (np.finfo(float).eps / X**3)
    assert (found > 0.02).all()
    assert (found < 20.0).all()


def test_each_step_of_a_loop_rounds_anew():
    """A sum over steps grows like the root of their number, not like the number."""
    def terms(count):
        return lambda x: lax.scan(lambda total, k: (total + cancelling(x * (1.0 + k / 64.0)), None), 0.0 * x,
                                  jnp.arange(count, dtype=jnp.float64))[0]

    few, many = (np.sqrt(np.mean(errors(terms(count)) ** 2)) for count in (1, 64))
    assert few < many < 24.0 * few
