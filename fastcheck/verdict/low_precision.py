"""How to tell that a gradient was computed in less than double precision."""

import math

import numpy as np

from .._types import Array
from .comparison import Comparison

# Relative errors of single precision: few entries are nearer than the one, hardly any further off than the tolerance.
NEAREST = 1e-9
SHARE = 0.8
# Standard errors of noise that an error must exceed to count.
BEYOND_NOISE = 3.0
# At least this many entries are needed to tell rounding from a systematic error.
ENOUGH = 4
# An error that follows the gradient this closely is not rounding.
SYSTEMATIC = 0.9
# Entries looked at.
SAMPLE = 1 << 15


def computed_in_single(comparison: Comparison) -> bool:
    """Tell whether a gradient that is off by about what single precision rounds seems to have been computed in it.

    A guess where it is not ``representable``: the errors of a few entries look like anything.
    """
    return representable(comparison) or rounded_throughout(comparison)


def representable(comparison: Comparison) -> bool:
    """Tell whether every entry of the gradient is a single-precision number: it was one before it became a double."""
    for start in range(0, comparison.checked, SAMPLE):
        part = comparison.gradient[start : start + SAMPLE]
        with np.errstate(over="ignore"):
            if not np.array_equal(part.astype(np.float32).astype(np.float64), part):
                return False
    return True


def rounded_throughout(comparison: Comparison) -> bool:
    """Tell whether nearly all entries that count are off by what single precision rounds, to either side alike."""
    part = next(comparison.entries())
    counts = np.abs(part.approx) > 1e-3 * comparison.root_mean_square * comparison.unit
    if np.count_nonzero(counts) < ENOUGH:
        return False
    error = (part.gradient - part.approx)[counts]
    approx = part.approx[counts]
    noise = np.broadcast_to(part.noise, part.error.shape)[counts]
    if np.mean(np.abs(error) > NEAREST * np.abs(approx) + BEYOND_NOISE * noise) < SHARE:
        return False
    return abs(_along(error, approx)) < SYSTEMATIC


def follows_the_gradient(comparison: Comparison) -> bool:
    """Tell whether the errors of several entries follow the gradient, as a factor does and rounding does not."""
    part = next(comparison.entries())
    return part.error.size >= ENOUGH and abs(_along(part.gradient - part.approx, part.approx)) >= SYSTEMATIC


def _along(error: Array, approx: Array) -> float:
    """Return the cosine between errors and a gradient; 0 where one of them is zero."""
    sizes = math.sqrt(float(np.dot(error, error)) * float(np.dot(approx, approx)))
    return float(np.dot(error, approx)) / sizes if sizes else 0.0
