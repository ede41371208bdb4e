"""What a jaxpr is made of: its precision, the size of its arrays, functions with derivatives of their own."""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

# Calls, with the name of the parameter that holds the jaxpr: custom rules for derivatives are left aside.
CALLS = {
    "jit": "jaxpr", "pjit": "jaxpr", "closed_call": "call_jaxpr", "core_call": "call_jaxpr", "remat2": "jaxpr",
    "checkpoint": "jaxpr", "custom_jvp_call": "call_jaxpr", "custom_vjp_call": "call_jaxpr",
    "custom_vjp_call_jaxpr": "fun_jaxpr", "remat": "jaxpr",
}
# Parameters that fix the types of all results: of callbacks, and of other code that knows no other precision.
RESULTS = ("result_avals", "out_avals")


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
        for inner in inner_jaxprs(equation):
            types += _types(inner)
    return [dtype for dtype in types if not jax.dtypes.issubdtype(dtype, jax.dtypes.extended)]


def largest_array(jaxpr: Jaxpr) -> int:
    """Return numbers in the largest array that a jaxpr makes."""
    sizes = [variable.aval.size for equation in jaxpr.eqns for variable in equation.outvars
             if hasattr(variable.aval, "size")]
    inner = [largest_array(one) for equation in jaxpr.eqns for one in inner_jaxprs(equation)]
    return max([*sizes, *inner], default=0)


def inner_jaxprs(equation: Any) -> Iterator[Jaxpr]:
    """Yield the jaxprs that an equation holds."""
    for value in equation.params.values():
        for one in value if isinstance(value, (tuple, list)) else (value,):
            if isinstance(one, ClosedJaxpr):
                yield one.jaxpr
            elif isinstance(one, Jaxpr):
                yield one


def has_custom_rules(jaxpr: Jaxpr) -> bool:
    """Tell whether a jaxpr holds functions with derivatives of their own."""
    return any(equation.primitive.name.startswith("custom_") or any(map(has_custom_rules, inner_jaxprs(equation)))
               for equation in jaxpr.eqns)


def fixes_types(jaxpr: Jaxpr) -> bool:
    """Tell whether a jaxpr holds callbacks, or other code that keeps its own precision."""
    return any(any(name in equation.params for name in RESULTS) or any(map(fixes_types, inner_jaxprs(equation)))
               for equation in jaxpr.eqns)
