"""Activations and losses of neural networks that are not ufuncs: most are pieces of the other rules."""

import math
from typing import Any

from .axes import Axes
from .base import Changes, Rule, Values, or_zero, plus, product_change, two_product, two_sum
from .branches import Branches, note
from .entropies import xlog1py, xlogy
from .exponential import exponential, gated_change, sigmoid_change, sigmoids, softplus_change, tanh
from .kernels.curves import GELU_CUBIC, SQRT_2_OVER_PI
from .namespaces import any_of
from .piecewise import absolute, at_ties, clip, rise_above_zero


def between(xp: Any, z: Any, d: Any, low: float, high: float, branches: Branches | None) -> Any:
    """Return the change of z clipped to [low, high]."""
    ends = (low + 0.0 * z, high + 0.0 * z)
    return clip(xp, (z, *ends), (d, None, None), None, branches)


def leaky_relu(
    xp: Any, values: Values, changes: Changes, out: Any, branches: Branches | None, slope: float = 0.01
) -> Any:
    """Return the part of the way above zero, and ``slope`` times the part below."""
    (z,), (d,) = values, changes
    rise = rise_above_zero(xp, z, d, branches)
    return rise + slope * (d - rise)


def prelu(xp: Any, values: Values, changes: Changes, out: Any, branches: Branches | None) -> Any:
    """Return the same with a slope that is an operand and may move."""
    (z, slope), (d, ds) = values, changes
    if d is None:
        return xp.where(z > 0.0, 0.0, z) * ds
    rise = rise_above_zero(xp, z, d, branches)
    below = xp.where(z > 0.0, 0.0, z)
    return rise + product_change(below, slope, d - rise, ds)


def exponential_below(
    xp: Any, z: Any, d: Any, height: float, rate: float, slope: float, branches: Branches | None
) -> Any:
    """slope z above zero, height expm1(rate z) below: by the parts of the way above and below."""
    smooth = height * rate == slope
    rise = rise_above_zero(xp, z, d, None if smooth else branches)
    fall = d - rise
    start = xp.clip(z, None, 0.0)
    below = exponential(xp, rate * start, rate * fall, xp.exp(rate * start))
    return slope * rise + height * below


def elu(
    xp: Any, values: Values, changes: Changes, out: Any, branches: Branches | None,
    alpha: float = 1.0, scale: float = 1.0, input_scale: float = 1.0,
) -> Any:  # fmt: skip
    """scale z above zero, scale alpha expm1(input_scale z) below."""
    return exponential_below(xp, values[0], changes[0], scale * alpha, input_scale, scale, branches)


def selu(xp: Any, values: Values, changes: Changes, out: Any, branches: Branches | None) -> Any:
    """ELU with the published constants."""
    return elu(xp, values, changes, out, branches, 1.6732632423543772, 1.0507009873554805)


def celu(
    xp: Any, values: Values, changes: Changes, out: Any, branches: Branches | None, alpha: float = 1.0
) -> Any:
    """z above zero, alpha expm1(z / alpha) below: without a kink."""
    (z,), (d,) = values, changes
    return alpha * exponential_below(xp, z / alpha, d / alpha, 1.0, 1.0, 1.0, branches)


def relu6(xp: Any, values: Values, changes: Changes, out: Any, branches: Branches | None) -> Any:
    """z clipped to [0, 6]."""
    return between(xp, values[0], changes[0], 0.0, 6.0, branches)


def hardtanh(
    xp: Any, values: Values, changes: Changes, out: Any, branches: Branches | None,
    min_val: float = -1.0, max_val: float = 1.0,
) -> Any:  # fmt: skip
    """z clipped to [min_val, max_val]."""
    return between(xp, values[0], changes[0], min_val, max_val, branches)


def hardsigmoid(xp: Any, values: Values, changes: Changes, out: Any, branches: Branches | None) -> Any:
    """z / 6 + 1 / 2 clipped to [0, 1]."""
    return between(xp, values[0], changes[0], -3.0, 3.0, branches) / 6.0


