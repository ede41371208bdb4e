"""Entries that disagree are looked at again, with other steps: is it the step, a kink, an edge, or a mistake?

Which entries are asked, and when there is nothing left to ask, is the policy of ``second_looks``: a tensor is a group,
and settled where one of its entries is wrong beyond doubt.
"""

import math
from dataclasses import dataclass, field, replace

import numpy as np

from ..._constants import NOISE_SIGMAS
from ..._types import Array, Indices, Mask
from ..second_looks import SecondLooks
from .check import Batch, Check
from .complex_step import ANALYTIC, not_analytic
from .contradictions import LUCKY, confirmed_afar, doubt_contradicted
from .difference_table import SlopeEstimates, table
from .edges import edge_slopes, inner_step
from .estimates import Estimates
from .lines import OutOfTime
from .noise import AGREEMENT
from .sides import side_slopes
from .spread import spread, stair_heights
from .stencils import WIDEST
from .steps import ELSEWHERE, UNSEEN, first_step, refine

# Entries of a tensor in the first batch, at least and at most, and how much larger each next batch is.
FEWEST, MOST, GROWTH = 1, 8, 8
# The first batch may take this share of the evaluations so far, at this many an entry.
SHARE, EACH = 0.25, 12
# Entries of a batch at which errors that decide are measured, by slopes at other steps; the others' follow from them.
MEASURED = 6
# A step that had to become this much shorter may still not be short enough.
SHORT = 2.0**-20
# Near the edge of a domain, steps are looked for from this part of the largest one on at which both sides have costs.
INWARD = 2.0**-4
# Errors above this share of a tensor's gradient, and this many times its smallest, hide it where they need not.
HIDES, POOR = 1e-3, 30.0
# Relative rounding of single precision: what is wrong beyond it needs no measurement of the cost's noise.
SINGLE = 2.0**-24


@dataclass(frozen=True)
class Rechecked:
    """Estimates after the second look.

    Parameters
    ----------
    estimates : of all entries.
    kinks : one-sided derivatives (low, high) of entries at kinks, by place.
    suspects, looked : how many disagreed, and how many of those were looked at again.
    unsure : how many of the others may be right for all that is known: the deadline left them no second look.
    edges : how many lie at the edge of the cost's domain.
    off : relative errors of the caller's own epsilon, where it is too large.
    """

    estimates: Estimates
    kinks: dict[int, tuple[float, float]] = field(default_factory=dict)
    suspects: int = 0
    looked: int = 0
    unsure: int = 0
    edges: int = 0
    off: tuple[float, ...] = ()

    def followed_by(self, other: "Rechecked") -> "Rechecked":
        """This look and a further one at the same entries, which has the last word."""
        return Rechecked(
            other.estimates, {**self.kinks, **other.kinks}, self.suspects + other.suspects,
            self.looked + other.looked, self.unsure + other.unsure, self.edges + other.edges, self.off + other.off,
        )


def recheck(check: Check, places: Indices, estimates: Estimates) -> Rechecked:
    """Look again at the entries that disagree with the gradient, until some are wrong beyond doubt.

    Better values replace those of the first look; where the caller fixed epsilon, they tell how far off its
    differences are.

    Parameters
    ----------
    places : of the entries that the estimates are of, ascending.

    Raises
    ------
    ValueError : where complex_step was asked for and the cost is not analytic.
    """
    if not math.isfinite(check.problem.cost):
        return Rechecked(estimates)
    suspects = suspects_among(check, places, estimates)
    begun = Rechecked(estimates)
    hiding = _hiding(check, places, estimates)
    hiding = np.setdiff1d(hiding, suspects) if hiding.size else hiding
    if hiding.size:
        begun = _hiding_looked_at(Batch(check, hiding, places[hiding]), estimates)
        estimates = begun.estimates
        suspects = np.setdiff1d(suspects_among(check, places, estimates), [*_rows_of(begun.kinks, places)])
    if not suspects.size:
        return begun
    shuffled = check.generator.permutation(suspects)
    lost_first = np.argsort(np.isfinite(estimates.slope[shuffled]), kind="stable")
    groups = _by_tensor(check, places, shuffled[lost_first])
    first = int(np.clip(SHARE * check.lines.count / (EACH * len(groups)), FEWEST, MOST))
    # With little time, one tensor's answer is worth more than half of everybody's.
    looks = SecondLooks(groups, first, GROWTH, together=None if math.isinf(check.method.deadline) else 1)
    found = begun.followed_by(Rechecked(estimates, suspects=suspects.size))
    looked: list[Indices] = []
    for rows in looks:
        try:
            again, blamed = _look(Batch(check, rows, places[rows]), found.estimates)
        except OutOfTime:
            return found.followed_by(_unsure(check, places, found.estimates, looks.waiting))
        found = found.followed_by(again)
        looked.append(rows)
        looks.settle(blamed)
    # Of a tensor that fails, the entries that have no estimate and were not looked at neither blame nor excuse.
    others = np.setdiff1d(suspects, np.concatenate(looked))
    others = others[~np.isfinite(found.estimates.slope[others])]
    if others.size:
        found = found.followed_by(Rechecked(found.estimates.assuming(others, check.gradient[places[others]])))
    if check.method.epsilon is not None and found.looked < suspects.size:
        others = np.setdiff1d(suspects, np.concatenate(looked))
        found = found.followed_by(Rechecked(_own_up_for_others(found.estimates, np.concatenate(looked), others)))
    return found


