"""The verdict: pass, fail or inconclusive, for every entry, every tensor and the whole check.

An entry agrees when ``|gradient - gradapprox| <= tolerance * (|gradient| + |gradapprox|)``; entries much smaller than
their tensor's root mean square are measured by a share of it, because rounding is.  All of it is relative: neither
the scale of the cost nor a large tensor beside a small one changes a verdict.  If every entry agrees, so does every
norm of a tensor and of the whole, by the triangle inequality.
"""

import math
from dataclasses import dataclass, field

import numpy as np

from .activations import Array
from .comparison import NEGLIGIBLE, Comparison, comparisons, relative
from .differences import Differences, Subject
from .doubts import at_kink, bend
from .precision import computed_in_single, tolerance_in

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
        epsilon or a kink could explain.
    noisy : number of entries that disagree beyond tolerance but within noise.
    cause : what the verdict rests on beside the figures: "" or "not finite", "unchecked", "noise", "doubt", "single".
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
    subject: Subject, differences: Differences, *, epsilon: float | Array, norm: float = 2,
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
    """
    found = []
    for comparison in comparisons(subject, differences):
        allowed, negligible = _held_to(comparison, subject, tolerance)
        sizes = comparison.norms(norm)
        verdict = TensorVerdict(comparison, relative(sizes.error, sizes.gradient, sizes.approx), allowed, negligible)
        _judge_tensor(verdict, differences, epsilon, norm)
        found.append(verdict)
    if tolerance is None:
        _mark_single_precision(found, subject, differences, epsilon, norm)
    checked = [t for t in found if t.comparison.checked]
    verdicts = {t.verdict for t in checked}
    overall = FAIL if FAIL in verdicts else INCONCLUSIVE if INCONCLUSIVE in verdicts else PASS
    judgement = Judgement(overall, overall_difference([t.comparison for t in checked], norm), found)
    if not math.isfinite(differences.cost):
        judgement.verdict, judgement.cause = FAIL, "cost"
    elif not any(t.comparison.sizes.gradient or t.comparison.sizes.approx for t in checked):
        judgement.verdict, judgement.cause = INCONCLUSIVE, "nothing"
    return judgement


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
    return math.fsum(norms) if norm == 1 else max(norms, default=0.0)


def _held_to(comparison: Comparison, subject: Subject, tolerance: float | None) -> tuple[float, float]:
    """Tolerance of a tensor, and the least size that counts: all of it in low precision, where errors spread."""
    dtype = subject.precision.get(comparison.tensor.name)
    if dtype is None:
        return TOLERANCE if tolerance is None else tolerance, NEGLIGIBLE
    return tolerance_in(dtype, subject) if tolerance is None else tolerance, 1.0


def _judge_tensor(found: TensorVerdict, differences: Differences, epsilon: float | Array, norm: float) -> None:
    comparison = found.comparison
    if not comparison.checked:
        found.verdict, found.cause = INCONCLUSIVE, "unchecked"
    elif not comparison.sizes.finite:
        found.verdict, found.cause = FAIL, "not finite"
    elif comparison.sizes.peak > found.tolerance * found.negligible * comparison.root_mean_square:
        # In most checks every error is below what even the smallest entry is allowed, and this is not reached.
        _judge_entries(found, differences, epsilon, norm)


def _judge_entries(found: TensorVerdict, differences: Differences, epsilon: float | Array, norm: float) -> None:
    comparison, order = found.comparison, np.inf if math.isinf(norm) else norm
    errors, noises, bent, beyond = [], [], None, 0
    for part in comparison.entries(found.negligible):
        allowed = found.tolerance * part.size
        errors.append(float(np.linalg.norm(part.error, order)))
        noises.append(float(np.linalg.norm(np.broadcast_to(part.noise, part.error.shape), order)))
        beyond += int(np.count_nonzero(part.error > allowed))
        wrong = part.error > allowed + ENTRY_NOISE * part.noise
        doubtful = np.zeros_like(wrong)
        if wrong.any() and not differences.settled:
            bent = bent or bend(comparison, differences, epsilon)
            doubtful = wrong & (part.error <= allowed + ENTRY_NOISE * part.noise + bent.truncation * comparison.unit)
            if differences.kinks is None:
                doubtful |= at_kink(comparison, part, differences, epsilon, bent.usual, wrong & ~doubtful)
        found.doubtful += int(np.count_nonzero(doubtful))
        found.wrong += int(np.count_nonzero(wrong & ~doubtful))
    found.noisy = beyond - found.wrong - found.doubtful
    sizes = comparison.norms(norm)
    error, noise = _join(errors, norm), _join(noises, norm)
    explained = found.tolerance * (sizes.gradient + sizes.approx) * comparison.unit
    if found.wrong or (not found.doubtful and beyond and error > explained + NORM_NOISE * noise):
        found.verdict = FAIL
    elif found.doubtful:
        found.verdict, found.cause = INCONCLUSIVE, "doubt"
    elif beyond and error > explained:
        found.verdict, found.cause = INCONCLUSIVE, "noise"


def _mark_single_precision(
    found: list[TensorVerdict], subject: Subject, differences: Differences, epsilon: float | Array, norm: float
) -> None:
    """Let double-precision tensors pass that are right to single precision and only to that, and mark them."""
    for tensor in found:
        c = tensor.comparison
        total = c.sizes.gradient + c.sizes.approx
        # False for nan too.
        if not SINGLE * total < c.sizes.error or tensor.name in subject.precision:
            continue
        tolerance = tolerance_in("float32", subject)
        if not NORM_NOISE * c.noise_floor * math.sqrt(c.checked) < c.sizes.error <= 2.0 * tolerance * total:
            continue
        if not computed_in_single(c):
            continue
        again = TensorVerdict(c, tensor.difference, tolerance, 1.0)
        _judge_tensor(again, differences, epsilon, norm)
        if again.verdict == PASS:
            tensor.tolerance = tolerance if tensor.verdict == FAIL else tensor.tolerance
            tensor.verdict, tensor.cause = PASS, "single"
            tensor.wrong = tensor.doubtful = tensor.noisy = 0
