"""The verdict: pass, fail or inconclusive, for every entry, every tensor and the whole check.

An entry agrees when ``|gradient - gradapprox| <= tolerance * (|gradient| + |gradapprox|)``; entries much smaller than
their tensor's root mean square are measured by a share of it, because rounding is.  All of it is relative: neither
the scale of the cost nor a large tensor beside a small one changes a verdict.  If every entry agrees, so does every
norm of a tensor and of the whole, by the triangle inequality.
"""

import math
from collections.abc import Iterator
from dataclasses import replace
from itertools import takewhile

import numpy as np

from .._constants import (
    BEYOND_DOUBLE,
    NOISE_SIGMAS,
    NORM_SIGMAS,
    RESOLVED,
    RESOLVED_LOW,
    ROUNDINGS,
    SINGLE_SEEN,
    SMALLEST_NORMALS,
    TOLERANCE,
    UNIT_ROUNDOFFS,
)
from .._types import Array
from ..problems.gradients import AnalyticGradient, Dithered, NumericalGradient
from ..problems.parameters.tensor import Tensor
from .clear_case import difference_if_clear
from .compare import comparisons
from .comparison import Comparison, relative
from .entries import broken_entries, disagreeing_entries, join_norms
from .explanations import Evidence, Explanations
from .judgement import Disagreeing, Judgement, Later, TensorVerdict
from .low_precision import computed_in_single, follows_the_gradient
from .outcome import FAIL, INCONCLUSIVE, PASS, Cause, Verdict
from .spread import (
    Spread,
    is_mostly_rounding,
    is_rounding_alone,
    is_shared_rounding,
    repeats_itself,
    spread_of,
    stands_out,
)
from .tolerance import tolerance_in


def judge(
    subject: AnalyticGradient, differences: NumericalGradient, *, epsilon: float | Array, norm: float,
    tolerance: float | None = None,
) -> Judgement:
    """Judge gradients by cost differences.

    Parameters
    ----------
    subject : tensors and gradients.
    differences : what an engine found for them.
    epsilon : the perturbation, one for all or one per checked position.
    norm : 1, 2 or infinity, of the ``difference``.
    tolerance : largest relative difference; by default 1e-7, more for gradients in less than double precision.

    Raises
    ------
    ValueError : where a step is not finite or not above zero: what follows from it would excuse anything.
    """
    _require_steps(epsilon)

    def find() -> list[TensorVerdict]:
        compared = comparisons(subject, differences, tolerance)
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
    broken = np.flatnonzero(~(np.isfinite(steps) & (steps > 0.0)))
    if broken.size:
        at = f" at checked position {broken[0]}" if np.ndim(epsilon) else ""
        raise ValueError(f"epsilon: expected a finite step above zero for every entry, got {steps[broken[0]]:g}{at}")


def overall_difference(comparisons: list[Comparison], norm: float) -> float:
    """||gradient - gradapprox|| / (||gradient|| + ||gradapprox||) over several tensors."""
    sizes = [c.norms(norm) for c in comparisons]
    error, gradient, approx = (
        join_norms([getattr(s, name) for s in sizes], norm) for name in ("error", "gradient", "approx")
    )
    return relative(error, gradient, approx)