def _rows_of(kinks: dict[int, tuple[float, float]], places: Indices) -> Indices:
    """Return the rows of entries at kinks."""
    return np.searchsorted(places, np.array(sorted(kinks), dtype=np.int64))


@np.errstate(invalid="ignore", over="ignore")
def _hiding(check: Check, places: Indices, estimates: Estimates) -> Indices:
    """Return rows of the entries whose own errors would hide all of their tensor."""
    hiding = [np.empty(0, np.int64)]
    if check.method.epsilon is None and not check.method.complex_step:
        for tensor in check.tensors:
            rows = check.rows_of(tensor, places)
            errors, gradient = NOISE_SIGMAS * estimates.error[rows], check.gradient[places[rows]]
            hides = errors > HIDES * np.sqrt(gradient @ gradient)
            if np.count_nonzero(hides):
                hides &= (errors > POOR * np.min(errors, initial=np.inf)) | (errors.size == 1)
                hiding.append(rows.start + np.flatnonzero(hides & np.isfinite(errors)))
    return np.concatenate(hiding)


def _hiding_looked_at(batch: Batch, estimates: Estimates) -> Rechecked:
    """Look again at entries that agree, but by errors of their own that would hide all of their tensor.

    At a kink the central difference is the mean of both sides, as the gradient may be, and its error that of a step
    that is not smooth; the derivatives to both sides are known far better.
    """
    try:
        return replace(_look(batch, estimates)[0], looked=0)
    except OutOfTime:
        return Rechecked(estimates)


def _unsure(check: Check, places: Indices, estimates: Estimates, rows: Indices) -> Rechecked:
    """Suspects that nothing is known about but a first look, which may be off by as much as they disagree."""
    apart = np.abs(estimates.slope[rows] - check.gradient[places[rows]])
    return Rechecked(estimates.with_errors(rows, np.fmax(estimates.error[rows], apart)), unsure=rows.size)


def _by_tensor(check: Check, places: Indices, rows: Indices) -> list[Indices]:
    """Return rows in lists by tensor, in the order given."""
    owner = check.problem.layout.tensor_of(check.positions[places[rows]])
    return [rows[owner == tensor] for tensor in np.unique(owner)]


@np.errstate(invalid="ignore")
def suspects_among(check: Check, places: Indices, estimates: Estimates) -> Indices:
    """Return rows of the entries that disagree with the gradient."""
    gradient = check.gradient[places]
    allowed = check.method.tolerance * (np.abs(estimates.slope) + np.abs(gradient))
    if check.method.epsilon is not None:  # another step could not take this noise away
        allowed += NOISE_SIGMAS * estimates.error
    agree = np.abs(estimates.slope - gradient) <= allowed
    return (np.isfinite(gradient) & ~agree).nonzero()[0]


