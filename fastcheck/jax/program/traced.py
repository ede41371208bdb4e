"""Functions as jaxprs, traced at each call, and what was compiled of them before.

Tracing shows what a function does now, whatever it closes over; compiling takes a hundred times as long.  So compiled
code is kept under the jaxpr's own structure, with its constants for arguments, as long as the function lives.
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

import jax
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

# Structures of one function that are kept compiled; the oldest goes first.
MOST_KEPT = 32
# Parameters of custom rules that do not tell what the function computes.
RULES_OF = ("custom_jvp_call", "custom_vjp_call", "custom_vjp_call_jaxpr")
COMPUTES = ("call_jaxpr", "fun_jaxpr", "num_consts")


@dataclass
class Traced:
    """A function at arguments of certain shapes.

    Parameters
    ----------
    jaxpr : what it does, of the first function of this structure.
    constants : that the jaxpr closes over, of this function.
    compiled : code of the same structure, by what it is for.
    """

    jaxpr: ClosedJaxpr
    constants: Sequence[Any]
    compiled: dict[Hashable, Any] = field(default_factory=dict)

    def once(self, purpose: Hashable, build: Callable[[], Any]) -> Any:
        """Return what was built for a purpose before, or is built now."""
        if purpose not in self.compiled:
            self.compiled[purpose] = build()
        return self.compiled[purpose]

    def __call__(self, *args: Any) -> Any:
        """Return the flat outputs for flat arguments, by compiled code."""
        run = self.once("values", lambda: jax.jit(lambda consts, *given: jax.core.eval_jaxpr(
            self.jaxpr.jaxpr, consts, *given)))
        return run(self.constants, *args)

    def stacked(self, args: Sequence[Any]) -> Any:
        """Return the flat outputs for arguments that have one more axis in front."""
        run = self.once("stacked", lambda: jax.jit(jax.vmap(
            lambda consts, given: jax.core.eval_jaxpr(self.jaxpr.jaxpr, consts, *given), (None, 0))))
        return run(self.constants, args)


_KEPT: WeakKeyDictionary[Any, dict[Hashable, Traced]] = WeakKeyDictionary()


def traced(function: Callable[..., Any], args: Sequence[Any], owner: Any) -> Traced:
    """Return the function as a jaxpr of flat arguments.

    Parameters
    ----------
    function : takes arrays, returns a flat list or tuple of arrays.
    owner : what compiled code is kept for; where it cannot be referred to weakly, nothing is kept.
    """
    jaxpr = jax.make_jaxpr(function)(*args)
    owner = getattr(owner, "__func__", owner)
    try:
        kept = _KEPT.setdefault(owner, {})
    except TypeError:
        return Traced(jaxpr, jaxpr.consts)
    key = (bool(jax.config.jax_enable_x64), structure_of(jaxpr.jaxpr))
    found = kept.get(key)
    if found is None:
        found = kept[key] = Traced(jaxpr, jaxpr.consts)
        while len(kept) > MOST_KEPT:
            del kept[next(iter(kept))]
    return Traced(found.jaxpr, jaxpr.consts, found.compiled)


def structure_of(jaxpr: Jaxpr) -> Hashable:
    """Return what a jaxpr computes from its constants and arguments, as something to compare."""
    numbers: dict[Any, int] = {}

    def number(variable: Any) -> int:
        return numbers.setdefault(variable, len(numbers))

    def atom(one: Any) -> Hashable:
        return _content(one.val, one.aval) if isinstance(one, Literal) else number(one)

    first = tuple((number(v), v.aval.shape, str(v.aval.dtype)) for v in (*jaxpr.constvars, *jaxpr.invars))
    body = tuple(
        (e.primitive.name, _parameters(e), tuple(atom(a) for a in e.invars), tuple(number(v) for v in e.outvars))
        for e in jaxpr.eqns
    )
    return first, body, tuple(atom(one) for one in jaxpr.outvars)


def _parameters(equation: Any) -> Hashable:
    chosen = equation.params.items()
    if equation.primitive.name in RULES_OF:
        chosen = ((key, value) for key, value in chosen if key in COMPUTES)
    return tuple((key, _comparable(value)) for key, value in chosen)


def _comparable(value: Any) -> Hashable:
    if isinstance(value, ClosedJaxpr):
        return structure_of(value.jaxpr), tuple(_content(constant) for constant in value.consts)
    if isinstance(value, Jaxpr):
        return structure_of(value)
    if isinstance(value, (tuple, list)):
        return type(value).__name__, tuple(_comparable(one) for one in value)
    try:
        hash(value)
    except TypeError:
        return id(value)  # never found again, but right
    return value


def _content(value: Any, aval: Any = None) -> Hashable:
    """Return a constant: arrays of NumPy, which may be written to, by their bytes; arrays of JAX by what they are."""
    if isinstance(value, jax.Array):
        return "array", id(value)
    array = np.asarray(value)
    return str(array.dtype if aval is None else aval.dtype), array.shape, array.tobytes()
