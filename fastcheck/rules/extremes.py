"""Extremes over axes: the largest, the smallest, and their places.

All take ``axes``, a tuple of negative integers, and ``keepdims``.
"""

import math
from typing import Any

from .axes import Axes, flattened, restored, without
from .base import Changes, Rule, Values
from .branches import ALL, Branches, convention_of, jump, note_tie
from .namespaces import any_of, as_count, as_float, is_traced, largest_along


def maximum_of(
    xp: Any, values: Values, changes: Changes, out: Any, branches: Branches | None, axes: Axes, keepdims: bool = False
) -> Any:
    """max (x - top + d): the winner's change, or the way to another winner and that one's change."""
    change = of_lasting_winners(xp, values[0], changes[0], out, axes, keepdims)
    if change is not None:
        return change
    x, d = flattened(xp, values[0], axes), flattened(xp, changes[0], axes)
    below = x - xp.amax(x, axis=-1, keepdims=True)
    top = below == 0.0
    change = xp.amax(below + d, axis=-1)
    if branches is not None:
        change = with_ties(xp, top, d, change, branches)
    return restored(change, axes, keepdims)


def of_lasting_winners(xp: Any, x: Any, d: Any, out: Any, axes: Axes, keepdims: bool) -> Any:
    """The change where what is largest stays so everywhere, with others only where they move as it does; else None."""
    if is_traced(d):
        return None
    below = x - (out if keepdims else restored(out, axes, True))
    top = below == 0.0
    moved = below + d
    most = largest_along(xp, moved, axes)
    # below is zero at the winner: its new lead is its change
    winners = xp.count_nonzero((moved == most) & top)
    if winners * math.prod(out.shape) != xp.count_nonzero(top) * math.prod(most.shape):
        return None
    return most if keepdims else without(most, axes)


def with_ties(xp: Any, top: Any, d: Any, change: Any, branches: Branches) -> Any:
    """Note crossings and ties of a maximum; under a convention, the change that it gives to ties."""
    most = xp.amax(xp.where(top, d, -math.inf), axis=-1)
    least = xp.amin(xp.where(top, d, math.inf), axis=-1)
    branches.note(change > most)
    ties = most > least
    note_tie(branches, ties, "tie")
    c = convention_of(branches)
    if c is None or not any_of(xp, ties):
        return change
    return xp.where(ties, shared(xp, top, d, c.tie), change)


def shared(xp: Any, top: Any, d: Any, c: float) -> Any:
    """Return what a convention gives to equal candidates: the first's change for 1, the last's for 0, the mean for 1/2,
    the sum for ALL.
    """
    weights = as_float(xp, top, d)
    if c == ALL:
        return xp.sum(weights * d, axis=-1)
    if c == 0.5:
        return xp.sum(weights * d, axis=-1) / xp.sum(weights, axis=-1)
    count = xp.cumsum(as_count(xp, top), -1)
    first, last = top & (count == 1), top & (count == count[..., -1:])
    return c * xp.sum(as_float(xp, first, d) * d, axis=-1) + (1.0 - c) * xp.sum(as_float(xp, last, d) * d, axis=-1)


def minimum_of(
    xp: Any, values: Values, changes: Changes, out: Any, branches: Branches | None, axes: Axes, keepdims: bool = False
) -> Any:
    """-max(-x)."""
    return -maximum_of(xp, (-values[0],), (-changes[0],), -out, branches, axes, keepdims)


def range_of(
    xp: Any, values: Values, changes: Changes, out: Any, branches: Branches | None, axes: Axes, keepdims: bool = False
) -> Any:
    """Return the maximum's change less the minimum's."""
    (x,) = values
    top, bottom = (find(x, axis=axes, keepdims=keepdims) for find in (xp.amax, xp.amin))
    rise = maximum_of(xp, values, changes, top, branches, axes, keepdims)
    return rise - minimum_of(xp, values, changes, bottom, branches, axes, keepdims)


def winner_of(
    xp: Any, values: Values, changes: Changes, out: Any, branches: Branches | None, axes: Axes, keepdims: bool = False
) -> Any:
    """Return the change of the place of the (first) maximum."""
    x, d = flattened(xp, values[0], axes), flattened(xp, changes[0], axes)
    below = x - xp.amax(x, axis=-1, keepdims=True)
    old, new = xp.argmax(x, axis=-1), xp.argmax(below + d, axis=-1)
    change = as_float(xp, new - old, d)
    return restored(jump(xp, change, xp.sum(as_count(xp, below == 0.0), axis=-1) > 1, branches), axes, keepdims)


def loser_of(
    xp: Any, values: Values, changes: Changes, out: Any, branches: Branches | None, axes: Axes, keepdims: bool = False
) -> Any:
    """Return the change of the place of the (first) minimum."""
    return winner_of(xp, (-values[0],), (-changes[0],), out, branches, axes, keepdims)


EXTREMES: dict[str, Rule] = {
    "max": Rule(maximum_of, elementwise=False),
    "amax": Rule(maximum_of, elementwise=False),
    "min": Rule(minimum_of, elementwise=False),
    "amin": Rule(minimum_of, elementwise=False),
    "ptp": Rule(range_of, elementwise=False),
    "argmax": Rule(winner_of, elementwise=False, discrete=True),
    "argmin": Rule(loser_of, elementwise=False, discrete=True),
}
