"""Claims about patterns along the axes of a tensor: which indices are wrong, and how."""

import numpy as np

from ..._constants import NOISE_SIGMAS
from ..._types import Array
from .evidence import FEW, Case, fits, listed, number, wrong_entries

# Distances between the entries that are not zero, as strides make them.
STRIDES = (2, 3, 4)
# Factors of slices this near to one look like an epsilon that only one of the two sides adds.
NEAR_ONE = 0.05
# An axis tells a first or last index from the others from this length on.
LONG = 3


def clipped(case: Case) -> str:
    """Every wrong entry stands at one bound, and the numerical gradient beyond it."""
    if not case.all_checked:
        return ""
    wrong = wrong_entries(case)
    gradient, approx = case.arrays()
    held = np.unique(np.abs(gradient[wrong]))
    if np.count_nonzero(wrong) < 2 or held.size != 1 or not held[0] > 0.0:
        return ""
    bound = float(held[0])
    beyond = np.abs(approx) > bound
    if not np.array_equal(beyond, wrong) or bool(np.any(np.sign(gradient[wrong]) != np.sign(approx[wrong]))):
        return ""
    return (f"every wrong entry of {case.name} is +-{number(bound)}, where the numerical gradient is larger: it was "
            "clipped.")


def unmasked(case: Case) -> str:
    """Wrong exactly where the numerical gradient is zero."""
    if not case.all_checked:
        return ""
    wrong = wrong_entries(case)
    c, count = case.comparison, int(np.count_nonzero(wrong))
    approx = case.arrays()[1]
    noise = np.broadcast_to(c.noise, (c.checked,)).reshape(approx.shape)
    still = np.abs(approx) <= NOISE_SIGMAS * noise
    if count <= FEW or still.all() or not still[wrong].all():
        return ""
    return (f"{case.name} is wrong only where the numerical gradient is zero ({count:,} of {wrong.size:,} entries) and "
            "right elsewhere: a mask is not applied there.")


def repeated(case: Case) -> str:
    """Wrong exactly at the indices that occur more than once in an integer array, and there at most of the entries."""
    if not case.all_checked:
        return ""
    wrong, approx = wrong_entries(case), case.arrays()[1]
    for axis, size in enumerate(wrong.shape):
        others = _others(wrong, axis)
        lines, used = wrong.any(axis=others), approx.any(axis=others)
        if 2 * np.count_nonzero(wrong) < np.count_nonzero(np.compress(lines, approx, axis=axis)):
            continue  # what is added nowhere is missing from all entries of a line
        for name, indices in case.subject.integers.items():
            inside = indices[(indices >= 0) & (indices < size)]
            if inside.size < indices.size or not inside.size:
                continue
            counts = np.bincount(inside.ravel(), minlength=size)
            often, once = (counts > 1) & used, (counts == 1) & used
            if lines.any() and np.array_equal(lines, often) and once.any():
                return (f"{case.name} is wrong exactly at the indices of axis {axis} that {name} holds more than once: "
                        "gradients of repeated indices are overwritten instead of added (numpy.add.at adds them).")
    return ""


def picked(case: Case) -> str:
    """Wrong exactly at the entries that an integer array picks, one in each line of an axis, as labels do."""
    if not case.all_checked or len(case.comparison.tensor.shape) != 2:
        return ""
    wrong, approx = wrong_entries(case), case.arrays()[1]
    for name, labels in case.subject.integers.items():
        for axis, (count, classes) in enumerate((wrong.shape, wrong.shape[::-1])):
            if labels.shape != (count,) or count <= FEW or labels.min() < 0 or labels.max() >= classes:
                continue
            chosen = np.zeros((count, classes), dtype=bool)
            chosen[np.arange(count), labels] = True
            chosen = chosen.T if axis else chosen
            if np.array_equal(wrong, chosen) and approx[~chosen].any():
                return (f"{case.name} is wrong exactly at the entries that {name} picks, one for each index of axis "
                        f"{axis} ({count:,} of {wrong.size:,}), and right elsewhere: what is subtracted or added there "
                        "is missing, or wrong (as the 1 of p - y in cross-entropy's gradient).")
    return ""


