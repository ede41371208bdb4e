"""Rounding that several runs share: what runs further away tell of it.

Backward passes at points a rounding apart may all round alike: 1 - p, where p is near one, does.  A mistake is the same
at points further away, as far as the truth is; rounding is another there, and goes to all sides.
"""

import math
from collections.abc import Iterator

import numpy as np

from .._constants import MOST_SHARED, NORM_SIGMAS, POWER_SIGMAS, SLICE_FLOORS, UNIT_ROUNDOFFS
from .._types import Array
from .alone import measures

# Rounding that all runs share is no larger than this many times what runs further away show at most.
FURTHER_OFF = 3.0
# In double precision, where what cancelled leaves 1e-12 of it, a mistake that matters is many more times.
FURTHER_OFF_DOUBLE = 10.0
# Errors are the same everywhere where their mean is this many times their scatter.  In less than single precision runs
# near by share little, and fewer times are enough.
ONE_WAY, ONE_WAY_HALF = 3.0, 2.0
# Slices with less than this share of the mean slice's norm, and single entries with less than the mean entry's size,
# have no factor worth measuring.
FAINT_SLICE, FAINT_ENTRY = 0.05, 1.0


def power_beside(
    errors: Array, truths: Array, further: tuple[Array, Array], shape: tuple[int, ...], unit: float
) -> float:
    """Return the relative error of the tensor that is still seen where shared rounding explains the errors of runs.

    Parameters
    ----------
    errors, truths : (runs, entries) of the runs that differ by a rounding, or of the one that stands alone.
    further : gradients and truths (more runs, entries) at points further away.
    shape : the tensor's.
    unit : the unit roundoff of the lowest precision that the backward pass computes in.

    Returns
    -------
    The factor less one that would be seen with probability 0.999; infinity where rounding does not explain the errors.
    """
    rows = shape[0] if shape else 1
    own, (each, directions) = _relative(errors, truths), _relative(further[0] - further[1], further[1])
    usual = np.median(measures(*own, 1.0, rows), axis=1)  # some runs may have taken another branch than their truths
    if not (usual <= FURTHER_OFF * measures(each, directions, 1.0, rows).max(axis=1)).all():
        return math.inf
    most = ONE_WAY if unit <= UNIT_ROUNDOFFS["float32"] else ONE_WAY_HALF
    if _goes_one_way(each, most, _scatter(directions)) or _a_part_goes_one_way(each, directions, shape, most):
        return math.inf
    factors = np.sum(each * directions, axis=1)
    mean, scatter = abs(float(factors.mean())), float(factors.std())
    if mean > most * scatter:
        return math.inf
    # what rounding is said to explain here would not be seen elsewhere either
    return max(mean, float(usual[0])) + (most + POWER_SIGMAS / math.sqrt(len(factors))) * scatter


def is_rounding_alone(errors: Array, most: float = math.inf, *, alone: bool = False) -> bool:
    """Tell whether errors of what the runs cannot tell from zero go to all sides, as the first does.

    Parameters
    ----------
    errors : (runs, entries).
    most : how large a mistake there may be that this would not show.
    alone : whether the first run came another way than the others, whose mean says nothing of it then.
    """
    mean, seen = float(np.linalg.norm(errors.mean(axis=0))), NORM_SIGMAS * norm_of_mean(errors)
    unseen = FURTHER_OFF * np.linalg.norm(errors[1:], axis=1).max() if alone else seen
    return mean <= seen and not stands_out(errors) and bool(unseen <= most)


def is_mostly_rounding(errors: Array, times: float = FURTHER_OFF) -> bool:
    """Tell whether errors (runs, entries) go to so many sides that a mistake among them is no larger than they are.

    Parameters
    ----------
    times : how many times as far off as the others the first may be.
    """
    return not stands_out(errors, times) and not _goes_one_way(errors)


def stands_out(errors: Array, times: float = FURTHER_OFF) -> bool:
    """Tell whether the first of errors (runs, entries) is further off than the others explain."""
    sizes = np.linalg.norm(errors, axis=1)
    return bool(sizes[0] > times * sizes[1:].max())


def repeats_itself(errors: Array) -> bool:
    """Tell whether errors (runs, entries) at points that share no rounding are the same at all of them."""
    mean = float(np.linalg.norm(errors.mean(axis=0)))
    return mean > 2 * NORM_SIGMAS * norm_of_mean(errors) and _goes_one_way(errors)


def norm_of_mean(errors: Array) -> float:
    """Return the norm of what rounding leaves in the mean over runs (runs, entries)."""
    return math.sqrt(float(np.sum(np.var(errors, axis=0, ddof=1))) / len(errors))


def _relative(errors: Array, truths: Array) -> tuple[Array, Array]:
    """Return errors and truths (runs, entries) relative to the norms of the truths."""
    with np.errstate(all="ignore"):
        sizes = np.linalg.norm(truths, axis=1)[:, None]
        return errors / sizes, truths / sizes


def _goes_one_way(errors: Array, most: float = ONE_WAY, alike: float = 0.0) -> bool:
    """Tell whether errors (runs, entries) are the same but for little.

    Parameters
    ----------
    most : how many times their scatter their mean has to be.
    alike : the scatter of what they may follow, in units of its mean: what scatters no more follows it.
    """
    scatter = _scatter(errors)
    return not most * scatter >= 1.0 or scatter <= alike


def _scatter(vectors: Array) -> float:
    """Return the standard deviation of vectors (runs, entries) in units of their mean's norm; inf for no mean."""
    mean = float(np.linalg.norm(vectors.mean(axis=0)))
    return math.sqrt(float(np.sum(np.var(vectors, axis=0)))) / mean if mean else math.inf


def _a_part_goes_one_way(errors: Array, truths: Array, shape: tuple[int, ...], most: float) -> bool:
    """Tell whether a row, a column, any other slice or a large entry is off by the same factor in all runs."""
    with np.errstate(all="ignore"):
        for factors, sizes, faint in _parts(errors, truths, shape):
            mean, scatter = np.abs(factors.mean(axis=0)), factors.std(axis=0)
            seen = sizes >= faint * math.sqrt(float(np.mean(sizes**2)))
            if np.any(seen & (mean > np.maximum(SLICE_FLOORS * MOST_SHARED, most * scatter))):
                return True
    return False


def _parts(errors: Array, truths: Array, shape: tuple[int, ...]) -> Iterator[tuple[Array, Array, float]]:
    """Give factors (runs, parts), sizes (parts,) and what is faint: of the slices along each axis, and of entries."""
    e, t = errors.reshape(-1, *shape), truths.reshape(-1, *shape)
    for axis, length in enumerate(shape):
        others = tuple(a + 1 for a in range(len(shape)) if a != axis)
        squares = np.sum(t**2, axis=others)
        if length > 1:
            yield np.sum(e * t, axis=others) / squares, np.sqrt(squares.mean(axis=0)), FAINT_SLICE
    if len(shape) > 1:
        yield errors / truths, np.sqrt(np.mean(truths**2, axis=0)), FAINT_ENTRY
