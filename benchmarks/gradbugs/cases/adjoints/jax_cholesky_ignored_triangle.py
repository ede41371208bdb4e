"""An upper Cholesky factor, of which the lower triangle of the input still gets a gradient."""

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.making import normal
from benchmarks.gradbugs.subjects import JaxFunction


def of_upper(x):
    return jnp.triu(x) + jnp.triu(x, 1).T


def right(x):
    return jnp.linalg.cholesky(of_upper(x)).T


@jax.custom_vjp
def wrong(x):
    return right(x)


def _symmetric(x, upstream):
    _, pull = jax.vjp(lambda a: jnp.linalg.cholesky(a, symmetrize_input=True).T, of_upper(x))
    return pull(upstream)


wrong.defvjp(lambda x: (right(x), x), _symmetric)


def arguments():
    root, = normal((3, 3), seed=45)
    return (np.asarray(root @ root.T + 3 * np.eye(3)),)


CASE = Case(
    source="jax-ml/jax#40421",
    mistake="The triangle that the factorisation never reads gets a gradient.",
    kind="triangle", precision="float64", wrong=("argument 0", "input 0"), says=r"triang|not zero where|zero|mask",
    subject=JaxFunction(right, wrong, arguments),
)
