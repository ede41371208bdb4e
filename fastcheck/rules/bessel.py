"""Bessel functions of a real x, whose orders stand still: integrals of their slopes, which are Bessel functions."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .base import Change, Changes, Rule, Values, still_where_still
from .namespaces import any_of, special
from .piecewise import absolute
from .quadrature import LEAST_REACH, integral
from .special import shapes_and_x

# Up to this whole order two points integrate the powers with which the functions begin at zero.
LOW_ORDER = 4
# The asymptotic series of scaled functions: this many terms are enough for x above LARGE + order^2.
TERMS, LARGE = 20, 30.0

Reach = Callable[[Any, Any, Any], Any]
Function = Callable[[Any], Any]


def away_from_zero(xp: Any, order: Any, x: Any) -> Any:
    """Return the reach of functions that are singular at zero: a share of the way there, and at most 2."""
    return xp.clip(xp.abs(x) / (1.0 + xp.abs(order + 0.0 * x)), LEAST_REACH, 2.0)


def across_zero(xp: Any, order: Any, x: Any) -> Any:
    """Return the reach of functions that are smooth at zero if the order is whole, and there flat if it is high."""
    order = order + 0.0 * x
    low = (order == xp.round(order)) & (xp.abs(order) <= LOW_ORDER)
    return xp.where(low, 2.0, away_from_zero(xp, order, x))


def of_order(name: str, slope: Callable[[Any, Any, Any], Any], reach: Reach) -> Change:
    """Return the change of SciPy's function of an order and x.

    Parameters
    ----------
    name : the function's name.
    slope : of the function, the order and x: the derivative by x.
    reach : of the namespace, the order and x: how far the function is smooth.
    """

    def change(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> Any:
        (order,), x, d = shapes_and_x(values, changes)
        function = special(xp, name)
        found = integral(xp, lambda t: slope(function, order, t), x, d, reach(xp, order, x),
                         lambda: function(order, x + d) - out)
        return still_where_still(xp, found, d)

    return change


def half_difference(function: Callable[..., Any], order: Any, t: Any) -> Any:
    """Return the derivative of J and Y."""
    return 0.5 * (function(order - 1.0, t) - function(order + 1.0, t))


def half_sum(function: Callable[..., Any], order: Any, t: Any) -> Any:
    """Return the derivative of I; that of K is minus this."""
    return 0.5 * (function(order - 1.0, t) + function(order + 1.0, t))


def minus_half_sum(function: Callable[..., Any], order: Any, t: Any) -> Any:
    """Return the derivative of K."""
    return -half_sum(function, order, t)


def of_order_zero(name: str, first: str, sign: float, reach: Reach) -> Change:
    """Return the change of a function whose derivative is ``sign`` times that of order one, ``first``."""

    def change(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> Any:
        (x,), (d,) = values, changes
        function, other = special(xp, name), special(xp, first)
        return integral(xp, lambda t: sign * other(t), x, d, reach(xp, 0.0, x), lambda: function(x + d) - out)

    return change


def of_order_one(name: str, zeroth: str, sign: float, reach: Reach) -> Change:
    """Return the change of a function F whose derivative is ``sign`` times that of order zero, less F / x."""

    def change(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> Any:
        (x,), (d,) = values, changes
        function, other = special(xp, name), special(xp, zeroth)

        def slope(t: Any) -> Any:
            return sign * other(t) - xp.where(t == 0.0, 0.5, function(t) / t)

        return integral(xp, slope, x, d, reach(xp, 1.0, x), lambda: function(x + d) - out)

    return change


def scaled_slope(xp: Any, plain: Any, order: Any, t: Any, sign: float, scale: float) -> Any:
    """Return the slope of a function that is asymptotically scale / sqrt(t) sum_k a_k (sign / t)^k.

    There its terms, of which the slope is ``plain``, cancel: a_k = a_(k - 1) (4 order^2 - (2 k - 1)^2) / (8 k).
    """
    order = order + 0.0 * t
    large = t > LARGE + order * order
    if not any_of(xp, large):
        return plain
    safe = xp.where(large, t, LARGE + order * order)
    term, total = 1.0 + 0.0 * safe, 0.5 + 0.0 * safe
    for k in range(1, TERMS):
        term = term * sign * (4.0 * order * order - (2.0 * k - 1.0) ** 2) / (8.0 * k * safe)
        total = total + (k + 0.5) * term
    return xp.where(large, -scale * total / (safe * xp.sqrt(safe)), plain)


def growing_slope(xp: Any, plain: Any, order: Any, t: Any) -> Any:
    """Return the slope of exp(-t) I(t)."""
    return scaled_slope(xp, plain, order, t, -1.0, math.sqrt(0.5 / math.pi))


def falling_slope(xp: Any, plain: Any, order: Any, t: Any) -> Any:
    """Return the slope of exp(t) K(t)."""
    return scaled_slope(xp, plain, order, t, 1.0, math.sqrt(0.5 * math.pi))


def even_change(xp: Any, slope: Function, function: Function, x: Any, d: Any, reach: Any) -> Any:
    """Return the change of an even function: an integral over |x|."""
    size = xp.abs(x)
    step = absolute(xp, (x,), (d,), size, None)
    return integral(xp, slope, size, step, reach, lambda: function(size + step) - function(size))


def odd_change(xp: Any, slope: Function, function: Function, x: Any, d: Any, reach: Any) -> Any:
    """Return the change of an odd function: on the side of x as far as zero, the rest on the other side."""
    size, inward = xp.abs(x), xp.where(x > 0.0, -d, d)
    crossing = (inward > size) & (x != 0.0)
    side = xp.where(x == 0.0, xp.sign(d), xp.sign(x))
    step = xp.where(crossing, -size, side * d)
    near = integral(xp, slope, size, step, reach, lambda: function(size + step) - function(size))
    return side * (near - function(xp.where(crossing, inward - size, 0.0)))


def scaled_i0(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> Any:
    """exp(-|x|) I0(x), of which the slope is exp(-|x|) (I1 - I0) for positive x."""
    (x,), (d,) = values, changes
    first, second = special(xp, "i0e"), special(xp, "i1e")

    def slope(t: Any) -> Any:
        return growing_slope(xp, second(t) - first(t), 0.0, t)

    return even_change(xp, slope, first, x, d, 1.0 + xp.abs(x))


def scaled_i1(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> Any:
    """exp(-|x|) I1(x), of which the slope is exp(-|x|) (I0 - I1 - I1 / x) for positive x."""
    (x,), (d,) = values, changes
    first, second = special(xp, "i0e"), special(xp, "i1e")

    def slope(t: Any) -> Any:
        plain = first(t) - second(t) - xp.where(t == 0.0, 0.5, second(t) / t)
        return growing_slope(xp, plain, 1.0, t)

    return odd_change(xp, slope, second, x, d, 1.0 + xp.abs(x))


def scaled_iv(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> Any:
    """exp(-|x|) I(x) of any order; it is even or odd where that is whole, and no number for x < 0 elsewhere."""
    (order,), x, d = shapes_and_x(values, changes)
    function = special(xp, "ive")

    def slope(t: Any) -> Any:
        return growing_slope(xp, half_sum(function, order, t) - function(order, t), order, t)

    def value(t: Any) -> Any:
        return function(order, t)

    reach = power_law(xp, across_zero(xp, order, x), order, xp.abs(x))
    order = order + 0.0 * x
    even, odd = (share(xp, slope, value, x, d, reach) for share in (even_change, odd_change))
    change = xp.where(order % 2.0 == 0.0, even, odd)
    undefined = (order != xp.round(order)) & ((x < 0.0) | (x + d < 0.0))
    return still_where_still(xp, xp.where(undefined, math.nan, change), d)


def power_law(xp: Any, near: Any, order: Any, x: Any) -> Any:
    """Return the reach of scaled functions, which change slowly where x is large."""
    return xp.maximum(near, x / (2.0 + xp.abs(order + 0.0 * x)))


def scaled_k0(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> Any:
    """exp(x) K0(x)."""
    (x,), (d,) = values, changes
    first, second = special(xp, "k0e"), special(xp, "k1e")

    def slope(t: Any) -> Any:
        return falling_slope(xp, first(t) - second(t), 0.0, t)

    return integral(xp, slope, x, d, power_law(xp, away_from_zero(xp, 0.0, x), 0.0, x), lambda: first(x + d) - out)


def scaled_k1(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> Any:
    """exp(x) K1(x)."""
    (x,), (d,) = values, changes
    first, second = special(xp, "k0e"), special(xp, "k1e")

    def slope(t: Any) -> Any:
        return falling_slope(xp, second(t) - first(t) - second(t) / t, 1.0, t)

    return integral(xp, slope, x, d, power_law(xp, away_from_zero(xp, 1.0, x), 1.0, x), lambda: second(x + d) - out)


def scaled_kv(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> Any:
    """exp(x) K(x) of any order."""
    (order,), x, d = shapes_and_x(values, changes)
    function = special(xp, "kve")

    def slope(t: Any) -> Any:
        return falling_slope(xp, function(order, t) - half_sum(function, order, t), order, t)

    return integral(xp, slope, x, d, power_law(xp, away_from_zero(xp, order, x), order, x),
                    lambda: function(order, x + d) - out)


def struve_slope(rule: Callable[..., Any]) -> Callable[[Callable[..., Any], Any, Any], Any]:
    """Return the derivative of a Struve function: like that of the Bessel function, and a power of x."""

    def slope(function: Callable[..., Any], order: Any, t: Any) -> Any:
        power = (0.5 * t) ** order * special(np, "rgamma")(order + 1.5)
        return rule(function, order, t) + 0.5 / math.sqrt(math.pi) * power

    return slope


BESSEL: dict[str, Rule] = {
    "j0": Rule(of_order_zero("j0", "j1", -1.0, across_zero)),
    "j1": Rule(of_order_one("j1", "j0", 1.0, across_zero)),
    "jv": Rule(of_order("jv", half_difference, across_zero)),
    "y0": Rule(of_order_zero("y0", "y1", -1.0, away_from_zero)),
    "y1": Rule(of_order_one("y1", "y0", 1.0, away_from_zero)),
    "yn": Rule(of_order("yv", half_difference, away_from_zero)),
    "yv": Rule(of_order("yv", half_difference, away_from_zero)),
    "i0": Rule(of_order_zero("i0", "i1", 1.0, across_zero)),
    "i1": Rule(of_order_one("i1", "i0", 1.0, across_zero)),
    "iv": Rule(of_order("iv", half_sum, across_zero)),
    "i0e": Rule(scaled_i0),
    "i1e": Rule(scaled_i1),
    "ive": Rule(scaled_iv),
    "k0": Rule(of_order_zero("k0", "k1", -1.0, away_from_zero)),
    "k1": Rule(of_order_one("k1", "k0", -1.0, away_from_zero)),
    "kn": Rule(of_order("kv", minus_half_sum, away_from_zero)),
    "kv": Rule(of_order("kv", minus_half_sum, away_from_zero)),
    "k0e": Rule(scaled_k0),
    "k1e": Rule(scaled_k1),
    "kve": Rule(scaled_kv),
    "struve": Rule(of_order("struve", struve_slope(half_difference), across_zero)),
    "modstruve": Rule(of_order("modstruve", struve_slope(half_sum), across_zero)),
}