def _judge_tensor(comparison: Comparison, given: Evidence) -> TensorVerdict:
    if given.subject.dithered is not None:
        return _judge_spread(comparison, given, given.subject.dithered)
    dtype = given.subject.precision.get(comparison.tensor.name)
    found = _judge_at(comparison, given, dtype)
    if given.tolerance is not None or (found.verdict == PASS and dtype is not None):
        return found
    if dtype is None and _only_single(found, given):
        found.cause = Cause.SINGLE
    if found.verdict == PASS:
        return found
    if given.subject.again is None:
        return _standing_alone(found, given, dtype)
    return _by_running_again(found, given, dtype)


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
    like it all over.
    """
    scale = max(comparison.approx_rms, given.scale_beside(comparison))
    off = comparison.sizes.error / math.sqrt(comparison.checked) if comparison.checked else math.inf
    small = off <= ROUNDINGS * UNIT_ROUNDOFFS["float32"] * scale
    return small and not follows_the_gradient(comparison) and any(map(_beyond_double, given.comparisons))


def _by_running_again(found: TensorVerdict, given: Evidence, dtype: str | None) -> TensorVerdict:
    """The same verdict, unless the same backward pass at the same point, rounded otherwise, shows that it was rounding.

    A mistake repeats itself and rounding does not.  In double precision something has to round as single precision
    does (a float32 buffer in which sums are collected), unless the tensor is zero in theory: what is left of terms that
    cancel can be any multiple of the other tensors' rounding (a sample that hardly varies, normalised).
    """
    c, unit = found.comparison, UNIT_ROUNDOFFS[dtype or "float32"]
    scale = max(c.root_mean_square, given.scale_beside(c))
    off = c.sizes.error / math.sqrt(max(c.checked, 1))
    if given.subject.again is None or not c.sizes.finite or not c.checked:
        return found
    if not off <= (RESOLVED if dtype is None else RESOLVED_LOW) * scale or c.noise_floor > unit * scale:
        return found
    runs = given.subject.again()
    if runs is None or not np.isfinite(runs).all():
        return _standing_alone(found, given, dtype)
    gradients = np.vstack([c.gradient, _of(c, runs)])
    explanations = Explanations(given, c, dtype)
    if explanations.zero_in_theory and off <= RESOLVED * scale and _is_nothing(gradients, given, c, dtype):
        return _zero(found, explanations, given.norm)
    if c.where is not None:
        return found
    rounding = math.sqrt(float(np.mean(np.var(gradients[1:], axis=0, ddof=1))))
    if rounding < SINGLE_SEEN * unit * scale:
        return found
    truths = np.broadcast_to(c.derivative, gradients.shape)
    spread = spread_of(gradients, truths, c.tensor.shape, unit)
    if not spread.resolved:
        return replace(found, verdict=PASS, cause=Cause.ZERO) if is_rounding_alone(gradients - truths) else found
    if spread.finding and not spread.here:
        shared = _is_shared(gradients[1:], truths[1:], given, c, unit)
        return replace(found, verdict=PASS, cause=Cause.SPREAD, entries=Disagreeing()) if shared else found
    if spread.finding or spread.power > RESOLVED_LOW:
        return found
    return replace(found, comparison=c.held(spread.power, 1.0), verdict=PASS, cause=Cause.SPREAD, power=spread.power,
                   entries=Disagreeing())


def _is_nothing(gradients: Array, given: Evidence, c: Comparison, dtype: str | None) -> bool:
    """Tell whether the runs (runs, entries) of a gradient that is zero in theory are rounding.

    Where little moves, runs near by round alike in low precision; those further away do not, but a mistake may vary.
    """
    near = is_mostly_rounding(gradients)
    if near or dtype is None:
        return near
    return any(is_rounding_alone(np.vstack([gradients[:1], _of(c, away)])) for away, _ in _further(given))


def _is_shared(gradients: Array, truths: Array, given: Evidence, c: Comparison, unit: float) -> bool:
    """Tell whether what the pass rounds further away is as large as what seems wrong in the runs (runs, entries)."""
    there = truths[:1]
    return any(
        is_shared_rounding(gradients - truths, truths, (there + _of(c, away - double), there + 0.0 * _of(c, away)),
                           c.tensor.shape, unit)
        for away, double in _further(given)
    )


def _further(given: Evidence) -> Iterator[tuple[Array, Array]]:
    """Give gradients at points further and further away, as they come and in double precision, while all is finite."""
    again = given.subject.again
    return iter(()) if again is None else takewhile(lambda found: bool(np.isfinite(found).all()), again.further())


def _of(c: Comparison, runs: Array) -> Array:
    """Return the columns (runs, entries) of a tensor's checked entries."""
    own = runs[:, c.tensor.start : c.tensor.stop]
    return own if c.where is None else own[:, c.where]


def _judge_spread(comparison: Comparison, given: Evidence, runs: Dithered) -> TensorVerdict:
    """The verdict on a tensor whose rounding was measured."""
    sizes, tensor = comparison.norms(given.norm), comparison.tensor
    difference = relative(sizes.error, sizes.gradient, sizes.approx)
    if not sizes.finite:
        return TensorVerdict(comparison, difference, FAIL, broken_entries(comparison), Cause.NOT_FINITE)
    gradients, truths = (part[:, tensor.start : tensor.stop] for part in (runs.gradients, runs.truths))
    least = max(runs.unit * _scale_beside(comparison, given), _least(runs))
    if not gradients[0].any() and comparison.approx_rms > least:
        return TensorVerdict(comparison, difference, FAIL, broken_entries(comparison), Cause.SPREAD,
                             finding="is exactly zero, where the truth is not")
    spread = spread_of(gradients, truths, tensor.shape, runs.unit, alone=runs.alone)
    found = TensorVerdict(comparison.held(spread.power, 1.0), difference)
    if not spread.resolved:
        return _judge_unresolved(found, given, runs, spread.finding)
    if spread.finding and _rounds_alike(tensor, spread, runs):
        return replace(found, cause=Cause.SPREAD)
    if spread.finding:
        return replace(found, verdict=FAIL, cause=Cause.SPREAD, finding=spread.finding, power=spread.power,
                       entries=Disagreeing(wrong=spread.wrong))
    verdict: Verdict = PASS if spread.power <= RESOLVED_LOW else INCONCLUSIVE
    return replace(found, verdict=verdict, cause=Cause.SPREAD if verdict == PASS else Cause.COARSE, power=spread.power)


