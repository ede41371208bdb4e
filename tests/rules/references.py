"""What each elementwise rule's operation is, in mpmath, and where it is tried."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import mpmath as mp


@dataclass(frozen=True)
class Reference:
    """An operation in arithmetic of any precision.

    ``points`` are tuples of operands.  ``digits`` keep the tails apart from nothing.  ``scale``, of operands and
    changes, is what errors are relative to, where that is more than the variation on the way.  ``options`` are the
    rule's.  ``fixed`` are operands in front of those, which stand still.
    """

    function: Callable[..., Any]
    points: tuple[tuple[float, ...], ...]
    digits: int = 60
    scale: Callable[..., Any] | None = None
    options: dict[str, Any] = field(default_factory=dict)
    fixed: tuple[float, ...] = ()


def singles(*points: float) -> tuple[tuple[float, ...], ...]:
    return tuple((x,) for x in points)


def pairs(first: tuple[float, ...], second: tuple[float, ...]) -> tuple[tuple[float, ...], ...]:
    return tuple((a, b) for a in first for b in second)


LINE = (-40.5, -3.0, -1.0, -0.3, -1e-9, 0.0, 1e-9, 0.7, 1.0, 2.5, 17.0, 1e5)
SATURATED = (-750.0, -300.0, -39.0, -9.0, -1.5, -1e-9, 0.0, 0.4, 2.0, 18.0, 37.5, 300.0, 700.0)
POSITIVE = (0.0, 1e-200, 1e-20, 1e-3, 0.5, 1.0, 1.0 + 1e-12, 3.0, 20.0, 1e6, 1e200)
WHOLE = (-3.0, -2.5, -0.5, -1e-13, 0.0, 0.3, 0.5, 1.0, 1.5, 2.0, 7.25, 1e6)
REALS = singles(*LINE)
TWO = pairs((-17.0, -1.0, 0.0, 1e-9, 0.6, 3.0, 1e5), (-2.0, -1e-9, 0.5, 1.0, 3.0))


def nonnegative(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def inside(x: Any) -> Any:
        return function(x) if x >= 0 else mp.nan

    return inside


def positive(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def inside(x: Any) -> Any:
        return function(x) if x > 0 else mp.nan

    return inside


def within(low: float, high: float, function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def inside(x: Any) -> Any:
        return function(x) if low <= x <= high else mp.nan

    return inside


def power(x: Any, p: Any) -> Any:
    if x < 0 and p != mp.floor(p):
        return mp.nan
    if x == 0:
        return mp.mpf(1) if p == 0 else mp.mpf(0) if p > 0 else mp.inf
    return x**p


def log(x: Any) -> Any:
    return mp.log(x) if x > 0 else -mp.inf if x == 0 else mp.nan


def sigmoid(z: Any) -> Any:
    return 1 / (1 + mp.exp(-z))


def softplus(z: Any) -> Any:
    return mp.log1p(mp.exp(z))


def tangent(x: Any) -> Any:
    return mp.tan(x)


def arctan2(y: Any, x: Any) -> Any:
    return mp.atan2(y, x) if x or y else mp.mpf(0)


def trunc(x: Any) -> Any:
    return mp.floor(x) if x >= 0 else mp.ceil(x)


def rint(x: Any) -> Any:
    below = mp.floor(x)
    if x - below == mp.mpf(0.5):
        return below if below % 2 == 0 else below + 1
    return mp.floor(x + mp.mpf(0.5))


def remainder(x: Any, y: Any) -> Any:
    return x - y * mp.floor(x / y)


def fmod(x: Any, y: Any) -> Any:
    return x - y * trunc(x / y)


def truth(condition: bool) -> Any:
    return mp.mpf(int(condition))


def compared(function: Callable[[Any, Any], bool]) -> Reference:
    return Reference(lambda a, b: truth(function(a, b)), pairs((-1.0, 0.0, 1e-9, 1.0, 1e9), (-1.0, 0.0, 1.0, 1e9)))


def combined(function: Callable[..., bool], operands: int) -> Reference:
    points = singles(0.0, 1.0) if operands == 1 else pairs((0.0, 1.0), (0.0, 1.0))
    return Reference(lambda *x: truth(function(*(v != 0 for v in x))), points)


NORMAL = (-37.0, -26.0, -9.0, -3.3, -1.0, -1e-9, 0.0, 0.4, 1.0, 2.5, 8.0, 20.0)
GAMMA = (1e-9, 0.1, 1.0, 1.4616321449683623, 2.0, 7.3, 50.0, 1e6)
BESSEL = (-30.0, -1.0, -1e-9, 0.0, 0.3, 2.404825557695773, 20.0)
AIRY = (-20.0, -2.338107410459767, -1.0, -1e-9, 0.0, 0.7, 9.0)
OF_POSITIVE = (1e-9, 0.3, 2.404825557695773, 20.0)


def inverse_erf(x: Any) -> Any:
    return mp.erfinv(x)


def normal_quantile(p: Any) -> Any:
    return mp.sqrt(2) * mp.erfinv(2 * p - 1)


def log_gamma(x: Any) -> Any:
    if x <= 0 and x == mp.floor(x):
        return mp.nan
    return mp.re(mp.loggamma(x))


def log_normal(x: Any) -> Any:
    return mp.log1p(-mp.ncdf(-x)) if x > 0 else mp.log(mp.ncdf(x))


def of_order_one(values: Any, changes: Any) -> Any:
    """Where a slope's zero lies between terms of order one."""
    return abs(changes[0])