def _look(batch: Batch, estimates: Estimates) -> tuple[Rechecked, Indices]:
    """Replace or qualify some estimates; with the rows that are wrong beyond doubt."""
    check, rows = batch.check, batch.rows
    slopes = _slopes(batch)
    at_kink, blurred = slopes.kinked()
    # A line that is smooth at no step, and has no kink at 0, has no slope that could blame anything.
    slopes.truncation[~slopes.smooth & ~at_kink & np.isfinite(slopes.slope)] = np.inf
    if at_kink.any():
        blurred = _sharpened(batch, slopes, at_kink, blurred)
    kinks = {
        int(batch.places[k]): (min(slopes.left[k], slopes.right[k]), max(slopes.left[k], slopes.right[k]))
        for k in np.flatnonzero(at_kink)
    }
    noisier = _noisier(batch, estimates, slopes, ~at_kink)
    found = Rechecked(noisier.with_errors(rows[at_kink], blurred[at_kink]), kinks, looked=rows.size)
    known = ~at_kink & np.isfinite(slopes.error)
    unknown = rows[~at_kink & ~known & np.isfinite(slopes.slope)]
    found = found.followed_by(Rechecked(found.estimates.with_errors(unknown, np.full(unknown.size, np.inf))))
    if check.method.complex_step:
        _require_analytic(batch.some(known), found.estimates, slopes.slope[known], slopes.error[known])
    elif check.method.epsilon is None:
        better = known & _better(batch, found.estimates.at(rows), slopes)
        subset = Estimates.from_slopes(_subset(slopes, better))
        found = found.followed_by(Rechecked(found.estimates.with_entries(rows[better], subset)))
        found = found.followed_by(_at_edges(batch.some(~at_kink & ~np.isfinite(slopes.slope)), found.estimates))
    else:
        found = found.followed_by(_own_up(batch.some(known), found.estimates, _subset(slopes, known)))
    wrong = batch.apart(slopes.slope, slopes.error) & ~at_kink
    return found, rows[wrong]


def _sharpened(batch: Batch, slopes: SlopeEstimates, at_kink: Mask, blurred: Array) -> Array:
    """Take one-sided derivatives from costs on one side alone, where that is more exact; their errors."""
    check, where = batch.check, np.flatnonzero(at_kink)
    which = batch.which[where]
    found = side_slopes(check.lines, which, first_step(check.problem.theta[which]), check.problem.cost,
                        slopes.noise[where])
    error = NOISE_SIGMAS * (blurred[where] + found.error)
    with np.errstate(invalid="ignore"):
        alike = np.abs(found.left - slopes.left[where]) <= error
        alike &= np.abs(found.right - slopes.right[where]) <= error
    sharper = alike & (found.error < blurred[where])
    slopes.left[where[sharper]], slopes.right[where[sharper]] = found.left[sharper], found.right[sharper]
    errors = blurred.copy()
    errors[where[sharper]] = found.error[sharper]
    return errors


def _noisier(batch: Batch, estimates: Estimates, slopes: SlopeEstimates, where: Mask) -> Estimates:
    """Return the first look's estimates, with as much noise as the second one saw."""
    before = estimates.at(batch.rows)
    with np.errstate(all="ignore"):
        factor = slopes.noise / before.noise
    factor = np.where(where & np.isfinite(factor) & (before.noise > 0.0), np.maximum(factor, 1.0), 1.0)
    return estimates.with_errors(batch.rows, before.error * factor)


def _better(batch: Batch, before: Estimates, slopes: SlopeEstimates) -> Mask:
    """Return where the second look's slopes are to replace those of the first."""
    # A first look that is off by more than its error, or saw less noise, did not know its error.
    misjudged = ~(np.abs(slopes.slope - before.slope) <= NOISE_SIGMAS * (slopes.error + before.error))
    misjudged |= slopes.noise > AGREEMENT * before.noise
    excused = batch.apart(before.slope, before.error) & ~batch.apart(slopes.slope, slopes.error)
    return np.asarray(misjudged | excused | (slopes.error < before.error))


