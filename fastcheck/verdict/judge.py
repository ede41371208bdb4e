"""The verdict: pass, fail or inconclusive, for every entry, every tensor and the whole check.

An entry agrees when ``|gradient - gradapprox| <= tolerance * (|gradient| + |gradapprox|)``; entries much smaller than
their tensor's root mean square are measured by a share of it, because rounding is.  All of it is relative: neither
the scale of the cost nor a large tensor beside a small one changes a verdict.  If every entry agrees, so does every
norm of a tensor and of the whole, by the triangle inequality.
"""

import math
from dataclasses import dataclass, field, replace

import numpy as np

from .._constants import BEYOND_DOUBLE, NEGLIGIBLE, NORM_SIGMAS, TOLERANCE
from .._types import Array, Indices
from ..problems.gradients import AnalyticGradient, NumericalGradient
from .comparison import Comparison, comparisons, relative
from .entries import Disagreeing, broken_entries, disagreeing_entries, join_norms
from .explanations import Evidence, Explanations
from .low_precision import computed_in_single, tolerance_in
from .outcome import FAIL, INCONCLUSIVE, PASS, Cause, Verdict


@dataclass
class TensorVerdict:
    """What was found about one tensor.

    Parameters
    ----------
    comparison : its entries.
    difference : ||gradient - gradapprox|| / (||gradient|| + ||gradapprox||) in the chosen norm.
    tolerance, negligible : what its entries were held to (see ``Comparison.entries``).
    verdict : "pass", "fail" or "inconclusive".
    entries : those that disagree, by what could explain it.
    cause : what the verdict rests on beside the figures.
    """

    comparison: Comparison
    difference: float
    tolerance: float
    negligible: float
    verdict: Verdict = PASS
    entries: Disagreeing = field(default_factory=Disagreeing)
    cause: Cause = Cause.NONE

    @property
    def name(self) -> str:
        """The tensor's name."""
        return self.comparison.tensor.name


@dataclass
class Judgement:
    """The verdict with what it rests on.

    Parameters
    ----------
    verdict : "pass", "fail" or "inconclusive".
    difference : the seed's formula over all checked entries.
    tensors : one per tensor, in the order of theta.
    cause : ``Cause.COST`` where J(theta) is not finite, ``NOTHING`` where all gradients are zero on both sides.
    """

    verdict: Verdict
    difference: float
    tensors: list[TensorVerdict] = field(default_factory=list)
    cause: Cause = Cause.NONE


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
    given = Evidence(subject, differences, epsilon, norm, tolerance)
    found = [_judge_tensor(comparison, given) for comparison in comparisons(subject, differences)]
    checked = [t for t in found if t.comparison.checked]
    verdicts = {t.verdict for t in checked}
    overall: Verdict = FAIL if FAIL in verdicts else INCONCLUSIVE if INCONCLUSIVE in verdicts else PASS
    judgement = Judgement(overall, overall_difference([t.comparison for t in checked], norm), found)
    if not math.isfinite(differences.cost):
        judgement.verdict, judgement.cause = FAIL, Cause.COST
    elif not any(t.comparison.sizes.gradient or t.comparison.sizes.approx for t in checked):
        judgement.verdict, judgement.cause = INCONCLUSIVE, Cause.NOTHING
    return judgement


def _require_steps(epsilon: float | Array) -> None:
    steps = np.atleast_1d(epsilon)
    broken = np.flatnonzero(~(np.isfinite(steps) & (steps > 0.0)))
    if broken.size:
        at = f" at checked position {broken[0]}" if np.ndim(epsilon) else ""
        raise ValueError(f"epsilon: {steps[broken[0]]:g} found{at}, wanted a finite step above zero for every entry")


def disagreeing(judgement: Judgement) -> Indices:
    """Checked positions whose error exceeds the tolerance, ascending, in tensors that are finite and do not pass."""
    found = [np.empty(0, np.int64)]
    for tensor in judgement.tensors:
        if tensor.verdict != PASS and tensor.comparison.sizes.finite:
            found.append(tensor.comparison.first + tensor.entries.all)
    return np.concatenate(found)