def bessel(function: Callable[..., Any], order: float, scaled: float = 0.0) -> Callable[[Any], Any]:
    """A Bessel function, times exp(scaled |x|)."""
    return lambda x: function(order, x) * mp.exp(scaled * abs(x))


def relative_exponential(x: Any) -> Any:
    return mp.expm1(x) / x if x else mp.mpf(1)


def box_cox(x: Any, rate: Any) -> Any:
    if x < 0 or (x == 0 and rate <= 0):
        return mp.nan
    return (x**rate - 1) / rate if rate else mp.log(x)


def inverse_box_cox(y: Any, rate: Any) -> Any:
    if not rate:
        return mp.exp(y)
    base = 1 + rate * y
    return mp.exp(mp.log1p(rate * y) / rate) if base > 0 else mp.nan


def power_less_one(x: Any, p: Any) -> Any:
    return power(x, p) - 1


def huber_of(delta: Any, r: Any) -> Any:
    if delta < 0:
        return mp.nan
    return r * r / 2 if abs(r) <= delta else delta * (abs(r) - delta / 2)


def huber_of_terms(values: Any, changes: Any) -> Any:
    (delta, r), (d_delta, d) = values, changes
    return min(abs(r), delta) * abs(d) + d * d + abs(d_delta) * (abs(r) + abs(d) + abs(d_delta))


def pseudo_huber(delta: Any, r: Any) -> Any:
    return delta * r * r / (mp.sqrt(delta * delta + r * r) + delta) if delta > 0 else mp.nan


def pseudo_huber_terms(values: Any, changes: Any) -> Any:
    (delta, r), (_, d) = values, changes
    return delta * abs(d) * (2 * abs(r) + abs(d)) / mp.sqrt(delta * delta + r * r)


def log_beta(a: Any, b: Any) -> Any:
    if a <= 0 or b <= 0:
        return mp.nan
    return mp.loggamma(a) + mp.loggamma(b) - mp.loggamma(a + b)


def of_order_one_at_peak(values: Any, changes: Any) -> Any:
    """Where a slope's zero lies between terms of order one, and far out in the reciprocal's."""
    return abs(changes[0]) / (1 + values[0] ** 2)


def by_size(values: Any, changes: Any) -> Any:
    """Where the slope is an oscillation times x."""
    return abs(changes[0]) * (1 + abs(values[0]))


def by_share(values: Any, changes: Any) -> Any:
    """Where the slope is an oscillation over x."""
    return abs(changes[0]) / (1 + abs(values[0]))


def entropy(x: Any) -> Any:
    return -x * mp.log(x) if x > 0 else mp.mpf(0) if x == 0 else mp.nan


def relative_entropy(x: Any, y: Any) -> Any:
    if x < 0 or y <= 0:
        return mp.nan
    return x * mp.log(x / y) if x > 0 else mp.mpf(0)


def gelu_gate(z: Any) -> Any:
    return sigmoid(2 * mp.mpf(0.7978845608028654) * (z + mp.mpf(0.044715) * z**3))


def mish_gate(z: Any) -> Any:
    return mp.tanh(softplus(z))


def hard_gate(z: Any) -> Any:
    return min(max(z + 3, mp.mpf(0)), mp.mpf(6)) / 6


