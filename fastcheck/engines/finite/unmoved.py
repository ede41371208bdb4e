"""Costs that hardly move at all since everything is learned: what they round is told by what they were before.

A cost of log(1 + exp(-z)) that computes 1 + exp(-z) is exactly zero from z = 37 on, and all of its differences are:
that is no proof of a derivative of zero, but a cost that is lost in the rounding of one.
"""

import numpy as np

from ..._constants import NOISE_SIGMAS, UNIT_ROUNDOFF
from ..._types import Array
from .check import Check
from .estimates import Estimates
from .lines import OutOfTime
from .unlearned import shrunk_shares

# Roundings of the cost as it was before that differences may be lost in: it is a sum over samples.
LOST = 8.0


def error_of_unmoved(check: Check, estimates: Estimates, gradient: Array) -> Array:
    """Return the standard errors (k,) of estimates, with what is lost where a cost hardly moves at all.

    Parameters
    ----------
    gradient : (k,) what they are held against.
    """
    if check.method.complex_step:  # it reads the slope from the imaginary part: the real one is not meant to move
        return estimates.error
    doubted = np.isfinite(gradient) & (np.abs(gradient - estimates.slope) > NOISE_SIGMAS * estimates.error)
    cost = check.problem.cost
    if not (doubted & ((estimates.above == cost) | (estimates.below == cost))).any():
        return estimates.error
    moved = np.maximum(np.abs(estimates.above), np.abs(estimates.below))
    lost = LOST * UNIT_ROUNDOFF * _largest_cost(check)
    within = doubted & (np.maximum(moved, abs(cost)) <= lost)
    return np.where(within, np.hypot(estimates.error, lost / estimates.step), estimates.error)


def _largest_cost(check: Check) -> float:
    """Return the largest size of the cost where all parameters have shrunk; 0 where none is known."""
    problem = check.problem
    found = [0.0]
    for share in shrunk_shares(problem.theta.size):
        try:
            found.append(abs(float(np.real(check.lines.at(share * problem.theta)))))
        except OutOfTime:
            break
        except Exception:  # noqa: S112 - nobody asked for the cost there, which may raise what it likes
            continue
    return max(size for size in found if np.isfinite(size))
