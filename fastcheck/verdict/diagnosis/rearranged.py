"""Claims that a gradient holds the right numbers in other places, or those of other tensors."""

import itertools
import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ..._types import Array
from .evidence import LEFT_OF_GRADIENT, Case, fits

# More axes than these are not tried in every order.
AXES = 4
# An axis longer than this is not rolled by every step.
ROLLED = 64
# Other tensors whose numerical gradients may have been added.
ADDED = 8


def rearranged(case: Case) -> str:
    """The numbers of the numerical gradient in other places."""
    if not case.all_checked or case.comparison.checked < 2:
        return ""
    gradient, approx = case.arrays()
    if not _same_numbers(case, gradient, approx):
        return ""
    for words, model in _arrangements(gradient, approx):
        if fits(case, model):
            return f"{case.name} is the numerical gradient {words}."
    return f"{case.name} holds the numbers of the numerical gradient in another order."


def misplaced(case: Case) -> str:
    """Every index of an axis holds nothing, or what belongs to another index."""
    if not case.all_checked:
        return ""
    gradient, approx = case.arrays()
    for axis, size in enumerate(gradient.shape):
        if not 1 < size <= ROLLED or gradient.size < 2 * size:
            continue
        a, b = (np.moveaxis(one, axis, 0).reshape(size, -1) for one in (gradient, approx))
        owner = _owners(a, b)
        if owner is None or np.array_equal(owner[owner >= 0], np.flatnonzero(owner >= 0)):
            continue
        model = np.where((owner >= 0)[:, None], b[owner], 0.0).reshape(np.moveaxis(gradient, axis, 0).shape)
        if fits(case, np.moveaxis(model, 0, axis)):
            return _owners_in_words(case.name, axis, owner)
    return ""


def _owners(a: Array, b: Array) -> NDArray[np.intp] | None:
    """For each row of ``a`` the row of ``b`` that it equals, -1 for a row of zeros; None where one is neither."""
    found = np.full(len(a), -1)
    for row in np.flatnonzero(a.any(axis=1)):
        off = np.linalg.norm(b - a[row], axis=1)
        nearest = int(np.argmin(off))
        if not off[nearest] <= LEFT_OF_GRADIENT * np.linalg.norm(a[row]):
            return None
        found[row] = nearest
    return found if (found >= 0).any() else None


def _owners_in_words(name: str, axis: int, owner: NDArray[np.intp]) -> str:
    filled = np.flatnonzero(owner >= 0)
    shifts = np.unique(owner[filled] - filled)
    rest = ", and zero at the others" if filled.size < owner.size else ""
    if shifts.size == 1 and filled.size > 1:
        return (f"{name} is the numerical gradient shifted by {-int(shifts[0])} along axis {axis}{rest}: an index is "
                f"off by {abs(int(shifts[0]))}.")
    held = [f"index {k} holds what belongs to index {owner[k]}" for k in filled if owner[k] != k][:3]
    return (f"{name} holds rows of the numerical gradient in wrong places along axis {axis}: {', '.join(held)}{rest}. "
            "Is it written, or read, at the wrong index, such as a pointer that is not moved on?")


def _same_numbers(case: Case, gradient: Array, approx: Array) -> bool:
    """Whether both hold the same numbers; almost always their norms tell that they do not."""
    sizes = case.comparison.sizes
    if not math.isclose(sizes.gradient, sizes.approx, rel_tol=10.0 * LEFT_OF_GRADIENT):
        return False
    ordered = np.sort(approx, axis=None)
    model = np.empty_like(ordered)
    model[np.argsort(gradient, axis=None, kind="stable")] = ordered
    return fits(case, model.reshape(gradient.shape))


def _arrangements(gradient: Array, approx: Array) -> Iterator[tuple[str, Array]]:
    shape, axes = gradient.shape, range(gradient.ndim)
    if 1 < gradient.ndim <= AXES:
        for order in itertools.permutations(axes):
            turned = approx.transpose(order)
            if order == tuple(axes):
                continue
            if turned.shape == shape:
                yield f"with its axes in the order {', '.join(map(str, order))} (transposed)", turned
            yield (f"read in another order of its axes, {', '.join(map(str, order))}, without being transposed back "
                   "(a reshape where a transpose should be)", turned.reshape(shape))
    for count in range(1, min(gradient.ndim, AXES) + 1):
        for chosen in itertools.combinations(axes, count):
            which = " and ".join(map(str, chosen))
            yield (f"reversed along {'axis' if count == 1 else 'axes'} {which} (is a kernel flipped, or not?)",
                   np.flip(approx, chosen))
    for axis in axes:
        for step in range(1, min(shape[axis], ROLLED)):
            back = step - shape[axis] if 2 * step > shape[axis] else step
            yield f"shifted by {back} along axis {axis}", np.roll(approx, step, axis)
    for axis in axes:
        yield f"with the indices of axis {axis} in another order", _slices_sorted(gradient, approx, axis)


def _slices_sorted(gradient: Array, approx: Array, axis: int) -> Array:
    """The slices of the numerical gradient along an axis, in the order that pairs them with the gradient's."""
    weights = np.random.default_rng(0).standard_normal(np.delete(gradient.shape, axis))
    marks = [np.tensordot(np.moveaxis(a, axis, 0), weights, weights.ndim) for a in (gradient, approx)]
    order = np.empty(gradient.shape[axis], np.intp)
    order[np.argsort(marks[0], kind="stable")] = np.argsort(marks[1], kind="stable")
    return np.take(approx, order, axis)


def sum_of_tensors(case: Case) -> str:
    """The sum of several tensors' numerical gradients: an array that stands in several places."""
    if not case.all_checked or case.comparison.checked < 2:
        return ""
    own, shape = case.arrays()[1], case.comparison.tensor.shape
    same = [other for other in case.others
            if other is not case.found and other.comparison.where is None and other.comparison.tensor.shape == shape]
    parts = [(other.name, other.comparison.derivative.reshape(shape)) for other in same[:ADDED]]
    chosen = [[part] for part in parts] + ([parts] if len(parts) > 1 else [])
    for several in chosen:
        if fits(case, own + sum(value for _, value in several)):
            names = " and ".join([case.found.name, *(name for name, _ in several)])
            return (f"{case.name} equals the sum of the numerical gradients of {names}: is one array used for all of "
                    "them?")
    return ""
