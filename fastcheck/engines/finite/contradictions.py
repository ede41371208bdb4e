"""Steps that contradict each other: which slopes are confirmed beyond noise, and which blame nobody."""

import numpy as np

from ..._constants import NOISE_SIGMAS, UNIT_ROUNDOFF
from ..._types import Mask
from .check import Batch
from .difference_table import SlopeEstimates
from .stencils import STENCILS, central
from .steps import CONFIRMING

# The entry that is furthest off is asked what far smaller steps say.  These begin at this many roundings of the cost,
# and become longer by this factor.
ROUNDINGS, LONGER = 2.0, 1.7
# So many differences in a row are not near the gradient by chance.
IN_A_ROW = 4
# Of slopes that noise sets apart one in so many agrees this much more closely than the noise is large.
LUCKY = 100.0
# Nearer to the gradient by this factor is a difference that speaks for it.
FAVOUR = 8.0


def confirmed_afar(batch: Batch, slopes: SlopeEstimates) -> Mask:
    """Tell which slopes a far smaller step confirms so closely that neither noise nor a step explains what is apart.

    Noise is some thousand times as large in the difference at that step: where it agrees with the slope to within half
    of what the gradient is off by, no noise at the longer step is that large.  Nor is there as much as the table may
    hide where the two agree far more closely than that much would let them.
    """
    with np.errstate(all="ignore"):
        between = np.abs(slopes.afar - slopes.slope)
        known = STENCILS[2].rounding * slopes.noise / (CONFIRMING * slopes.step)
        error = np.fmin(slopes.afar_error, np.fmax(known, LUCKY * between))
        agree = between <= NOISE_SIGMAS * error
    return np.asarray(agree & batch.apart(slopes.slope, 2.0 * error) & slopes.smooth & (slopes.bend[:, 0] > 0.0))


def doubt_contradicted(batch: Batch, slopes: SlopeEstimates) -> None:
    """Give slopes that shorter steps contradict an infinite error, so that they blame nobody.

    What looked like noise may be the cost's own fast change: where the difference that confirms a slope speaks for the
    gradient instead, and where differences at still smaller steps do.
    """
    with np.errstate(invalid="ignore"):
        off = np.abs(slopes.slope - batch.gradient)
        contradicted = FAVOUR * np.abs(slopes.afar - batch.gradient) <= off
        contradicted &= NOISE_SIGMAS * slopes.afar_error <= off
    slopes.truncation[contradicted & batch.apart(slopes.slope, slopes.error)] = np.inf
    _ask_smaller_steps(batch, slopes)


def _ask_smaller_steps(batch: Batch, slopes: SlopeEstimates) -> None:
    """Blame nobody by slopes where far smaller steps speak for the gradient: what they say is the cost's own change.

    Noise is as large at any step, or absent between the jumps of coarse rounding: of differences at steps so small
    that it hides the slope a few may be near the gradient by chance, but not several in a row.
    """
    blamed = batch.apart(slopes.slope, slopes.error) & slopes.smooth & np.isfinite(slopes.error)
    if not blamed.any():
        return
    furthest = np.argmax(np.where(blamed, np.abs(slopes.slope - batch.gradient), -1.0), keepdims=True)
    if _speaks_for_the_gradient(batch.some(furthest), slopes.at(furthest)):
        slopes.truncation[blamed] = np.inf


def _speaks_for_the_gradient(batch: Batch, slopes: SlopeEstimates) -> bool:
    """Tell whether several differences in a row are near the gradient of one line, before any is near its slope.

    The steps begin where the rounding of the cost alone would be about half of what is near, and become longer.
    """
    slope, gradient, longest = float(slopes.slope[0]), float(batch.gradient[0]), float(slopes.step[0]) / LONGER
    near = abs(slope - gradient) / FAVOUR
    step, in_a_row = ROUNDINGS * UNIT_ROUNDOFF * abs(batch.check.problem.cost) / near, 0
    while 0.0 < step <= longest and in_a_row < IN_A_ROW:
        found = float(central(batch.check.lines, batch.which, np.array([step]), 2)[0][0])
        if abs(found - slope) <= near:
            return False
        in_a_row = in_a_row + 1 if abs(found - gradient) <= near else 0
        step *= LONGER
    return in_a_row == IN_A_ROW
