"""Exponentials, logarithms and the functions built from them: sigmoid, tanh, softplus, hyperbolic functions."""

import math
from collections.abc import Callable
from typing import Any

from . import small
from .base import Changes, Rule, Values, still_where_still, two_sum
from .namespaces import TINY, any_of, as_float, is_complex, largest, less_product

# Over a longer step sigmoid and softplus change by so much that the two values may be subtracted.
LONG_STEP = 40.0
LONG_GATED_STEP = 4.0
LN_2 = math.log(2.0)
LN_10 = math.log(10.0)


def exponential(xp: Any, x: Any, d: Any, value: Any) -> Any:
    """exp(x + d) - exp(x) with ``value`` = exp(x): value expm1(d), or by subtraction where d > 1."""
    reach = largest(xp, d)
    if reach <= 1.0:
        return value * small.expm1(xp, d, reach)
    total, error = two_sum(xp, x, d)
    far = xp.exp(total) * (1.0 + error) - value
    return xp.where(d > 1.0, far, value * xp.expm1(xp.clip(d, None, 1.0)))


def exp(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> Any:
    """exp(x) expm1(d)."""
    if is_complex(out) or is_complex(changes[0]):
        return out * complex_expm1(xp, changes[0])
    return where_it_overflows(xp, values[0], changes[0], out, exponential(xp, values[0], changes[0], out), xp.exp)


def where_it_overflows(xp: Any, x: Any, d: Any, out: Any, change: Any, function: Any) -> Any:
    """Return the change; it is zero where the function is infinite before and after, as in 1 / (1 + exp(800))."""
    endless = xp.isinf(out)
    return xp.where(endless & xp.isinf(function(x + d)), 0.0, change) if any_of(xp, endless) else change


def complex_expm1(xp: Any, d: Any) -> Any:
    """exp(a + ib) - 1 = expm1(a) - 2 exp(a) sin(b / 2)^2 + i exp(a) sin(b)."""
    a, b = xp.real(d), xp.imag(d)
    size, half = xp.exp(a), xp.sin(0.5 * b)
    return (xp.expm1(a) - 2.0 * size * half * half) + 1j * (size * xp.sin(b))


def expm1(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> Any:
    """Return the same: out + 1 would lose the digits of exp(x) where x is far below zero."""
    change = exponential(xp, values[0], changes[0], xp.exp(values[0]))
    return where_it_overflows(xp, values[0], changes[0], out, change, xp.exp)


def exp2(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> Any:
    """2^x expm1(d log 2)."""
    return power_of_base(xp, values[0], changes[0], out, LN_2, xp.exp2)


def exp10(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> Any:
    """10^x expm1(d log 10)."""
    return power_of_base(xp, values[0], changes[0], out, LN_10, lambda t: 10.0**t)


def power_of_base(xp: Any, x: Any, d: Any, out: Any, logarithm: float, function: Callable[[Any], Any]) -> Any:
    """Return the change of base^x, given the logarithm of the base and the power as a function."""
    change = out * small.expm1(xp, logarithm * xp.clip(d, None, 1.0))
    if largest(xp, d) > 1.0:
        total, error = two_sum(xp, x, d)
        change = xp.where(d > 1.0, function(total) * (1.0 + logarithm * error) - out, change)
    return where_it_overflows(xp, x, d, out, change, function)


def log(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> Any:
    """log((x + d) / x)."""
    return small.log_ratio(xp, values[0], changes[0])


def log2(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> Any:
    """Return the logarithm's over log 2."""
    return small.log_ratio(xp, values[0], changes[0]) / LN_2


def log10(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> Any:
    """Return the logarithm's over log 10."""
    return small.log_ratio(xp, values[0], changes[0]) / LN_10


def log1p(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> Any:
    """log((1 + x + d) / (1 + x)), with 1 + x not rounded where it cancels with d."""
    total, low = two_sum(xp, values[0], 1.0)
    return small.log_ratio(xp, total, changes[0], low)


def sigmoids(xp: Any, z: Any) -> tuple[Any, Any]:
    """sigma(z) and sigma(-z), neither from the other, without overflow."""
    tail = xp.exp(-xp.abs(z))
    large, less = 1.0 / (1.0 + tail), tail / (1.0 + tail)
    return xp.where(z < 0.0, less, large), xp.where(z < 0.0, large, less)


def sigmoid_change(xp: Any, z: Any, d: Any) -> Any:
    """sigma(z + d) - sigma(z) = p q e / (1 + p e), p = sigma(z), q = sigma(-z), e = expm1(d).

    The denominator is p exp(d) + q, a sum of positive terms; divided by exp(|d|) where d > 0 might overflow.
    """
    p, q = sigmoids(xp, z)
    reach = largest(xp, d)
    if reach <= TINY:  # e = d (1 + d / 2), and 1 / (1 + p e) = 1 - p d: what is left out is below d^2
        slope = p * q
        change = less_product(xp, slope, slope * (p - 0.5), d)
        change *= d
        return change
    if reach <= small.SHORT:
        e = small.expm1(xp, d, reach)
        return (p * q) * e / (1.0 + p * e)
    size = xp.abs(d)
    fall = -xp.expm1(-size)
    up = d > 0.0
    denominator = xp.where(up, p, q) + xp.where(up, q, p) * xp.exp(-size)
    change = xp.where(up, fall, -fall) * (p * q) / denominator
    if reach <= LONG_STEP:
        return change
    y, r = sigmoids(xp, z + d)
    far = xp.where((z > 0.0) & (z + d > 0.0), q - r, y - p)
    return xp.where(size > LONG_STEP, far, change)


def softplus_change(xp: Any, z: Any, d: Any) -> Any:
    """log(1 + exp(z + d)) - log(1 + exp(z)) = log1p(p expm1(d)); downwards the same step seen from z + d."""
    p, q = sigmoids(xp, z)
    reach = largest(xp, d)
    if reach <= small.SHORT:
        return small.log1p(xp, p * small.expm1(xp, d, reach), reach)
    size = xp.abs(d)
    short = xp.clip(size, None, LONG_STEP)
    down = d < 0.0
    fall = -xp.expm1(-short)
    argument = p * xp.where(down, fall / (q + p * xp.exp(-short)), xp.expm1(short))
    change = xp.log1p(argument)
    change = xp.where(down, -change, change)
    if reach <= LONG_STEP:
        return change
    y = z + d
    rise = xp.where(z > 0.0, xp.where(y > 0.0, d, -z), xp.clip(y, 0.0, None))
    far = rise + (xp.log1p(xp.exp(-xp.abs(y))) - xp.log1p(xp.exp(-xp.abs(z))))
    return xp.where(size > LONG_STEP, far, change)


def gated_change(xp: Any, z: Any, d: Any, gate: Any, rise: Any, gate_at: Callable[[Any], Any]) -> Any:
    """The change of z gate(z): z D + d (gate + D), D = ``rise``; over long steps by subtraction, which cancels less.

    Where both gates are equal they are closed or open, and z may be so large that z + d is rounded.
    """
    change = z * rise + d * (gate + rise)
    if largest(xp, d) <= LONG_GATED_STEP:
        return change
    y = z + d
    new = gate_at(y)
    return xp.where(xp.abs(d) > LONG_GATED_STEP, xp.where(new == gate, d * gate, y * new - z * gate), change)


def sigmoid(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> Any:
    """1 / (1 + exp(-z))."""
    return sigmoid_change(xp, values[0], changes[0])


def tanh(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> Any:
    """u s / (1 + t u) with u = tanh(d), s = sech(z)^2; else 2 sigma(2 z) - 1, whose sigmoid knows long steps."""
    (z,), (d,) = values, changes
    reach = largest(xp, d)
    if reach <= TINY:  # u = d, and 1 / (1 + t u) = 1 - t d: what is left out is below d^2
        sech = 1.0 / xp.cosh(z)
        change = less_product(xp, sech * sech, out * sech * sech, d)
        change *= d
        return change
    if reach <= small.SHORT:
        cosh = xp.cosh(z)
        u = small.tanh(xp, d, reach)
        return u / cosh / cosh / (1.0 + out * u)  # not cosh^2, which overflows where its quotient is a small number yet
    return 2.0 * sigmoid_change(xp, 2.0 * z, 2.0 * d)


def log_sigmoid(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> Any:
    """log sigma(z) = -softplus(-z)."""
    return -softplus_change(xp, -values[0], -changes[0])


def silu(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> Any:
    """z sigma(z)."""
    (z,), (d,) = values, changes
    return gated_change(xp, z, d, sigmoids(xp, z)[0], sigmoid_change(xp, z, d), lambda y: sigmoids(xp, y)[0])


def sinh(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> Any:
    """2 cosh(x + d / 2) sinh(d / 2)."""
    (x,), (d,) = values, changes
    reach = largest(xp, d)
    if reach <= small.SHORT:
        return xp.cosh(x) * small.sinh(xp, d, reach) + out * (0.5 * d * d)
    middle, error = two_sum(xp, x, 0.5 * d)
    return 2.0 * xp.sinh(0.5 * d) * (xp.cosh(middle) + error * xp.sinh(middle))


def cosh(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> Any:
    """2 sinh(x + d / 2) sinh(d / 2)."""
    (x,), (d,) = values, changes
    middle, error = two_sum(xp, x, 0.5 * d)
    return 2.0 * small.sinh(xp, 0.5 * d) * (xp.sinh(middle) + error * xp.cosh(middle))


def asinh(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> Any:
    """tanh of half the change is d / (cosh A + cosh B), A and B being the two values."""
    (x,), (d,) = values, changes
    one = xp.ones_like(x)
    a, y = xp.hypot(one, x), x + d
    b = xp.hypot(xp.ones_like(y), y)
    ratio = d / (a + b)
    near = 2.0 * xp.atanh(xp.clip(ratio, -0.5, 0.5))
    if largest(xp, ratio) <= 0.5:
        return near
    same = xp.sign(x) * xp.log((xp.abs(y) + b) / (xp.abs(x) + a))
    far = xp.where(x * y > 0.0, same, xp.asinh(y) - out)
    return xp.where(xp.abs(ratio) <= 0.5, near, far)


def acosh(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> Any:
    """tanh of half the change is d / (sinh A + sinh B), A and B being the two values."""
    (x,), (d,) = values, changes
    y, low = two_sum(xp, x, d)
    a = xp.sqrt(x - 1.0) * xp.sqrt(x + 1.0)
    b = xp.sqrt((y - 1.0) + low) * xp.sqrt(y + 1.0)
    ratio = d / (a + b)
    near = 2.0 * xp.atanh(xp.clip(ratio, -0.5, 0.5))
    change = xp.where(xp.abs(ratio) <= 0.5, near, xp.log((y + b) / (x + a)))
    return still_where_still(xp, change, d)


def atanh(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> Any:
    """Half of log1p(2 d / ((1 + x) (1 - x - d))) upwards, and the mirror image of that downwards."""
    (x,), (d,) = values, changes
    y, low = two_sum(xp, x, d)
    up = d > 0.0
    denominator = xp.where(up, (1.0 + x) * ((1.0 - y) - low), (1.0 - x) * ((1.0 + y) + low))
    change = 0.5 * xp.log1p(2.0 * xp.abs(d) / denominator)
    return still_where_still(xp, xp.where(up, change, -change), d)


def logaddexp(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> Any:
    """Return the larger operand's change and that of log(1 + exp(-gap)).

    There is no gap between two logarithms of zero, with which sums over paths begin.
    """
    (a, b), (da, db) = values, changes
    gap = xp.where(a == b, 0.0, a - b)
    if da is None or db is None:
        return softplus_change(xp, gap if db is None else -gap, da if db is None else db)
    down = a >= b
    fall = db - da
    return xp.where(down, da, db) + softplus_change(xp, -xp.abs(gap), xp.where(down, fall, -fall))


def logaddexp2(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> Any:
    """log2(2^a + 2^b), through logaddexp."""
    like = next(d for d in changes if d is not None)
    scaled = tuple(None if d is None else LN_2 * d for d in changes)
    return logaddexp(xp, tuple(LN_2 * as_float(xp, v, like) for v in values), scaled, out, branches) / LN_2


EXPONENTIAL: dict[str, Rule] = {
    "exp": Rule(exp, complex=True),
    "exp2": Rule(exp2),
    "exp10": Rule(exp10),
    "expm1": Rule(expm1),
    "log": Rule(log),
    "log2": Rule(log2),
    "log10": Rule(log10),
    "log1p": Rule(log1p),
    "expit": Rule(sigmoid, kernel="sigmoid"),
    "sigmoid": Rule(sigmoid, kernel="sigmoid"),
    "tanh": Rule(tanh, kernel="tanh"),
    "log_expit": Rule(log_sigmoid),
    "silu": Rule(silu, kernel="silu"),
    "sinh": Rule(sinh),
    "cosh": Rule(cosh),
    "arcsinh": Rule(asinh),
    "arccosh": Rule(acosh),
    "arctanh": Rule(atanh),
    "logaddexp": Rule(logaddexp),
    "logaddexp2": Rule(logaddexp2),
}
