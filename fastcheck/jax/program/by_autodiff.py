"""A function whose custom backward passes are left aside: JAX differentiates what they compute.

What that leaves of rounding, in the same precision, is the measure of what a backward pass by hand may leave.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
from jax.extend.core import Jaxpr, Literal

from .contents import CALLS, inner_jaxprs
from .evaluation import bound

BY_HAND = ("custom_vjp_call", "custom_vjp_call_jaxpr")


def by_autodiff(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return the function of a pytree, one number, without the backward passes that somebody wrote for parts of it."""

    def plain(given: Any) -> Any:
        leaves, tree = jax.tree.flatten(given)
        closed = jax.make_jaxpr(lambda *flat: function(jax.tree.unflatten(tree, flat)))(*leaves)
        return _outputs(closed.jaxpr, closed.consts, leaves)[0]

    return plain


def has_backward_by_hand(jaxpr: Jaxpr) -> bool:
    """Tell whether a jaxpr holds functions with a backward pass of their own."""
    return any(equation.primitive.name in BY_HAND or any(map(has_backward_by_hand, inner_jaxprs(equation)))
               for equation in jaxpr.eqns)


def _outputs(jaxpr: Jaxpr, constants: Sequence[Any], args: Sequence[Any]) -> list[Any]:
    """Return a jaxpr's outputs; loops and branches keep what they hold."""
    values: dict[Any, Any] = dict(zip((*jaxpr.constvars, *jaxpr.invars), (*constants, *args), strict=True))

    def value(atom: Any) -> Any:
        return atom.val if isinstance(atom, Literal) else values[atom]

    for equation in jaxpr.eqns:
        given, name = [value(atom) for atom in equation.invars], equation.primitive.name
        inside = name in BY_HAND or (name in CALLS and any(map(has_backward_by_hand, inner_jaxprs(equation))))
        if inside:
            inner = equation.params[CALLS[name]]
            found = _outputs(getattr(inner, "jaxpr", inner), getattr(inner, "consts", ()), given)
        else:
            found = bound(equation.primitive, equation.params, given)
        values.update(zip(equation.outvars, found, strict=True))
    return [value(atom) for atom in jaxpr.outvars]
