"""Functions with kinks: the same branch, its change; another branch, the way to the kink and on from there."""

import math
from typing import Any

from .base import Changes, Rule, Values, or_zero, two_sum
from .branches import ALL, Branches, Kind, convention_of, note, note_tie
from .namespaces import any_of, is_complex, largest, smallest


def rise_above_zero(xp: Any, z: Any, d: Any, branches: Branches | None) -> Any:
    """max(z + d, 0) - max(z, 0)."""
    on = z > 0.0
    if largest(xp, d) < smallest(xp, z):
        return xp.where(on, d, 0.0)
    # clip keeps NaN
    change = xp.where(on, xp.where(d < -z, -z, d), xp.where(d <= -z, 0.0 * d, d + z))
    note(branches, xp.where(on, d < -z, (z < 0.0) & (d > -z)))
    return at_ties(xp, z == 0.0, d, change, d, 0.0, branches)


def at_ties(
    xp: Any, tied: Any, differs: Any, change: Any, right: Any, left: Any, branches: Branches | None,
    kind: Kind = "kink",
) -> Any:
    """``change``, but by the convention where the value stands on a kink: the way between the sides' changes.

    Parameters
    ----------
    tied : where the value stands on the kink.
    differs : what is not zero where the sides change differently.
    change : the true finite change.
    right, left : the changes that the two sides have with their own slopes.
    kind : of the kink.
    """
    if branches is None or not any_of(xp, tied):
        return change
    ties = tied & (differs != 0.0)
    note_tie(branches, ties, kind)
    convention = convention_of(branches)
    if convention is None:
        return change
    c: float = getattr(convention, kind)
    return xp.where(ties, left + right if c == ALL else left + c * (right - left), change)


def relu(xp: Any, values: Values, changes: Changes, out: Any, branches: Branches | None) -> Any:
    """max(z, 0)."""
    return rise_above_zero(xp, values[0], changes[0], branches)


def absolute(xp: Any, values: Values, changes: Changes, out: Any, branches: Branches | None) -> Any:
    """|x + d| - |x|: d on its own side of zero; beyond it the way back counts."""
    (x,), (d,) = values, changes
    if is_complex(d):
        return modulus_change(xp, x, d, out, branches)
    if largest(xp, d) < smallest(xp, x):
        return xp.sign(x) * d
    positive = x > 0.0
    inward = xp.where(positive, -d, d)  # towards zero and beyond
    size = xp.abs(x)
    crossed = inward > size
    note(branches, crossed & (x != 0.0))
    change = xp.where(crossed, inward - 2.0 * size, -inward)
    return at_ties(xp, x == 0.0, d, change, d, -d, branches, "modulus")


def modulus_change(xp: Any, z: Any, d: Any, out: Any, branches: Branches | None) -> Any:
    """For complex numbers, the real part of conj(d) (2 z + d) over the sum of both magnitudes; 0 is a tie."""
    total = out + xp.abs(z + d)
    change = xp.real(xp.conj(d) * (2.0 * z + d)) / xp.where(total == 0.0, 1.0, total)
    rise = xp.real(d) + xp.imag(d)
    return at_ties(xp, out == 0.0, d, change, rise, -rise, branches, "modulus")


def maximum(xp: Any, values: Values, changes: Changes, out: Any, branches: Branches | None) -> Any:
    """Return the winner's change, or where the other overtakes it, the gap between them and the other's change."""
    (a, b), (da, db) = values, changes
    gap = a - b
    first = gap > 0.0
    if largest(xp, da) + largest(xp, db) < smallest(xp, gap):
        return xp.where(first, 0.0 if da is None else da, 0.0 if db is None else db)
    kind: Kind = "kink" if da is None or db is None else "tie"
    da, db = or_zero_like(xp, da, db), or_zero_like(xp, db, da)
    endless = (a == b) & ~xp.isfinite(gap)  # neither overtakes the other: what the first one does is as good
    low = two_sum(xp, a, -b)[1]
    if any_of(xp, endless):
        gap, low = xp.where(endless, math.inf, gap), xp.where(endless, 0.0, low)
        first = gap > 0.0
    lead = xp.where(first, gap, -gap)
    winner, loser = xp.where(first, da, db), (xp.where(first, db, da) - lead) - xp.where(first, low, -low)
    note(branches, (loser > winner) & (gap != 0.0))
    change = xp.maximum(winner, loser)
    return at_ties(xp, gap == 0.0, da - db, change, *tied_pair(changes, da, db), branches, kind)