def _rounds_alike(tensor: Tensor, spread: Spread, runs: Dithered) -> bool:
    """Tell whether what seems wrong in all runs, or in the one that stands alone, is rounding that they share."""
    if spread.here and not runs.alone:
        return False
    part = slice(tensor.start, tensor.stop)
    judged = slice(0, 1) if spread.here else slice(None)
    truths = runs.truths[judged, part]
    errors = runs.gradients[judged, part] - truths
    return any(
        is_shared_rounding(errors, truths, (away.gradients[1:, part], away.truths[1:, part]), tensor.shape, runs.unit)
        for away in runs.further
    )


def _errors_of(runs: Dithered, tensor: Tensor) -> list[Array]:
    """Return a tensor's errors (runs, entries), the judged one's first: beside it, or at each distance further away."""
    part = slice(tensor.start, tensor.stop)
    errors = runs.gradients[:, part] - runs.truths[:, part]
    apart = [away.gradients[1:, part] - away.truths[1:, part] for away in runs.further]
    return [np.vstack([errors[:1], away]) for away in apart] or [errors]


def _judge_unresolved(found: TensorVerdict, given: Evidence, runs: Dithered, finding: str) -> TensorVerdict:
    """A tensor with no more than rounding in it: right if its truth is nothing and the runs leave no more than that.

    The gradient is then as small as the other tensors' scale explains, or the runs' errors go to all sides, and would
    show a mistake that matters beside them.  Where runs that share no rounding are all the same, it is a mistake.

    Parameters
    ----------
    finding : what is wrong at the judged point alone, if anything.
    """
    errors, scale = _errors_of(runs, found.comparison.tensor), _scale_beside(found.comparison, given)
    wrong = bool(finding) and all(map(stands_out, errors))
    if found.comparison.approx_rms <= runs.unit * scale:
        small = float(np.sqrt(np.mean(found.comparison.gradient**2))) <= ROUNDINGS * runs.unit * scale
        if small or any(is_rounding_alone(each, RESOLVED * scale, alone=runs.alone) for each in errors):
            return replace(found, verdict=PASS, cause=Cause.ZERO)
        finding = "is not zero, as the truth is"
        wrong |= bool(runs.further) and all(map(repeats_itself, errors))
    if wrong:
        return replace(found, verdict=FAIL, cause=Cause.SPREAD, finding=finding)
    return replace(found, verdict=INCONCLUSIVE, cause=Cause.COARSE)


def _scale_beside(comparison: Comparison, given: Evidence) -> float:
    """Return the largest of the other gradients; by the spread of rounding none of them is resolved to a thousandth."""
    return max((c.approx_rms for c in given.comparisons if c.tensor is not comparison.tensor), default=0.0)


def _least(runs: Dithered) -> float:
    """Return the size below which a right gradient may be flushed to zero."""
    named = next((name for name, unit in UNIT_ROUNDOFFS.items() if unit == runs.unit), "float32")
    return SMALLEST_NORMALS[named]


def _judge_at(comparison: Comparison, given: Evidence, dtype: str | None) -> TensorVerdict:
    """The verdict on a tensor, for a gradient that was computed in ``dtype``."""
    sizes = comparison.norms(given.norm)
    found = TensorVerdict(comparison, relative(sizes.error, sizes.gradient, sizes.approx))
    promised = given.subject.gradient[comparison.tensor.start : comparison.tensor.stop]
    if found.name in given.differences.limits:
        found.promised_rms = given.promised_rms(comparison)
    if not np.isfinite(promised).all() or not sizes.finite:
        return replace(found, verdict=FAIL, cause=Cause.NOT_FINITE, entries=broken_entries(comparison))
    if not comparison.checked:
        return _by_directions_alone(found, given)
    explanations = Explanations(given, comparison, dtype)
    if sizes.peak > comparison.tolerance * comparison.negligible * comparison.root_mean_square:
        # In most checks every error is below what even the smallest entry is allowed, and this is not reached.
        found.entries = disagreeing_entries(comparison, explanations)
    found.verdict, found.cause = _of_entries(found, explanations)
    doubtful = found.verdict == FAIL or found.cause in (Cause.NOISE, Cause.ROUNDING)
    if doubtful and explanations.cancels:
        found = _zero(found, explanations, given.norm)
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


def _zero(found: TensorVerdict, explanations: Explanations, norm: float) -> TensorVerdict:
    """The verdict on a tensor whose gradient is no more than rounding: measured by the size of what cancelled."""
    scale = explanations.given.scale_beside(found.comparison)
    root_mean_square = found.comparison.root_mean_square
    compared = found.comparison.held(found.tolerance, scale / root_mean_square if root_mean_square else 1.0)
    sizes = compared.norms(norm)
    difference = relative(sizes.error, sizes.gradient, sizes.approx + explanations.norm_of_equal(scale))
    return replace(found, comparison=compared, difference=difference, verdict=PASS, entries=Disagreeing(),
                   cause=Cause.ZERO)


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
    if not entries.rounded.size and not entries.noisy.size:
        return PASS, Cause.NONE
    return _of_norms(found, explanations)


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
