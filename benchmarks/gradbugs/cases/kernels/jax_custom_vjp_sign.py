"""sin(x) y with a custom gradient of the wrong sign for y."""

import jax
import jax.numpy as jnp

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.making import normal
from benchmarks.gradbugs.subjects import JaxFunction


def made(sign):
    @jax.custom_vjp
    def f(x, y):
        return jnp.sin(x) * y

    f.defvjp(
        lambda x, y: (f(x, y), (x, y)), lambda kept, d: (d * jnp.cos(kept[0]) * kept[1], sign * d * jnp.sin(kept[0]))
    )
    return f


CASE = Case(
    source="jax-ml/jax#3213",
    mistake="The gradient of y is -sin(x) instead of sin(x).",
    kind="sign",
    precision="float64",
    wrong=("argument 1", "input 1"),
    says=r"sign|-1(\.0+)? times",
    subject=JaxFunction(made(1.0), made(-1.0), lambda: normal((4,), (4,), seed=28)),
)
