"""Whether a backward pass in low precision rounds more than it would have to.

Rounding of either sign is no mistake that repeats itself, however large it is: sums that are kept in bfloat16 leave
errors of several per cent, and their spread is measured as that.  Another gradient of the same forward pass, by
automatic differentiation in the same precision, says how much of it there would have to be.
"""

import math

import numpy as np

from .._types import Array

# A backward pass may be off by this many times what the yardstick is off by.  The order of its sums and the places
# where it rounds differ, so that the two errors are drawn alike but apart; public tests of kernels allow two to three
# times (flash-attention's reference tests).  Of 3,400 right backward passes by hand, of 17 kinds, one was beyond: 3.2.
MARGIN = 3.0
# This many roundings of the precision are never too much: the numbers themselves are rounded.
ROUNDINGS_ALLOWED = 1.0
# In some runs rounding carries a pre-activation across its kink, or two into a tie, which is another error than that of
# a sum: of every entry this share of the runs counts, those with the smallest errors.
COUNTED = 0.75


def times_as_rough(errors: Array, yardstick: Array, truths: Array, unit: float) -> float:
    """Return how many times more a backward pass rounds than its yardstick; 0.0 where that is within the margin.

    Parameters
    ----------
    errors, truths : (runs, entries) of the backward pass.
    yardstick : the errors (other runs, entries) of the yardstick.
    unit : the unit roundoff of the precision.
    """
    own, least, size = _typical(errors), _typical(yardstick), math.sqrt(float(np.mean(truths**2)))
    if not own > max(MARGIN * least, ROUNDINGS_ALLOWED * unit * size):
        return 0.0
    return own / least if least else math.inf


def in_words(times: float, yardstick: str) -> str:
    """Return what is to be said of it, to follow a gradient's name."""
    if math.isinf(times):
        return f"rounds where {yardstick} does not"
    return f"rounds {times:.3g} times as much as {yardstick} does"


def _typical(errors: Array) -> float:
    """Return the root mean square of errors (runs, entries), but for the largest of every entry."""
    counted = math.ceil(COUNTED * len(errors))
    return math.sqrt(float(np.mean(np.sort(np.abs(errors), axis=0)[:counted] ** 2)))
