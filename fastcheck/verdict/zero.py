"""The verdict on a tensor whose gradient is zero but for rounding."""

from dataclasses import replace

import numpy as np

from .._constants import RESOLVED, ROUNDINGS
from .._types import Array
from ..problems.gradients import Dithered
from .comparison import relative
from .explanations import Evidence, Explanations
from .judgement import Disagreeing, TensorVerdict
from .outcome import FAIL, INCONCLUSIVE, PASS, Cause
from .shared import is_rounding_alone, repeats_itself, stands_out


def zero(found: TensorVerdict, explanations: Explanations) -> TensorVerdict:
    """Return the verdict where nothing but rounding is left: a pass, measured by the size of what cancelled."""
    scale, norm = explanations.given.scale_beside(found.comparison), explanations.given.norm
    root_mean_square = found.comparison.root_mean_square
    compared = found.comparison.held(found.tolerance, scale / root_mean_square if root_mean_square else 1.0)
    sizes = compared.norms(norm)
    difference = relative(sizes.error, sizes.gradient, sizes.approx + explanations.norm_of_equal(scale))
    return replace(found, comparison=compared, difference=difference, verdict=PASS, entries=Disagreeing(),
                   cause=Cause.ZERO)


def unresolved(found: TensorVerdict, given: Evidence, runs: Dithered, finding: str) -> TensorVerdict:
    """Return the verdict on a tensor with no more than rounding in it, whose runs cannot tell it from zero.

    It is right if its truth is nothing and the runs leave no more than that: the gradient is as small as the other
    tensors' scale explains, or the runs' errors go to all sides, and would show a mistake that matters beside them.
    Where runs that share no rounding are all the same, it is a mistake.

    Parameters
    ----------
    finding : what is wrong at the judged point alone, if anything.
    """
    errors, scale = _errors_of(found, runs), scale_beside(found, given)
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


def scale_beside(found: TensorVerdict, given: Evidence) -> float:
    """Return the largest of the other gradients; by the spread of rounding none of them is resolved to a thousandth."""
    others = (c for c in given.comparisons if c.tensor is not found.comparison.tensor)
    return max((c.approx_rms for c in others), default=0.0)


def _errors_of(found: TensorVerdict, runs: Dithered) -> list[Array]:
    """Return a tensor's errors (runs, entries), the judged one's first: beside it, or at each distance further away."""
    part = slice(found.comparison.tensor.start, found.comparison.tensor.stop)
    errors = runs.gradients[:, part] - runs.truths[:, part]
    apart = [away.gradients[1:, part] - away.truths[1:, part] for away in runs.further]
    return [np.vstack([errors[:1], away]) for away in apart] or [errors]
