"""(exp(x) - 1) / x and what is made of it: Box and Cox's transformations, powers less one."""

from typing import Any

from .arithmetic import power
from .base import Changes, Rule, Values, moved, plus, still_where_still, two_sum
from .exponential import exponential
from .namespaces import any_of, as_float
from .quadrature import integral
from .small import log_ratio

# Terms of the power series of the derivative of exprel, which are enough for |x| up to one.
TERMS = 18


def relative_exponential(xp: Any, x: Any) -> Any:
    """(exp(x) - 1) / x, which is 1 at zero."""
    safe = xp.where(x == 0.0, 1.0, x)
    return xp.where(x == 0.0, 1.0, xp.expm1(safe) / safe)


def relative_slope(xp: Any, t: Any) -> Any:
    """Return its derivative, by the power series sum_k t^k / (k! (k + 2)) where the closed form cancels."""
    small = xp.abs(t) <= 1.0
    near, far = xp.where(small, t, 0.0), xp.where(small, 1.0, t)
    total = 0.0 * near
    for k in range(TERMS, 0, -1):
        total = (1.0 / (k + 2.0) + total) * near / k
    return xp.where(small, 0.5 + total, (xp.exp(far) - relative_exponential(xp, far)) / far)


def relative_change(xp: Any, x: Any, d: Any) -> Any:
    """Return the change of (exp(x) - 1) / x."""

    def far() -> Any:
        total, error = two_sum(xp, x, d)
        return relative_exponential(xp, total) + error * relative_slope(xp, total) - relative_exponential(xp, x)

    return integral(xp, lambda t: relative_slope(xp, t), x, d, 2.0 + 0.5 * xp.clip(-x, 0.0, None), far)


