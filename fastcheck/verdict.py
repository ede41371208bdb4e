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

from .activations import Array
from .comparison import CHUNK, NEGLIGIBLE, Comparison, Entries, comparisons, relative
from .differences import Differences, Subject

TOLERANCE = 1e-7
# Half a unit in the last place of the dtypes in which gradients come, float64 apart.
ROUNDING = {"float16": 2.0**-11, "float32": 2.0**-24}
# Standard errors that noise may reach: in any one of a million entries, and in a norm of a tensor.
ENTRY_NOISE = 8.0
NORM_NOISE = 4.0
# How many roundings, beside the square root of the sums' lengths, a gradient in low precision may be off.
ROUNDINGS = 16.0

PASS, FAIL, INCONCLUSIVE = "pass", "fail", "inconclusive"


@dataclass
class TensorVerdict:
    """What was found about one tensor.

    Parameters
    ----------
    comparison : its entries.
    verdict : "pass", "fail" or "inconclusive".
    difference : ||gradient - gradapprox|| / (||gradient|| + ||gradapprox||) in the chosen norm.
    tolerance, negligible : what entries were held to.
    wrong, doubtful : number of entries that disagree beyond noise, and of those that epsilon or a kink could explain.
    places : positions (among the checked entries) of the first wrong entries.
    reason : why it is not a pass, or what a pass rests on; a sentence without its subject, or "".
    """

    comparison: Comparison
    verdict: str
    difference: float
    tolerance: float
    negligible: float
    wrong: int = 0
    doubtful: int = 0
    noisy: bool = False
    single: bool = False
    reason: str = ""

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
    reason : the sentence that explains the verdict.
    notes : further sentences.
    """

    verdict: str
    difference: float
    tensors: list[TensorVerdict]
    reason: str
    notes: list[str] = field(default_factory=list)


def judge(
    subject: Subject, differences: Differences, *, epsilon: float | Array, norm: float = 2, tolerance: float | None = None
) -> Judgement:
    """Judge gradients by cost differences.

    Parameters
    ----------
    subject : tensors and gradients.
    differences : what an engine found for them.
    epsilon : the perturbation, one for all or one per checked position.
    norm : 1, 2 or infinity, of ``difference``.
    tolerance : largest relative difference; by default 1e-7, more for gradients in less than double precision.
    """
    found = [
        judge_tensor(comparison, differences, epsilon, norm, *_tolerance_of(comparison, subject, tolerance), tolerance is None)
        for comparison in comparisons(subject, differences)
    ]
    checked = [t for t in found if t.comparison.checked]
    verdicts = {t.verdict for t in checked}
    verdict = FAIL if FAIL in verdicts else INCONCLUSIVE if INCONCLUSIVE in verdicts else PASS
    reason, exercised = "", any(t.comparison.sizes.gradient or t.comparison.sizes.approx for t in checked)
    if not math.isfinite(differences.cost):
        verdict, reason = FAIL, f"the cost is {differences.cost}"
    elif not exercised:
        verdict, reason = INCONCLUSIVE, "every gradient is exactly zero on both sides: nothing was exercised"
    return Judgement(verdict, overall_difference(checked, norm), found, reason)


def overall_difference(tensors: list[TensorVerdict], norm: float) -> float:
    """||gradient - gradapprox|| / (||gradient|| + ||gradapprox||) over all tensors."""
    sizes = [t.comparison.norms(norm) for t in tensors]
    join = math.hypot if norm == 2 else (lambda *values: sum(values)) if norm == 1 else (lambda *values: max(values, default=0.0))
    error, gradient, approx = (join(*(getattr(s, name) for s in sizes)) for name in ("error", "gradient", "approx"))
    return relative(error, gradient, approx)


def _tolerance_of(comparison: Comparison, subject: Subject, tolerance: float | None) -> tuple[float, float]:
    """Tolerance and least size that counts, from the precision in which the tensor came."""
    dtype = subject.precision.get(comparison.tensor.name)
    if dtype is None:
        return TOLERANCE if tolerance is None else tolerance, NEGLIGIBLE
    return (low_precision_tolerance(subject, dtype) if tolerance is None else tolerance), 1.0


def low_precision_tolerance(subject: Subject, dtype: str) -> float:
    """What rounding in ``dtype`` allows: it grows with the root of the number of terms summed on the way."""
    terms = sum(math.prod(t.shape[1:]) for t in subject.tensors)
    return ROUNDINGS * ROUNDING.get(dtype, ROUNDING["float32"]) * math.sqrt(terms)


def judge_tensor(
    comparison: Comparison, differences: Differences, epsilon: float | Array, norm: float, tolerance: float,
    negligible: float, lenient: bool,
) -> TensorVerdict:
    """Judge one tensor (see ``judge``)."""
    sizes = comparison.norms(norm)
    difference = relative(sizes.error, sizes.gradient, sizes.approx)
    found = TensorVerdict(comparison, PASS, difference, tolerance, negligible)
    if not comparison.checked:
        found.verdict, found.reason = INCONCLUSIVE, "was not checked"
        return found
    if not sizes.finite:
        found.verdict = FAIL
        return found
    # In most checks every error is below what the smallest entry is allowed: one comparison settles it.
    if sizes.peak <= tolerance * negligible * comparison.root_mean_square:
        return found
    _judge_entries(found)
    return found


def _judge_entries(found: TensorVerdict) -> None:
    comparison, beyond = found.comparison, 0
    error = gradient = approx = noise = 0.0
    for part in comparison.entries(found.negligible):
        allowed = found.tolerance * part.size
        beyond += int(np.count_nonzero(part.error > allowed))
        found.wrong += int(np.count_nonzero(part.error > allowed + ENTRY_NOISE * part.noise))
        error += float(np.dot(part.error, part.error))
        noise += float(np.dot(part.noise, part.noise)) * (part.error.size if part.noise.size == 1 else 1)
    sizes = comparison.sizes
    explained = found.tolerance * (sizes.gradient + sizes.approx) * comparison.unit
    if found.wrong or math.sqrt(error) > explained + NORM_NOISE * math.sqrt(noise):
        found.verdict = FAIL
    elif math.sqrt(error) > explained:
        found.verdict, found.noisy = INCONCLUSIVE, True