def hardswish(xp: Any, values: Values, changes: Changes, out: Any, branches: Branches | None) -> Any:
    """z hardsigmoid(z)."""
    (z,), (d,) = values, changes

    def gate(y: Any) -> Any:
        return (xp.clip(y, -3.0, 3.0) + 3.0) / 6.0

    return gated_change(xp, z, d, gate(z), hardsigmoid(xp, values, changes, None, branches), gate)


def mish(xp: Any, values: Values, changes: Changes, out: Any, branches: Branches | None) -> Any:
    """z tanh(softplus(z))."""
    (z,), (d,) = values, changes

    def inner(y: Any) -> Any:
        return xp.clip(y, 0.0, None) + xp.log1p(xp.exp(-xp.abs(y)))

    gate = xp.tanh(inner(z))
    rise = tanh(xp, (inner(z),), (softplus_change(xp, z, d),), gate, None)
    return gated_change(xp, z, d, gate, rise, lambda y: xp.tanh(inner(y)))


def gelu_tanh(xp: Any, values: Values, changes: Changes, out: Any, branches: Branches | None) -> Any:
    """z sigma(2 v), v = sqrt(2 / pi) (z + GELU_CUBIC z^3), whose own change is exact."""
    (z,), (d,) = values, changes
    near = xp.clip(z, -40.0, 40.0)  # beyond, sigma is 0 or 1, at the end of the step as well
    step = xp.where((near == z) & (abs(z + d) <= 40.0), d, xp.clip(z + d, -40.0, 40.0) - near)
    v, low = inner_cubic(xp, near)
    dv = (2.0 * SQRT_2_OVER_PI) * step * (1.0 + GELU_CUBIC * (3.0 * near * (near + step) + step * step))
    p, q = sigmoids(xp, v)
    rise = sigmoid_change(xp, v, dv) * (1.0 + low * (q - p))

    def gate_at(y: Any) -> Any:
        return sigmoids(xp, 2.0 * SQRT_2_OVER_PI * y * (1.0 + GELU_CUBIC * y * y))[0]

    return gated_change(xp, z, d, p * (1.0 + low * q), rise, gate_at)


def inner_cubic(xp: Any, z: Any) -> tuple[Any, Any]:
    """2 sqrt(2 / pi) (z + GELU_CUBIC z^3) and its rounding error, which the far tail feels."""
    cube, low = two_product(z, z)
    low = low * z
    cube, more = two_product(cube, z)
    cube, last = two_product(GELU_CUBIC, cube)
    low = GELU_CUBIC * (low + more) + last
    head, more = two_sum(xp, z, cube)
    low = low + more
    v, more = two_product(2.0 * SQRT_2_OVER_PI, head)
    return v, more + 2.0 * SQRT_2_OVER_PI * low


def softplus(
    xp: Any, values: Values, changes: Changes, out: Any, branches: Branches | None,
    beta: float = 1.0, threshold: float = math.inf,
) -> Any:  # fmt: skip
    """log(1 + exp(beta z)) / beta; z itself where beta z is above ``threshold``."""
    (z,), (d,) = values, changes
    change = softplus_change(xp, beta * z, beta * d) / beta
    if threshold == math.inf:
        return change
    begins, ends = beta * z > threshold, beta * (z + d) > threshold
    note(branches, begins != ends)
    # what the function leaves out where it is straight: log(1 + exp(beta z)) / beta - z
    before, after = (xp.log1p(xp.exp(-beta * v)) / beta for v in (z, z + d))
    switched = change + xp.where(begins, before, 0.0) - xp.where(ends, after, 0.0)
    return xp.where(begins & ends, d, switched)


def softsign(xp: Any, values: Values, changes: Changes, out: Any, branches: Branches | None) -> Any:
    """z / (1 + |z|): d / ((1 + |z|) (1 + |z + d|)) on one side of zero, the sum of both values across it."""
    (z,), (d,) = values, changes
    y = z + d
    change = d / ((1.0 + xp.abs(z)) * (1.0 + xp.abs(y)))
    across = z * y < 0.0
    return xp.where(across, y / (1.0 + xp.abs(y)) - out, change) if any_of(xp, across) else change


def tanhshrink(xp: Any, values: Values, changes: Changes, out: Any, branches: Branches | None) -> Any:
    """z - tanh(z)."""
    (z,), (d,) = values, changes
    return d - tanh(xp, (z,), (d,), xp.tanh(z), branches)


