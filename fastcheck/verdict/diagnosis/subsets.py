"""Claims about wrong entries that are no slices of an axis: their factor, their mask, a triangle, a sum."""

import math
from collections.abc import Iterator

import numpy as np

from ..._types import Array, Mask
from .evidence import FEW, LEFT_OF_GRADIENT, Case, fits, number, wrong_entries

# Share of zeros from which a gradient looks like one of chosen entries: of a maximum, or of what is looked up.
SPARSE = 0.25
# Wrong entries that follow a rule are one choice of at least this many: no accident.  Where the rule's numbers are
# fitted to them, of more.
UNLIKELY, UNLIKELY_IF_FITTED = 200, 10_000
# A sum that cancels to this share of its terms is zero.
CANCELS = 1e-9
# A sum that keeps this share of its terms is not.
KEEPS = 1e-3


def some_times(case: Case) -> str:
    """One factor, or a wrong sign, at some entries, and the others right."""
    if not case.all_checked:
        return ""
    wrong, (gradient, approx) = wrong_entries(case), case.arrays()
    count = int(np.count_nonzero(wrong))
    if count <= FEW or count == wrong.size or not approx[wrong].all():
        return ""
    factors = gradient[wrong] / approx[wrong]
    factor = float(np.median(factors))
    if factor == 0.0 or not np.all(np.abs(factors - factor) <= LEFT_OF_GRADIENT * abs(factor)):
        return ""
    meaning = ": their sign is wrong" if abs(factor + 1.0) < LEFT_OF_GRADIENT else ""
    return (f"{case.name} is {number(factor)} times the numerical gradient at {count:,} of {wrong.size:,} entries, and "
            f"right at the others{meaning}.")


def other_mask(case: Case) -> str:
    """Entries that are zero on one side only, some on either side, and all others right."""
    if not case.all_checked:
        return ""
    wrong, (gradient, approx) = wrong_entries(case), case.arrays()
    missing, surplus = wrong & (gradient == 0.0), wrong & (approx == 0.0)
    if not missing.any() or not surplus.any() or not np.array_equal(missing | surplus, wrong):
        return ""
    return (f"{case.name} is zero at {np.count_nonzero(missing):,} entries where the numerical gradient is not, and "
            f"not zero at {np.count_nonzero(surplus):,} where it is, and right elsewhere: made with another mask.")


def overwritten(case: Case) -> str:
    """A gradient that is zero in many places and wrong at some of the others, as where terms replace one another."""
    if not case.all_checked:
        return ""
    wrong, (gradient, approx) = wrong_entries(case), case.arrays()
    count, moved = int(np.count_nonzero(wrong)), approx != 0.0
    sparse = np.count_nonzero((gradient == 0.0) & ~moved) >= SPARSE * wrong.size
    if count < 2 or not sparse or not (moved & (gradient != 0.0))[wrong].all() or not (moved & ~wrong).any():
        return ""
    return (f"{case.name} is wrong at {count:,} of the {np.count_nonzero(moved):,} entries that are not zero, and "
            "right at the others: where several terms meet in one entry, are they overwritten instead of added?")


def triangles(case: Case) -> str:
    """Wrong in one triangle, or on the diagonal, of the last two axes; or right but for an antisymmetric part."""
    shape = case.comparison.tensor.shape
    if not case.all_checked or len(shape) < 2 or shape[-1] != shape[-2] or shape[-1] < FEW:
        return ""
    wrong, (gradient, approx) = wrong_entries(case), case.arrays()
    antisymmetric = 0.5 * (gradient - approx - np.swapaxes(gradient - approx, -1, -2))
    if fits(case, approx + antisymmetric):
        return (f"the symmetric part of {case.name} is right: it is not symmetrised as the numerical gradient is, or "
                "only one triangle of the argument is read.")
    rows, columns = np.indices(shape[-2:])
    for words, where in (("on the diagonal", rows == columns), ("above the diagonal", rows < columns),
                         ("below the diagonal", rows > columns), ("off the diagonal", rows != columns)):
        if _is_all_of(wrong, np.broadcast_to(where, shape), approx):
            return f"{case.name} is wrong {words} of its last two axes, everywhere there, and right elsewhere."
    return ""


