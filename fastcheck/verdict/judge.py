"""The verdict: pass, fail or inconclusive, for every entry, every tensor and the whole check.

An entry agrees when ``|gradient - gradapprox| <= tolerance * (|gradient| + |gradapprox|)``; entries much smaller than
their tensor's root mean square are measured by a share of it, because rounding is.  All of it is relative: neither
the scale of the cost nor a large tensor beside a small one changes a verdict.  If every entry agrees, so does every
norm of a tensor and of the whole, by the triangle inequality.
"""

import math
from dataclasses import replace

import numpy as np

from .._constants import (
    BEYOND_DOUBLE,
    NOISE_SIGMAS,
    NORM_SIGMAS,
    RESOLVED,
    RESOLVED_LOW,
    ROUNDINGS,
    SATURATED,
    TOLERANCE,
    UNIT_ROUNDOFF,
    UNIT_ROUNDOFFS,
)
from .._types import Array
from ..problems.gradients import AnalyticGradient, NumericalGradient, RunAgain
from .clear_case import difference_if_clear
from .compare import comparisons
from .comparison import Comparison, measure, relative
from .entries import broken_entries, disagreeing_entries, join_norms
from .explanations import Evidence, Explanations
from .judgement import Disagreeing, Judgement, Later, TensorVerdict
from .low_precision import computed_in_single, follows_the_gradient, representable
from .measured import by_more_digits, by_running_again, by_spread, is_within_its_spread
from .outcome import FAIL, INCONCLUSIVE, PASS, Cause, Verdict
from .tolerance import tolerance_in
from .zero import zero

# Entries of a tensor that take longer to add up than another thread takes to begin.
LARGE = 1 << 15


def judge(
    subject: AnalyticGradient, differences: NumericalGradient, *, epsilon: float | Array, norm: float,
    tolerance: float | None = None, threads: int = 1,
) -> Judgement:
    """Judge gradients by cost differences.

    Parameters
    ----------
    subject : tensors and gradients.
    differences : what an engine found for them.
    epsilon : the perturbation, one for all or one per checked position.
    norm : 1, 2 or infinity, of the ``difference``.
    tolerance : largest relative difference; by default 1e-7, more for gradients in less than double precision.
    threads : that add up large tensors.

    Raises
    ------
    ValueError : where a step is not finite or not above zero: what follows from it would excuse anything.
    """
    _require_steps(epsilon)

    @np.errstate(all="ignore")  # what is not finite ends in the verdict
    def find() -> list[TensorVerdict]:
        """Judge every tensor."""
        compared = comparisons(subject, differences, tolerance)
        measure([one for one in compared if one.checked > LARGE], threads)
        given = Evidence(subject, differences, epsilon, norm, tolerance, compared)
        return [_judge_tensor(comparison, given) for comparison in compared]

    clear = difference_if_clear(subject, differences, norm, tolerance)
    if clear is not None:
        return Judgement(PASS, clear, Later(find, len(subject.tensors)))
    found = find()
    checked = [t for t in found if t.comparison.checked or t.name in differences.limits]
    verdicts = {t.verdict for t in checked} | ({FAIL} if any(t.verdict == FAIL for t in found) else set())
    overall: Verdict = FAIL if FAIL in verdicts else INCONCLUSIVE if INCONCLUSIVE in verdicts else PASS
    judgement = Judgement(overall, overall_difference([t.comparison for t in checked], norm), found)
    if not math.isfinite(differences.cost):
        judgement.verdict, judgement.cause = FAIL, Cause.COST
    elif overall != FAIL and not any(t.moves for t in checked):
        judgement.verdict, judgement.cause = INCONCLUSIVE, Cause.NOTHING
    return judgement


def _require_steps(epsilon: float | Array) -> None:
    if isinstance(epsilon, float) and 0.0 < epsilon < math.inf:
        return
    steps = np.atleast_1d(epsilon)
    sound = (steps > 0.0) & (steps < math.inf)
    if np.count_nonzero(sound) < steps.size:
        broken = int(np.argmin(sound))
        at = f" at checked position {broken}" if np.ndim(epsilon) else ""
        raise ValueError(f"epsilon: expected a finite step above zero for every entry, got {steps[broken]:g}{at}")


