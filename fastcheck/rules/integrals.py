"""Exponential, sine, cosine and Fresnel integrals and Dawson's function, whose slopes are elementary."""

import math
from collections.abc import Callable
from typing import Any

from .base import Change, Changes, Rule, Values, product_change, still_where_still
from .namespaces import any_of, special
from .quadrature import LEAST_REACH, integral
from .small import log_ratio
from .special import shapes_and_x

# The asymptotic series of the slope of Dawson's function: this many terms are enough for |x| above LARGE.
TERMS, LARGE = 25, 7.0


def integrated(
    name: str, slope: Callable[[Any, Any], Any], reach: Callable[[Any, Any], Any], output: int | None = None
) -> Change:
    """Return the change of SciPy's function of one number.

    Parameters
    ----------
    name : the function's name.
    slope : of the namespace and x, the derivative.
    reach : of the namespace and x, how far the function is smooth.
    output : which of the function's outputs, if there are several.
    """

    def change(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> Any:
        (x,), (d,) = values, changes

        def far() -> Any:
            new = special(xp, name)(x + d)
            return (new if output is None else new[output]) - out

        return integral(xp, lambda t: slope(xp, t), x, d, reach(xp, x), far)

    return change


def away_from_zero(xp: Any, x: Any) -> Any:
    """Return a reach up to the singularity at zero, and at most one."""
    size = xp.abs(x)
    return size / (1.0 + size)


def everywhere(xp: Any, x: Any) -> Any:
    """Return the reach of sin(t) / t and sinh(t) / t."""
    return 8.0 + 0.0 * x


def by_oscillation(xp: Any, x: Any) -> Any:
    """Return the reach of functions of x^2."""
    return 2.0 / (1.0 + xp.abs(x))


def quotient(function: str) -> Callable[[Any, Any], Any]:
    """Return function(t) / t, which is 1 at zero."""
    return lambda xp, t: xp.where(t == 0.0, 1.0, getattr(xp, function)(t) / xp.where(t == 0.0, 1.0, t))


def dawson_slope(xp: Any, t: Any) -> Any:
    """1 - 2 t F(t); where these cancel, by the asymptotic series -sum_k (2 k - 1)!! / (2 t^2)^k, k >= 1."""
    plain = 1.0 - 2.0 * t * special(xp, "dawsn")(t)
    large = xp.abs(t) > LARGE
    if not any_of(xp, large):
        return plain
    safe = xp.where(large, t, LARGE)
    share, total = 0.5 / safe / safe, 1.0 + 0.0 * safe
    for k in range(TERMS, 0, -1):
        total = 1.0 + (2.0 * k + 1.0) * share * total
    return xp.where(large, -share * total, plain)


def exp1(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> Any:
    """Return the integral of -exp(-t) / t, for positive x."""
    (x,), (d,) = values, changes
    return exp1_change(xp, x, d)


def exp1_change(xp: Any, x: Any, d: Any) -> Any:
    """Return the change of the exponential integral of order one."""
    function = special(xp, "exp1")
    return integral(xp, lambda t: -xp.exp(-t) / t, x, d, away_from_zero(xp, x) + LEAST_REACH,
                    lambda: function(x + d) - function(x))


def expn(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> Any:
    """Return the integral of -E_(n - 1), E_n being the exponential integral; far from a small x by recurrence."""
    (n,), x, d = shapes_and_x(values, changes)
    function = special(xp, "expn")

    def far() -> Any:
        large = (x > 1.0) | (x + d > 1.0)
        return xp.where(large, function(n, x + d) - out, by_recurrence(xp, n + 0.0 * x, x, d))

    found = integral(xp, lambda t: slope_of_order(xp, n, t), x, d, away_from_zero(xp, x) + LEAST_REACH, far)
    return still_where_still(xp, found, d)


def slope_of_order(xp: Any, n: Any, t: Any) -> Any:
    """Return minus E_(n - 1); E_(-1) = exp(-t) (1 / t + 1 / t^2)."""
    plain = special(xp, "expn")(xp.where(n > 0, n - 1, 0), t)
    return xp.where(n > 0, -plain, -xp.exp(-t) * (1.0 + 1.0 / t) / t)


def by_recurrence(xp: Any, n: Any, x: Any, d: Any) -> Any:
    """Return the change by (k - 1) E_k = exp(-x) - x E_(k - 1), which keeps the digits of steps beside a small x."""
    function = special(xp, "expn")
    fall = xp.exp(-x) * xp.expm1(-d)
    change = xp.where(x == 0.0, function(1, x + d), exp1_change(xp, x, d))
    found = xp.where(n == 0.0, fall / (x + d) - xp.exp(-x) * d / x / (x + d), change)
    for k in range(2, int(xp.max(n)) + 1):
        before = xp.where((k == 2) & (x == 0.0), 0.0, function(k - 1, x))
        change = (fall - product_change(x, before, d, change)) / (k - 1.0)
        found = xp.where(n == k, change, found)
    return found


def far_from_zero(xp: Any, x: Any) -> Any:
    """Return a reach up to the singularity of cos(t) / t and cosh(t) / t, and at most eight."""
    size = xp.abs(x)
    return size / (1.0 + 0.125 * size)


def fresnel_slope(function: str) -> Callable[[Any, Any], Any]:
    """Return the sine or cosine of pi t^2 / 2."""
    return lambda xp, t: getattr(xp, function)(0.5 * math.pi * t * t)


def spence(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> Any:
    """Return the integral of log(t) / (1 - t); beside a small x by S(x) = pi^2 / 6 - log(x) log(1 - x) - S(1 - x)."""
    (x,), (d,) = values, changes
    function = special(xp, "spence")

    def far() -> Any:
        plain = function(x + d) - out
        beside = (x > 0.0) & (x <= 0.5) & (xp.abs(x + d) <= 0.5)
        if not any_of(xp, beside):
            return plain
        near, step = xp.where(beside, x, 0.25), xp.where(beside, d, 0.0)
        rise, fall = log_ratio(xp, near, step), log_ratio(xp, 1.0 - near, -step)
        mirrored = integral(xp, lambda t: spence_slope(xp, t), 1.0 - near, -step, 4.0 + 0.0 * near, lambda: 0.0)
        a, b = xp.log(near), xp.log1p(-near)
        product = xp.where(near + step == 0.0, -a * b, product_change(a, b, rise, fall))
        return xp.where(beside, -product - mirrored, plain)

    return integral(xp, lambda t: spence_slope(xp, t), x, d, x + LEAST_REACH, far)


def spence_slope(xp: Any, t: Any) -> Any:
    """log(t) / (1 - t), which is -1 at one."""
    gap = xp.where(t == 1.0, -1.0, 1.0 - t)
    return xp.where(t == 1.0, -1.0, xp.where(t < 0.5, xp.log(t), xp.log1p(-gap)) / gap)


def airy(output: int, slope: Callable[[Any, tuple[Any, ...]], Any]) -> Change:
    """Return the change of an output of SciPy's Airy functions, of which the slope is a function of x and them all."""
    return integrated("airy", lambda xp, t: slope(t, special(xp, "airy")(t)), root_reach, output)


def root_reach(xp: Any, x: Any) -> Any:
    """Return the reach of functions of the power 3/2."""
    return 2.0 / (1.0 + xp.sqrt(xp.abs(x)))


INTEGRALS: dict[str, Rule] = {
    "exp1": Rule(exp1),
    "expn": Rule(expn),
    "expi": Rule(integrated("expi", lambda xp, t: xp.exp(t) / t, away_from_zero)),
    "dawsn": Rule(integrated("dawsn", dawson_slope, lambda xp, x: 1.0 + 0.5 * xp.abs(x))),
    "erfi": Rule(integrated("erfi", lambda xp, t: 2.0 / math.sqrt(math.pi) * xp.exp(t * t), by_oscillation)),
    "spence": Rule(spence),
    "airy_ai": Rule(airy(0, lambda t, all_four: all_four[1])),
    "airy_ai_slope": Rule(airy(1, lambda t, all_four: t * all_four[0])),
    "airy_bi": Rule(airy(2, lambda t, all_four: all_four[3])),
    "airy_bi_slope": Rule(airy(3, lambda t, all_four: t * all_four[2])),
    "sine_integral": Rule(integrated("sici", quotient("sin"), everywhere, 0)),
    "cosine_integral": Rule(integrated("sici", lambda xp, t: xp.cos(t) / t, far_from_zero, 1)),
    "hyperbolic_sine_integral": Rule(integrated("shichi", quotient("sinh"), everywhere, 0)),
    "hyperbolic_cosine_integral": Rule(integrated("shichi", lambda xp, t: xp.cosh(t) / t, far_from_zero, 1)),
    "fresnel_sine": Rule(integrated("fresnel", fresnel_slope("sin"), by_oscillation, 0)),
    "fresnel_cosine": Rule(integrated("fresnel", fresnel_slope("cos"), by_oscillation, 1)),
}
