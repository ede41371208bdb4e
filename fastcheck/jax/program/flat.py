"""Jaxprs without calls: one list of equations, each of which can be named by its number.

The bodies of loops and branches stay what they are; calls, among them those of functions with derivatives of their own,
are replaced by what they call.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import jax
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

from .contents import CALLS, inner_jaxprs


@dataclass(frozen=True, eq=False)
class FlatVariable:
    """A variable, with its shape and type."""

    aval: Any


@dataclass(frozen=True, eq=False)
class FlatEquation:
    """An equation as in a jaxpr.

    custom : whether it stands in a function that has derivatives of its own.
    """

    primitive: Any
    params: Mapping[str, Any]
    invars: Sequence[Any]
    outvars: Sequence[FlatVariable]
    custom: bool


@dataclass(frozen=True, eq=False)
class FlatJaxpr:
    """A jaxpr without calls.

    constvars, invars, outvars, eqns : as in a jaxpr.
    fixed : values of the constants of what was called; they follow those of the jaxpr itself.
    """

    constvars: Sequence[FlatVariable]
    invars: Sequence[FlatVariable]
    outvars: Sequence[Any]
    eqns: Sequence[FlatEquation]
    fixed: Sequence[Any]

    def giving(self, outvars: Sequence[Any]) -> "FlatJaxpr":
        """Return the same with other variables for outputs."""
        return replace(self, outvars=tuple(outvars))

    @cached_property
    def simple(self) -> tuple[int, ...]:
        """Numbers of the equations that hold no jaxprs, and whose outputs are arrays of numbers and truths."""
        return tuple(
            number for number, equation in enumerate(self.eqns)
            if equation.outvars and next(inner_jaxprs(equation), None) is None
            and not any(jax.dtypes.issubdtype(v.aval.dtype, jax.dtypes.extended) for v in equation.outvars)
        )

    def has_inner(self, moving: set[Any]) -> bool:
        """Tell whether any equation that holds jaxprs has something to do with ``moving``."""
        return any(next(inner_jaxprs(e), None) is not None and any(v in moving for v in e.outvars) for e in self.eqns)

    def moving(self, numbers: Sequence[int]) -> set[Any]:
        """Return the variables that depend on some of the arguments."""
        found = {self.invars[number] for number in numbers}
        for equation in self.eqns:
            if any(not isinstance(atom, Literal) and atom in found for atom in equation.invars):
                found.update(equation.outvars)
        return found


@dataclass
class _Builder:
    eqns: list[FlatEquation] = field(default_factory=list)
    constvars: list[FlatVariable] = field(default_factory=list)
    fixed: list[Any] = field(default_factory=list)

    def constant(self, value: Any, aval: Any) -> FlatVariable:
        """Return a variable that always has this value."""
        variable = FlatVariable(aval)
        self.constvars.append(variable)
        self.fixed.append(value)
        return variable

    def take(self, jaxpr: Jaxpr, known: dict[Any, Any], *, custom: bool) -> list[Any]:
        """Take over a jaxpr's equations, and return its outputs; ``known`` are its constants and arguments."""
        for equation in jaxpr.eqns:
            given = [atom if isinstance(atom, Literal) else known[atom] for atom in equation.invars]
            inner = _called(equation)
            if inner is None:
                outvars = tuple(FlatVariable(v.aval) for v in equation.outvars)
                self.eqns.append(FlatEquation(equation.primitive, equation.params, given, outvars, custom))
            else:
                within = custom or equation.primitive.name.startswith("custom_")
                outvars = tuple(self._taken(inner, given, custom=within))
            known.update(zip(equation.outvars, outvars, strict=True))
        return [atom if isinstance(atom, Literal) else known[atom] for atom in jaxpr.outvars]

    def _taken(self, inner: ClosedJaxpr | Jaxpr, given: Sequence[Any], *, custom: bool) -> Iterator[Any]:
        jaxpr, consts = (inner.jaxpr, inner.consts) if isinstance(inner, ClosedJaxpr) else (inner, ())
        known = {v: self.constant(c, v.aval) for v, c in zip(jaxpr.constvars, consts, strict=True)}
        known.update(zip(jaxpr.invars, given, strict=True))
        return iter(self.take(jaxpr, known, custom=custom))


def flattened(jaxpr: Jaxpr) -> FlatJaxpr:
    """Return a jaxpr without calls."""
    builder = _Builder()
    known = {variable: FlatVariable(variable.aval) for variable in (*jaxpr.constvars, *jaxpr.invars)}
    first = [known[v] for v in jaxpr.constvars]
    outvars = builder.take(jaxpr, dict(known), custom=False)
    return FlatJaxpr((*first, *builder.constvars), tuple(known[v] for v in jaxpr.invars), tuple(outvars),
                     tuple(builder.eqns), tuple(builder.fixed))


def _called(equation: Any) -> ClosedJaxpr | Jaxpr | None:
    """Return what a call calls; None for what is no call."""
    found = equation.params.get(CALLS.get(equation.primitive.name, ""))
    return found if isinstance(found, (ClosedJaxpr, Jaxpr)) else None


def shape_of(atom: Any) -> tuple[int, ...]:
    """Return the shape of a variable or a literal."""
    return tuple(getattr(atom.aval, "shape", ()))


def is_real(atom: Any) -> bool:
    """Tell whether a variable or a literal holds real numbers, in whatever precision."""
    dtype = getattr(atom.aval, "dtype", None)
    return dtype is not None and np.dtype(dtype).kind in "fV"  # bfloat16 is of NumPy's kind V
