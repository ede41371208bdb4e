"""Steps that contradict each other: which slopes are confirmed beyond noise, and which blame nobody."""

import numpy as np

from ..._constants import NOISE_SIGMAS, UNIT_ROUNDOFF
from ..._types import Mask
from .check import Batch
from .difference_table import SlopeEstimates, table
from .noise import AGREEMENT

# Noise of more than this many roundings of the cost may be its own fast change: smaller steps tell, by these factors,
# at this many of the entries that would be blamed.
LOUD, FINE, ASKED = 100.0, (7.3e-3, 5.7e-5, 4.3e-7), 2
# Nearer to the gradient by this factor is a difference that speaks for it.
FAVOUR = 8.0


def confirmed_afar(batch: Batch, slopes: SlopeEstimates) -> Mask:
    """Tell which slopes a far smaller step confirms so closely that neither noise nor a step explains what is apart.

    Noise is some thousand times as large in the difference at that step: where it agrees with the slope to within half
    of what the gradient is off by, no noise at the longer step is that large.
    """
    with np.errstate(invalid="ignore"):
        reach = NOISE_SIGMAS * slopes.afar_error
        agree = np.abs(slopes.afar - slopes.slope) <= reach
    return np.asarray(agree & batch.apart(slopes.slope, 2.0 * slopes.afar_error) & slopes.smooth
                      & (slopes.bend[:, 0] > 0.0))


def doubt_contradicted(batch: Batch, slopes: SlopeEstimates) -> None:
    """Give slopes that shorter steps contradict an infinite error, so that they blame nobody.

    What looked like noise may be the cost's own fast change: where the far smaller step speaks for the gradient, and
    where the noise itself is smooth at smaller steps.
    """
    with np.errstate(invalid="ignore"):
        off = np.abs(slopes.slope - batch.gradient)
        contradicted = FAVOUR * np.abs(slopes.afar - batch.gradient) <= off
        contradicted &= NOISE_SIGMAS * slopes.afar_error <= off
    slopes.truncation[contradicted & batch.apart(slopes.slope, slopes.error)] = np.inf
    _look_for_structure(batch, slopes)


def _look_for_structure(batch: Batch, slopes: SlopeEstimates) -> None:
    """Blame nobody by slopes whose noise is smooth at smaller steps, with another slope: it is the cost's own.

    Noise is as large at any step, or absent between the jumps of coarse rounding.
    """
    cost = batch.check.problem.cost
    loud = slopes.noise > LOUD * UNIT_ROUNDOFF * abs(cost)
    loud &= batch.apart(slopes.slope, slopes.error) & slopes.smooth & np.isfinite(slopes.error)
    chosen = np.flatnonzero(loud)[:ASKED]
    if not chosen.size:
        return
    floor = np.full(chosen.size, UNIT_ROUNDOFF * abs(cost))
    before = np.full(chosen.size, np.nan)
    for part in FINE:
        found = table(batch.check.lines, batch.which[chosen], part * slopes.step[chosen], cost, floor)
        error = found.error + AGREEMENT * found.level / found.step
        other = np.abs(found.slope - slopes.slope[chosen]) > NOISE_SIGMAS * (error + slopes.error[chosen])
        same = np.abs(found.slope - before) <= 0.5 * np.abs(found.slope - slopes.slope[chosen])
        quiet = (found.level < slopes.noise[chosen] / AGREEMENT**3) & (found.bend[:, 0] > 0.0) & found.smooth
        if (quiet & other & same).any():
            slopes.truncation[loud] = np.inf
            return
        before = np.where(quiet & other, found.slope, np.nan)