def signs(case: Case) -> str:
    """The signs of the numerical gradient without its sizes."""
    c = case.comparison
    values = np.unique(np.abs(c.gradient[c.derivative != 0.0]))
    if c.checked < LONG or values.size != 1 or not values[0] > 0.0 or np.unique(np.abs(c.derivative)).size < 2:
        return ""
    if not np.array_equal(c.gradient, values[0] * np.sign(c.derivative)):
        return ""
    times = "" if values[0] == 1.0 else f", times {number(float(values[0]))}"
    return f"{case.name} holds the signs of the numerical gradient{times}, and not its sizes."


def left_out(case: Case) -> str:
    """Zero where the numerical gradient is not: at all but every second index, from an index on, or somewhere."""
    if not case.all_checked:
        return ""
    gradient, approx = case.arrays()
    missing = wrong_entries(case) & (gradient == 0.0)
    count, wrong = int(np.count_nonzero(missing)), int(np.count_nonzero(wrong_entries(case)))
    if count <= FEW:
        return ""
    right = ", and right elsewhere" if count == wrong else ""
    for axis in range(gradient.ndim):
        place = _pattern_of_zeros(gradient, approx, axis, alone=count == wrong)
        if place:
            return f"{case.name} is zero {place}{right}."
    if count < wrong:
        return ""
    return (f"{case.name} is zero at {count:,} of {gradient.size:,} entries where the numerical gradient is not, and "
            "right elsewhere: something is left out there, or a mask too many is applied.")


def _pattern_of_zeros(gradient: Array, approx: Array, axis: int, *, alone: bool) -> str:
    """Which indices of an axis hold nothing though the numerical gradient does; "" where they follow no pattern.

    alone : whether nothing else is wrong: beside other mistakes the first or last index alone is no pattern.
    """
    others = _others(gradient, axis)
    filled, needed = gradient.any(axis=others), approx.any(axis=others)
    size, empty = filled.size, np.flatnonzero(needed & ~filled)
    there = np.flatnonzero(filled)
    if size < LONG or not empty.size or not there.size:
        return ""
    for stride in STRIDES:
        if size >= 2 * stride and np.array_equal(there, np.arange(there[0], size, stride)) and there[0] < stride:
            ordinal = {2: "2nd", 3: "3rd", 4: "4th"}[stride]
            return (f"at all but every {ordinal} index of axis {axis} ({there[0]}, {there[0] + stride}, ...): a stride "
                    f"of {stride} is treated differently forward and back")
    if np.array_equal(there, [size - 1]):
        return (f"at all but the last index of axis {axis}: if that is time, what is passed back to the step before is "
                "missing")
    if empty.size < LONG and not alone:
        return ""
    if np.array_equal(empty, np.arange(empty[0], size)):
        return f"from index {empty[0]} of axis {axis} on ({size - empty[0]} of {size})"
    if np.array_equal(empty, np.arange(empty[-1] + 1)):
        return f"up to index {empty[-1]} of axis {axis} ({empty.size} of {size})"
    return ""


def shifted(case: Case) -> str:
    """Off by a constant, in all or along an axis."""
    if not case.all_checked or case.comparison.checked < LONG:
        return ""
    gradient, approx = case.arrays()
    error = gradient - approx
    if fits(case, approx + error.mean()):
        return f"{case.name} is off by a constant, {number(float(error.mean()))}, everywhere."
    for axis in range(gradient.ndim):
        if gradient.shape[axis] < LONG or gradient.ndim == 1:
            continue
        if fits(case, approx + error.mean(axis=axis, keepdims=True)):
            return (f"the error of {case.name} is the same all along axis {axis}: a term that is constant there, such "
                    f"as a mean or a sum over axis {axis}, is missing or too much.")
    return ""