@np.errstate(all="ignore")
def overall_difference(comparisons: list[Comparison], norm: float) -> float:
    """||gradient - gradapprox|| / (||gradient|| + ||gradapprox||) over several tensors."""
    sizes = [c.norms(norm) for c in comparisons]
    error, gradient, approx = (
        join_norms([getattr(s, name) for s in sizes], norm) for name in ("error", "gradient", "approx")
    )
    return relative(error, gradient, approx)


def _judge_tensor(comparison: Comparison, given: Evidence) -> TensorVerdict:
    if given.subject.dithered is not None:
        return by_spread(comparison, given, given.subject.dithered)
    dtype = given.subject.precision.get(comparison.tensor.name)
    found = _judge_at(comparison, given, dtype)
    if given.tolerance is not None:
        return found
    if found.verdict == PASS and dtype is not None:
        return _beside_double(found, given, dtype) if found.cause == Cause.ROUNDING else found
    if dtype is None and _only_single(found, given):
        found.cause = Cause.SINGLE
    if found.verdict == PASS:
        return found
    again = given.subject.again
    looked = None if again is None else by_running_again(found, given, dtype, again)
    if again is not None and dtype is None and (looked or found).verdict == FAIL:
        looked = by_more_digits(found, given, again) or looked
    looked = _standing_alone(found, given, dtype) if looked is None else looked
    return looked if dtype is None else _beside_double(looked, given, dtype)


def _beside_double(found: TensorVerdict, given: Evidence, dtype: str) -> TensorVerdict:
    """The verdict on a gradient in low precision, of which the verdict on the same in double precision may be known.

    What is wrong there by a thousandth and more is wrong, whatever rounding could explain.  What is right there, and
    off by no more than formulas lose that subtract from one, or than the pass spreads a rounding beside, is no mistake;
    where all is saturated that may be all of the gradient, and nothing tells how much it was.
    """
    c, again, doubled = found.comparison, given.subject.again, None
    if again is not None and c.sizes.finite and c.checked and (
        found.verdict != FAIL or _is_lost(c, given, dtype, NOISE_SIGMAS) or is_within_its_spread(c, again)
    ):
        doubled = again.doubled
    wide = None if doubled is None else _judge_in_double(found, given, *doubled)
    if wide is not None and wide.verdict == FAIL and _is_resolved(wide.comparison):
        return replace(found, verdict=FAIL, cause=Cause.NONE, entries=wide.entries)
    right = wide is not None and wide.verdict == PASS
    if found.verdict != FAIL or not (right or _is_lost(c, given, dtype, 1.0)):
        return found
    if right and not _is_resolved(c):
        return replace(found, verdict=PASS, cause=Cause.ROUNDING, entries=Disagreeing())
    return replace(found, verdict=INCONCLUSIVE, cause=Cause.COARSE)


def _is_resolved(c: Comparison) -> bool:
    """Whether a tensor is off by so much that no rounding in double precision does that."""
    return not c.sizes.error <= RESOLVED * max(c.sizes.gradient, c.sizes.approx)


def _judge_in_double(found: TensorVerdict, given: Evidence, gradient: Array, again: RunAgain) -> TensorVerdict:
    """The verdict on the gradient (n,) that the same pass gives in double precision.

    It is held to the tolerance of the low precision: the differences were measured to that.
    """
    there = replace(given.subject, gradient=gradient)
    subject = replace(there, precision={}, rounding=None, again=again)
    wide = replace(given, subject=subject, comparisons=comparisons(there, given.differences, None))
    return _judge_tensor(next(c for c in wide.comparisons if c.tensor is found.comparison.tensor), wide)


def _is_lost(c: Comparison, given: Evidence, dtype: str, sigmas: float) -> bool:
    """Whether all errors of a gradient in low precision are what formulas lose that subtract from one.

    Where everything is saturated, all runs beside it lose the same digits of 1 - a, or all of them: nothing tells how
    many there were.
    """
    lost = given.differences.lost
    if lost is None or not c.sizes.finite:
        return False
    low = SATURATED * UNIT_ROUNDOFFS[dtype] / UNIT_ROUNDOFF
    allowed = sigmas * low * lost[c.first : c.first + c.checked] + NOISE_SIGMAS * c.noise
    allowed += c.tolerance * (np.abs(c.gradient) + np.abs(c.reference) + c.negligible * c.root_mean_square)
    return bool((np.abs(c.gradient - c.reference) <= allowed).all())