def or_zero_like(xp: Any, change: Any, other: Any) -> Any:
    """Return the change, or zeros of the other's shape, also where that is NaN or infinite."""
    return xp.zeros_like(other) if change is None else change


def tied_pair(changes: Changes, da: Any, db: Any) -> tuple[Any, Any]:
    """Return what wins at a tie for convention 1 and 0: the first of two that move, else the one that moves."""
    return (db, da) if changes[0] is None else (da, db)


def minimum(xp: Any, values: Values, changes: Changes, out: Any, branches: Branches | None) -> Any:
    """-max(-a, -b)."""
    mirrored = tuple(None if d is None else -d for d in changes)
    return -maximum(xp, tuple(-1.0 * v for v in values), mirrored, out, branches)  # floats: unsigned would wrap


def fmax(xp: Any, values: Values, changes: Changes, out: Any, branches: Branches | None) -> Any:
    """Return the maximum, where NaN gives way to a number."""
    return without_nan(xp, values, changes, maximum(xp, values, changes, out, branches))


def fmin(xp: Any, values: Values, changes: Changes, out: Any, branches: Branches | None) -> Any:
    """Return the minimum, where NaN gives way to a number."""
    return without_nan(xp, values, changes, minimum(xp, values, changes, out, branches))


def without_nan(xp: Any, values: Values, changes: Changes, change: Any) -> Any:
    """``change``, or the number's own where the other operand is NaN."""
    for value, other in (values, values[::-1]):
        lost = xp.isnan(value) & ~xp.isnan(other)
        if any_of(xp, lost):
            own = changes[1] if value is values[0] else changes[0]
            change = xp.where(lost, or_zero(own), change)
    return change


def clip(xp: Any, values: Values, changes: Changes, out: Any, branches: Branches | None) -> Any:
    """max with the lower bound, then min with the upper one; a bound may be None."""
    (x, low, high), (d, d_low, d_high) = values, changes
    value, change = x, d
    for bound, its_change, rule, function in ((low, d_low, maximum, xp.maximum), (high, d_high, minimum, xp.minimum)):
        if bound is None:
            continue
        after = function(value, bound)
        if change is not None or its_change is not None:
            change = rule(xp, (value, bound), (change, its_change), after, branches)
        value = after
    return change


def where(xp: Any, values: Values, changes: Changes, out: Any, branches: Branches | None) -> Any:
    """The chosen operand's change; where the condition changes (by -1 or 1), the other operand's new value less out."""
    (condition, a, b), (dc, da, db) = values, changes
    if dc is None:
        return xp.where(condition, or_zero_like(xp, da, db), or_zero_like(xp, db, da))
    switched = dc != 0.0
    gap = b - a
    taken, other = or_zero(da), or_zero(db)
    note(branches, switched)
    same = xp.where(condition, taken, other)
    return xp.where(switched, xp.where(condition, gap + other, taken - gap), same)


def copysign(xp: Any, values: Values, changes: Changes, out: Any, branches: Branches | None) -> Any:
    """Return the magnitude's change with the sign; twice the magnitude where the sign changes."""
    (x, y), (dx, dy) = values, changes
    size = 0.0 * out if dx is None else absolute(xp, (x,), (dx,), xp.abs(x), branches)
    sign = xp.copysign(xp.ones_like(out), y + 0.0 * out)
    if dy is None:
        return sign * size
    flipped = xp.signbit(y + dy) != xp.signbit(y)
    note(branches, flipped)
    return xp.where(flipped, -sign * (2.0 * xp.abs(x) + size), sign * size)


PIECEWISE: dict[str, Rule] = {
    "relu": Rule(relu, kernel="relu"),
    "absolute": Rule(absolute, complex=True),
    "fabs": Rule(absolute),
    "maximum": Rule(maximum),
    "minimum": Rule(minimum),
    "fmax": Rule(fmax),
    "fmin": Rule(fmin),
    "clip": Rule(clip),
    "where": Rule(where, complex=True),
    "copysign": Rule(copysign),
}
