"""What low precision makes of the cost itself, where a gradient that came in it contradicts the differences.

Where a cost is a sum of large terms that cancel, or goes through a matrix that is nearly singular, low precision leaves
few of its digits, and as few of a right gradient's.
"""

import math
import time
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from ..._constants import NOISE_SIGMAS, UNIT_ROUNDOFF
from ..._types import Array, Indices
from ...problems.gradients import NumericalGradient
from ...problems.parameters.layout import unit_roundoffs
from .problem import FunctionProblem, Method

# Points near theta whose costs in both precisions are compared, and points further away between which the cost moves.
NEAR, FURTHER = 6, 3
# A gradient loses this many times the share that its cost loses: it goes there and back, and what entries of it lose
# does not average out.
BACK = 4.0


def with_coarse_cost(
    problem: FunctionProblem, found: NumericalGradient, done: Indices, precision: Mapping[str, str], method: Method
) -> NumericalGradient:
    """Return differences whose ``inside`` is what a slope loses where the cost loses a share of itself.

    Of an entry that is small in its tensor it is that share of the usual one.  Where no entry is contradicted, nothing
    is looked at.

    Parameters
    ----------
    problem, found, done : the cost, its differences, and the positions of theta that they are of.
    precision : dtypes of gradients in less than double precision, by the tensor's name.
    method : the tolerance, the seed of the points, and the deadline: nothing is looked at where it is too near.
    """
    units = unit_roundoffs(problem.layout.tensors, precision)
    slopes = found.gradapprox
    with np.errstate(invalid="ignore"):
        apart = np.abs(problem.gradient[done] - slopes)
        doubted = (apart > method.tolerance * np.abs(slopes) + NOISE_SIGMAS * found.noise) & np.isfinite(apart)
    takes = (2 * NEAR + FURTHER) * problem.seconds
    soon = time.perf_counter() + takes >= problem.deadline_less(method.deadline)
    if soon or not (doubted & (units[done] > UNIT_ROUNDOFF)).any():
        return found
    share = _share_lost(problem, precision, units, np.random.default_rng(method.seed))
    inside = np.zeros(done.size)
    for tensor in problem.layout.tensors:
        mine = slice(*np.searchsorted(done, (tensor.start, tensor.stop)))
        sizes = np.abs(slopes[mine])
        finite = sizes[np.isfinite(sizes)]
        usual = math.sqrt(float(np.mean(finite**2))) if finite.size else 0.0
        inside[mine] = BACK * share * np.maximum(sizes, usual) * (UNIT_ROUNDOFF / units[done[mine]])
    return replace(found, inside=np.where(np.isfinite(inside), inside, 0.0))


def _share_lost(
    problem: FunctionProblem, precision: Mapping[str, str], units: Array, generator: "np.random.Generator"
) -> float:
    """Return the standard error of the cost in low precision, as a share of how far the cost moves; 0 if not known."""
    theta, tensors, coarse = problem.theta, problem.layout.tensors, problem.coarse
    if coarse is None:
        return 0.0
    moved = theta * (1.0 + generator.standard_normal((FURTHER, theta.size)))
    near = theta * (1.0 + units * generator.standard_normal((NEAR, theta.size)))
    try:
        with np.errstate(all="ignore"):
            size = max(abs(problem.cost), float(np.median([abs(_cost(problem, at) - problem.cost) for at in moved])))
            errors = []
            for at in near:
                values = [at[t.start : t.stop].reshape(t.shape).astype(precision.get(t.name, "float64"))
                          for t in tensors]
                wide = np.concatenate([np.ravel(value).astype(np.float64) for value in values])
                errors.append(float(coarse(values)) - _cost(problem, wide))
    except Exception:  # in this precision, or further away, the user's cost may do whatever it likes
        return 0.0
    share = float(np.sqrt(np.mean(np.square(errors)))) / size if size > 0.0 else 0.0
    return share if math.isfinite(share) else 0.0


def _cost(problem: FunctionProblem, at: Array) -> float:
    return float(np.real(problem.evaluator.at(at)))
