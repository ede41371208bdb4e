"""Reductions over axes: extremes, products, variances, norms, logic.

All take ``axes``, a tuple of negative integers, and ``keepdims``.
"""

import math
from typing import Any

from .axes import Axes, flattened, inserted, restored
from .base import Changes, Rule, Values, still_where_still
from .branches import Branches, convention_of, note_tie
from .discrete import jump
from .namespaces import any_of, as_count, as_float, is_traced, largest_along
from .piecewise import absolute


def maximum_of(
    xp: Any, values: Values, changes: Changes, out: Any, branches: Branches | None, axes: Axes, keepdims: bool = False
) -> Any:
    """max (x - top + d): the winner's change, or the way to another winner and that one's change."""
    change = of_lasting_winners(xp, values[0], changes[0], out, axes, keepdims)
    if change is not None:
        return change
    x, d = flattened(xp, values[0], axes), flattened(xp, changes[0], axes)
    below = x - xp.amax(x, axis=-1, keepdims=True)
    top = below == 0.0
    change = xp.amax(below + d, axis=-1)
    if branches is not None:
        change = with_ties(xp, top, d, change, branches)
    return restored(change, axes, keepdims)


def of_lasting_winners(xp: Any, x: Any, d: Any, out: Any, axes: Axes, keepdims: bool) -> Any:
    """The change where what is largest stays so everywhere, with others only where they move as it does; else None."""
    if is_traced(d):
        return None
    below = x - (out if keepdims else restored(out, axes, True))
    top = below == 0.0
    moved = below + d
    most = largest_along(xp, moved, axes)
    # below is zero at the winner: its new lead is its change
    winners = xp.count_nonzero((moved == most) & top)
    if winners * math.prod(out.shape) != xp.count_nonzero(top) * math.prod(most.shape):
        return None
    return most if keepdims else without(most, axes)


def with_ties(xp: Any, top: Any, d: Any, change: Any, branches: Branches) -> Any:
    """Note crossings and ties of a maximum; under a convention, the change that it gives to ties."""
    most = xp.amax(xp.where(top, d, -math.inf), axis=-1)
    least = xp.amin(xp.where(top, d, math.inf), axis=-1)
    branches.note(change > most)
    ties = most > least
    note_tie(branches, ties)
    c = convention_of(branches)
    if c is None or not any_of(xp, ties):
        return change
    return xp.where(ties, shared(xp, top, d, c), change)


def shared(xp: Any, top: Any, d: Any, c: float) -> Any:
    """What a convention gives to equal candidates: the first's change for 1, the last's for 0, the mean for 1/2."""
    weights = as_float(xp, top, d)
    if c == 0.5:
        return xp.sum(weights * d, axis=-1) / xp.sum(weights, axis=-1)
    count = xp.cumsum(as_count(xp, top), -1)
    first, last = top & (count == 1), top & (count == count[..., -1:])
    return c * xp.sum(as_float(xp, first, d) * d, axis=-1) + (1.0 - c) * xp.sum(as_float(xp, last, d) * d, axis=-1)


def minimum_of(
    xp: Any, values: Values, changes: Changes, out: Any, branches: Branches | None, axes: Axes, keepdims: bool = False
) -> Any:
    """-max(-x)."""
    return -maximum_of(xp, (-values[0],), (-changes[0],), -out, branches, axes, keepdims)


def range_of(
    xp: Any, values: Values, changes: Changes, out: Any, branches: Branches | None, axes: Axes, keepdims: bool = False
) -> Any:
    """The maximum's change less the minimum's."""
    (x,) = values
    top, bottom = (find(x, axis=axes, keepdims=keepdims) for find in (xp.amax, xp.amin))
    rise = maximum_of(xp, values, changes, top, branches, axes, keepdims)
    return rise - minimum_of(xp, values, changes, bottom, branches, axes, keepdims)


def winner_of(
    xp: Any, values: Values, changes: Changes, out: Any, branches: Branches | None, axes: Axes, keepdims: bool = False
) -> Any:
    """The change of the place of the (first) maximum."""
    x, d = flattened(xp, values[0], axes), flattened(xp, changes[0], axes)
    below = x - xp.amax(x, axis=-1, keepdims=True)
    old, new = xp.argmax(x, axis=-1), xp.argmax(below + d, axis=-1)
    change = as_float(xp, new - old, d)
    return restored(jump(xp, change, xp.sum(as_count(xp, below == 0.0), axis=-1) > 1, branches), axes, keepdims)