def _slopes(batch: Batch) -> SlopeEstimates:
    """Slopes with steps of their own; no small error is blamed before noise is measured and another step agrees."""
    check, which = batch.check, batch.which
    lines, start, cost = check.lines, first_step(check.problem.theta[which]), check.problem.cost
    slopes, anew = _found_before(batch)
    if anew.any():
        fresh = which[anew]
        slopes.put(anew, refine(lines, fresh, start[anew], cost, check.noise.at(fresh, measure=False),
                                measure=lambda: check.noise.at(fresh)))
    _look_inward(batch, slopes, start)
    doubted = batch.apart(slopes.slope, slopes.error) & ~slopes.kinked()[0] & ~confirmed_afar(batch, slopes)
    if doubted.any():
        doubted &= ~_confirmed(batch, slopes, doubted) & _subtle(batch, slopes)
    if doubted.any():
        noise = check.noise.at(which[doubted])
        if (noise > AGREEMENT * slopes.noise[doubted]).any():
            again = refine(lines, which[doubted], start[doubted], cost, noise)
            slopes.take(again, doubted, np.ones(again.slope.size, dtype=bool))
            _confirmed(batch, slopes, doubted)
    _measure_errors(batch, slopes)
    doubt_contradicted(batch, slopes)
    return slopes


def _found_before(batch: Batch) -> tuple[SlopeEstimates, Mask]:
    """Return what the first look found where it chose each entry's step by itself, and which entries it did not."""
    slopes, anew = SlopeEstimates.unknown(batch.places.size), np.ones(batch.places.size, dtype=bool)
    for places, table_of in batch.check.refined if batch.check.method.epsilon is None else ():
        here = np.flatnonzero(np.isin(batch.places, places))
        found = table_of.at(np.searchsorted(places, batch.places[here]))
        sound = found.smooth & np.isfinite(found.error) & np.isfinite(found.afar)
        slopes.put(here[sound], found.at(sound))
        anew[here[sound]] = False
    return slopes, anew


def _look_inward(batch: Batch, slopes: SlopeEstimates, start: Array) -> None:
    """Where costs are missing on one side at all steps that were tried, try those at which both sides have one."""
    check, lost = batch.check, np.flatnonzero(~np.isfinite(slopes.slope))
    if not lost.size:
        return
    inner = inner_step(check.lines, batch.which[lost], start[lost])
    lost, inner = lost[np.isfinite(inner)], inner[np.isfinite(inner)]
    if lost.size:
        which = batch.which[lost]
        found = refine(check.lines, which, INWARD * inner, check.problem.cost, check.noise.at(which))
        slopes.take(found, lost, np.ones(lost.size, dtype=bool))