def overall_difference(comparisons: list[Comparison], norm: float) -> float:
    """||gradient - gradapprox|| / (||gradient|| + ||gradapprox||) over several tensors."""
    sizes = [c.norms(norm) for c in comparisons]
    error, gradient, approx = (
        join_norms([getattr(s, name) for s in sizes], norm) for name in ("error", "gradient", "approx")
    )
    return relative(error, gradient, approx)


def _judge_tensor(comparison: Comparison, given: Evidence) -> TensorVerdict:
    subject, tolerance = given.subject, given.tolerance
    dtype = subject.precision.get(comparison.tensor.name)
    if dtype is None:
        found = _held_to(TOLERANCE if tolerance is None else tolerance, NEGLIGIBLE, comparison, given, dtype)
        if tolerance is None and _only_single(found, given):
            found.cause = Cause.SINGLE
        return found
    # In low precision small entries carry the errors of large ones: all are measured by the tensor's size at least.
    return _held_to(tolerance_in(dtype, subject) if tolerance is None else tolerance, 1.0, comparison, given, dtype)


def _held_to(
    tolerance: float, negligible: float, comparison: Comparison, given: Evidence, dtype: str | None
) -> TensorVerdict:
    sizes = comparison.norms(given.norm)
    found = TensorVerdict(comparison, relative(sizes.error, sizes.gradient, sizes.approx), tolerance, negligible)
    if not comparison.checked:
        return replace(found, verdict=INCONCLUSIVE, cause=Cause.UNCHECKED)
    if not sizes.finite:
        broken = broken_entries(comparison, tolerance, negligible)
        return replace(found, verdict=FAIL, cause=Cause.NOT_FINITE, entries=broken)
    if not sizes.peak > tolerance * negligible * comparison.root_mean_square:
        return found  # in most checks every error is below what even the smallest entry is allowed
    explanations = Explanations(given, comparison, dtype)
    found.entries = disagreeing_entries(comparison, tolerance, negligible, explanations)
    found.verdict, found.cause = _of_tensor(found, explanations, dtype is not None)
    return found


def _of_tensor(found: TensorVerdict, explanations: Explanations, low: bool) -> tuple[Verdict, Cause]:
    """The verdict on a tensor from its disagreeing entries and their norm.

    In ``low`` precision the rounding of a right gradient is no reason to doubt.
    """
    entries, sizes = found.entries, found.comparison.norms(explanations.given.norm)
    unexplained = entries.error - found.tolerance * (sizes.gradient + sizes.approx) * found.comparison.unit
    if entries.wrong.size:
        return FAIL, Cause.NONE
    if entries.doubtful.size:
        return INCONCLUSIVE, Cause.STEP
    if entries.rounded.size:
        if low:
            return PASS, Cause.NONE
        return INCONCLUSIVE, Cause.KINKS if entries.at_kinks == entries.rounded.size else Cause.ROUNDING
    if entries.noisy.size and unexplained > NORM_SIGMAS * entries.noise:
        return FAIL, Cause.NONE
    if entries.noisy.size and unexplained > NORM_SIGMAS * explanations.rounding_norm:
        # Up to the rounding of the gradient itself nothing is in doubt: what is left is rounding on both sides.
        return INCONCLUSIVE, Cause.NOISE
    return PASS, Cause.NONE


def _only_single(found: TensorVerdict, given: Evidence) -> bool:
    """Whether a double-precision tensor looks right to single precision and only to that: worth saying, no excuse."""
    c = found.comparison
    total = c.sizes.gradient + c.sizes.approx
    if found.cause or not BEYOND_DOUBLE * total < c.sizes.error:
        return False
    if not NORM_SIGMAS * c.noise_floor * math.sqrt(c.checked) < c.sizes.error or not computed_in_single(c):
        return False
    return _held_to(tolerance_in("float32", given.subject), 1.0, c, given, "float32").verdict == PASS