def scaled_slices(case: Case) -> str:
    """Every index of an axis has a factor of its own."""
    if not case.all_checked:
        return ""
    gradient, approx = case.arrays()
    for axis in range(gradient.ndim):
        others = _others(gradient, axis)
        squares = (approx**2).sum(axis=others, keepdims=True)
        seen = squares.ravel() > 0.0
        if np.count_nonzero(approx) < 2 * gradient.shape[axis] or np.count_nonzero(seen) < 2:
            continue
        with np.errstate(divide="ignore", invalid="ignore"):
            factors = np.where(squares > 0.0, (gradient * approx).sum(axis=others, keepdims=True) / squares, 0.0)
        if fits(case, factors * approx):
            return _factors_in_words(case, axis, factors.ravel()[seen])
    return ""


def _factors_in_words(case: Case, axis: int, factors: Array) -> str:
    low, high = float(factors.min()), float(factors.max())
    if np.all(np.abs(factors - 1.0) < NEAR_ONE) and (low >= 1.0 or high <= 1.0):
        nearest, furthest = sorted((abs(low - 1.0), abs(high - 1.0)))
        return (f"{case.name} is scaled along axis {axis}, by a factor for each index that lies {nearest:.2g} to "
                f"{furthest:.2g} {'above' if low >= 1.0 else 'below'} one: an epsilon inside a log, a root or a "
                "division that only one of the two has?")
    return (f"{case.name} is scaled along axis {axis}: each index has a factor of its own, from {number(low)} to "
            f"{number(high)} (a weight, a count or a norm of each is missing or too much).")


def ends(case: Case) -> str:
    """Wrong at both ends of an axis only."""
    if not case.all_checked:
        return ""
    wrong, approx = wrong_entries(case), case.arrays()[1]
    for axis, size in enumerate(wrong.shape):
        lines = np.flatnonzero(wrong.any(axis=_others(wrong, axis)))
        moved = np.flatnonzero(approx.any(axis=_others(wrong, axis)))  # elsewhere nothing shows what is right
        between = np.count_nonzero((moved > 0) & (moved < size - 1))
        if size > LONG and np.array_equal(lines, [0, size - 1]) and between > 1:
            return f"{case.name} is wrong at both ends of axis {axis} only: look at how edges are treated."
    return ""


def slices(case: Case) -> str:
    """Right, or wrong, at some indices of an axis only."""
    if not case.all_checked:
        return ""
    wrong, approx = wrong_entries(case), case.arrays()[1]
    for axis, size in enumerate(wrong.shape):
        if size < LONG:
            continue
        others = _others(wrong, axis)
        bad, moved = wrong.any(axis=others), approx.any(axis=others)
        right = np.flatnonzero(~bad & moved)
        lines = np.flatnonzero(bad)
        if not right.size or not lines.size:  # where all entries agree within noise, and their norm does not
            continue
        throughout = 2 * np.count_nonzero(wrong) > np.count_nonzero(np.take(approx, lines, axis))
        if throughout and np.array_equal(right, [size - 1]):
            return (f"{case.name} is right at the last index of axis {axis} only: if that is time, what is passed back "
                    "to the step before is incomplete.")
        if throughout and np.array_equal(right, [0]):
            return f"{case.name} is right at the first index of axis {axis} only."
        if lines.size <= min(FEW, max(1, size // 4)):
            return f"{case.name} is wrong at {listed('index', lines, size)} of axis {axis} only."
        if not throughout:
            continue
        if lines[-1] < right[0]:
            return f"{case.name} is wrong up to index {lines[-1]} of axis {axis} and right from {right[0]} on."
        if right[-1] < lines[0]:
            return f"{case.name} is right up to index {right[-1]} of axis {axis} and wrong from {lines[0]} on."
    return ""


def _others(array: "np.ndarray[tuple[int, ...], np.dtype[np.generic]]", axis: int) -> tuple[int, ...]:
    """All axes but one."""
    return tuple(k for k in range(array.ndim) if k != axis)
