"""One gradient in low precision beside several right ones: whether rounding explains what it alone is off by.

The others come from the same module a rounding beside, each with its truth; what was done to the one gradient
afterwards is not in them.  Three measures of its error E to the truth T are held against the largest of the others':

    factor   |<E, T>| / |T|^2,       norm   |E| / |T|,       slice   max_i |E_i| sqrt(rows) / |T|

A slice is a part of one of the tensor's first axis, of a vector an entry.  The nearest of the truths counts: where a
pre-activation stands within a rounding of a kink, those a rounding apart are gradients of both branches, and the one
gradient may be of either.
"""

import math

import numpy as np

from .._constants import (
    LEAST_SHARED_SINGLE,
    MOST_SHARED,
    NOISE_SIGMAS,
    POWER_SIGMAS,
    SLICE_FLOORS,
    UNIT_ROUNDOFFS,
)
from .._types import Array

# The one is a mistake where a measure is this many times the largest of the others'.  A factor averages over all
# entries: it is near a normal variable, of whose standard deviations ``NOISE_SIGMAS`` are asked beside that.
FACTOR_ALONE, NORM_ALONE, SLICE_ALONE = 3.0, 10.0, 5.0
# Where the others are off by more than this share of the tensor's norm, it may consist of rounding: there is no factor
# to the truth then, which may be the rounding of double precision.
RESOLVED = 0.5


def least_alone(unit: float) -> Array:
    """Return (3,) the least factor, norm and slice that is called a mistake, for a unit roundoff."""
    shared = MOST_SHARED if unit > UNIT_ROUNDOFFS["float32"] else LEAST_SHARED_SINGLE
    return np.array([shared, shared, SLICE_FLOORS * shared])


def measures(errors: Array, truth: Array, size: float, rows: int) -> Array:
    """Return (3, runs) the factor, norm and slice of errors, relative to a size.

    Parameters
    ----------
    errors : (runs, entries).
    truth : (entries,) or (runs, entries).
    size : of the tensor's gradient: its norm, unless that is next to nothing.
    rows : of the tensor's first axis.
    """
    with np.errstate(all="ignore"):
        scaled = (errors / size).reshape(len(errors), rows, -1)
        each = np.sqrt(np.einsum("kij,kij->ki", scaled, scaled))
        along = np.abs(np.einsum("ki,ki->k", errors / size, np.broadcast_to(truth / size, errors.shape)))
        norm = np.linalg.norm(each, axis=1)
        found = np.stack([along, norm, math.sqrt(rows) * each.max(axis=1, initial=0.0)])
    return np.where(np.isfinite(found), found, np.inf)


def finding_alone(gradient: Array, errors: Array, truths: Array, shape: tuple[int, ...], unit: float) -> str:
    """Return what is wrong with one gradient, to follow its name; "" where rounding explains it.

    Parameters
    ----------
    gradient : (entries,) that is judged.
    errors, truths : (runs, entries) of the others, and the truths of all, the judged one's first.
    shape : the tensor's.
    unit : the unit roundoff of the lowest precision that they were computed with.
    """
    rows = shape[0] if shape else 1
    nearest = truths[int(np.argmin(np.linalg.norm(gradient - truths, axis=1)))]
    error, size = gradient - nearest, float(np.linalg.norm(nearest))
    if not size:
        return "is not zero, as the truth is" if error.any() and not errors.any() else ""
    own = measures(error[None], nearest, size, rows)[:, 0]
    others = measures(errors, truths[1:], size, rows)
    most = others.max(axis=1)
    wrong = own > _allowed(others, unit)
    if wrong[1]:
        return (f"differs from the truth by {100 * own[1]:.3g} % of its norm at this very step, where rounding "
                f"explains {100 * most[1]:.2g} %")
    if wrong[0]:
        factor = 1.0 + float(np.dot(error / size, nearest / size))
        return f"is {factor:.4g} times the truth at this very step, where rounding explains {100 * most[0]:.2g} %"
    if wrong[2]:
        row = int(np.argmax(np.linalg.norm(error.reshape(rows, -1), axis=1)))
        return f"is off in [{row}{', :' * (len(shape) - 1)}] by more than rounding explains, at this very step"
    return ""


def _allowed(others: Array, unit: float) -> Array:
    """Return (3,) the largest factor, norm and slice that rounding explains, from those (3, runs) of the others."""
    shares = np.array([FACTOR_ALONE, NORM_ALONE, SLICE_ALONE])
    allowed: Array = np.maximum(least_alone(unit), shares * others.max(axis=1))
    resolved = float(others[1].max()) < RESOLVED
    allowed[0] = max(allowed[0], NOISE_SIGMAS * _spread(others)) if resolved else math.inf
    return allowed


def _spread(others: Array) -> float:
    return math.sqrt(float(np.mean(others[0] ** 2)))


def power_alone(errors: Array, truths: Array, shape: tuple[int, ...], unit: float) -> float:
    """Return the factor, less one, by which one gradient is seen to be wrong with probability 0.999.

    Parameters
    ----------
    errors, truths, shape, unit : as of ``finding_alone``, which compares with the nearest of the truths: by as much as
        they differ from the first, a factor may go unseen.
    """
    size, rows = float(np.linalg.norm(truths[0])), shape[0] if shape else 1
    if not size:
        return 0.0
    others = measures(errors, truths[1:], size, rows)
    apart = float(measures(truths - truths[0], truths[0], size, rows)[0].max())
    return float(_allowed(others, unit)[0]) + POWER_SIGMAS * _spread(others) + apart
