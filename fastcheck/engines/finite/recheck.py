"""A second look, with other steps, at entries that disagree: is it the step, a kink, or a mistake?"""

import math
import time

import numpy as np

from ..._types import Array, Indices, Mask
from .difference_table import ONE_SIDED_ROUNDING, SlopeEstimates, table
from .noise import AGREEMENT
from .state import NOISE, CheckState
from .steps import ELSEWHERE, first_step, refine

# Entries looked at before it is asked whether they show a mistake: so many, and a share of all.
AGAIN, AGAIN_SHARE = 256, 1 / 32
# Complex and real derivatives of an analytic cost agree at least to this.
ANALYTIC = 1e-5


def look_again(work: CheckState) -> None:
    """Look again at the entries that disagree with the gradient, until some are wrong beyond doubt.

    A first look never fails a gradient by itself: a step may be too long for one entry, or cross a kink.  Better
    values replace those of the first look; where the caller fixed epsilon, they tell how far off its differences are.
    """
    suspects = _suspects(work)
    if not suspects.size or not math.isfinite(work.problem.cost):
        return
    suspects = work.generator.permutation(suspects)
    size = int(AGAIN + AGAIN_SHARE * work.positions.size)
    looked = 0
    for start in range(0, suspects.size, size):
        batch = np.sort(suspects[start : start + size])
        looked += batch.size
        if _look(work, batch) or time.perf_counter() > work.choice.deadline:
            break
    if work.choice.epsilon is not None and looked < suspects.size:
        _own_up_for_others(work, np.sort(suspects[:looked]), suspects[looked:])
    plural = "entry that disagreed was" if suspects.size == 1 else "entries that disagreed were"
    work.notes.append(f"{looked:,} of {suspects.size:,} {plural} looked at again with other steps.")


def _suspects(work: CheckState) -> Indices:
    found, gradient = work.found, work.problem.gradient[work.positions]
    with np.errstate(invalid="ignore"):
        allowed = work.choice.tolerance * (np.abs(found.slope) + np.abs(gradient))
        if work.choice.epsilon is not None:  # another step could not take this noise away
            allowed = allowed + NOISE * found.error
        apart = ~(np.abs(found.slope - gradient) <= allowed)
    return np.flatnonzero(found.done & apart & np.isfinite(gradient))


def _look(work: CheckState, batch: Indices) -> bool:
    """Replace or qualify what was found of some entries; whether some of them are wrong beyond doubt."""
    problem, found = work.problem, work.found
    which, gradient = work.positions[batch], problem.gradient[work.positions[batch]]
    slopes = _slopes(work, which, gradient)
    at_kink, blurred = _kinked(slopes)
    for place in np.flatnonzero(at_kink):
        low, high = sorted((float(slopes.left[place]), float(slopes.right[place])))
        work.kinks[int(batch[place])] = (low, high)
    found.error[batch[at_kink]] = blurred[at_kink]
    known = ~at_kink & np.isfinite(slopes.error)
    if work.choice.complex_step:
        _require_analytic(work, batch[known], slopes.slope[known], slopes.error[known])
    elif work.choice.epsilon is None:
        slope, error = found.slope[batch], found.error[batch]
        # A first look that is off by more than its error, or saw less noise, did not know its error.
        misjudged = ~(np.abs(slopes.slope - slope) <= NOISE * (slopes.error + error))
        misjudged |= slopes.noise > AGREEMENT * found.noise[batch]
        excused = _apart(work, slope, error, gradient) & ~_apart(work, slopes.slope, slopes.error, gradient)
        better = known & (misjudged | excused | (slopes.error < error))
        found.put_slopes(batch[better], _subset(slopes, better))
    else:
        _own_up(work, batch[known], slopes.slope[known], slopes.noise[known])
    return _blamed(work, slopes, gradient)


def _slopes(work: CheckState, which: Indices, gradient: Array) -> SlopeEstimates:
    """Slopes with steps of their own; nothing is blamed before noise has been measured and another step agrees."""
    lines, start, cost = work.lines, first_step(work.problem.theta[which]), work.problem.cost
    slopes = refine(lines, which, start, cost, work.noise_at(which, measure=False),
                    measure=lambda: work.noise_at(which))
    if _blamed(work, slopes, gradient):
        noise = work.noise_at(which)
        if (noise > AGREEMENT * slopes.noise).any():
            slopes = refine(lines, which, start, cost, noise)
        _confirm(work, which, gradient, slopes)
    return slopes