def loser_of(
    xp: Any, values: Values, changes: Changes, out: Any, branches: Branches | None, axes: Axes, keepdims: bool = False
) -> Any:
    """The change of the place of the (first) minimum."""
    return winner_of(xp, (-values[0],), (-changes[0],), out, branches, axes, keepdims)


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
    """The product rule from factor to factor, along one axis."""
    x, d = xp.moveaxis(values[0], axes[0], -1), xp.moveaxis(changes[0], axes[0], -1)
    before = xp.moveaxis(out, axes[0], -1)
    change = d[..., 0]
    all_changes = [inserted(change)]
    for k in range(1, x.shape[-1]):
        change = change * (x[..., k] + d[..., k]) + before[..., k - 1] * d[..., k]
        all_changes.append(inserted(change))
    return xp.moveaxis(xp.concatenate(all_changes, axis=-1), -1, axes[0])


def centred(xp: Any, x: Any, axes: Axes) -> Any:
    """x less its mean over axes."""
    return x - xp.sum(x, axis=axes, keepdims=True) / count_along(x, axes)


def count_along(x: Any, axes: Axes) -> int:
    """The number of elements along axes."""
    return math.prod(x.shape[axis] for axis in axes)


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
    """The square root of the variance: its change over the sum of the roots."""
    c, dc = centred(xp, values[0], axes), centred(xp, changes[0], axes)
    change, old, new = (
        xp.sum(terms, axis=axes, keepdims=keepdims) for terms in (dc * (2.0 * c + dc), c * c, (c + dc) ** 2)
    )
    count = math.sqrt(count_along(values[0], axes) - ddof)
    result = change / (count * (xp.sqrt(old) + xp.sqrt(new)))
    return still_where_still(xp, result, change) if any_of(xp, old == 0.0) else result


def without(x: Any, axes: Axes) -> Any:
    """x without ``axes`` of length one."""
    gone = {axis + len(x.shape) for axis in axes}
    return x.reshape(tuple(length for axis, length in enumerate(x.shape) if axis not in gone))


def euclidean(xp: Any, x: Any, d: Any, out: Any, axes: Axes) -> Any:
    """sum d (2 x + d) over the sum of both lengths, whose axes are not kept."""
    y = x + d
    change = xp.sum(d * (x + y), axis=axes)
    result = change / (out + xp.sqrt(xp.sum(y * y, axis=axes)))
    return still_where_still(xp, result, change) if any_of(xp, out == 0.0) else result


def norm(
    xp: Any, values: Values, changes: Changes, out: Any, branches: Branches | None,
    axes: Axes, keepdims: bool = False, ord: float = 2,
) -> Any:  # fmt: skip
    """The length of vectors along axes, of order 1, 2, infinity, -infinity or any p > 0; 2 for Frobenius' norm."""
    x, d = values[0], changes[0]
    if ord == 2:
        flat = without(out, axes) if keepdims else out
        return restored(euclidean(xp, x, d, flat, axes), axes, keepdims)
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
    from .arithmetic import power

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
    """The rule of ``any`` or ``all``, by name."""

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
    """How many more elements are not zero."""
    x, d = values[0], changes[0]
    more = as_float(xp, x + d != 0, d) - as_float(xp, x != 0, d)
    return xp.sum(jump(xp, more, x == 0, branches), axis=axes, keepdims=keepdims)


REDUCTIONS: dict[str, Rule] = {
    "max": Rule(maximum_of, elementwise=False),
    "amax": Rule(maximum_of, elementwise=False),
    "min": Rule(minimum_of, elementwise=False),
    "amin": Rule(minimum_of, elementwise=False),
    "ptp": Rule(range_of, elementwise=False),
    "argmax": Rule(winner_of, elementwise=False, discrete=True),
    "argmin": Rule(loser_of, elementwise=False, discrete=True),
    "prod": Rule(product, elementwise=False, complex=True),
    "cumprod": Rule(running_product, elementwise=False, complex=True),
    "var": Rule(variance, elementwise=False),
    "std": Rule(deviation, elementwise=False),
    "norm": Rule(norm, elementwise=False),
    "any": truth("any"),
    "all": truth("all"),
    "count_nonzero": Rule(count_nonzero, elementwise=False, discrete=True),
}
