"""What the entries of a tensor are held to: the textbook's tolerance, or what the precision of its gradient allows."""

import math

from .._constants import NEGLIGIBLE, ROUNDINGS, TOLERANCE, UNIT_ROUNDOFFS
from ..problems.gradients import AnalyticGradient


def tolerance_in(dtype: str, subject: AnalyticGradient) -> float:
    """Return the relative difference that rounding in ``dtype`` allows a gradient.

    It grows with the root of the number of terms in the sums, as the errors of independent roundings do.
    """
    terms = sum(math.prod(tensor.shape[1:]) for tensor in subject.tensors)
    return ROUNDINGS * UNIT_ROUNDOFFS.get(dtype, UNIT_ROUNDOFFS["float32"]) * math.sqrt(terms)


def held_to(name: str, subject: AnalyticGradient, asked: float | None) -> tuple[float, float]:
    """Tolerance of a tensor's entries, and the least size that counts as a share of its root mean square.

    Parameters
    ----------
    name : the tensor's.
    subject : what is judged.
    asked : the caller's tolerance, None for the default.
    """
    dtype = subject.precision.get(name)
    if dtype is None:
        return TOLERANCE if asked is None else asked, NEGLIGIBLE
    # In low precision small entries carry the errors of large ones: all are measured by the tensor's size at least.
    return tolerance_in(dtype, subject) if asked is None else asked, 1.0


def allowed_anywhere(subject: AnalyticGradient, asked: float | None) -> float:
    """Return the relative disagreement that no tensor is blamed for: the largest tolerance of all."""
    if asked is not None:
        return asked
    return max([TOLERANCE, *(tolerance_in(dtype, subject) for dtype in subject.precision.values())])