def _measure_errors(batch: Batch, slopes: SlopeEstimates) -> None:
    """Hold the errors of slopes that disagree, but not grossly, against their scatter at other steps."""
    check = batch.check
    coarse = WIDEST.rounding * SINGLE * abs(check.problem.cost) / slopes.step
    subtle = ~batch.apart(slopes.slope, slopes.error + coarse) & ~batch.apart(slopes.slope, UNSEEN * slopes.error)
    subtle |= slopes.step < SHORT * first_step(check.problem.theta[batch.which])
    apart = batch.apart(slopes.slope, slopes.error / NOISE_SIGMAS) & np.isfinite(slopes.error) & slopes.smooth
    still = np.flatnonzero(apart & (slopes.bend[:, 0] == 0.0))[:MEASURED]
    moving = np.flatnonzero(apart & subtle & (slopes.bend[:, 0] > 0.0))
    chosen = moving[:: max(1, -(-moving.size // MEASURED))]
    if chosen.size:
        found = spread(check.lines, batch.which[chosen], slopes.step[chosen], slopes.slope[chosen])
        with np.errstate(all="ignore"):
            ratios = found.deviation / slopes.rounding[chosen]
        ratio = float(np.sqrt(np.mean(ratios[np.isfinite(ratios)] ** 2))) if np.isfinite(ratios).any() else 1.0
        slopes.slope[chosen] = found.mean
        factor = np.full(moving.size, max(ratio, 1.0))
        slopes.rounding[moving] *= factor
        slopes.noise[moving] *= factor
        slopes.rounding[chosen] = np.fmax(slopes.rounding[chosen], found.deviation)
    if still.size:
        height = stair_heights(check.lines, batch.which[still], slopes.step[still], check.problem.cost)
        slopes.noise[still] = np.maximum(slopes.noise[still], height)
        slopes.rounding[still] = np.maximum(slopes.rounding[still], height / slopes.step[still])


def _subtle(batch: Batch, slopes: SlopeEstimates) -> Mask:
    """Tell which entries are off by so little that a cost in single precision could be the reason."""
    coarse = WIDEST.rounding * SINGLE * abs(batch.check.problem.cost) / slopes.step
    return ~batch.apart(slopes.slope, slopes.error + coarse)


def _confirmed(batch: Batch, slopes: SlopeEstimates, doubted: Mask) -> Mask:
    """Blame no gradient by one step alone: tell which slopes a shorter one confirms; one that does not blame counts.

    What is off grossly needs a shorter one that is nearer to the gradient, and not only noisier.
    """
    blamed = np.flatnonzero(doubted & batch.apart(slopes.slope, slopes.error) & slopes.smooth)
    some, slope = batch.some(blamed), slopes.slope[blamed]
    shorter = table(batch.check.lines, some.which, slopes.step[blamed] * ELSEWHERE, batch.check.problem.cost,
                    slopes.noise[blamed])
    between = np.abs(shorter.slope - slope)
    with np.errstate(invalid="ignore"):
        nearer = np.abs(shorter.slope - some.gradient) < between
    excused = ~some.apart(shorter.slope, shorter.error) & shorter.smooth
    excused &= _subtle(batch, slopes)[blamed] | nearer
    confirmed = np.zeros(doubted.size, dtype=bool)
    confirmed[blamed] = shorter.smooth & ~excused & some.apart(slope, 2.0 * LUCKY * between)
    slopes.take(shorter, blamed[excused], excused)
    return confirmed


def _at_edges(batch: Batch, estimates: Estimates) -> Rechecked:
    """Return entries at which the cost is defined on one side only, with the derivative from that side."""
    if not batch.rows.size:
        return Rechecked(estimates)
    check, which = batch.check, batch.which
    noise = check.noise.at(which)
    start = first_step(check.problem.theta[which])
    found = edge_slopes(check.lines, which, start, check.problem.cost, noise)
    one_sided = Estimates(found.slope, found.error, found.step, noise, found.below, found.above).at(found.known)
    changed = estimates.with_entries(batch.rows[found.known], one_sided)
    return Rechecked(changed, edges=int(np.count_nonzero(found.known)))


def _own_up(batch: Batch, estimates: Estimates, slopes: SlopeEstimates) -> Rechecked:
    """Count what the caller's epsilon is off by, and noise that was not seen before, as errors of its differences."""
    before = estimates.at(batch.rows)
    unseen = (slopes.noise > AGREEMENT * before.noise) & (before.noise > 0.0)
    with np.errstate(all="ignore"):
        error = np.where(unseen, before.error * (slopes.noise / before.noise), before.error)
        off = np.abs(slopes.slope - before.slope)
        tolerated = batch.check.method.tolerance * np.abs(slopes.slope)
        worse = off > np.maximum(NOISE_SIGMAS * error, tolerated)
        shares = off[worse] / np.maximum(np.abs(slopes.slope[worse]), 1e-300)
    return Rechecked(estimates.with_errors(batch.rows, np.maximum(error, off)), off=tuple(float(s) for s in shares))


def _own_up_for_others(estimates: Estimates, looked: Indices, others: Indices) -> Estimates:
    """Assume that the suspects not looked at again are as inaccurate as the middle one of those that were."""
    with np.errstate(all="ignore"):
        usual = float(np.nanmedian(estimates.error[looked] / np.abs(estimates.slope[looked])))
    if not math.isfinite(usual):
        return estimates
    return estimates.with_errors(others, np.fmax(estimates.error[others], usual * np.abs(estimates.slope[others])))


def _subset(slopes: SlopeEstimates, where: Mask) -> SlopeEstimates:
    some = SlopeEstimates.unknown(int(np.count_nonzero(where)))
    some.take(slopes, np.ones(some.slope.size, dtype=bool), where)
    return some


def _require_analytic(batch: Batch, estimates: Estimates, slope: Array, error: Array) -> None:
    """Raise ValueError where complex and real derivatives differ."""
    complex_slope = estimates.slope[batch.rows]
    apart = np.abs(complex_slope - slope) > ANALYTIC * np.abs(slope) + NOISE_SIGMAS * error
    if apart.any():
        k = int(np.argmax(apart))
        where = batch.check.problem.layout.place(int(batch.which[k]))
        raise not_analytic(f"at {where}", float(complex_slope[k]), float(slope[k]))
