"""The precision that a jaxpr computes in."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import Jaxpr, Literal, jaxprs_in_params


def lowest_precision(jaxpr: Jaxpr) -> list[Any]:
    """The lowest type of real numbers among what depends on a jaxpr's arguments; an empty list if there is none."""
    found = [dtype for dtype in _types(jaxpr) if jnp.issubdtype(dtype, jnp.inexact)]
    real = [jnp.finfo(dtype).dtype for dtype in found]
    return [min(real, key=lambda dtype: jnp.finfo(dtype).bits)] if real else []


def _types(jaxpr: Jaxpr) -> list[Any]:
    moving: set[Any] = set(jaxpr.invars)
    types: list[Any] = []
    for equation in jaxpr.eqns:
        if not any(not isinstance(atom, Literal) and atom in moving for atom in equation.invars):
            continue
        moving.update(equation.outvars)
        types += [variable.aval.dtype for variable in equation.outvars if hasattr(variable.aval, "dtype")]
        for inner in jaxprs_in_params(equation.params):
            types += _types(inner)
    return [dtype for dtype in types if not jax.dtypes.issubdtype(dtype, jax.dtypes.extended)]
