"""Steps: where to start, and how a few rounds of trial find the best one for a line.

Source: J. J. More and S. M. Wild, "Estimating derivatives of noisy simulations", ACM TOMS 38 (2012), for steps from
noise and curvature.
"""

import math
from collections.abc import Callable

import numpy as np

from ..._constants import UNIT_ROUNDOFF
from ..._types import Array, Indices, Mask
from .difference_table import Samples, SlopeEstimates, judged
from .noise import AGREEMENT
from .stencils import STENCILS, WIDEST, Lines, central, power_of_two

# The first step, as a part of the parameter: near the best of order 6 for most functions.
FIRST = 2.0**-8
# Parameters smaller than this part of the usual size are taken for as large, unless they are another kind altogether.
CLIP, TINY = 0.5, 1e-3
ROUNDS = 6
# A step counts as good where the best one lies within these multiples of it: beyond them a digit would be lost.
GOOD = (0.6, 4.0)
# Error, relative to the usual slope, at which no better step is looked for; the second where nothing but the
# difference of first order shows, which says little about better steps.
EXACT, FLAT = 3e-13, 1e-12
# How much further to go in one round.
ADVANCE = 32.0
# How far to go where a function is not smooth at a step.
RETREAT = 1.0 / 32.0
# The step of a second opinion, as a part of the first: not a power of two, and far enough to tell.
ELSEWHERE = 3.0 / 16.0
# The step that confirms a slope, as a part of its own: not a simple fraction, and below most structure that was
# overlooked.
CONFIRMING = 0.00073
# Where slopes contradict each other, the search goes on from this part of the step.
NARROWER = 2.0**-10
# Standard errors by which slopes at two steps may differ, ...
DISAGREEMENT = 8.0
# ... where noise may be this many times what has been seen of it, ...
UNSEEN = 64.0
# ... and what the smaller step leaves out, by the larger one's higher differences, may be this many times as much.
CURVED = 16.0


def median(values: Array) -> float:
    """The middle of at least one number, nan counting as the largest; NumPy's takes longer than all else for a few."""
    half, ordered = values.size // 2, values.copy()
    if values.size % 2:
        ordered.partition(half)
        return float(ordered[half])
    ordered.partition((half - 1, half))
    return 0.5 * (float(ordered[half - 1]) + float(ordered[half]))


def first_step(values: Array) -> Array:
    """Return where to start looking for a step, for parameters of these values."""
    sizes = np.abs(values)
    used = (sizes > 0.0) & (sizes < np.inf)
    usual = median(sizes[used]) if np.count_nonzero(used) else 1.0
    sizes = np.where(used, sizes, usual)
    return power_of_two(FIRST * np.where(sizes > TINY * usual, np.maximum(sizes, CLIP * usual), sizes))


# Scale steps with the parameters only if their magnitudes span more than this factor.
WIDE = 8.0


def likely_step(values: Array, known: Array, steps: Array) -> Array:
    """Return steps for parameters from the best steps of a few: the same for all, or in proportion to their size.

    They are not rounded to powers of two.

    Parameters
    ----------
    values : the parameters (k,).
    known, steps : a few parameters and their best steps (p,).
    """
    sizes, logs = np.abs(known), np.log2(steps).tolist()  # lists: so few are quicker without NumPy
    least, largest = min(sizes.tolist()), max(sizes.tolist())
    if least > 0.0 and largest > WIDE * least:
        ratios = (np.log2(steps) - np.log2(sizes)).tolist()
        if max(ratios) - min(ratios) < max(logs) - min(logs):
            return np.asarray(2.0 ** _common(ratios) * np.where(values == 0.0, median(sizes), np.abs(values)))
    return np.full(values.size, 2.0 ** _common(logs))


def _common(logs: list[float]) -> float:
    """One step for all, as all are logarithms: that with the least norm of all errors, but not far from the middle.

    The third power of a step tells how large its error would be at another: the shortest count most.
    """
    middle, shortest = median(np.array(logs)), min(logs)
    errors = [2.0 ** (6.0 * (shortest - log)) for log in logs]  # beside that of the shortest
    shorter = middle - shortest + math.log2(sum(errors) / len(errors)) / 6.0
    return middle - min(shorter, 1.0)