def _confirm(work: CheckState, which: Indices, gradient: Array, slopes: SlopeEstimates) -> None:
    """Blame no gradient by one step alone: where a shorter one does not, its slope counts."""
    blamed = np.flatnonzero(_apart(work, slopes.slope, slopes.error, gradient) & slopes.smooth)
    shorter = table(
        work.lines, which[blamed], slopes.step[blamed] * ELSEWHERE, work.problem.cost, slopes.noise[blamed]
    )
    excused = ~_apart(work, shorter.slope, shorter.error, gradient[blamed]) & shorter.smooth
    slopes.take(shorter, blamed[excused], excused)


def _kinked(slopes: SlopeEstimates) -> tuple[Mask, Array]:
    """Which lines have a kink at 0, and the noise of their one-sided derivatives."""
    blurred = ONE_SIDED_ROUNDING * slopes.noise / slopes.nearest
    with np.errstate(invalid="ignore"):
        return ~slopes.smooth & (np.abs(slopes.right - slopes.left) > NOISE * blurred), blurred


def _blamed(work: CheckState, slopes: SlopeEstimates, gradient: Array) -> bool:
    """Whether some entry of the gradient is wrong beyond doubt."""
    return bool(np.any(_apart(work, slopes.slope, slopes.error, gradient) & ~_kinked(slopes)[0]))


def _apart(work: CheckState, slope: Array, error: Array, gradient: Array) -> Mask:
    """Where a slope and the gradient differ by more than tolerance and error."""
    with np.errstate(invalid="ignore"):
        allowed = work.choice.tolerance * (np.abs(slope) + np.abs(gradient)) + NOISE * error
        return np.asarray(np.abs(slope - gradient) > allowed)


def _own_up(work: CheckState, batch: Indices, slope: Array, noise: Array) -> None:
    """Count what the caller's epsilon is off by, and noise that was not seen before, as errors of its differences."""
    found = work.found
    unseen = (noise > AGREEMENT * found.noise[batch]) & (found.noise[batch] > 0.0)
    found.error[batch[unseen]] *= noise[unseen] / found.noise[batch[unseen]]
    off = np.abs(slope - found.slope[batch])
    worse = off > np.maximum(NOISE * found.error[batch], work.choice.tolerance * np.abs(slope))
    found.error[batch] = np.maximum(found.error[batch], off)
    if worse.any():
        share = float(np.max(off[worse] / np.maximum(np.abs(slope[worse]), 1e-300)))
        work.notes.append(
            f"epsilon={work.choice.epsilon:g} is too large for {np.count_nonzero(worse):,} of the entries looked at "
            f"again: their differences are off by up to {share:.1g} of the derivative. "
            "epsilon=None chooses one per parameter."
        )


def _own_up_for_others(work: CheckState, looked: Indices, others: Indices) -> None:
    """Expect of entries that were not looked at again what is usual in those that were."""
    found = work.found
    with np.errstate(all="ignore"):
        usual = float(np.nanmedian(found.error[looked] / np.abs(found.slope[looked])))
    if math.isfinite(usual):
        found.error[others] = np.fmax(found.error[others], usual * np.abs(found.slope[others]))


def _subset(slopes: SlopeEstimates, where: Mask) -> SlopeEstimates:
    some = SlopeEstimates.unknown(int(np.count_nonzero(where)))
    some.take(slopes, np.ones(some.slope.size, dtype=bool), where)
    return some


def _require_analytic(work: CheckState, batch: Indices, slope: Array, error: Array) -> None:
    """Raise ValueError where complex and real derivatives differ."""
    complex_slope = work.found.slope[batch]
    apart = np.abs(complex_slope - slope) > ANALYTIC * np.abs(slope) + NOISE * error
    if apart.any():
        place = int(np.argmax(apart))
        where = work.problem.layout.place(int(work.positions[batch[place]]))
        raise ValueError(
            f"complex_step: expected an analytic cost, got one that is not analytic: at {where} its derivative is "
            f"{complex_slope[place]:.9g}, by real differences {slope[place]:.9g}; abs, conj, .real, norms and casts to "
            "float break the complex step: rewrite them, or use order=6"
        )
