"""Which one-sided difference quotients are slopes, and which are nothing but rounding."""

import numpy as np

from ..._types import Array, Mask

# Quotients by a step and by twice the step that differ by less than this share are a slope; by this share of the
# largest slope of the same entry, they differ by rounding.
SAME, ROUNDED = 1e-6, 1e-9
# Quotients that go like a power of the step are multiplied alike each time the step is doubled, but for this share.
ALIKE = 1e-3


def steady(once: Array, twice: Array, rounding: Array) -> Mask:
    """Tell which quotients (M, k) are slopes: the same by twice the step.

    Parameters
    ----------
    once, twice : quotients by a step, and by twice the step.
    rounding : how large a slope that rounding leaves of none may be.
    """
    with np.errstate(invalid="ignore"):
        largest = np.max(np.abs(once), axis=0, keepdims=True, initial=0.0, where=np.isfinite(once))
        found: Mask = np.abs(twice - once) <= SAME * np.abs(once) + ROUNDED * largest + rounding
    return found


def powers(once: Array, twice: Array, fourfold: Array, least: Array) -> Mask:
    """Tell which quotients (M, k) go like a power of the step: those of roots, of jumps, and of flat minima.

    Parameters
    ----------
    once, twice, fourfold : quotients by a step, and by its multiples.
    least : quotients that grow as the step shrinks have to be larger than this, or the change may be rounding.
    """
    with np.errstate(all="ignore"):
        first, second = twice / once, fourfold / twice
        alike = (first > 0.0) & (np.abs(second - first) <= ALIKE * first)
        found: Mask = alike & ((first >= 1.0) | (np.abs(once) > least))
    return found
