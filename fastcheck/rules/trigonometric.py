"""Trigonometric functions, their inverses, and lengths and angles in the plane."""

import math
from typing import Any

from . import small
from .base import Changes, Rule, Values, moved, plus, still_where_still, two_sum
from .namespaces import any_of, largest
from .piecewise import at_ties


def versine(xp: Any, d: Any) -> Any:
    """1 - cos(d) = 2 sin(d / 2)^2."""
    half = small.sin(xp, 0.5 * d)
    return 2.0 * half * half


def sin(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> Any:
    """cos(x) sin(d) - sin(x) (1 - cos(d)): no rounded x + d, which large angles would not survive."""
    (x,), (d,) = values, changes
    return xp.cos(x) * small.sin(xp, d) - out * versine(xp, d)


def cos(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> Any:
    """-sin(x) sin(d) - cos(x) (1 - cos(d))."""
    (x,), (d,) = values, changes
    return -(xp.sin(x) * small.sin(xp, d)) - out * versine(xp, d)


def cosm1(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> Any:
    """cos(x) - 1."""
    return cos(xp, values, changes, xp.cos(values[0]), branches)


def tan(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> Any:
    """sin(d) / (cos(x) cos(x + d)); u (1 + t^2) / (1 - t u) with u = tan(d) far from poles."""
    (x,), (d,) = values, changes
    reach = largest(xp, d)
    if reach <= small.SHORT and largest(xp, out) * reach <= 0.5:
        u = small.tan(xp, d, reach)
        return u * (1.0 + out * out) / (1.0 - out * u)
    total, error = two_sum(xp, x, d)
    return xp.sin(d) / (xp.cos(x) * (xp.cos(total) - error * xp.sin(total)))


def cosines(xp: Any, x: Any, d: Any) -> tuple[Any, Any]:
    """sqrt(1 - x^2) and sqrt(1 - (x + d)^2)."""
    y, low = two_sum(xp, x, d)
    return xp.sqrt((1.0 - x) * (1.0 + x)), xp.sqrt(((1.0 - y) - low) * ((1.0 + y) + low))


def asin(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> Any:
    """The tangent of half the change is d / (cos A + cos B), A and B being the two values."""
    (x,), (d,) = values, changes
    a, b = cosines(xp, x, d)
    change = 2.0 * xp.atan(d / (a + b))
    return still_where_still(xp, change, d) if any_of(xp, a == 0.0) else change


def acos(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> Any:
    """pi / 2 - arcsin."""
    return -asin(xp, values, changes, out, branches)


def atan(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> Any:
    """Return the angle whose tangent is d / (1 + x (x + d)), up to pi."""
    (x,), (d,) = values, changes
    return xp.atan2(d, 1.0 + x * (x + d))


def atan2(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> Any:
    """The angle between (x, y) and (x + dx, y + dy); a turn more or less where it passes the negative half axis."""
    (y, x), (dy, dx) = values, changes
    far_y, far_x = moved(y, dy), moved(x, dx)
    cross = plus(None if dy is None else x * dy, None if dx is None else -(y * dx))
    change = xp.atan2(cross, x * far_x + y * far_y)
    centre = ((x == 0.0) & (y == 0.0)) | ((far_x == 0.0) & (far_y == 0.0))
    if largest(xp, out) + largest(xp, change) <= 3.0 and not any_of(xp, centre):
        return change
    new = xp.atan2(far_y + 0.0 * far_x, far_x + 0.0 * far_y)
    turns = xp.round((new - out - change) / (2.0 * math.pi))
    if branches is not None:
        branches.note(turns != 0.0)
    change = xp.where(centre, new - out, change + 2.0 * math.pi * turns)
    return still_where_still(xp, change, dy, dx)


def hypot(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> Any:
    """(dx (2 x + dx) + dy (2 y + dy)) / (out + its new value)."""
    (x, y), (dx, dy) = values, changes
    far_x, far_y = moved(x, dx), moved(y, dy)
    total = out + xp.hypot(far_x + 0.0 * far_y, far_y + 0.0 * far_x)
    change = plus(
        None if dx is None else dx * ((x + far_x) / total), None if dy is None else dy * ((y + far_y) / total)
    )
    if not any_of(xp, out == 0.0):
        return change
    change, rise = still_where_still(xp, change, dx, dy), plus(dx, dy)
    return at_ties(xp, out == 0.0, change, change, rise, -rise, branches, "modulus")


TRIGONOMETRIC: dict[str, Rule] = {
    "sin": Rule(sin),
    "cos": Rule(cos),
    "cosm1": Rule(cosm1),
    "tan": Rule(tan),
    "arcsin": Rule(asin),
    "arccos": Rule(acos),
    "arctan": Rule(atan),
    "arctan2": Rule(atan2),
    "hypot": Rule(hypot),
}
