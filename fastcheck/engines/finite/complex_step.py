"""The complex step: derivatives without a difference, and whether the cost is analytic enough to have them.

Source: W. Squire and G. Trapp, "Using complex variables to estimate derivatives of real functions", SIAM Review 40
(1998).
"""

import warnings

import numpy as np

from ..._constants import NOISE_SIGMAS, UNIT_ROUNDOFF
from ..._types import Array, Indices
from ...problems.parameters.sampling import random_direction
from .check import Check
from .directional import Ray
from .estimates import Estimates
from .lines import OutOfTime
from .stencils import power_of_two
from .steps import median

# The step, as a part of the parameter.  Nothing is subtracted: any part below the root of the roundoff will do.
PART = 2.0**-67
# The least step: its product with a derivative must not underflow.  Of parameters that are hardly larger it is this
# part, whose square is still below the roundoff.
LEAST, LARGER_PART = 2.0**-1000, 2.0**-30
# Roundings that the imaginary part of a cost goes through, at the usual length of a computation.
ROUNDINGS = 8.0
# Complex and real derivatives of an analytic cost agree at least to this, relatively.
ANALYTIC = 1e-6


def complex_estimates(check: Check, places: Indices) -> Estimates:
    """Im J(theta + i h e_k) / h at some places."""
    which = check.positions[places]
    sizes = power_of_two(_sizes(check)[which])
    step = np.maximum(PART * sizes, np.minimum(LEAST, LARGER_PART * sizes))
    costs = check.lines.costs_at(which, check.problem.theta[which] + 1j * step)
    slope, cost = costs.imag / step, np.ascontiguousarray(costs.real)
    return Estimates(slope, ROUNDINGS * UNIT_ROUNDOFF * np.abs(slope), step, np.zeros(which.size), cost, cost)


def require_analytic(check: Check) -> None:
    """Hold the complex step against real differences along a random direction, in which every parameter takes part.

    What the complex step does not see, a part of the cost that is not analytic, it does not see at any entry: a
    gradient that lacks the same part agrees everywhere.

    Raises
    ------
    ValueError : where they disagree.
    OutOfTime : where the deadline passes meanwhile.
    """
    problem = check.problem
    sizes = _sizes(check)
    part = PART if PART * float(np.min(sizes, initial=1.0)) >= LEAST else LARGER_PART
    direction = sizes * random_direction(check.generator, problem.theta.size)
    if check.lines.over:
        raise OutOfTime
    with warnings.catch_warnings():  # what drops the imaginary part is refused here, and needs no second word on it
        warnings.simplefilter("ignore", np.exceptions.ComplexWarning)
        slope = float(np.imag(check.lines.at(problem.theta + 1j * part * direction))) / part
    ray = Ray(check.lines.at, problem.theta, problem.cost, check.method.deadline - check.lines.seconds_each)
    for promised in (None, slope):
        real, error = ray(direction, 0.0, promised)
        if not abs(slope - real) > ANALYTIC * (abs(slope) + abs(real)) + NOISE_SIGMAS * error:
            return
    raise not_analytic("along a random direction", slope, real)


def not_analytic(where: str, slope: float, real: float) -> ValueError:
    """Return the error that says so."""
    return ValueError(
        f"complex_step: expected an analytic cost, got one that is not analytic: {where} its derivative is "
        f"{slope:.9g}, by real differences {real:.9g}; abs, conj, .real, norms and casts to float break the complex "
        "step: rewrite them, or use order=6"
    )


def _sizes(check: Check) -> Array:
    """Return the sizes of the parameters (n,): a zero counts as large as the middle one of its tensor."""
    sizes = np.abs(check.problem.theta)
    for tensor in check.tensors:
        here = sizes[tensor.start : tensor.stop]
        used = here[(here > 0.0) & np.isfinite(here)]
        here[~((here > 0.0) & np.isfinite(here))] = median(used) if used.size else 1.0
    return sizes