def refine(
    lines: Lines, which: Indices, start: Array, cost: float, noise: Array, *, wanted: float = 0.0,
    enough: float = 0.0, measure: Callable[[], Array] | None = None, longest: float = np.inf,
) -> SlopeEstimates:
    """Return the most accurate slope of order 6 for each line, with a step found by a few rounds of trial.

    Parameters
    ----------
    lines, which : the lines to work on (p,).
    start : first spacing (p,), as ``first_step`` gives it.
    cost : the value at 0.
    noise : standard deviation of one cost (p,), as far as it is known: at least the rounding unit.
    wanted, enough : an error, absolute and relative, that is small enough.
    measure : measures the noise (p,); asked once, where costs seem to be rounded to less than double precision.
    longest : no step is longer.

    Returns
    -------
    Slopes : of the best round of each line; one round (six evaluations, and two that confirm it) where the first step
        is good.  A line at a kink is not smooth, and has one-sided derivatives.  Where slopes at different steps
        contradict each other to the end, the error is infinite.

    Notes
    -----
    A cost that oscillates within the step may look smooth there, or flat where the step is a multiple of its period.
    So every slope is held against a difference at a far smaller step, whose ratio to the first is not a simple
    fraction.  It has few digits, but no smooth function contradicts itself beyond its noise.
    """
    best = _search(lines, which, start, cost, noise, wanted, enough, longest, measure)
    (doubted,) = best.smooth.nonzero()
    for _ in range(ROUNDS):
        if not doubted.size:
            return best
        contradicted = _contradicted(lines, which, best, doubted)
        if np.count_nonzero(contradicted) and measure is not None:  # or is it noise that has not been seen yet?
            best.noise[:], measure = np.maximum(best.noise, measure()), None
            continue
        doubted = doubted[contradicted]
        if doubted.size:
            again = _search(lines, which[doubted], best.step[doubted] * NARROWER, cost, best.noise[doubted], wanted,
                            enough, longest)
            best.take(again, doubted, np.ones(doubted.size, dtype=bool))
            doubted = doubted[again.smooth]
    best.truncation[doubted] = np.inf
    return best


def _contradicted(lines: Lines, which: Indices, best: SlopeEstimates, some: Indices) -> Mask:
    """Tell which of some lines have another slope at a far smaller step."""
    found = best if some.size == which.size else best.at(some)
    step = found.step * CONFIRMING
    slope, below, above = central(lines, which[some], step, 2)
    error, apart = _held_against(found, slope, step)
    best.afar[some], best.afar_error[some] = slope, error
    return np.asarray(apart & np.isfinite(below) & np.isfinite(above))


@np.errstate(all="ignore")
def _held_against(found: SlopeEstimates, slope: Array, step: Array) -> tuple[Array, Mask]:
    """Return the standard errors of slopes at far smaller steps, and which of them differ from those that were found.

    The noise is what a table may hide at most.
    """
    bent, rounding = np.maximum.reduce(found.bend[:, 2:], axis=1), STENCILS[2].rounding
    left_out = STENCILS[2].truncation * CONFIRMING**2 * bent / found.step
    error = rounding * np.fmax(found.noise, AGREEMENT * found.level) / step + left_out
    curved = CURVED * CONFIRMING**2 * bent / found.step
    room = DISAGREEMENT * (np.fmax(UNSEEN * rounding * found.noise / step, error) + found.error) + curved
    return error, np.abs(slope - found.slope) > room


def _search(
    lines: Lines, which: Indices, start: Array, cost: float, noise: Array, wanted: float, enough: float,
    longest: float, measure: Callable[[], Array] | None = None, *, noise_known: bool = False,
) -> SlopeEstimates:
    """Return the rounds of ``refine``."""
    step, noise, active = start.copy(), np.maximum(noise, UNIT_ROUNDOFF * abs(cost) / 2.0), np.arange(which.size)
    tried, rough, quiet = [start], [np.full(which.size, np.nan)], np.full(which.size, np.inf)
    while True:
        rows = Samples.of(lines, which[active], step[active], cost)
        found = judged(rows, noise[active])
        seen, steady = np.zeros(which.size), np.zeros(active.size, dtype=bool)
        all_smooth = np.count_nonzero(found.smooth) == active.size
        if measure is not None and _may_be_noise(found, rough[-1][active]):
            seen, measure = measure(), None
        if not all_smooth:
            quiet[active] = np.fmin(quiet[active], found.quiet)
            steady, level = _steady(found, np.array(rough)[:, active], quiet[active])
            if 2 * np.count_nonzero(steady) >= np.count_nonzero(~found.smooth):  # the cost's: all lines have it
                seen = np.maximum(seen, median(level[steady]))
        if not noise_known and np.count_nonzero(seen > AGREEMENT * noise):
            return _search(lines, which, start, cost, np.maximum(noise, seen), wanted, enough, longest,
                           noise_known=True)
        if np.count_nonzero(steady):
            noise[active[steady]] = level[steady]
            found.take(judged(rows.some(steady), level[steady]), steady, np.ones(np.count_nonzero(steady), bool))
        if len(tried) == 1:
            best = found
        else:
            _keep(best, found, active, steady)
        exact = _exact(found, usual_slope(best), wanted, enough)
        if len(tried) == ROUNDS or np.count_nonzero(exact) == active.size:
            return best
        following = step[active] = np.minimum(_next_step(found), longest)
        # Steps that were judged by less noise than there is may be tried again.
        known = np.logical_or.reduce([following == before[active] for before in tried]) & ~steady
        go_on = ~(exact | known | _near(found, following))
        if not np.count_nonzero(go_on):
            return best
        quiet[active] = np.fmin(quiet[active], found.quiet)
        rough.append(np.full(which.size, np.nan))
        rough[-1][active] = np.where(found.smooth, np.nan, found.level)
        tried.append(step.copy())
        active = active[go_on]