def softshrink(
    xp: Any, values: Values, changes: Changes, out: Any, branches: Branches | None, lambd: float = 0.5
) -> Any:
    """z - lambd above lambd, z + lambd below -lambd, else 0."""
    (z,), (d,) = values, changes
    return rise_above_zero(xp, z - lambd, d, branches) - rise_above_zero(xp, -z - lambd, -d, branches)


def hardshrink(
    xp: Any, values: Values, changes: Changes, out: Any, branches: Branches | None, lambd: float = 0.5
) -> Any:
    """z outside [-lambd, lambd], else 0: it jumps."""
    (z,), (d,) = values, changes
    on = (z > lambd) | (z < -lambd)
    new = beyond(xp, z, d, lambd) | beyond(xp, -z, -d, lambd)
    return switched(xp, z, d, on, new, 0.0, xp.abs(z) == lambd, branches)


def beyond(xp: Any, z: Any, d: Any, bound: float) -> Any:
    """Tell whether z + d > bound, unrounded."""
    gap, low = two_sum(xp, z, -bound + 0.0 * z)
    return (gap + d) + low > 0.0


def switched(
    xp: Any, z: Any, d: Any, on: Any, new: Any, otherwise: float, tied: Any, branches: Branches | None
) -> Any:
    """The change of a function that is z where it is on, else a constant: it jumps where ``new`` is not ``on``."""
    step = xp.where(on, d, 0.0 * d)
    differs = on != new
    if not any_of(xp, differs):
        return step
    note(branches, differs & ~tied)
    jump = xp.where(new, (z - otherwise) + d, otherwise - z)
    change = xp.where(differs & (d == d), jump, step)
    return at_ties(xp, tied & differs, d, change, d, 0.0 * d, branches)


def threshold(
    xp: Any, values: Values, changes: Changes, out: Any, branches: Branches | None,
    threshold: float = 0.0, value: float = 0.0,
) -> Any:  # fmt: skip
    """z above the threshold, else ``value``."""
    (z,), (d,) = values, changes
    if value == threshold:
        return rise_above_zero(xp, z - threshold, d, branches)
    on, new = z > threshold, beyond(xp, z, d, threshold)
    return switched(xp, z, d, on, new, value, z == threshold, branches)


def glu(
    xp: Any, values: Values, changes: Changes, out: Any, branches: Branches | None, axes: Axes = (-1,)
) -> Any:
    """a sigma(b), a and b the halves along one axis."""
    a, b = halves(xp, values[0], axes[0])
    da, db = halves(xp, changes[0], axes[0])
    return product_change(a, sigmoids(xp, b)[0], da, sigmoid_change(xp, b, db))


def halves(xp: Any, x: Any, axis: int) -> tuple[Any, Any]:
    """Return the first and second half along an axis (negative)."""
    last = xp.moveaxis(x, axis, -1)
    middle = last.shape[-1] // 2
    return xp.moveaxis(last[..., :middle], -1, axis), xp.moveaxis(last[..., middle:], -1, axis)


def huber(
    xp: Any, values: Values, changes: Changes, out: Any, branches: Branches | None, delta: float = 1.0
) -> Any:
    """r^2 / 2 for |r| <= delta, else delta (|r| - delta / 2): c (r - c / 2) with c = r clipped to [-delta, delta].

    Its change is c d + dc (r + d - c - dc / 2).  The slope has kinks, not the function.
    """
    (r,), (d,) = values, changes
    return huber_change(xp, r, d, xp.clip(r, -delta, delta), between(xp, r, d, -delta, delta, None))


def huber_change(xp: Any, r: Any, d: Any, c: Any, dc: Any) -> Any:
    """Return the change of c (r - c / 2)."""
    return c * d + dc * ((r - c) + d - 0.5 * dc)


def huber_with_threshold(
    xp: Any, values: Values, changes: Changes, out: Any, branches: Branches | None
) -> Any:
    """Return the same as SciPy has it, where the threshold is the first operand and may move."""
    (delta, r), (d_delta, d) = values, changes
    c = xp.minimum(xp.maximum(r, -delta), delta)
    ends = None if d_delta is None else -d_delta
    dc = clip(xp, (r + 0.0 * out, -delta + 0.0 * out, delta + 0.0 * out), (d, ends, d_delta), None, None)
    return huber_change(xp, r, or_zero(d), c, dc)


