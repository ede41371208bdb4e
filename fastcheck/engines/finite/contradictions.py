"""Steps that contradict each other: which slopes are confirmed beyond noise, and which blame nobody."""

import numpy as np

from ..._constants import NOISE_SIGMAS, UNIT_ROUNDOFF
from ..._types import Indices, Mask
from .check import Batch
from .difference_table import SlopeEstimates
from .stairs import on_a_tread
from .stencils import STENCILS, central
from .steps import CONFIRMING, first_step

# The entry that is furthest off is asked what far smaller steps say.  These begin at this many roundings of the cost,
# and become longer by this factor.
ROUNDINGS, LONGER = 2.0, 1.7
# A cost that does not move where it should by less than this share of it has lost that inside, as 1 + x does, and says
# nothing of its slope.  One that is rounded to less than half of its digits is meant so.
HALF = 2.0**-26
# This many differences in a row are not near the gradient by chance.
IN_A_ROW = 4
# Of slopes that noise sets apart one in this many agrees this much more closely than the noise is large.
LUCKY = 100.0
# A step this many times shorter, twice, has a difference over a jump as many times larger, to this part of itself.
SHORTER, ALIKE = 16.0, 0.01
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
    """Give slopes that other steps contradict an infinite error, so that they blame nobody.

    What looked like noise may be the cost's own fast change: where the difference that confirms a slope speaks for the
    gradient instead, and where differences at still smaller steps do.  And what looks like its slope may be that of a
    tread, which longer steps contradict.
    """
    with np.errstate(invalid="ignore"):
        off = np.abs(slopes.slope - batch.gradient)
        contradicted = FAVOUR * np.abs(slopes.afar - batch.gradient) <= off
        contradicted &= NOISE_SIGMAS * slopes.afar_error <= off
    slopes.truncation[contradicted & batch.apart(slopes.slope, slopes.error)] = np.inf
    blamed = batch.apart(slopes.slope, slopes.error) & slopes.smooth & np.isfinite(slopes.error)
    if blamed.any():
        furthest = int(np.argmax(np.where(blamed, np.abs(slopes.slope - batch.gradient), -1.0)))
        if _other_steps_disagree(batch.some(np.array([furthest])), float(slopes.slope[furthest]),
                                 float(slopes.step[furthest])):
            slopes.truncation[blamed] = np.inf
        elif _over_jumps(batch, slopes, np.array([furthest])).all():
            rows = np.flatnonzero(blamed)
            slopes.truncation[rows[_over_jumps(batch, slopes, rows)]] = np.inf


def _over_jumps(batch: Batch, slopes: SlopeEstimates, rows: Indices) -> Mask:
    """Tell where differences grow as steps shrink, like one over the step: the cost jumps to both sides of the entry.

    Noise grows so as well, but hardly ever twice to the same multiple.
    """
    steeper = np.abs(slopes.afar[rows]) > SHORTER * np.abs(slopes.slope[rows])
    if not steeper.any():
        return steeper
    which, step = batch.some(rows).which, slopes.step[rows] / SHORTER
    near, nearer = (central(batch.check.lines, which, one, 2)[0] for one in (step, step / SHORTER))
    grown = np.abs(nearer - SHORTER * near) <= ALIKE * np.abs(nearer)
    return np.asarray(steeper & grown & (np.abs(near) > np.abs(slopes.slope[rows])))


def _other_steps_disagree(batch: Batch, slope: float, step: float) -> bool:
    """Tell whether the slope of one line, from some step, is not the cost's own as smaller or larger steps tell it."""
    check, which = batch.check, batch.which
    usual = float(first_step(check.problem.theta[which])[0])
    return (_smaller_steps_agree(batch, slope, step / LONGER)
            or on_a_tread(check.lines, which, slope, float(batch.gradient[0]), step, usual))


def _smaller_steps_agree(batch: Batch, slope: float, longest: float) -> bool:
    """Tell whether several differences in a row are near the gradient of one line, before any is near its slope.

    What far smaller steps say is the cost's own change.  Noise is as large at any step, or absent between the jumps of
    coarse rounding: of differences at steps so small that it hides the slope a few may be near the gradient by chance,
    but not several in a row.  The steps begin where the rounding of the cost alone would be about half of what is near,
    and become longer.
    """
    gradient, cost = float(batch.gradient[0]), abs(batch.check.problem.cost)
    near = abs(slope - gradient) / FAVOUR
    step, in_a_row = ROUNDINGS * UNIT_ROUNDOFF * cost / near, 0
    while 0.0 < step <= longest and in_a_row < IN_A_ROW:
        found = float(central(batch.check.lines, batch.which, np.array([step]), 2)[0][0])
        if abs(found - slope) <= near:
            return False
        unmoved = found == 0.0 and 2.0 * abs(slope) * step <= HALF * cost
        if not unmoved:
            in_a_row = in_a_row + 1 if abs(found - gradient) <= near else 0
        step *= LONGER
    return in_a_row == IN_A_ROW
