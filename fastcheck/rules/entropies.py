"""x log y and its relatives: entropies and divergences, which are 0 where x is."""

import math
from collections.abc import Callable
from typing import Any

from .base import Changes, Rule, Values, moved, or_zero, plus, product_change, two_sum
from .namespaces import any_of, as_float
from .small import log_ratio

# Smaller quotients lose digits, or vanish.
LEAST_QUOTIENT = 1e-300


def log_product(xp: Any, x: Any, dx: Any, logarithm: Any, step: Any, beyond: Callable[[], Any]) -> Any:
    """Return the change of x log(...), which is 0 where x is, given the logarithm, its change and its new value.

    Where x is zero and the logarithm infinite, the change is all of the new value.
    """
    change = product_change(x, logarithm, dx, step)
    from_nothing = (x == 0.0) & (logarithm == -math.inf)
    if any_of(xp, from_nothing):
        change = xp.where(from_nothing, moved(x, dx) * beyond(), change)
    gone = moved(x, dx) == 0.0
    if not any_of(xp, gone):
        return change
    return xp.where(gone, xp.where(x == 0.0, 0.0, -x * logarithm), change)


def xlogy(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> Any:
    """x log y: dx log y + (x + dx) log((y + dy) / y)."""
    (x, y), (dx, dy) = values, changes
    y = as_float(xp, y, dx if dy is None else dy)
    step = None if dy is None else log_ratio(xp, y, dy)
    return log_product(xp, x, dx, xp.log(y), step, lambda: xp.log(moved(y, dy)))


def xlog1py(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> Any:
    """x log(1 + y), likewise."""
    (x, y), (dx, dy) = values, changes
    y = as_float(xp, y, dx if dy is None else dy)
    total, low = two_sum(xp, y, 1.0 + 0.0 * y)
    step = None if dy is None else log_ratio(xp, total, dy, low)
    return log_product(xp, x, dx, xp.log1p(y), step, lambda: xp.log(moved(total, dy) + low))


def entr(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> Any:
    """-x log x: the relative entropy to 1."""
    (x,), (d,) = values, changes
    return -rel_entr(xp, (x, 1.0 + 0.0 * x), (d, None), -out, branches)


def log_of_quotient(xp: Any, x: Any, y: Any) -> Any:
    """log(x / y), accurate where they are close, and where the quotient is no normal number."""
    gap, quotient = x - y, x / y
    far = xp.where((quotient > LEAST_QUOTIENT) & (quotient < 1.0 / LEAST_QUOTIENT), xp.log(quotient),
                   xp.log(x) - xp.log(y))
    return xp.where(xp.abs(gap) <= 0.5 * y, xp.log1p(gap / y), far)


def rel_entr(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> Any:
    """x log(x / y): dx log(x / y) + (x + dx) times the change of the logarithm."""
    (x, y), (dx, dy) = values, changes
    step = None if dx is None else log_ratio(xp, x, dx)
    if dy is not None:
        step = plus(step, -log_ratio(xp, y, dy))
    far_x = moved(x, dx)
    change = plus(None if dx is None else dx * log_of_quotient(xp, x, y), far_x * step)
    if any_of(xp, x == 0.0):
        change = xp.where(x == 0.0, far_x * log_of_quotient(xp, far_x, moved(y, dy)), change)
    gone = far_x == 0.0
    return xp.where(gone, -out, change) if any_of(xp, gone) else change


def kl_div(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> Any:
    """x log(x / y) - x + y (SciPy's)."""
    (x, y), (dx, dy) = values, changes
    entropy = xp.where(x == 0.0, 0.0, x * log_of_quotient(xp, x, y))
    return rel_entr(xp, values, changes, entropy, branches) + (or_zero(dy) - or_zero(dx))


ENTROPIES: dict[str, Rule] = {
    "xlogy": Rule(xlogy),
    "xlog1py": Rule(xlog1py),
    "entr": Rule(entr),
    "rel_entr": Rule(rel_entr),
    "kl_div": Rule(kl_div),
}
