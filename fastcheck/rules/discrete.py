"""Operations whose values are separate: comparisons, logic, signs and whole numbers.

Both sides are evaluated, and the values subtracted exactly.  The change of a boolean is -1, 0 or 1.
"""

import math
from collections.abc import Callable
from typing import Any

from .base import Changes, Rule, Values, moved, or_zero, plus, two_sum
from .branches import Branches, convention_of, jump, note, note_tie
from .namespaces import any_of, as_float, largest, smallest


def exact_sum(xp: Any, a: Any, b: Any, da: Any, db: Any) -> Any:
    """(a - b) + (da - db), of the right sign however far it cancels."""
    gap, low = two_sum(xp, 1.0 * a, -1.0 * b)
    step, more = two_sum(xp, da, -db)
    return (gap + step) + (low + more)


def comparison(compare: Callable[[Any, Any], Any]) -> Rule:
    """Return the rule of ``compare(a, b)``: the sign of a - b, whose change is not rounded away by a large a."""

    def change(xp: Any, values: Values, changes: Changes, out: Any, branches: Branches | None) -> Any:
        (a, b), (da, db) = values, changes
        gap = 1.0 * a - 1.0 * b
        step = da if db is None else or_zero(da) - db
        finite = xp.isfinite(gap)
        beside = any_of(xp, ~finite)  # infinity, where the gap tells nothing, and steps do not matter
        if largest(xp, step) < smallest(xp, xp.where(finite, gap, math.inf) if beside else gap):
            return 0.0 * step
        new = compare(exact_sum(xp, a, b, or_zero(da) + 0.0 * step, or_zero(db) + 0.0 * step), 0.0)
        if beside:
            new = xp.where(finite | (0.0 * step != 0.0), new, compare(1.0 * a, 1.0 * b))
        tied, turned = gap == 0.0, as_float(xp, new, step) - as_float(xp, out, step)
        if branches is not None and any_of(xp, tied):
            moving = tied & (step != 0.0)  # to the other side the truth may change, where to this one it does not
            note_tie(branches, moving, "comparison")
            if branches.convention is not None and branches.convention.comparison:
                turned = xp.where(moving, 1.0 - 2.0 * as_float(xp, out, step), turned)
        return jump(xp, turned, tied, branches)

    return Rule(change, discrete=True)


def logical(combine: Callable[..., Any]) -> Rule:
    """Return the rule of a logical operation: on the truth of the operands' new values."""

    def change(xp: Any, values: Values, changes: Changes, out: Any, branches: Branches | None) -> Any:
        new = combine(*((v if d is None else v + d) != 0 for v, d in zip(values, changes, strict=True)))
        like = next(d for d in changes if d is not None)
        result = as_float(xp, new, like) - as_float(xp, out, like)
        # truth changes because a comparison's did, which has been noted; a number that leaves zero is on a boundary
        tied = False
        for value, d in zip(values, changes, strict=True):
            if d is not None:
                tied = tied | (value == 0)
        return jump(xp, result, tied, branches)

    return Rule(change, discrete=True)


def test_of(predicate: str) -> Rule:
    """Return the rule of isfinite, isnan, isinf or signbit, by name: evaluated anew."""

    def change(xp: Any, values: Values, changes: Changes, out: Any, branches: Branches | None) -> Any:
        (x,), (d,) = values, changes
        new = getattr(xp, predicate)(x + d)
        return jump(xp, as_float(xp, new, d) - as_float(xp, out, d), x == 0.0, branches)

    return Rule(change, discrete=True)


def sign(xp: Any, values: Values, changes: Changes, out: Any, branches: Branches | None) -> Any:
    """-1, 0 or 1."""
    (x,), (d,) = values, changes
    return jump(xp, xp.sign(x + d) - out, x == 0.0, branches)


def whole_below(xp: Any, total: Any, error: Any) -> Any:
    """floor(total + error) for an error of rounding."""
    below = xp.floor(total)
    return xp.where((below == total) & (error < 0.0), below - 1.0, below)


def floor(xp: Any, values: Values, changes: Changes, out: Any, branches: Branches | None) -> Any:
    """Return the largest whole number that is not above x."""
    (x,), (d,) = values, changes
    return jump(xp, whole_below(xp, *two_sum(xp, x, d)) - out, x == out, branches, d != 0.0)


def ceil(xp: Any, values: Values, changes: Changes, out: Any, branches: Branches | None) -> Any:
    """-floor(-x)."""
    (x,), (d,) = values, changes
    total, error = two_sum(xp, -x, -d)
    return jump(xp, -whole_below(xp, total, error) - out, x == out, branches, d != 0.0)


def trunc(xp: Any, values: Values, changes: Changes, out: Any, branches: Branches | None) -> Any:
    """floor above zero, ceil below."""
    (x,), (d,) = values, changes
    total, error = two_sum(xp, x, d)
    up, down = whole_below(xp, total, error), -whole_below(xp, -total, -error)
    return jump(xp, xp.where(total > 0.0, up, down) - out, (x == out) & (x != 0.0), branches, d != 0.0)


