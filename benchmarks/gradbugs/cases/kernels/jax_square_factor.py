"""x squared with a custom gradient of x."""

import jax

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.making import normal
from benchmarks.gradbugs.subjects import JaxFunction


def made(factor):
    @jax.custom_gradient
    def f(x):
        return x**2, lambda g: (g * factor * x,)

    return f


CASE = Case(
    source="jax-ml/jax#29485",
    mistake="The gradient of the square lacks its factor 2.",
    kind="factor", precision="float64", wrong=("argument 0", "input 0"), says=r"0\.500? times|factor (of )?2|half",
    subject=JaxFunction(made(2.0), made(1.0), lambda: normal((5,), seed=29)),
)