def gate_terms(gate: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
    """The two terms of the change of z gate(z), which differ in sign left of its minimum."""

    def terms(values: Any, changes: Any) -> Any:
        (z,), (d,) = values, changes
        return abs(z * (gate(z + d) - gate(z))) + abs(d * gate(z + d))

    return terms


def elu(alpha: float, scale: float, rate: float) -> Callable[[Any], Any]:
    return lambda z: mp.mpf(scale) * (z if z > 0 else mp.mpf(alpha) * mp.expm1(mp.mpf(rate) * z))


def huber(r: Any) -> Any:
    return r * r / 2 if abs(r) <= 1 else abs(r) - mp.mpf(0.5)


def huber_terms(values: Any, changes: Any) -> Any:
    (r,), (d,) = values, changes
    return min(abs(r), 1) * abs(d) + d * d


def logit_terms(values: Any, changes: Any) -> Any:
    (z, y), (d, dy) = values, changes
    parts = (1 - y) * (softplus(z + d) - softplus(z)), y * (softplus(-z - d) - softplus(-z))
    return sum(map(abs, parts)) + abs(dy * (z + d))


def probability_terms(values: Any, changes: Any) -> Any:
    (p, y), (d, dy) = values, changes
    parts = (
        dy * log(p), (y + dy) * (log(p + d) - log(p)), dy * log(1 - p), (1 - y - dy) * (log(1 - p - d) - log(1 - p))
    )  # fmt: skip
    return sum(map(abs, parts))


REFERENCES: dict[str, Reference] = {
    "add": Reference(lambda a, b: a + b, TWO),
    "subtract": Reference(lambda a, b: a - b, TWO),
    "multiply": Reference(lambda a, b: a * b, TWO),
    "divide": Reference(lambda a, b: a / b if b else mp.nan, TWO),
    "negative": Reference(lambda x: -x, REALS),
    "positive": Reference(lambda x: x, REALS),
    "conjugate": Reference(lambda x: x, REALS),
    "degrees": Reference(mp.degrees, REALS),
    "rad2deg": Reference(mp.degrees, REALS),
    "radians": Reference(mp.radians, REALS),
    "deg2rad": Reference(mp.radians, REALS),
    "square": Reference(lambda x: x * x, REALS),
    "reciprocal": Reference(lambda x: 1 / x if x else mp.nan, REALS),
    "sqrt": Reference(nonnegative(mp.sqrt), singles(*POSITIVE), 500),
    "rsqrt": Reference(lambda x: 1 / mp.sqrt(x) if x > 0 else mp.nan, singles(*POSITIVE), 500),
    "cbrt": Reference(lambda x: mp.sign(x) * mp.cbrt(abs(x)), REALS),
    "power": Reference(
        power, pairs((-3.0, 0.0, 1e-9, 0.5, 1.0, 2.0, 300.0), (-2.0, -0.5, 0.0, 0.3, 1.0, 1.5, 2.0, 3.0, 7.0, 30.0)), 60
    ),
    "float_power": Reference(power, pairs((-1.0, -3.8, 0.7), (3.0, 4.0, 0.01, 25.0))),
    "exp": Reference(mp.exp, singles(*SATURATED), 400),
    "exp2": Reference(lambda x: mp.mpf(2) ** x, singles(*SATURATED), 400),
    "exp10": Reference(lambda x: mp.mpf(10) ** x, singles(*(x / 3 for x in SATURATED)), 400),
    "expm1": Reference(mp.expm1, singles(*SATURATED), 400),
    "log": Reference(log, singles(*POSITIVE), 500),
    "log2": Reference(lambda x: log(x) / mp.log(2), singles(*POSITIVE), 500),
    "log10": Reference(lambda x: log(x) / mp.log(10), singles(*POSITIVE), 500),
    "log1p": Reference(lambda x: log(1 + x), singles(-1.0, -1.0 + 1e-12, -0.5, -1e-9, 0.0, 0.3, 7.0, 1e9), 80),
    "expit": Reference(sigmoid, singles(*SATURATED), 400),
    "sigmoid": Reference(sigmoid, singles(*SATURATED), 400),
    "tanh": Reference(mp.tanh, singles(*(x / 2 for x in SATURATED), 15.0, -18.0), 400),
    "log_expit": Reference(lambda z: -softplus(-z), singles(*SATURATED), 400),
    "silu": Reference(lambda z: z * sigmoid(z), singles(*SATURATED, -1.2784645427610738), 400, gate_terms(sigmoid)),
    "sinh": Reference(mp.sinh, singles(*SATURATED[1:-1]), 300),
    "cosh": Reference(mp.cosh, singles(*SATURATED[1:-1]), 300),
    "arcsinh": Reference(mp.asinh, singles(*LINE, 1e100, -1e50), 150),
    "arccosh": Reference(within(1.0, math.inf, mp.acosh), singles(1.0, 1.0 + 1e-12, 1.5, 7.0, 1e9), 80),
    "arctanh": Reference(within(-1.0, 1.0, mp.atanh), singles(-1 + 1e-12, -0.7, -1e-9, 0.0, 0.5, 0.999), 80),
    "logaddexp": Reference(
        lambda a, b: mp.log(mp.exp(a) + mp.exp(b)), pairs((-300.0, -1.0, 0.0, 2.0, 39.0), (-5.0, 0.0, 1.5, 300.0)), 400
    ),
    "logaddexp2": Reference(
        lambda a, b: mp.log(mp.mpf(2) ** a + mp.mpf(2) ** b) / mp.log(2), pairs((-300.0, 0.0, 2.0), (-5.0, 1.5)), 400
    ),
    "sin": Reference(mp.sin, singles(*LINE, math.pi, math.pi / 2)),
    "cos": Reference(mp.cos, singles(*LINE, math.pi, math.pi / 2)),
    "cosm1": Reference(lambda x: mp.cos(x) - 1, singles(*LINE, math.pi, math.pi / 2)),
    "tan": Reference(mp.tan, singles(*LINE, math.pi, 1.5707, math.pi / 2)),
    "arcsin": Reference(within(-1.0, 1.0, mp.asin), singles(-1.0, -0.999999, -0.3, 0.0, 1e-9, 0.5, 0.9, 1.0)),
    "arccos": Reference(within(-1.0, 1.0, mp.acos), singles(-1.0, -0.999999, -0.3, 0.0, 1e-9, 0.5, 0.9, 1.0)),
    "arctan": Reference(mp.atan, singles(*LINE, 1e50), 150),
    "arctan2": Reference(arctan2, pairs((-1.0, -1e-9, 0.0, 1e-7, 3.0), (-2.0, -1e-9, 0.0, 1.0))),
    "hypot": Reference(mp.hypot, pairs((-1.0, 0.0, 1e-9, 3.0, 1e8), (-2.0, 0.0, 1.0))),
    "relu": Reference(lambda z: max(z, mp.mpf(0)), REALS),
    "absolute": Reference(abs, REALS),
    "fabs": Reference(abs, REALS),
    "maximum": Reference(max, (*TWO, (0.5, 0.5), (-1.0, -1.0))),
    "minimum": Reference(min, (*TWO, (0.5, 0.5), (-1.0, -1.0))),
    "fmax": Reference(max, (*TWO, (0.5, 0.5), (-1.0, -1.0))),
    "fmin": Reference(min, (*TWO, (0.5, 0.5), (-1.0, -1.0))),
    "clip": Reference(
        lambda x, low, high: min(max(x, low), high),
        tuple((x, *ends) for x in (-3.0, -1.0, 0.2, 2.0, 9.0) for ends in ((-1.0, 2.0), (0.0, 0.5))),
    ),
    "where": Reference(
        lambda c, a, b: a if c else b, tuple((c, a, b) for c in (0.0, 1.0) for a, b in ((1.0, -2.0), (1e5, 1e-9)))
    ),
    "copysign": Reference(lambda x, y: abs(x) * (1 if y >= 0 else -1), TWO),
    "greater": compared(lambda a, b: a > b),
    "greater_equal": compared(lambda a, b: a >= b),
    "less": compared(lambda a, b: a < b),
    "less_equal": compared(lambda a, b: a <= b),
    "equal": compared(lambda a, b: a == b),
    "not_equal": compared(lambda a, b: a != b),
    "logical_and": combined(lambda a, b: a and b, 2),
    "logical_or": combined(lambda a, b: a or b, 2),
    "logical_xor": combined(lambda a, b: a != b, 2),
    "logical_not": combined(lambda a: not a, 1),
    "bitwise_and": combined(lambda a, b: a and b, 2),
    "bitwise_or": combined(lambda a, b: a or b, 2),
    "bitwise_xor": combined(lambda a, b: a != b, 2),
    "invert": combined(lambda a: not a, 1),
    "isfinite": Reference(lambda x: truth(True), REALS),
    "isnan": Reference(lambda x: truth(False), REALS),
    "isinf": Reference(lambda x: truth(False), REALS),
    "signbit": Reference(lambda x: truth(x < 0), REALS),
    "sign": Reference(mp.sign, REALS),
    "floor": Reference(mp.floor, singles(*WHOLE)),
    "ceil": Reference(mp.ceil, singles(*WHOLE)),
    "trunc": Reference(trunc, singles(*WHOLE)),
    "rint": Reference(rint, singles(*WHOLE)),
    "heaviside": Reference(lambda x, h: h if x == 0 else truth(x > 0), pairs((-1.0, 0.0, 1e-9, 2.0), (0.0, 0.5))),
    "floor_divide": Reference(lambda x, y: mp.floor(x / y), pairs((-7.0, -6.0, 0.0, 1.3, 6.0), (-1.5, 2.0, 3.0))),
    "remainder": Reference(remainder, pairs((-7.0, -6.0, 0.0, 1.3, 6.0), (-1.5, 2.0, 3.0))),
    "fmod": Reference(fmod, pairs((-7.0, -6.0, 0.0, 1.3, 6.0), (-1.5, 2.0, 3.0))),
    "erf": Reference(mp.erf, singles(*NORMAL[2:-1]), 160),
    "erfc": Reference(mp.erfc, singles(*(-x for x in NORMAL[:-1])), 160),
    "ndtr": Reference(mp.ncdf, singles(*NORMAL[:-1]), 160),
    "log_ndtr": Reference(log_normal, singles(-60.0, *NORMAL, 30.0), 80),
    "erfcx": Reference(lambda x: mp.exp(x * x) * mp.erfc(x), singles(*NORMAL[1:], 1e3), 80),
    "erfinv": Reference(within(-1.0, 1.0, inverse_erf), singles(-1 + 1e-9, -0.7, -1e-9, 0.0, 0.3, 0.97), 40),
    "erfcinv": Reference(within(0.0, 2.0, lambda x: mp.erfinv(1 - x)), singles(1e-12, 1e-3, 0.3, 1.0, 1.97), 40),
    "ndtri": Reference(within(0.0, 1.0, normal_quantile), singles(1e-12, 1e-3, 0.3, 0.5, 0.97), 40),
    "gammaln": Reference(positive(log_gamma), singles(*GAMMA), 60, of_order_one),
    "gammaln:negative": Reference(within(-2.0, -1e-3, log_gamma), singles(-0.3, -1.7), 60, of_order_one),
    "lgamma": Reference(positive(log_gamma), singles(*GAMMA), 60, of_order_one),
    "gamma": Reference(positive(mp.gamma), singles(*GAMMA[:-1]), 60, of_order_one),
    "rgamma": Reference(positive(mp.rgamma), singles(*GAMMA[:-1]), 60, of_order_one),
    "digamma": Reference(positive(mp.digamma), singles(*GAMMA), 60),
    "psi": Reference(positive(mp.digamma), singles(*GAMMA), 60),
    "zeta": Reference(positive(lambda x: mp.zeta(2, x)), singles(*GAMMA), 60, fixed=(2.0,)),
    "zeta:4.5": Reference(positive(lambda x: mp.zeta(4.5, x)), singles(*GAMMA[1:]), 60, fixed=(4.5,)),
    "loggamma": Reference(positive(log_gamma), singles(*GAMMA), 60, of_order_one),
    "polygamma": Reference(positive(lambda x: mp.polygamma(1, x)), singles(*GAMMA), 60, fixed=(1.0,)),
    "polygamma:0": Reference(positive(mp.digamma), singles(*GAMMA), 60, fixed=(0.0,)),
    "polygamma:4": Reference(positive(lambda x: mp.polygamma(4, x)), singles(*GAMMA[1:]), 60, fixed=(4.0,)),
    "betaln": Reference(log_beta, pairs((1e-9, 0.3, 1.0, 20.0, 1e6), (1e-3, 0.5, 2.0, 70.0)), 60),
    "beta": Reference(
        lambda a, b: mp.exp(log_beta(a, b)), pairs((1e-9, 0.3, 1.0, 20.0), (1e-3, 0.5, 2.0, 70.0)), 60),
    "poch": Reference(lambda z, m: mp.rf(z, m) if z > 0 and m > 0 else mp.nan,
                      pairs((1e-9, 0.3, 1.0, 20.0, 70.0), (0.5, 2.0, 30.0)), 60),
    "gammainc": Reference(positive(lambda x: mp.gammainc(2.5, 0, x, regularized=True)),
                          singles(1e-9, 0.1, 1.0, 7.3, 30.0), 60, fixed=(2.5,)),
    "gammaincc": Reference(positive(lambda x: mp.gammainc(0.5, x, mp.inf, regularized=True)),
                           singles(1e-9, 0.1, 1.0, 7.3, 30.0), 60, fixed=(0.5,)),
    "j0": Reference(bessel(mp.besselj, 0), singles(*BESSEL), 60, of_order_one),
    "j1": Reference(bessel(mp.besselj, 1), singles(*BESSEL, 3.8317059702075123), 60, of_order_one),
    "jv": Reference(bessel(mp.besselj, 2), singles(*BESSEL), 60, of_order_one, fixed=(2.0,)),
    "jv:0": Reference(bessel(mp.besselj, 0), singles(*BESSEL), 60, of_order_one, fixed=(0.0,)),
    "jv:9": Reference(bessel(mp.besselj, 9), singles(*BESSEL), 60, of_order_one, fixed=(9.0,)),
    "jv:0.5": Reference(positive(bessel(mp.besselj, 0.5)), singles(*OF_POSITIVE), 60, of_order_one, fixed=(0.5,)),
    "y0": Reference(positive(bessel(mp.bessely, 0)), singles(*OF_POSITIVE), 60, of_order_one),
    "y1": Reference(positive(bessel(mp.bessely, 1)), singles(*OF_POSITIVE), 60, of_order_one),
    "yn": Reference(positive(bessel(mp.bessely, 3)), singles(*OF_POSITIVE), 60, of_order_one, fixed=(3.0,)),
    "yv": Reference(positive(bessel(mp.bessely, 1.5)), singles(*OF_POSITIVE), 60, of_order_one, fixed=(1.5,)),
    "i0": Reference(bessel(mp.besseli, 0), singles(*BESSEL), 60),
    "i1": Reference(bessel(mp.besseli, 1), singles(*BESSEL), 60),
    "iv": Reference(bessel(mp.besseli, 2), singles(*BESSEL), 60, fixed=(2.0,)),
    "iv:0.5": Reference(positive(bessel(mp.besseli, 0.5)), singles(*OF_POSITIVE), 60, fixed=(0.5,)),
    "i0e": Reference(bessel(mp.besseli, 0, -1.0), singles(*BESSEL, 1e4), 60),
    "i1e": Reference(bessel(mp.besseli, 1, -1.0), singles(*BESSEL, 1e4), 60),
    "ive": Reference(bessel(mp.besseli, 2, -1.0), singles(*BESSEL, 1e4), 60, fixed=(2.0,)),
    "ive:3": Reference(bessel(mp.besseli, 3, -1.0), singles(*BESSEL, 1e4), 60, fixed=(3.0,)),
    "ive:1.5": Reference(positive(bessel(mp.besseli, 1.5, -1.0)), singles(*OF_POSITIVE), 60, fixed=(1.5,)),
    "k0": Reference(positive(bessel(mp.besselk, 0)), singles(1e-9, 0.7, 90.0), 50),
    "k1": Reference(positive(bessel(mp.besselk, 1)), singles(1e-9, 0.7, 90.0), 50),
    "kn": Reference(positive(bessel(mp.besselk, 3)), singles(*OF_POSITIVE), 60, fixed=(3.0,)),
    "kv": Reference(positive(bessel(mp.besselk, 1.5)), singles(*OF_POSITIVE), 60, fixed=(1.5,)),
    "k0e": Reference(positive(bessel(mp.besselk, 0, 1.0)), singles(1e-9, 0.7, 20.0, 1e4), 50),
    "k1e": Reference(positive(bessel(mp.besselk, 1, 1.0)), singles(1e-9, 0.7, 20.0, 1e4), 50),
    "kve": Reference(positive(bessel(mp.besselk, 2.5, 1.0)), singles(*OF_POSITIVE, 1e4), 60, fixed=(2.5,)),
    "struve": Reference(bessel(mp.struveh, 1), singles(*BESSEL), 60, of_order_one, fixed=(1.0,)),
    "struve:0": Reference(bessel(mp.struveh, 0), singles(*BESSEL), 60, of_order_one, fixed=(0.0,)),
    "modstruve": Reference(bessel(mp.struvel, 1), singles(*BESSEL), 60, of_order_one, fixed=(1.0,)),
    "exp1": Reference(positive(mp.e1), singles(1e-9, 0.1, 1.0, 7.3, 40.0), 60),
    "expn": Reference(positive(lambda x: mp.expint(2, x)), singles(1e-9, 0.1, 1.0, 7.3, 40.0), 60, fixed=(2,)),
    "expn:0": Reference(positive(lambda x: mp.expint(0, x)), singles(1e-9, 0.1, 1.0, 7.3, 40.0), 60, fixed=(0,)),
    "expn:5": Reference(positive(lambda x: mp.expint(5, x)), singles(1e-9, 0.1, 1.0, 7.3, 40.0), 60, fixed=(5,)),
    "expi": Reference(positive(mp.ei), singles(1e-9, 0.1, 0.3725074107813666, 7.3, 40.0), 60),
    "dawsn": Reference(lambda x: mp.sqrt(mp.pi) / 2 * mp.exp(-x * x) * mp.erfi(x),
                       singles(-30.0, -6.0, -1e-9, 0.0, 0.3, 0.9241388730045916, 8.0, 1e3), 60, of_order_one_at_peak),
    "erfi": Reference(mp.erfi, singles(-3.0, -1e-9, 0.0, 0.3, 5.0), 60),
    "spence": Reference(lambda x: mp.re(mp.polylog(2, 1 - x)) if x >= 0 else mp.nan,
                        singles(1e-9, 0.1, 0.6, 1.0, 7.3, 40.0), 60),
    "airy_ai": Reference(mp.airyai, singles(*AIRY), 60, of_order_one),
    "airy_ai_slope": Reference(lambda x: mp.airyai(x, derivative=1), singles(*AIRY), 60, by_size),
    "airy_bi": Reference(mp.airybi, singles(*AIRY), 60, of_order_one),
    "airy_bi_slope": Reference(lambda x: mp.airybi(x, derivative=1), singles(*AIRY), 60, by_size),
    "sine_integral": Reference(mp.si, singles(-30.0, -1e-9, 0.0, 0.3, math.pi, 20.0), 60, by_share),
    "cosine_integral": Reference(positive(mp.ci), singles(1e-9, 0.3, math.pi / 2, 20.0), 60, by_share),
    "hyperbolic_sine_integral": Reference(mp.shi, singles(-30.0, -1e-9, 0.0, 0.3, 20.0), 60),
    "hyperbolic_cosine_integral": Reference(positive(mp.chi), singles(1e-9, 0.3, 20.0), 60),
    "fresnel_sine": Reference(mp.fresnels, singles(-4.0, -1e-9, 0.0, 0.3, math.sqrt(2.0), 5.0), 60, of_order_one),
    "fresnel_cosine": Reference(mp.fresnelc, singles(-4.0, -1e-9, 0.0, 0.3, 1.0, 5.0), 60, of_order_one),
    "exprel": Reference(relative_exponential, singles(-1e5, -39.0, -1.5, -1e-9, 0.0, 0.4, 2.0, 37.5, 300.0), 80),
    "boxcox": Reference(box_cox, pairs((0.0, 1e-9, 0.5, 1.0, 20.0), (-1.5, -1e-9, 0.0, 1e-3, 0.5, 2.0)), 120),
    "boxcox1p": Reference(lambda x, rate: box_cox(1 + x, rate) if x > -1 else mp.nan,
                          pairs((-0.9, -1e-9, 0.0, 0.5, 20.0), (-1.5, -1e-9, 0.0, 1e-3, 0.5, 2.0)), 120),
    "inv_boxcox": Reference(inverse_box_cox, pairs((-0.4, -1e-9, 0.0, 0.5, 20.0), (-0.02, 0.0, 1e-3, 0.5, 2.0)), 120),
    "inv_boxcox1p": Reference(
        lambda y, rate: inverse_box_cox(y, rate) - 1, pairs((-0.4, -1e-9, 0.0, 20.0), (-0.02, 0.0, 1e-3, 2.0)), 120),
    "powm1": Reference(power_less_one, pairs((1e-9, 0.5, 1.0, 20.0), (-2.0, -0.5, 0.0, 0.3, 2.0, 7.0)), 120),
    "betainc": Reference(within(0.0, 1.0, lambda x: mp.betainc(2.5, 0.5, 0, x, regularized=True)),
                         singles(1e-9, 0.1, 0.5, 0.97), 60, fixed=(2.5, 0.5)),
    "betaincc": Reference(within(0.0, 1.0, lambda x: 1 - mp.betainc(0.5, 2.5, 0, x, regularized=True)),
                          singles(1e-9, 0.1, 0.5, 0.97), 60, fixed=(0.5, 2.5)),
    "logit": Reference(within(0.0, 1.0, lambda x: log(x) - log(1 - x)), singles(1e-12, 1e-3, 0.3, 0.5, 0.97, 1 - 1e-9)),
    "xlogy": Reference(
        lambda x, y: x * log(y) if x else mp.mpf(0), pairs((0.0, -1.0, 2.0, 1e5), (1e-20, 0.5, 1.0, 3.0)), 100
    ),
    "xlog1py": Reference(
        lambda x, y: x * log(1 + y) if x else mp.mpf(0), pairs((0.0, -1.0, 2.0, 1e5), (1e-20, -0.5, 0.0, 3.0)), 100
    ),
    "entr": Reference(entropy, singles(*POSITIVE[:-1]), 200),
    "rel_entr": Reference(relative_entropy, pairs((0.0, 1e-9, 0.5, 3.0), (1e-9, 0.5, 1.0, 20.0)), 100),
    "kl_div": Reference(
        lambda x, y: relative_entropy(x, y) - x + y, pairs((0.0, 1e-9, 0.5, 3.0), (1e-9, 0.5, 1.0, 20.0)), 100,
        lambda values, changes: sum(map(abs, changes)),
    ),
    "gelu": Reference(lambda z: z * mp.ncdf(z), singles(*NORMAL[:-1], -0.7517915), 80, gate_terms(mp.ncdf)),
    "gelu_tanh": Reference(
        lambda z: z * gelu_gate(z), singles(*NORMAL[1:], -15.0, -0.7524614, 60.0, -60.0, 1e3, -1e3), 80,
        gate_terms(gelu_gate)
    ),
    "mish": Reference(lambda z: z * mish_gate(z), singles(*SATURATED, -1.1924312), 400, gate_terms(mish_gate)),
    "leaky_relu": Reference(lambda z: z if z > 0 else mp.mpf(0.01) * z, REALS),
    "leaky_relu:slope": Reference(lambda z: z if z > 0 else z / 4, REALS, options={"slope": 0.25}),
    "prelu": Reference(lambda z, slope: z if z > 0 else slope * z, TWO),
    "elu": Reference(elu(1.0, 1.0, 1.0), singles(*SATURATED), 400),
    "elu:options": Reference(
        elu(0.5, 2.0, 3.0), singles(*SATURATED[1:]), 400, options={"alpha": 0.5, "scale": 2.0, "input_scale": 3.0}
    ),
    "selu": Reference(elu(1.6732632423543772, 1.0507009873554805, 1.0), singles(*SATURATED), 400),
    "celu": Reference(elu(1.0, 1.0, 1.0), singles(*SATURATED), 400),
    "celu:alpha": Reference(elu(2.0, 1.0, 0.5), singles(*SATURATED), 400, options={"alpha": 2.0}),
    "relu6": Reference(lambda z: min(max(z, mp.mpf(0)), mp.mpf(6)), singles(*LINE, 6.0, 5.95)),
    "hardtanh": Reference(lambda z: min(max(z, mp.mpf(-1)), mp.mpf(1)), REALS),
    "hardtanh:options": Reference(
        lambda z: min(max(z, mp.mpf(-3)), mp.mpf(0.5)), REALS, options={"min_val": -3.0, "max_val": 0.5}
    ),
    "hardsigmoid": Reference(hard_gate, singles(*LINE, 3.0, 2.95)),
    "hardswish": Reference(lambda z: z * hard_gate(z), singles(*LINE, 3.0, 2.95), 60, gate_terms(hard_gate)),
    "softplus": Reference(softplus, singles(*SATURATED), 400),
    "softplus:beta": Reference(lambda z: softplus(2 * z) / 2, singles(*SATURATED), 800, options={"beta": 2.0}),
    "softsign": Reference(lambda z: z / (1 + abs(z)), REALS),
    "tanhshrink": Reference(
        lambda z: z - mp.tanh(z), REALS, 60,
        lambda values, changes: abs(changes[0]) + abs(mp.tanh(values[0] + changes[0]) - mp.tanh(values[0])),
    ),
    "softshrink": Reference(lambda z: mp.sign(z) * max(abs(z) - mp.mpf(0.5), mp.mpf(0)), singles(*LINE, 0.5, -0.5)),
    "hardshrink": Reference(lambda z: z if abs(z) > mp.mpf(0.5) else mp.mpf(0), singles(*LINE, 0.5, -0.5, 0.55)),
    "threshold": Reference(
        lambda z: z if z > mp.mpf(0.7) else mp.mpf(3), REALS, options={"threshold": 0.7, "value": 3.0}
    ),
    "huber_loss": Reference(huber, singles(*LINE, -0.95, 1.05), 60, huber_terms),
    "huber": Reference(
        huber_of, pairs((0.0, 0.5, 1.0, 3.0), (-20.0, -1.0, -1e-9, 0.0, 0.95, 2.5, 1e5)), 60, huber_of_terms),
    "pseudo_huber": Reference(
        pseudo_huber, pairs((1e-9, 0.5, 1.0, 30.0), (-20.0, -1.0, -1e-9, 0.0, 0.95, 1e5)), 60, pseudo_huber_terms),
    "smooth_l1": Reference(
        lambda r: huber(2 * r) / 2, singles(*LINE, 0.5, 0.45), 60, huber_terms, options={"beta": 0.5}
    ),
    "smooth_l1:absolute": Reference(abs, REALS, options={"beta": 0.0}),
    "binary_cross_entropy_with_logits": Reference(
        lambda z, y: softplus(z) - y * z, pairs(SATURATED[2:-2], (0.0, 0.3, 1.0)), 100, logit_terms
    ),
    "binary_cross_entropy": Reference(
        lambda p, y: -(y * log(p) + (1 - y) * log(1 - p)) if 0 < p < 1 else mp.nan,
        pairs((1e-9, 0.2, 0.5, 0.97), (0.0, 0.3, 1.0)), 60, probability_terms,
    ),
}  # fmt: skip
# what booleans say has operands that are 0 or 1 and change by -1, 0 or 1
BOOLEAN = (
    *("logical_and", "logical_or", "logical_xor", "logical_not"),
    *("bitwise_and", "bitwise_or", "bitwise_xor", "invert"),
)
