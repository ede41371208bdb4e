"""Special functions: gamma, beta, and inverses of distributions."""

import math
from typing import Any

from .._errors import NoRule
from .base import Changes, Rule, Values, moved, plus, still_where_still, two_sum
from .namespaces import any_of, largest, special
from .quadrature import integral


def to_pole(xp: Any, x: Any) -> Any:
    """Return how far the nearest of the poles 0, -1, -2, ... is."""
    return xp.where(x > 0.0, x, xp.abs(x - xp.round(x)))


def gammaln(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> Any:
    """Return the integral of digamma."""
    (x,), (d,) = values, changes
    return integral(xp, special(xp, "digamma"), x, d, to_pole(xp, x), lambda: special(xp, "gammaln")(x + d) - out)


def gamma(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> Any:
    """out expm1(change of the logarithm), by subtraction where that is large."""
    (x,), (d,) = values, changes
    logarithm = special(xp, "gammaln")
    step = gammaln(xp, values, changes, logarithm(x), branches)
    near = out * xp.expm1(step)
    if largest(xp, step) <= 0.5:
        return near
    new = special(xp, "gamma")(x + d)
    return xp.where((xp.abs(step) <= 0.5) & ((new > 0.0) == (out > 0.0)), near, new - out)


def rgamma(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> Any:
    """1 / gamma(x) for positive x, likewise."""
    (x,), (d,) = values, changes
    if any_of(xp, x <= 0.0):
        raise NoRule("scipy.special.rgamma of negative numbers")
    step = gammaln(xp, values, changes, special(xp, "gammaln")(x), branches)
    near = out * xp.expm1(-step)
    if largest(xp, step) <= 0.5:
        return near
    return xp.where((xp.abs(step) <= 0.5) & (x + d > 0.0), near, special(xp, "rgamma")(x + d) - out)


def digamma(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> Any:
    """Return the integral of trigamma, for positive x: digamma(x) = digamma(x + 1) - 1 / x, whose pole stands apart."""
    (x,), (d,) = values, changes
    if any_of(xp, x <= 0.0):
        raise NoRule("digamma of negative numbers")
    zeta = special(xp, "zeta")
    two, above, function = 2.0 + 0.0 * x, x + 1.0, special(xp, "digamma")
    smooth = integral(
        xp, lambda t: zeta(two + 0.0 * t, t), above, d, above, lambda: function(above + d) - function(above)
    )
    return smooth + d / x / (x + d)


def shapes_and_x(values: Values, changes: Changes) -> tuple[Values, Any, Any]:
    """Return shapes, which stand still, and x behind them with its change."""
    (*shapes, x), (*moves, d) = values, changes
    if any(move is not None for move in moves):
        raise NoRule("a special function whose shape moves")
    return tuple(shapes), x, d


def hurwitz_zeta(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> Any:
    """Return the sum of (x + k)^-s over k >= 0, for positive x: its first term apart, of the others the integral."""
    (s,), x, d = shapes_and_x(values, changes)
    if any_of(xp, x <= 0.0):
        raise NoRule("the zeta function of negative numbers")
    zeta, above = special(xp, "zeta"), x + 1.0
    others = integral(
        xp, lambda t: -s * zeta(s + 1.0 + 0.0 * t, t), above, d, above / (1.0 + s),
        lambda: zeta(s + 0.0 * above, above + d) - zeta(s + 0.0 * above, above),
    )
    share = d / x
    return others + x**-s * xp.expm1(-s * xp.where(share < -0.5, xp.log((x + d) / x), xp.log1p(share)))


def polygamma(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> Any:
    """(-1)^(n + 1) n! zeta(n + 1, x); digamma for n = 0."""
    (n,), x, d = shapes_and_x(values, changes)
    order = n + 0.0 * x
    if not any_of(xp, order > 0.0):
        return digamma(xp, (x,), (d,), None, branches)
    size = xp.exp(special(xp, "gammaln")(order + 1.0)) * xp.where(order % 2.0 == 1.0, 1.0, -1.0)
    change = size * hurwitz_zeta(xp, (xp.where(order > 0.0, order + 1.0, 2.0), x), (None, d), None, branches)
    if not any_of(xp, order == 0.0):
        return change
    return xp.where(order > 0.0, change, digamma(xp, (x,), (d,), None, branches))


def gammainc(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> Any:
    """Return the integral of x^(a - 1) exp(-x) / gamma(a), which changes by no more than some e within the reach.

    Far off the smaller of the two shares of gamma(a) is subtracted, below x or above.
    """
    (a,), x, d = shapes_and_x(values, changes)
    below, above, a = special(xp, "gammainc"), special(xp, "gammaincc"), a + 0.0 * x
    scale = special(xp, "gammaln")(a)

    def far() -> Any:
        lower, upper = (share(a, x + d) - share(a, x) for share in (below, above))
        return xp.where(below(a, x) < 0.5, lower, -upper)

    reach = x / (1.0 + xp.abs(a - 1.0 - x) + a**0.5)
    return integral(xp, lambda t: xp.exp((a - 1.0) * xp.log(t) - t - scale), x, d, reach, far)


def gammaincc(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> Any:
    """Return minus the change of the share below."""
    return -gammainc(xp, values, changes, None, branches)


def betainc(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> Any:
    """Return the integral of x^(a - 1) (1 - x)^(b - 1) / B(a, b), for 0 < x < 1; far off, of the smaller share."""
    shapes, x, d = shapes_and_x(values, changes)
    a, b = (shape + 0.0 * x for shape in shapes)
    share, scale = special(xp, "betainc"), special(xp, "betaln")(a, b)

    def far() -> Any:
        lower, upper = share(a, b, x + d) - share(a, b, x), share(b, a, 1.0 - x - d) - share(b, a, 1.0 - x)
        return xp.where(share(a, b, x) < 0.5, lower, -upper)

    bend = xp.abs((a - 1.0) * (1.0 - x) - (b - 1.0) * x) + (a + b) ** 0.5
    return integral(xp, lambda t: xp.exp((a - 1.0) * xp.log(t) + (b - 1.0) * xp.log1p(-t) - scale), x, d,
                    x * (1.0 - x) / (1.0 + bend), far)


def betaincc(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> Any:
    """Return minus the change of the share below."""
    return -betainc(xp, values, changes, None, branches)


def betaln_change(xp: Any, a: Any, b: Any, d: Any) -> Any:
    """Return the change of log B(a, b) by a: the integral of psi(a) - psi(a + b), which is taken without cancelling.

    Over long ways it is the change of log gamma(a) less that of log gamma(a + b); beside a small b these cancel, and it
    is what b adds to log gamma before, less what it adds behind.
    """

    def slope(t: Any) -> Any:
        return -digamma(xp, (t,), (b + 0.0 * t,), None, None)

    def far() -> Any:
        beside = (b <= a) & (b <= a + d)
        near = rise_of_gammaln(xp, a, b) - rise_of_gammaln(xp, a + d, b)
        return xp.where(beside, near, rise_of_gammaln(xp, a, d) - rise_of_gammaln(xp, a + b, d))

    return integral(xp, slope, a, d, a, far)


def rise_of_gammaln(xp: Any, a: Any, b: Any) -> Any:
    """log gamma(a + b) - log gamma(a), which keeps its digits where b is small."""
    return gammaln(xp, (a,), (b,), special(xp, "gammaln")(a), None)


def betaln(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> Any:
    """log B(a, b) for positive a and b: the way of a, then that of b."""
    (a, b), (da, db) = values, changes
    if any(any_of(xp, x <= 0.0) for x in (a, b)):
        raise NoRule("the beta function of negative numbers")
    change = None if da is None else betaln_change(xp, a, b, da)
    return plus(change, None if db is None else betaln_change(xp, b, moved(a, da), db))


def by_logarithm(xp: Any, name: str, values: Values, changes: Changes, out: Any, step: Any) -> Any:
    """Return the change of a function from that of its logarithm, for positive operands.

    It is a subtraction where that is large, or an operand becomes negative.
    """
    near = out * xp.expm1(step)
    new = [moved(value, change) for value, change in zip(values, changes, strict=True)]
    far = (xp.abs(step) > 0.5) | (new[0] <= 0.0) | (new[1] <= 0.0)
    return xp.where(far, special(xp, name)(*new) - out, near) if any_of(xp, far) else near


def beta(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> Any:
    """exp(betaln)."""
    return by_logarithm(xp, "beta", values, changes, out, betaln(xp, values, changes, None, branches))


def poch(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> Any:
    """gamma(z + m) / gamma(z) for positive z and m: the way of z, then that of m."""
    (z, m), (dz, dm) = values, changes
    if any(any_of(xp, x <= 0.0) for x in (z, m)):
        raise NoRule("scipy.special.poch of negative numbers")
    step = None if dz is None else -betaln_change(xp, z, m, dz)
    step = plus(step, None if dm is None else rise_of_gammaln(xp, moved(z, dz) + m, dm))
    return by_logarithm(xp, "poch", values, changes, out, step)


def quantile_change(xp: Any, p: Any, d: Any, far: Any) -> Any:
    """Return the change of the normal distribution's quantile at p <= 1/2: the integral of sqrt(2 pi) exp(w^2 / 2)."""
    inverse = special(xp, "ndtri")
    return integral(xp, lambda t: math.sqrt(2.0 * math.pi) * xp.exp(0.5 * inverse(t) ** 2), p, d, p, far)


def ndtri(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> Any:
    """Return the normal distribution's quantile; above 1/2, minus that of the upper tail."""
    (x,), (d,) = values, changes
    inverse, upper = special(xp, "ndtri"), x > 0.5

    def far() -> Any:
        y, low = two_sum(xp, x, d)
        new = xp.where(y > 0.5, -inverse((1.0 - y) - low), inverse(y + low))
        return xp.where(upper, out - new, new - out)

    change = quantile_change(xp, xp.where(upper, 1.0 - x, x), xp.where(upper, -d, d), far)
    return xp.where(upper, -change, change)


def erfinv(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> Any:
    """-quantile((1 - x) / 2) / sqrt(2), for x >= 0: the tail keeps the digits of x near 1."""
    (x,), (d,) = values, changes
    inverse, upper = special(xp, "ndtri"), x >= 0.0

    def far() -> Any:
        y, low = two_sum(xp, x, d)
        size = -inverse(0.5 * xp.where(y > 0.0, (1.0 - y) - low, (1.0 + y) + low))
        new = xp.where(y > 0.0, size, -size)
        old = math.sqrt(2.0) * out
        return xp.where(upper, old - new, new - old)

    change = quantile_change(xp, 0.5 - 0.5 * xp.abs(x), 0.5 * xp.where(upper, -d, d), far) * math.sqrt(0.5)
    return xp.where(upper, -change, change)


def erfcinv(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> Any:
    """-quantile(x / 2) / sqrt(2)."""
    (x,), (d,) = values, changes
    return -math.sqrt(0.5) * ndtri(xp, (0.5 * x,), (0.5 * d,), -math.sqrt(2.0) * out, branches)


def scaled_erfc_slope(xp: Any, t: Any) -> Any:
    """2 t erfcx(t) - 2 / sqrt(pi); where these cancel, by Laplace's continued fraction.

    sqrt(pi) erfcx(t) = 1 / (t + r), r = (1/2) / (t + 1 / (t + (3/2) / (t + ...))), so that the slope is
    -2 / sqrt(pi) r / (t + r).
    """
    plain = 2.0 * t * special(xp, "erfcx")(t) - 2.0 / math.sqrt(math.pi)
    far = t > 3.0
    if not any_of(xp, far):
        return plain
    safe = xp.where(far, t, 3.0)
    rest = 0.0 * safe
    for k in range(60, 0, -1):
        rest = 0.5 * k / (safe + rest)
    return xp.where(far, -2.0 / math.sqrt(math.pi) * rest / (safe + rest), plain)


def erfcx(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> Any:
    """exp(x^2) erfc(x): the integral of its slope, which is taken without cancelling."""
    (x,), (d,) = values, changes
    reach = xp.where(x > 0.0, 2.0 + x, 2.0 / (1.0 + xp.abs(x)))
    return integral(
        xp, lambda t: scaled_erfc_slope(xp, t), x, d, reach, lambda: special(xp, "erfcx")(x + d) - out
    )


def logit(xp: Any, values: Values, changes: Changes, out: Any, branches: Any) -> Any:
    """log1p(d / (x (1 - x - d))) upwards, the mirror image of that downwards."""
    (x,), (d,) = values, changes
    y, low = two_sum(xp, x, d)
    up = d > 0.0
    denominator = xp.where(up, x * ((1.0 - y) - low), (1.0 - x) * (y + low))
    change = xp.log1p(xp.abs(d) / denominator)
    return still_where_still(xp, xp.where(up, change, -change), d)


SPECIAL: dict[str, Rule] = {
    "gammaln": Rule(gammaln),
    "lgamma": Rule(gammaln),
    "loggamma": Rule(gammaln),
    "gamma": Rule(gamma),
    "rgamma": Rule(rgamma),
    "digamma": Rule(digamma),
    "psi": Rule(digamma),
    "zeta": Rule(hurwitz_zeta),
    "polygamma": Rule(polygamma),
    "gammainc": Rule(gammainc),
    "gammaincc": Rule(gammaincc),
    "betainc": Rule(betainc),
    "betaincc": Rule(betaincc),
    "betaln": Rule(betaln),
    "beta": Rule(beta),
    "poch": Rule(poch),
    "erfinv": Rule(erfinv),
    "erfcinv": Rule(erfcinv),
    "ndtri": Rule(ndtri),
    "erfcx": Rule(erfcx),
    "logit": Rule(logit),
}