def _is_all_of(wrong: Mask, where: Mask, approx: Array) -> bool:
    """Whether what is wrong is all that lies in a part and is not zero, and more than nothing is right elsewhere."""
    inside, outside = wrong & where, wrong & ~where
    moved = approx != 0.0
    return bool(inside.any() and not outside.any() and np.array_equal(inside & moved, where & moved)
                and (moved & ~where).any())


def by_value(case: Case) -> str:
    """Wrong exactly at the entries whose own parameter is zero, negative, positive, or beyond a number."""
    if not case.all_checked:
        return ""
    wrong, approx = wrong_entries(case).reshape(-1), case.arrays()[1].reshape(-1)
    gradient, theta = case.arrays()[0].reshape(-1), case.parameters(case.comparison)
    seen = wrong | (approx != 0.0) | (gradient != 0.0)  # where both are zero nothing tells which side is right
    count, right = int(np.count_nonzero(wrong)), int(np.count_nonzero(seen & ~wrong))
    if count <= FEW or not right:
        return ""
    choices = math.comb(count + right, count)
    for words, fitted, where in _sides(theta, wrong):
        if choices >= (UNLIKELY_IF_FITTED if fitted else UNLIKELY) and np.array_equal(where & seen, wrong):
            return (f"{case.name} is wrong exactly where {case.found.name} is {words} ({count:,} of {wrong.size:,} "
                    "entries), and right elsewhere: look at how such values are treated (a branch, a mask, a "
                    "threshold, a guarded division).")
    return ""


def _sides(theta: Array, wrong: Mask) -> Iterator[tuple[str, bool, Mask]]:
    """What may set the wrong entries' values apart, whether its numbers are fitted to them, and where it holds."""
    yield "zero", False, theta == 0.0
    yield "not zero", False, theta != 0.0
    yield "negative", False, theta < 0.0
    yield "positive", False, theta > 0.0
    low, high = float(theta[wrong].min()), float(theta[wrong].max())
    below, above = theta[~wrong & (theta < low)], theta[~wrong & (theta > high)]
    words = []
    if below.size:
        words.append(f"greater than a number between {float(below.max()):.4g} and {low:.4g}")
    if above.size:
        words.append(f"less than a number between {high:.4g} and {float(above.min()):.4g}")
    yield " and ".join(words), True, (theta >= low) & (theta <= high)


def centred(case: Case) -> str:
    """The gradient adds up to zero along an axis, and the numerical one does not."""
    if not case.all_checked or case.subject.trials is not None:
        return ""
    gradient, approx = case.arrays()
    for axis in range(gradient.ndim):
        kept = _kept(gradient, axis)
        if gradient.shape[axis] > 1 and gradient.any() and kept <= CANCELS and _kept(approx, axis) >= KEEPS:
            return (f"{case.name} adds up to zero along axis {axis}, and the numerical gradient does not: is a mean "
                    f"over axis {axis} differentiated that the forward pass does not take, or holds fixed?")
    return ""


def not_centred(case: Case) -> str:
    """The numerical gradient adds up to zero along an axis, and the gradient does not.

    That of a softmax output's weights always does, whatever is wrong: for networks it says nothing.
    """
    if not case.all_checked or case.subject.trials is not None:
        return ""
    gradient, approx = case.arrays()
    for axis in range(gradient.ndim):
        if gradient.shape[axis] < 2 or not approx.any():
            continue
        if _kept(approx, axis) <= CANCELS and _kept(gradient, axis) >= KEEPS:
            return (f"the numerical gradient of {case.found.name} adds up to zero along axis {axis}, and {case.name} "
                    f"does not: is a mean over axis {axis} not subtracted, or its part of the derivative missing?")
    return ""


def _kept(values: Array, axis: int) -> float:
    """The share of an array's size that is left when it is summed along an axis."""
    size = float(np.linalg.norm(np.abs(values).sum(axis=axis)))
    return float(np.linalg.norm(values.sum(axis=axis))) / size if size else 0.0