def _standing_alone(found: TensorVerdict, given: Evidence, dtype: str | None) -> TensorVerdict:
    """The verdict on a gradient that cannot be run again: open where sums in single precision may explain its errors.

    Back-propagation through a network in single precision is one of the known mistakes, and named as that.
    """
    may = dtype is None and found.verdict == FAIL and given.subject.trials is None
    if not may or not _summed_in_single(found.comparison, given):
        return found
    return replace(found, verdict=INCONCLUSIVE, cause=Cause.HIDDEN)


def _summed_in_single(comparison: Comparison, given: Evidence) -> bool:
    """Whether sums in single precision may have made the errors of a double-precision gradient that stands alone.

    They must be as small as its roundings make them, of the gradients that went into it, and some tensor has to look
    like it all over.  Sums that are rounded do not come to nothing everywhere.
    """
    if not comparison.sizes.gradient:
        return False
    scale = max(comparison.approx_rms, given.scale_beside(comparison))
    off = comparison.sizes.error / math.sqrt(comparison.checked) if comparison.checked else math.inf
    small = off <= ROUNDINGS * UNIT_ROUNDOFFS["float32"] * scale
    return small and not follows_the_gradient(comparison) and any(map(_looks_single, given.comparisons))


def _looks_single(c: Comparison) -> bool:
    """Whether a tensor looks all over like sums in single precision, not like noise of any size.

    A tensor that is tiny beside another would otherwise be excused by its own errors, whatever was handed in.
    """
    return _beyond_double(c) and (c.sizes.error <= RESOLVED * c.sizes.approx or representable(c))


def _judge_at(comparison: Comparison, given: Evidence, dtype: str | None) -> TensorVerdict:
    """The verdict on a tensor, for a gradient that was computed in ``dtype``."""
    sizes = comparison.norms(given.norm)
    found = TensorVerdict(comparison, relative(sizes.error, sizes.gradient, sizes.approx))
    promised = given.subject.gradient[comparison.tensor.start : comparison.tensor.stop]
    if found.name in given.differences.limits:
        found.promised_rms = given.promised_rms(comparison)
    beside = comparison.where is not None  # entries of the gradient that are not compared
    if not sizes.finite or (beside and not np.isfinite(promised).all()):
        return replace(found, verdict=FAIL, cause=Cause.NOT_FINITE, entries=broken_entries(comparison))
    if not comparison.checked:
        return _by_directions_alone(found, given)
    explanations = Explanations(given, comparison, dtype)
    least = comparison.tolerance * comparison.negligible * comparison.root_mean_square
    if sizes.error > least and comparison.largest_error > least:
        # In most checks even their norm is below what the smallest entry is allowed, and this is not reached.
        found.entries = disagreeing_entries(comparison, explanations)
    found.verdict, found.cause = _of_entries(found, explanations)
    doubtful = found.verdict == FAIL or found.cause in (Cause.NOISE, Cause.ROUNDING)
    if doubtful and explanations.cancels:
        found = zero(found, explanations)
    elif found.entries.wrong.size and explanations.nearly_cancels:
        found.verdict, found.cause = INCONCLUSIVE, Cause.ROUNDING
    if found.verdict == PASS and comparison.mostly_loose:
        found.verdict, found.cause = INCONCLUSIVE, Cause.LOOSE
    return _by_directions(found, given) if found.verdict == PASS and found.cause != Cause.ZERO else found


def _by_directions_alone(found: TensorVerdict, given: Evidence) -> TensorVerdict:
    """The verdict on a tensor of which no entry was checked: that of the directions through it, if there were any."""
    if found.name not in given.differences.limits:
        return replace(found, verdict=INCONCLUSIVE, cause=Cause.UNCHECKED)
    return _by_directions(found, given)


def _by_directions(found: TensorVerdict, given: Evidence) -> TensorVerdict:
    """The same verdict where directions, if there were any, would have shown one wrong entry of ordinary size."""
    if _seen_by_directions(found, given):
        return found
    limit, scale = given.differences.limits[found.name], given.scale_anywhere
    if found.promised_rms <= limit <= TOLERANCE * scale:
        return replace(found, cause=Cause.ZERO)  # no more than rounding of the other gradients, and seen to be that
    return replace(found, verdict=INCONCLUSIVE, cause=Cause.POWER)