def rint(xp: Any, values: Values, changes: Changes, out: Any, branches: Branches | None) -> Any:
    """Return the nearest whole number, the even one in the middle."""
    (x,), (d,) = values, changes
    total, error = two_sum(xp, x, d)
    below = xp.floor(total)
    half = total - below == 0.5
    new = xp.where(half & (error != 0.0), below + xp.where(error > 0.0, 1.0, 0.0 * error), xp.round(total))
    return jump(xp, new - out, xp.abs(x - out) == 0.5, branches, d != 0.0)


def quotient_change(xp: Any, rest: Any, step: Any, divisor: Any) -> Any:
    """Return how many times more the divisor goes into rest + step than into rest, which is less than it."""
    total, error = two_sum(xp, rest, step)
    times = xp.floor_divide(total, divisor)
    exact = (times * divisor == total) & ((error < 0.0) != (divisor < 0.0)) & (error != 0.0)
    return xp.where(exact, times - 1.0, times)


def times_more(xp: Any, values: Values, changes: Changes, quotient: Any, rest: Any) -> Any:
    """Return how much floor(x / y) changes, given its value and the remainder."""
    (x, y), (dx, dy) = values, changes
    if dy is None:
        return quotient_change(xp, rest, dx, y)
    return xp.floor_divide(moved(x, dx), y + dy) - quotient


def remainder(xp: Any, values: Values, changes: Changes, out: Any, branches: Branches | None) -> Any:
    """x - k y with k = floor(x / y): dx - k dy, less y times the change of k."""
    (x, y), (dx, dy) = values, changes
    quotient = xp.floor_divide(x, y)
    step = dx if dy is None else plus(dx, -(quotient * dy))
    times = jump(xp, times_more(xp, values, changes, quotient, out), out == 0.0, branches, step != 0.0)
    return step - times * moved(y, dy)


def floor_divide(xp: Any, values: Values, changes: Changes, out: Any, branches: Branches | None) -> Any:
    """floor(x / y)."""
    dx, dy = changes
    rest = xp.remainder(*values)
    step = dx if dy is None else plus(dx, -(out * dy))
    return jump(xp, times_more(xp, values, changes, out, rest), rest == 0.0, branches, step != 0.0)


def fmod(xp: Any, values: Values, changes: Changes, out: Any, branches: Branches | None) -> Any:
    """Return the remainder with the sign of x: that of magnitudes, times the sign."""
    (x, y), (dx, dy) = values, changes
    far_x, far_y = moved(x, dx), moved(y, dy)
    k = xp.trunc((x - out) / y + 0.25 * xp.sign(1.0 * x) * xp.sign(1.0 * y))
    step = plus(dx, None if dy is None else -(k * dy))
    total = out + step
    inside = (xp.abs(total) < xp.abs(far_y)) & (total * xp.sign(1.0 * far_x) >= 0.0)
    new = xp.fmod(far_x, far_y)
    crossed = ~inside
    note(branches, crossed & (out != 0.0))
    note_tie(branches, crossed & (out == 0.0), "comparison")
    freeze = crossed & (out == 0.0) if convention_of(branches) is not None else crossed & False
    return xp.where(crossed & ~freeze, new - out, step)


def heaviside(xp: Any, values: Values, changes: Changes, out: Any, branches: Branches | None) -> Any:
    """0 below zero, 1 above, the second operand at zero."""
    (x, half), (dx, dh) = values, changes
    if dx is None:
        return xp.where(x == 0.0, dh, 0.0)
    new = xp.heaviside(x + dx, moved(half, dh) + 0.0 * dx)
    change = jump(xp, new - out, x == 0.0, branches)
    return change if dh is None else xp.where((x == 0.0) & (dx == 0.0), dh, change)


DISCRETE: dict[str, Rule] = {
    "greater": comparison(lambda a, b: a > b),
    "greater_equal": comparison(lambda a, b: a >= b),
    "less": comparison(lambda a, b: a < b),
    "less_equal": comparison(lambda a, b: a <= b),
    "equal": comparison(lambda a, b: a == b),
    "not_equal": comparison(lambda a, b: a != b),
    "logical_and": logical(lambda a, b: a & b),
    "logical_or": logical(lambda a, b: a | b),
    "logical_xor": logical(lambda a, b: a ^ b),
    "logical_not": logical(lambda a: ~a),
    "bitwise_and": logical(lambda a, b: a & b),
    "bitwise_or": logical(lambda a, b: a | b),
    "bitwise_xor": logical(lambda a, b: a ^ b),
    "invert": logical(lambda a: ~a),
    "isfinite": test_of("isfinite"),
    "isnan": test_of("isnan"),
    "isinf": test_of("isinf"),
    "signbit": test_of("signbit"),
    "sign": Rule(sign, discrete=True),
    "floor": Rule(floor, discrete=True),
    "ceil": Rule(ceil, discrete=True),
    "trunc": Rule(trunc, discrete=True),
    "rint": Rule(rint, discrete=True),
    "heaviside": Rule(heaviside),
    "floor_divide": Rule(floor_divide, discrete=True),
    "remainder": Rule(remainder),
    "fmod": Rule(fmod),
}