def exprel(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> Any:
    """(exp(x) - 1) / x."""
    return relative_change(xp, values[0], changes[0])


def transformed_change(
    xp: Any, rate: Any, power_of: Any, logarithm: Any, step: Any, d_rate: Any
) -> Any:
    """Return the change of (x^rate - 1) / rate = L exprel(rate L), L = log x: the way of x, then that of the rate.

    Parameters
    ----------
    power_of : x^rate.
    logarithm, step : L and its change; None for none.
    d_rate : the change of the rate; None for none.
    """
    change = None
    if step is not None:
        safe = xp.where(rate == 0.0, 1.0, rate)
        rise = exponential(xp, rate * logarithm, rate * step, power_of) / safe
        change = xp.where(rate == 0.0, step, rise)
    if d_rate is None:
        return change
    logarithm = moved(logarithm, step)
    return plus(change, logarithm * relative_change(xp, rate * logarithm, d_rate * logarithm))


def boxcox(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> Any:
    """(x^rate - 1) / rate, log x for a rate of zero."""
    (x, rate), (d, d_rate) = values, changes
    like = d_rate if d is None else d
    x, rate = as_float(xp, x, like), as_float(xp, rate, like)
    step = None if d is None else log_ratio(xp, x, d)
    change = transformed_change(xp, rate, x**rate, xp.log(x), step, d_rate)
    if not any_of(xp, (x == 0.0) | (moved(x, d) == 0.0)):
        return change
    return still_where_still(xp, at_nothing(xp, x, rate, d, d_rate, change), *changes)


def at_nothing(xp: Any, x: Any, rate: Any, d: Any, d_rate: Any, change: Any) -> Any:
    """Return the change, with that to or from x = 0, where the transformation is -1 / rate.

    A rate that changes by much is put into both values, which are subtracted.
    """
    new, new_rate = moved(x, d), moved(rate, d_rate)
    stays = 2.0 * xp.abs(new_rate - rate) <= xp.abs(rate)
    by_rate = 0.0 if d_rate is None else d_rate / rate / new_rate
    fallen = xp.where(stays, by_rate - x**rate / rate, -1.0 / new_rate - transformed(xp, x, rate))
    risen = xp.where(stays, by_rate + new**new_rate / new_rate, transformed(xp, new, new_rate) + 1.0 / rate)
    return xp.where(x == 0.0, risen, xp.where(new == 0.0, fallen, change))


def transformed(xp: Any, x: Any, rate: Any) -> Any:
    """(x^rate - 1) / rate."""
    logarithm = xp.log(xp.where(x == 0.0, 1.0, x))
    return xp.where(x == 0.0, -1.0 / rate, logarithm * relative_exponential(xp, rate * logarithm))


def boxcox1p(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> Any:
    """Return the same of 1 + x."""
    (x, rate), (d, d_rate) = values, changes
    like = d_rate if d is None else d
    x, rate = as_float(xp, x, like), as_float(xp, rate, like)
    total, low = two_sum(xp, x, 1.0 + 0.0 * x)
    step = None if d is None else log_ratio(xp, total, d, low)
    logarithm = xp.log1p(x)
    return transformed_change(xp, rate, xp.exp(rate * logarithm), logarithm, step, d_rate)


def inv_boxcox(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> Any:
    """(1 + rate y)^(1 / rate), exp(y) for a rate of zero; the rate's way is left to logarithms less each other."""
    (y, rate), (d, d_rate) = values, changes
    like = d_rate if d is None else d
    y, rate = as_float(xp, y, like), as_float(xp, rate, like)
    old = inverse_exponent(xp, y, rate)
    step = None if d is None else inverse_step(xp, y, rate, d)
    if d_rate is not None:
        step = plus(step, inverse_step_by_rate(xp, moved(y, d), rate, d_rate))
    return exponential(xp, old, step, xp.exp(old))


def inverse_exponent(xp: Any, y: Any, rate: Any) -> Any:
    """log(1 + rate y) / rate."""
    safe = xp.where(rate == 0.0, 1.0, rate)
    return xp.where(rate == 0.0, y, xp.log1p(rate * y) / safe)


def inverse_step(xp: Any, y: Any, rate: Any, d: Any) -> Any:
    """Return the change of that by y."""
    total, low = two_sum(xp, 1.0 + 0.0 * y, rate * y)
    safe = xp.where(rate == 0.0, 1.0, rate)
    return xp.where(rate == 0.0, d, log_ratio(xp, total, rate * d, low) / safe)


def relative_logarithm_slope(xp: Any, t: Any) -> Any:
    """Return the derivative of log(1 + t) / t, for |t| <= 1/4 by its series sum_k (-1)^k k / (k + 1) t^(k - 1)."""
    small = xp.abs(t) <= 0.25
    near, far = xp.where(small, t, 0.0), xp.where(small, 1.0, t)
    total = 0.0 * near
    for k in range(30, 0, -1):
        total = (-1.0) ** k * k / (k + 1.0) + near * total
    return xp.where(small, total, (far / (1.0 + far) - xp.log1p(far)) / (far * far))


def inverse_step_by_rate(xp: Any, y: Any, rate: Any, d: Any) -> Any:
    """Return its change by the rate: y times the change of log(1 + t) / t at t = rate y."""
    t = rate * y
    reach = xp.clip(1.0 + t, 1e-300, None)
    return y * integral(xp, lambda s: relative_logarithm_slope(xp, s), t, d * y, reach,
                        lambda: inverse_exponent(xp, 1.0, t + d * y) - inverse_exponent(xp, 1.0, t))


def powm1(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> Any:
    """x^p - 1."""
    return power(xp, values, changes, values[0] ** values[1], branches)


BOX_COX: dict[str, Rule] = {
    "exprel": Rule(exprel),
    "boxcox": Rule(boxcox),
    "boxcox1p": Rule(boxcox1p),
    "inv_boxcox": Rule(inv_boxcox),
    "inv_boxcox1p": Rule(inv_boxcox),
    "powm1": Rule(powm1),
}
