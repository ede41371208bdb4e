"""A first look at a usual step, where choosing steps would take longer than all evaluations: most entries agree at it.

That a gradient and a difference agree to more digits than is asked of them is no accident, whatever noise and step:
these matter where they do not, and there the second look has them.  A few entries of each tensor are tried first, so
that little is lost where a gradient is wrong.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from ..._constants import UNIT_ROUNDOFF
from ..._types import Indices
from ...problems.parameters.tensor import Tensor
from .check import Check
from .estimates import Estimates
from .noise import AGREEMENT
from .stencils import STENCILS, central
from .steps import FIRST, first_step

# Entries of a tensor that are evaluated sooner than a step is chosen for them, where no evaluation calls Python.
LARGEST = 1 << 7
# Entries of each that are tried first.
TRIED = 6
# The usual step, as a part of the first one of order 6: between the rounding of costs and what order 2 leaves out; and
# that of those which are tried.  Waves whose period divides one of them, as it may a power of two, show at the other.
USUAL, TRIAL = 0.0029, 0.0047
# Entries agree clearly that differ by this share of what they may; so much of a tensor need not, having few digits.
SHARE, OTHERS = 0.3, 0.125


def agreeing(check: Check, tensors: Sequence[tuple[Tensor, Indices]]) -> dict[Tensor, Estimates]:
    """Return estimates at usual steps, of the tensors that agree at these but for a few entries.

    Parameters
    ----------
    tensors : each with the places of its entries, ascending.
    """
    if not _is_quick(check):
        return {}
    looked = [(tensor, here) for tensor, here in tensors if TRIED < here.size <= LARGEST]
    tried = _looks(check, [here[:: here.size // TRIED] for _, here in looked], TRIAL)
    looked = [one for one, (_, agrees) in zip(looked, tried, strict=True) if agrees]
    found = _looks(check, [here for _, here in looked], USUAL)
    return {tensor: estimates for (tensor, _), (estimates, agrees) in zip(looked, found, strict=True) if agrees}


def _is_quick(check: Check) -> bool:
    """Tell whether evaluations take little time beside choosing steps, and steps may be chosen."""
    method = check.method
    free = method.epsilon is None and method.order == 2 and not method.complex_step and math.isinf(method.deadline)
    return free and getattr(check.problem.evaluator, "is_machine_code", False)


def _looks(check: Check, parts: list[Indices], share: float) -> list[tuple[Estimates, bool]]:
    """Return estimates of some entries each, at a share of their first steps, and whether most of these agree."""
    if not parts:
        return []
    places = np.concatenate(parts)
    start = np.concatenate([first_step(check.values[part]) for part in parts])
    step = share * np.where((start > 0.0) & (start < np.inf), start, FIRST)
    slope, below, above = central(check.lines, check.positions[places], step, 2)
    noise = np.full(places.size, AGREEMENT * UNIT_ROUNDOFF * abs(check.problem.cost))
    whole = Estimates(slope, STENCILS[2].rounding * noise / step, step, noise, below, above)
    gradient = check.gradient[places]
    with np.errstate(all="ignore"):
        allowed = SHARE * check.method.tolerance * (np.abs(slope) + np.abs(gradient))
        agree = np.abs(slope - gradient) <= allowed
    edges = np.cumsum([0, *(part.size for part in parts)]).tolist()
    found = []
    for first, last in pairwise(edges):
        disagree = last - first - np.count_nonzero(agree[first:last])
        found.append((whole.at(slice(first, last)), disagree <= OTHERS * (last - first)))
    return found
