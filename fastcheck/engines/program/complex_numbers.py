"""Complex numbers on the way: which operations keep their rules, and which have others."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..._errors import NoRule
from .run import Run

# Operations whose rules hold for complex numbers as they stand.
_AS_THEY_STAND = frozenset(("add", "subtract", "multiply", "divide", "negative", "positive", "square", "reciprocal"))


def change_of_complex(run: Run, name: str, values: Sequence[Any], changes: Sequence[Any], out: Any) -> Any:
    """The change of an elementwise operation with complex operands.

    Parameters
    ----------
    run : the run.
    name : the operation's name.
    values, changes : of the operands, changes lifted to the result's axes; None where one stands still.
    out : the result.
    """
    if name in _AS_THEY_STAND:
        return run.tables.rules[name].change(np, tuple(values), tuple(changes), out, run.branches)
    other = _OTHERS.get(name)
    if other is None:
        raise NoRule(f"numpy.{name} of complex numbers that move", "calculate with real and imaginary parts")
    return other(run, values[0], changes[0], out)


def _conjugate(run: Run, value: Any, change: Any, out: Any) -> Any:
    return np.conjugate(change)


def _absolute(run: Run, value: Any, change: Any, out: Any) -> Any:
    """The length of (real, imaginary)."""
    rule = run.tables.rules["hypot"]
    return rule.change(np, (value.real, value.imag), (change.real, change.imag), out, run.branches)


_OTHERS: dict[str, Callable[..., Any]] = {"conjugate": _conjugate, "absolute": _absolute}