def _steady(found: SlopeEstimates, others: Array, quiet: Array) -> tuple[Mask, Array]:
    """Tell which lines are as rough at a far smaller step, which makes it noise and not a kink, and how rough.

    Parameters
    ----------
    others : the levels at the steps before (rounds, p), nan where the line was smooth.
    quiet : the least level that two orders agreed on at any step (p,).
    """
    level = found.level
    alike = (others <= AGREEMENT * level) & (level <= AGREEMENT * others)
    steady = ~found.smooth & alike.any(axis=0) & (level <= AGREEMENT * quiet)
    return steady, np.minimum(level, np.min(others, axis=0, initial=np.inf, where=alike))


def _may_be_noise(found: SlopeEstimates, before: Array) -> bool:
    """Tell whether some line does not move at all, or is rough and hardly less so than at the step before (p,).

    A kink's differences shrink with the step; those of coarse rounding stay, until all costs are equal.
    """
    if not found.bend[:, 0].all():
        return True
    rough = ~found.smooth
    return bool(np.count_nonzero(rough) and (found.level[rough] > AGREEMENT * RETREAT * before[rough]).any())


def usual_slope(slopes: SlopeEstimates) -> float:
    """Return the median size of the slopes that are known."""
    known = np.abs(slopes.slope[np.isfinite(slopes.slope) & slopes.smooth])
    return median(known) if known.size else 0.0


@np.errstate(all="ignore")
def _exact(found: SlopeEstimates, usual: float, wanted: float, enough: float) -> Mask:
    """Tell which lines are smooth, and flat or exact enough: they need no further step."""
    share: float | Array = enough
    if enough < FLAT:
        share = np.where(np.logical_or.reduce(found.resolved[:, 2:], axis=1), max(EXACT, enough), FLAT)
    allowed = np.maximum(share * np.fmax(np.abs(found.slope), usual), wanted)
    return np.asarray(found.smooth & ((found.error <= allowed) | (found.bend[:, 0] == 0.0)))


@np.errstate(all="ignore")
def _near(found: SlopeEstimates, following: Array) -> Mask:
    """Tell which lines have about the best step already, or no better one that is a number."""
    change = following / found.step
    return np.asarray((change > GOOD[0]) & (change < GOOD[1]) | ~np.isfinite(following))


def _keep(best: SlopeEstimates, found: SlopeEstimates, active: Indices, steady: Mask) -> None:
    """Keep what is better than before, and the one-sided derivatives of the smallest rough step."""
    # A slope from a step at which the cost is rough counts only where there is no other.
    better = np.where(found.smooth == best.smooth[active], found.error < best.error[active], found.smooth)
    better |= np.isnan(best.slope[active]) | steady
    best.take(found, active[better], better)
    if found.smooth.all() and not steady.any():
        return
    rough = found.nearest < best.nearest[active]
    best.left[active[rough]], best.right[active[rough]] = found.left[rough], found.right[rough]
    best.nearest[active[rough]] = found.nearest[rough]
    best.left[active[steady]] = best.right[active[steady]] = np.nan  # what was rough was noise


@np.errstate(all="ignore")
def _next_step(found: SlopeEstimates) -> Array:
    """Return the step to try after a table."""
    factor = (found.rounding / (WIDEST.order * found.truncation)) ** (1.0 / (WIDEST.order + 1))
    factor = np.where(found.smooth, np.minimum(factor, ADVANCE), RETREAT)
    return power_of_two(found.step * factor)
