"""Sorting, and what is read off sorted values: the same order, the changes in it; another, the way between."""

from typing import Any

from .axes import Axes, flattened, restored
from .base import Changes, Rule, Values, two_sum
from .branches import ALL, Branches, convention_of, jump, note, note_tie
from .namespaces import any_of, as_float, take_along


def sorted_change(xp: Any, x: Any, d: Any, branches: Branches | None) -> tuple[Any, Any]:
    """Sorted x along the last axis, and its change.

    Place i holds x_i + d_i as long as the order stays; where another j comes there, it changes by (x_j - x_i) + d_j.
    """
    order = xp.argsort(x, axis=-1, stable=True)
    ranked, change = take_along(xp, x, order), take_along(xp, d, order)
    gap, step = ranked[..., 1:] - ranked[..., :-1], change[..., 1:] - change[..., :-1]
    broken = gap + step < 0.0
    crossed = broken & (gap > 0.0)
    note(branches, crossed)
    note_tie(branches, (gap == 0.0) & (step != 0.0), "tie")
    result = change
    if any_of(xp, broken):
        anew = order_of_sums(xp, ranked, change)
        result = (take_along(xp, ranked, anew) - ranked) + take_along(xp, change, anew)
    c = convention_of(branches)
    if c is not None and any_of(xp, gap == 0.0):
        stays = ~xp.any(crossed, axis=-1, keepdims=True)
        result = xp.where(stays, by_convention(xp, x, d, ranked, change, c.tie), result)
    return ranked, result


def order_of_sums(xp: Any, x: Any, d: Any) -> Any:
    """Return the order of x + d, not of its rounded sums: by the sum, then by its error."""
    total, error = two_sum(xp, x, d)
    by_error = xp.argsort(error, axis=-1, stable=True)
    by_sum = xp.argsort(take_along(xp, total, by_error), axis=-1, stable=True)
    return take_along(xp, by_error, by_sum)


def by_convention(xp: Any, x: Any, d: Any, ranked: Any, first: Any, c: float) -> Any:
    """Changes in an order that ties keep: as they come for 1, the other way round for 0, all alike for 1/2."""
    if c in (1.0, ALL):
        return first
    if c == 0.5:
        same = as_float(xp, ranked[..., :, None] == ranked[..., None, :], first)
        return (first[..., None, :] @ (same / xp.sum(same, axis=-1, keepdims=True)))[..., 0, :]
    backwards = x.shape[-1] - 1 - xp.argsort(xp.flip(x, (-1,)), axis=-1, stable=True)
    return c * first + (1.0 - c) * take_along(xp, d, backwards)


def sort(xp: Any, values: Values, changes: Changes, out: Any, branches: Branches | None, axes: Axes) -> Any:
    """Return the values along one axis, in order."""
    x, d = xp.moveaxis(values[0], axes[0], -1), xp.moveaxis(changes[0], axes[0], -1)
    return xp.moveaxis(sorted_change(xp, x, d, branches)[1], -1, axes[0])


def argsort(xp: Any, values: Values, changes: Changes, out: Any, branches: Branches | None, axes: Axes) -> Any:
    """Return the places of the values along one axis, in order; of ties, the first one first."""
    x, d = xp.moveaxis(values[0], axes[0], -1), xp.moveaxis(changes[0], axes[0], -1)
    old = xp.argsort(x, axis=-1, stable=True)
    ranked = take_along(xp, x, old)
    new = order_of_sums(xp, x, d)
    ties = xp.any(ranked[..., 1:] == ranked[..., :-1], axis=-1, keepdims=True)
    return xp.moveaxis(jump(xp, as_float(xp, new - old, d), ties, branches), -1, axes[0])


def quantile(
    xp: Any,
    values: Values,
    changes: Changes,
    out: Any,
    branches: Branches | None,
    axes: Axes,
    keepdims: bool = False,
    q: float = 0.5,
) -> Any:
    """Return the value below which the share q lies, linearly between its neighbours in order."""
    x, d = flattened(xp, values[0], axes), flattened(xp, changes[0], axes)
    change = sorted_change(xp, x, d, branches)[1]
    place = q * (x.shape[-1] - 1)
    low = min(int(place), x.shape[-1] - 1)
    high = min(low + 1, x.shape[-1] - 1)
    weight = place - low
    return restored((1.0 - weight) * change[..., low] + weight * change[..., high], axes, keepdims)


SORTING: dict[str, Rule] = {
    "sort": Rule(sort, elementwise=False),
    "argsort": Rule(argsort, elementwise=False, discrete=True),
    "median": Rule(quantile, elementwise=False),
    "quantile": Rule(quantile, elementwise=False),
}