def _seen_by_directions(found: TensorVerdict, given: Evidence) -> bool:
    """Whether random directions, if there were any, would have shown one wrong entry of ordinary size."""
    limit = given.differences.limits.get(found.name)
    if limit is None:
        return True
    ordinary = max(found.comparison.approx_rms, found.promised_rms)
    return limit <= (ordinary or given.scale_beside(found.comparison))


def _of_entries(found: TensorVerdict, explanations: Explanations) -> tuple[Verdict, Cause]:
    """The verdict on a tensor from its disagreeing entries, their norm, and what noise and rounding leave to see."""
    entries = found.entries
    if entries.wrong.size:
        return FAIL, Cause.NONE
    if entries.stepped.size:
        return INCONCLUSIVE, Cause.STEP
    if entries.kinked.size:
        return INCONCLUSIVE, Cause.KINKS
    if entries.rounded.size and entries.rounded_at_kinks == entries.rounded.size and explanations.dtype is None:
        return INCONCLUSIVE, Cause.KINKS
    if not explanations.noise_norm <= NOISE_SIGMAS * explanations.seen:
        return INCONCLUSIVE, Cause.BLIND
    if _out_of_range(found, explanations):
        return INCONCLUSIVE, Cause.COARSE if explanations.dtype else Cause.BLIND
    if not entries.rounded.size and not entries.noisy.size:
        return PASS, Cause.NONE
    return _of_norms(found, explanations)


def _out_of_range(found: TensorVerdict, explanations: Explanations) -> bool:
    """Whether a tensor disagrees where all gradients are so small that they, or their differences, are lost.

    One beside larger ones is as good as zero there.
    """
    c = found.comparison
    largest = max(one.root_mean_square for one in explanations.given.comparisons)
    if explanations.lost <= RESOLVED_LOW * largest:
        return False
    return found.entries.error > c.tolerance * (c.sizes.gradient + c.sizes.approx) * c.unit


def _of_norms(found: TensorVerdict, explanations: Explanations) -> tuple[Verdict, Cause]:
    """The verdict on a tensor all of whose entries agree within noise or the rounding of a right gradient."""
    entries, sizes = found.entries, found.comparison.norms(explanations.given.norm)
    tolerated = found.comparison.tolerance * (sizes.gradient + sizes.approx) * found.comparison.unit
    unexplained = entries.error - tolerated
    if unexplained <= 0.0 and not entries.rounded.size:
        return PASS, Cause.NONE
    if not entries.rounded.size and unexplained > explanations.sigmas * entries.noise:
        return FAIL, Cause.NONE
    # In low precision rounding may carry a pre-activation across a kink, and with it a sample's share of the gradient.
    share, hidden = (RESOLVED_LOW, 0.0) if explanations.dtype else (RESOLVED, explanations.rounding_norm)
    if entries.rounded.size and explanations.presumed:
        share = RESOLVED
    size = max(max(sizes.gradient, sizes.approx) * found.comparison.unit, explanations.at_kinks)
    if not (entries.error <= share * size and hidden <= RESOLVED_LOW * size):
        return INCONCLUSIVE, Cause.ROUNDING if entries.rounded.size else Cause.NOISE
    if entries.rounded.size or unexplained <= NORM_SIGMAS * explanations.rounding_norm:
        return PASS, Cause.ROUNDING
    return INCONCLUSIVE, Cause.NOISE


def _only_single(found: TensorVerdict, given: Evidence) -> bool:
    """Whether a double-precision tensor looks right to single precision and only to that: worth saying, no excuse."""
    c = found.comparison
    if found.cause or not _beyond_double(c):
        return False
    return _judge_at(c.held(tolerance_in("float32", given.subject), 1.0), given, "float32").verdict == PASS


def _beyond_double(c: Comparison) -> bool:
    """Whether a tensor's errors are more than double precision and noise leave, and look like single precision."""
    if not BEYOND_DOUBLE * (c.sizes.gradient + c.sizes.approx) < c.sizes.error:
        return False
    return NORM_SIGMAS * c.noise_floor * math.sqrt(c.checked) < c.sizes.error and computed_in_single(c)
