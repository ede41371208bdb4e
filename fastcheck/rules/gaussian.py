"""The normal distribution and the error function: integrals of the density over the way."""

import math
from collections.abc import Callable
from typing import Any

from .base import Changes, Rule, Values, two_sum
from .exponential import gated_change
from .namespaces import TINY, largest, special
from .quadrature import gauss, integral

# Beyond this exp(-x^2 / 2) is zero in double precision.
VANISHED = 64.0
SQRT_HALF = math.sqrt(0.5)


def density(xp: Any, x: Any, half: float) -> Any:
    """exp(-half x^2), with x^2 split so that its rounding does not reach the exponent."""
    x = xp.clip(x, -VANISHED, VANISHED)  # farther out the second factor overflows, where the first one is zero
    head = xp.round(16.0 * x) / 16.0
    return xp.exp(-half * head * head) * xp.exp(-half * (x - head) * (x + head))


def bell_change(xp: Any, x: Any, d: Any, half: float, scale: float, tail: Callable[[Any], Any]) -> Any:
    """scale times the integral of exp(-half t^2) from x to x + d.

    Parameters
    ----------
    tail : the same integral from a positive x to infinity.
    """
    longest = largest(xp, d)
    reach = half * longest * (2.0 * largest(xp, x) + longest)
    if not reach <= 1.0:
        exponent = half * xp.abs(d) * (2.0 * xp.abs(x) + xp.abs(d))
        short = xp.where(exponent <= 1.0, d, 0.0)
        near = bell_change_near(xp, x, short, half, scale, 1.0)
        return xp.where(exponent <= 1.0, near, bell_change_far(xp, x, d, half, scale, tail))
    return bell_change_near(xp, x, d, half, scale, reach)


def bell_change_near(xp: Any, x: Any, d: Any, half: float, scale: float, reach: float) -> Any:
    """The same where the exponent varies by ``reach`` <= 1 at most: the density at x times the mean of what remains."""
    if reach <= TINY:
        mean = 1.0 - d * (half * x + (half / 3.0) * d)
    else:
        mean = 0.0
        for node, weight in gauss(points_for_bell(reach)):
            t = node * d
            mean = mean + weight * xp.exp(-half * t * (2.0 * x + t))
    return (scale * density(xp, x, half)) * d * mean


def points_for_bell(reach: float) -> int:
    """Return how many points integrate exp(-s) to rounding, s of degree two in t on [0, 1] and at most ``reach`` <= 1.

    The rule of n points leaves reach^n / n! times its error for t^(2 n), n!^4 / ((2 n + 1) (2 n)!^2).
    """
    if reach <= 1e-4:
        return 3
    return 5 if reach <= 1e-2 else 10


def bell_change_far(xp: Any, x: Any, d: Any, half: float, scale: float, tail: Callable[[Any], Any]) -> Any:
    """Return the same by the smaller tails, one less the other: so far apart they do not cancel."""
    y, error = two_sum(xp, x, d)
    near_tail, far_tail = tail(xp.abs(x)), tail(xp.abs(y))
    whole = scale * math.sqrt(math.pi / half)
    same = xp.where(x > 0.0, near_tail - far_tail, far_tail - near_tail)
    across = xp.where(x > 0.0, -1.0 + 0.0 * y, 1.0 + 0.0 * y) * ((whole - near_tail) - far_tail)
    return xp.where((x > 0.0) == (y > 0.0), same, across) + error * scale * density(xp, y, half)


def erf(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> Any:
    """2 / sqrt(pi) times the integral of exp(-t^2)."""
    return bell_change(xp, values[0], changes[0], 1.0, 2.0 / math.sqrt(math.pi), special(xp, "erfc"))


def erfc(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> Any:
    """1 - erf."""
    return -erf(xp, values, changes, out, branches)


def normal_tail(xp: Any) -> Callable[[Any], Any]:
    """Return the normal distribution's tail above x."""
    erfc_of = special(xp, "erfc")
    return lambda x: 0.5 * erfc_of(SQRT_HALF * x)


def normal_change(xp: Any, x: Any, d: Any) -> Any:
    """Return the change of the normal distribution function."""
    return bell_change(xp, x, d, 0.5, 1.0 / math.sqrt(2.0 * math.pi), normal_tail(xp))


def ndtr(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> Any:
    """Return the normal distribution function."""
    return normal_change(xp, values[0], changes[0])


def log_ndtr(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> Any:
    """Return the integral of density over distribution, 2 / sqrt(2 pi) / erfcx(-t / sqrt(2))."""
    (x,), (d,) = values, changes
    scaled = special(xp, "erfcx")

    def without_square(y: Any) -> Any:
        """log of the distribution, plus y^2 / 2 where y < 0."""
        below, above = xp.clip(y, None, 0.0), xp.clip(y, 0.0, None)
        upper = xp.log1p(-normal_tail(xp)(above))
        return xp.where(y < 0.0, xp.log(0.5 * scaled(-SQRT_HALF * below)), upper)

    def far() -> Any:
        y = x + d
        square = xp.where((x < 0.0) & (y < 0.0), d * (x + y), xp.clip(y, None, 0.0) ** 2 - xp.clip(x, None, 0.0) ** 2)
        return (without_square(y) - without_square(x)) - 0.5 * square

    return integral(xp, lambda t: math.sqrt(2.0 / math.pi) / scaled(-SQRT_HALF * t), x, d, 2.0 + 0.0 * x, far)


def gelu(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> Any:
    """z Phi(z)."""
    (z,), (d,) = values, changes
    tail = normal_tail(xp)
    return gated_change(xp, z, d, tail(-z), normal_change(xp, z, d), lambda y: tail(-y))


GAUSSIAN: dict[str, Rule] = {
    "erf": Rule(erf),
    "erfc": Rule(erfc),
    "ndtr": Rule(ndtr),
    "log_ndtr": Rule(log_ndtr),
    "gelu": Rule(gelu, kernel="gelu"),
}
