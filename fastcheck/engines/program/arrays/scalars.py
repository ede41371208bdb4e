"""Functions of Python's math module, which know numbers alone: their values are math's own, their changes by rules."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ...._errors import NoRule
from .array import DifferenceArray
from .composed import decided
from .elementwise import change_of, split
from .run import Handler, Run

_RULES = {
    "exp": "exp", "expm1": "expm1", "exp2": "exp2", "log": "log", "log1p": "log1p", "log2": "log2", "log10": "log10",
    "sqrt": "sqrt", "cbrt": "cbrt", "sin": "sin", "cos": "cos", "tan": "tan", "asin": "arcsin", "acos": "arccos",
    "atan": "arctan", "atan2": "arctan2", "sinh": "sinh", "cosh": "cosh", "tanh": "tanh", "asinh": "arcsinh",
    "acosh": "arccosh", "atanh": "arctanh", "erf": "erf", "erfc": "erfc", "lgamma": "gammaln", "pow": "power",
    "fabs": "absolute", "hypot": "hypot", "degrees": "degrees", "radians": "radians", "copysign": "copysign",
    "fmod": "fmod",
}  # fmt: skip
_DECIDED = ("isnan", "isfinite", "isinf", "isclose", "floor", "ceil", "trunc")


def _by_rule(name: str) -> Handler:
    """Return the handler of a function with a rule of that name."""

    def handler(run: Run, function: Callable[..., Any], args: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
        values, changes, moving = split(run, args)
        out = np.float64(function(*(float(value) for value in values)))
        if not moving:
            return run.fresh(out)
        if len(args) != (2 if name in ("arctan2", "power", "hypot", "copysign", "fmod") else 1):
            raise NoRule(f"math.{function.__name__} of {len(args)} numbers", f"use numpy.{name}")
        flat = [change if change is None else change.reshape(run.batch) for change in changes]
        return run.fresh(out, change_of(run, name, [np.float64(value) for value in values], flat, out))

    return handler


def _sum(run: Run, function: Callable[..., Any], args: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
    """math.fsum."""
    parts = list(args[0])
    out = np.float64(function([float(part.value if type(part) is DifferenceArray else part) for part in parts]))
    _, changes, _ = split(run, tuple(parts))
    moving = [change.reshape(run.batch) for change in changes if change is not None]
    return run.fresh(out, np.sum(moving, axis=0) if moving else None)


HANDLERS: dict[str, Handler] = {
    **{name: _by_rule(rule) for name, rule in _RULES.items() if hasattr(math, name)},
    **dict.fromkeys(_DECIDED, decided),
    "fsum": _sum,
}
