"""Reductions over axes: products, variances, norms, logic.

All take ``axes``, a tuple of negative integers, and ``keepdims``.
"""

import math
from typing import Any

from .arithmetic import power
from .axes import Axes, centred, count_along, flattened, inserted, restored, without
from .base import Changes, Rule, Values, still_where_still
from .branches import Branches, jump
from .extremes import maximum_of, minimum_of
from .namespaces import any_of, as_float
from .piecewise import absolute, at_ties


def product(
    xp: Any, values: Values, changes: Changes, out: Any, branches: Branches | None, axes: Axes, keepdims: bool = False
) -> Any:
    """sum_k (new factors before k) d_k (old factors after k): right where factors are zero, too."""
    x, d = flattened(xp, values[0], axes), flattened(xp, changes[0], axes)
    y = x + d
    before = xp.concatenate((xp.ones_like(y[..., :1]), xp.cumprod(y, -1)[..., :-1]), axis=-1)
    after = xp.flip(xp.cumprod(xp.flip(x, (-1,)), -1), (-1,))
    after = xp.concatenate((after[..., 1:], xp.ones_like(x[..., :1])), axis=-1)
    return restored(xp.sum(before * d * after, axis=-1), axes, keepdims)


def running_product(
    xp: Any, values: Values, changes: Changes, out: Any, branches: Branches | None, axes: Axes
) -> Any:
    """Return the product rule from factor to factor, along one axis."""
    x, d = xp.moveaxis(values[0], axes[0], -1), xp.moveaxis(changes[0], axes[0], -1)
    before = xp.moveaxis(out, axes[0], -1)
    change = d[..., 0]
    all_changes = [inserted(change)]
    for k in range(1, x.shape[-1]):
        change = change * (x[..., k] + d[..., k]) + before[..., k - 1] * d[..., k]
        all_changes.append(inserted(change))
    return xp.moveaxis(xp.concatenate(all_changes, axis=-1), -1, axes[0])


def variance(
    xp: Any, values: Values, changes: Changes, out: Any, branches: Branches | None,
    axes: Axes, keepdims: bool = False, ddof: float = 0,
) -> Any:  # fmt: skip
    """sum dc (2 c + dc) with both centred, over the number of elements less ``ddof``.

    What rounding the mean adds to all c alike drops out, for the dc add up to zero.
    """
    c, dc = centred(xp, values[0], axes), centred(xp, changes[0], axes)
    return xp.sum(dc * (2.0 * c + dc), axis=axes, keepdims=keepdims) / (count_along(values[0], axes) - ddof)


def deviation(
    xp: Any, values: Values, changes: Changes, out: Any, branches: Branches | None,
    axes: Axes, keepdims: bool = False, ddof: float = 0,
) -> Any:  # fmt: skip
    """Return the square root of the variance: its change over the sum of the roots."""
    c, dc = centred(xp, values[0], axes), centred(xp, changes[0], axes)
    change, old, new = (
        xp.sum(terms, axis=axes, keepdims=keepdims) for terms in (dc * (2.0 * c + dc), c * c, (c + dc) ** 2)
    )
    count = math.sqrt(count_along(values[0], axes) - ddof)
    result = change / (count * (xp.sqrt(old) + xp.sqrt(new)))
    return still_where_still(xp, result, change) if any_of(xp, old == 0.0) else result


def euclidean(xp: Any, x: Any, d: Any, out: Any, axes: Axes, branches: Branches | None) -> Any:
    """sum d (2 x + d) over the sum of both lengths, whose axes are not kept; at zero it has a magnitude's kink."""
    y = x + d
    change = xp.sum(d * (x + y), axis=axes)
    result = change / (out + xp.sqrt(xp.sum(y * y, axis=axes)))
    if not any_of(xp, out == 0.0):
        return result
    rise = xp.sum(d, axis=axes)
    return at_ties(xp, out == 0.0, change, still_where_still(xp, result, change), rise, -rise, branches, "modulus")


def norm(
    xp: Any, values: Values, changes: Changes, out: Any, branches: Branches | None,
    axes: Axes, keepdims: bool = False, ord: float = 2,
) -> Any:  # fmt: skip
    """The length of vectors along axes, of order 1, 2, infinity, -infinity or any p > 0; 2 for Frobenius' norm."""
    x, d = values[0], changes[0]
    if ord == 2:
        flat = without(out, axes) if keepdims else out
        return restored(euclidean(xp, x, d, flat, axes, branches), axes, keepdims)
    size = xp.abs(x)
    change = absolute(xp, (x,), (d,), size, branches)
    if ord == 1:
        return xp.sum(change, axis=axes, keepdims=keepdims)
    if ord == math.inf:
        return maximum_of(xp, (size,), (change,), out, branches, axes, keepdims)
    if ord == -math.inf:
        return minimum_of(xp, (size,), (change,), out, branches, axes, keepdims)
    return norm_of_order(xp, size, change, out, axes, keepdims, ord)


def norm_of_order(xp: Any, size: Any, d: Any, out: Any, axes: Axes, keepdims: bool, order: float) -> Any:
    """(sum |x|^p)^(1/p), by the rules of powers and of sums, relative to the old length so that nothing overflows."""
    length = out if keepdims else restored(out, axes, True)
    unit = xp.where(length == 0.0, 1.0, length)
    scaled, step = size / unit, d / unit
    p = xp.asarray(order, dtype=size.dtype)
    terms = scaled**p
    total = xp.sum(terms, axis=axes, keepdims=True)
    change = xp.sum(power(xp, (scaled, p), (step, None), terms, None), axis=axes, keepdims=True)
    root = unit * power(xp, (total, 1.0 / p), (change, None), total ** (1.0 / p), None)
    return root if keepdims else without(root, axes)


def truth(combine: str) -> Rule:
    """Return the rule of ``any`` or ``all``, by name."""

    def change(
        xp: Any, values: Values, changes: Changes, out: Any, branches: Branches | None, axes: Axes,
        keepdims: bool = False,
    ) -> Any:  # fmt: skip
        x, d = values[0], changes[0]
        new = getattr(xp, combine)(x + d != 0, axis=axes, keepdims=keepdims)
        return jump(xp, as_float(xp, new, d) - as_float(xp, out, d), False, branches)

    return Rule(change, elementwise=False, discrete=True)


def count_nonzero(
    xp: Any, values: Values, changes: Changes, out: Any, branches: Branches | None, axes: Axes, keepdims: bool = False
) -> Any:
    """Return how many more elements are not zero."""
    x, d = values[0], changes[0]
    more = as_float(xp, x + d != 0, d) - as_float(xp, x != 0, d)
    return xp.sum(jump(xp, more, x == 0, branches), axis=axes, keepdims=keepdims)


REDUCTIONS: dict[str, Rule] = {
    "prod": Rule(product, elementwise=False, complex=True),
    "cumprod": Rule(running_product, elementwise=False, complex=True),
    "var": Rule(variance, elementwise=False),
    "std": Rule(deviation, elementwise=False),
    "norm": Rule(norm, elementwise=False),
    "any": truth("any"),
    "all": truth("all"),
    "count_nonzero": Rule(count_nonzero, elementwise=False, discrete=True),
}
