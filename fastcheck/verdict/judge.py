"""The verdict: pass, fail or inconclusive, for every entry, every tensor and the whole check.

An entry agrees when ``|gradient - gradapprox| <= tolerance * (|gradient| + |gradapprox|)``; entries much smaller than
their tensor's root mean square are measured by a share of it, because rounding is.  All of it is relative: neither
the scale of the cost nor a large tensor beside a small one changes a verdict.  If every entry agrees, so does every
norm of a tensor and of the whole, by the triangle inequality.
"""

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .._types import Array, Indices
from ..problems.gradients import AnalyticGradient, NumericalGradient
from .comparison import NEGLIGIBLE, Comparison, EntryChunk, comparisons, relative
from .explanations import Evidence, Explanations
from .low_precision import computed_in_single, tolerance_in

TOLERANCE = 1e-7
# Standard errors that noise may reach: in any one of a million entries, and in the norm of a tensor.
ENTRY_NOISE = 8.0
NORM_NOISE = 4.0
# A difference from here on, unless it is noise, is more than double precision leaves.
SINGLE = 3e-9

PASS, FAIL, INCONCLUSIVE = "pass", "fail", "inconclusive"


@dataclass
class TensorVerdict:
    """What was found about one tensor.

    Parameters
    ----------
    comparison : its entries.
    difference : ||gradient - gradapprox|| / (||gradient|| + ||gradapprox||) in the chosen norm.
    tolerance, negligible : what its entries were held to (see ``Comparison.entries``).
    verdict : "pass", "fail" or "inconclusive".
    wrong, doubtful : number of entries that disagree beyond tolerance and noise; that disagree, but by no more than
        epsilon, a kink or the rounding of a right gradient could explain.
    noisy : number of entries that disagree beyond tolerance but within noise.
    cause : what the verdict rests on beside the figures: "" or "not finite", "unchecked", "noise", "step",
        "kinks", "rounding", "single".
    """

    comparison: Comparison
    difference: float
    tolerance: float
    negligible: float
    verdict: str = PASS
    wrong: int = 0
    doubtful: int = 0
    noisy: int = 0
    cause: str = ""

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
    cause : "cost" where J(theta) is not finite, "nothing" where all gradients are zero on both sides, else "".
    """

    verdict: str
    difference: float
    tensors: list[TensorVerdict] = field(default_factory=list)
    cause: str = ""


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
    overall = FAIL if FAIL in verdicts else INCONCLUSIVE if INCONCLUSIVE in verdicts else PASS
    judgement = Judgement(overall, overall_difference([t.comparison for t in checked], norm), found)
    if not math.isfinite(differences.cost):
        judgement.verdict, judgement.cause = FAIL, "cost"
    elif not any(t.comparison.sizes.gradient or t.comparison.sizes.approx for t in checked):
        judgement.verdict, judgement.cause = INCONCLUSIVE, "nothing"
    return judgement


def _require_steps(epsilon: float | Array) -> None:
    steps = np.atleast_1d(epsilon)
    broken = np.flatnonzero(~(np.isfinite(steps) & (steps > 0.0)))
    if broken.size:
        at = f" at checked position {broken[0]}" if np.ndim(epsilon) else ""
        raise ValueError(f"epsilon: {steps[broken[0]]:g} found{at}, wanted a finite step above zero for every entry")


def disagreeing(judgement: Judgement) -> Indices:
    """Checked positions whose error exceeds the tolerance, ascending, in tensors that are finite but no pass."""
    found = [np.empty(0, np.int64)]
    for tensor in judgement.tensors:
        if tensor.verdict != PASS and tensor.comparison.sizes.finite:
            for part in tensor.comparison.entries(tensor.negligible):
                beyond = np.flatnonzero(part.error > tensor.tolerance * part.size)
                found.append(tensor.comparison.first + part.first + beyond)
    return np.concatenate(found)


def overall_difference(comparisons: list[Comparison], norm: float) -> float:
    """||gradient - gradapprox|| / (||gradient|| + ||gradapprox||) over several tensors."""
    sizes = [c.norms(norm) for c in comparisons]
    error, gradient, approx = (
        _join([getattr(s, name) for s in sizes], norm) for name in ("error", "gradient", "approx")
    )
    return relative(error, gradient, approx)


def _join(norms: list[float], norm: float) -> float:
    """The norm of a vector from the norms of its parts."""
    if norm == 2:
        return math.hypot(*norms)
    return math.fsum(norms) if norm == 1 else float(np.max(norms, initial=0.0))  # unlike max, keeps nan


def _judge_tensor(comparison: Comparison, given: Evidence) -> TensorVerdict:
    subject, tolerance = given.subject, given.tolerance
    dtype = subject.precision.get(comparison.tensor.name)
    if dtype is None:
        found = _held_to(TOLERANCE if tolerance is None else tolerance, NEGLIGIBLE, comparison, given, dtype)
        if tolerance is None and _only_single(found, given):
            found.cause = "single"
        return found
    # In low precision small entries carry the errors of large ones: all are measured by the tensor's size at least.
    return _held_to(tolerance_in(dtype, subject) if tolerance is None else tolerance, 1.0, comparison, given, dtype)


def _held_to(
    tolerance: float, negligible: float, comparison: Comparison, given: Evidence, dtype: str | None
) -> TensorVerdict:
    sizes = comparison.norms(given.norm)
    found = TensorVerdict(comparison, relative(sizes.error, sizes.gradient, sizes.approx), tolerance, negligible)
    if not comparison.checked:
        found.verdict, found.cause = INCONCLUSIVE, "unchecked"
    elif not sizes.finite:
        found.verdict, found.cause = FAIL, "not finite"
    elif sizes.peak > tolerance * negligible * comparison.root_mean_square:
        # In most checks every error is below what even the smallest entry is allowed, and this is not reached.
        _judge_entries(found, Explanations(given, comparison, dtype), dtype is not None)
    return found


def _judge_entries(found: TensorVerdict, doubts: Explanations, low: bool) -> None:
    """Judge entry by entry, then the norm; in ``low`` precision the rounding of a right gradient is no doubt."""
    tally, lost = Tally(doubts.given.norm), doubts.given.smallest * found.comparison.unit
    for part in found.comparison.entries(found.negligible):
        allowed = found.tolerance * part.size + lost
        noise = ENTRY_NOISE * part.noise
        beyond = part.error > allowed
        wrong = beyond & ~(part.error <= allowed + noise)  # noise that is no number excuses nothing
        tally.add(part, beyond)
        if wrong.any():
            rounded = wrong & (part.error <= allowed + noise + ENTRY_NOISE * doubts.rounding_of(part))
            wrong &= ~rounded
            stepped = doubts.by_step(part, wrong, allowed + noise)
            found.wrong += int(np.count_nonzero(wrong & ~stepped))
            found.doubtful += int(np.count_nonzero(stepped))
            tally.rounded += int(np.count_nonzero(rounded))
            tally.kinked += int(np.count_nonzero(rounded[found.comparison.kinks_within(part.first, rounded.size)]))
    found.noisy = tally.beyond - found.wrong - found.doubtful - tally.rounded
    found.doubtful += 0 if low else tally.rounded
    sizes = found.comparison.norms(doubts.given.norm)
    error, noise_norm = tally.norms()
    unexplained = error - found.tolerance * (sizes.gradient + sizes.approx) * found.comparison.unit
    if found.wrong:
        found.verdict = FAIL
    elif found.doubtful > (0 if low else tally.rounded):
        found.verdict, found.cause = INCONCLUSIVE, "step"
    elif tally.rounded and not low:
        found.verdict, found.cause = INCONCLUSIVE, "kinks" if tally.kinked == tally.rounded else "rounding"
    elif tally.beyond and not tally.rounded and unexplained > NORM_NOISE * noise_norm:
        found.verdict = FAIL
    elif tally.beyond and not tally.rounded and unexplained > NORM_NOISE * doubts.rounding_norm:
        # Up to the rounding of the gradient itself nothing is in doubt: what is left is rounding on both sides.
        found.verdict, found.cause = INCONCLUSIVE, "noise"


class Tally:
    """Norms of errors and noise, and counts, over the chunks of a tensor."""

    def __init__(self, norm: float) -> None:
        self.norm = norm
        self.beyond = self.rounded = self.kinked = 0
        self.errors: list[float] = []
        self.noises: list[float] = []

    def add(self, part: EntryChunk, beyond: NDArray[np.bool_]) -> None:
        """Count a chunk: ``beyond`` tells which entries exceed the tolerance."""
        self.beyond += int(np.count_nonzero(beyond))
        with np.errstate(over="ignore"):  # noise without bound is said by an infinite norm
            self.errors.append(float(np.linalg.norm(part.error, self.norm)))
            self.noises.append(float(np.linalg.norm(np.broadcast_to(part.noise, part.error.shape), self.norm)))

    def norms(self) -> tuple[float, float]:
        """Norms of all errors and of all noise."""
        return _join(self.errors, self.norm), _join(self.noises, self.norm)


def _only_single(found: TensorVerdict, given: Evidence) -> bool:
    """Whether a double-precision tensor looks right to single precision and only to that: worth saying, no excuse."""
    c = found.comparison
    total = c.sizes.gradient + c.sizes.approx
    if found.cause or not SINGLE * total < c.sizes.error:
        return False
    if not NORM_NOISE * c.noise_floor * math.sqrt(c.checked) < c.sizes.error or not computed_in_single(c):
        return False
    return _held_to(tolerance_in("float32", given.subject), 1.0, c, given, "float32").verdict == PASS