def pseudo_huber(
    xp: Any, values: Values, changes: Changes, out: Any, branches: Branches | None
) -> Any:
    """delta^2 (sqrt(1 + (r / delta)^2) - 1) = delta r^2 / (h + delta), h = hypot(delta, r): the way of r, then delta's.

    By r it is delta (h' - h), by delta r^2 (delta' / (h' + delta') - delta / (h + delta)), of which what is below the
    fraction line in common leaves positive terms alone.
    """
    (delta, r), (d_delta, d) = values, changes
    change = None
    h = xp.hypot(delta + 0.0 * out, r + 0.0 * out)
    if d is not None:
        new = xp.hypot(delta + 0.0 * d, r + d)
        change = delta * d * ((2.0 * r + d) / (h + new))
        r, h = r + d, new
    if d_delta is None:
        return change
    other = delta + d_delta
    new = xp.hypot(other, r + 0.0 * other)
    share = 1.0 + (delta * delta + other * other + r * r) / (h * new + delta * other)
    steep = (r / (h + new)) * (r / (new + other)) * (r / (h + delta)) * r
    return plus(change, d_delta * share * steep)


def smooth_l1(
    xp: Any, values: Values, changes: Changes, out: Any, branches: Branches | None, beta: float = 1.0
) -> Any:
    """Huber's loss over beta, its delta; |r| for beta = 0."""
    if beta == 0.0:
        return absolute(xp, values, changes, out, branches)
    return huber(xp, values, changes, out, branches, beta) / beta


def binary_cross_entropy_with_logits(
    xp: Any, values: Values, changes: Changes, out: Any, branches: Branches | None
) -> Any:
    """softplus(z) - y z: (1 - y) D(z, d) + y D(-z, -d), D softplus' change; less dy (z + d)."""
    (z, y), (d, dy) = values, changes
    change = None
    if d is not None:
        change = (1.0 - y) * softplus_change(xp, z, d) + y * softplus_change(xp, -z, -d)
    return plus(change, None if dy is None else -dy * (z + or_zero(d)))


def binary_cross_entropy(
    xp: Any, values: Values, changes: Changes, out: Any, branches: Branches | None
) -> Any:
    """-(y log p + (1 - y) log(1 - p))."""
    (p, y), (dp, dy) = values, changes
    first = xlogy(xp, (y, p), (dy, dp), None, branches)
    second = xlog1py(
        xp, (1.0 - y, -p), (None if dy is None else -dy, None if dp is None else -dp), None, branches
    )
    return -(first + second)


NEURAL: dict[str, Rule] = {
    "leaky_relu": Rule(leaky_relu, kernel="leaky_relu"),
    "prelu": Rule(prelu),
    "elu": Rule(elu, kernel="elu"),
    "selu": Rule(selu, kernel="selu"),
    "celu": Rule(celu),
    "relu6": Rule(relu6, kernel="relu6"),
    "hardtanh": Rule(hardtanh, kernel="hardtanh"),
    "hardsigmoid": Rule(hardsigmoid),
    "hardswish": Rule(hardswish),
    "mish": Rule(mish),
    "gelu_tanh": Rule(gelu_tanh, kernel="gelu_tanh"),
    "softplus": Rule(softplus, kernel="softplus"),
    "softsign": Rule(softsign),
    "tanhshrink": Rule(tanhshrink),
    "softshrink": Rule(softshrink),
    "hardshrink": Rule(hardshrink),
    "threshold": Rule(threshold),
    "glu": Rule(glu, elementwise=False),
    "huber_loss": Rule(huber),
    "huber": Rule(huber_with_threshold),
    "pseudo_huber": Rule(pseudo_huber),
    "smooth_l1": Rule(smooth_l1),
    "binary_cross_entropy_with_logits": Rule(binary_cross_entropy_with_logits),
    "binary_cross_entropy": Rule(binary_cross_entropy),
}
