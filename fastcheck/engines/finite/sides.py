"""Derivatives to both sides of a kink, each from costs on its own side at the best of a few steps."""

import math
from dataclasses import dataclass

import numpy as np

from ..._constants import UNIT_ROUNDOFF
from ..._types import Array, Indices
from .stencils import Lines

# Steps that are tried, each this part of the one before.
STEPS, FINER = 6, 2.0**-3
# Weights of f(h) - f(0), ..., f(6h) - f(0): sums over k up to 4 and 6 of (-1)^(k+1) / k times the k-th forward
# difference, the series of the logarithm of the shift.
ORDERS = (4, 6)
_COUNT = ORDERS[-1]


def _weights(order: int) -> Array:
    """Of a one-sided derivative."""
    weights = np.zeros(_COUNT)
    for k in range(1, order + 1):
        for j in range(1, k + 1):
            weights[j - 1] += (-1.0) ** (k + 1) / k * math.comb(k, j) * (-1.0) ** (k - j)
    return weights


LOWER, HIGHER = (_weights(order) for order in ORDERS)
# Its error where each cost has error one.
ROUNDING = math.sqrt(float(np.sum(HIGHER**2)) + float(np.sum(HIGHER)) ** 2)


@dataclass(frozen=True)
class SideSlopes:
    """Derivatives of lines to both sides, (p,) each, and the larger of their errors."""

    left: Array
    right: Array
    error: Array


def side_slopes(lines: Lines, which: Indices, start: Array, cost: float, noise: Array) -> SideSlopes:
    """Return one-sided derivatives of lines at a kink.

    Parameters
    ----------
    lines, which : the lines to work on (p,).
    start : the largest step (p,).
    cost : the value at 0.
    noise : standard deviation of one cost (p,).

    Notes
    -----
    On one side of a kink the cost is smooth up to the next one.  Of the steps that are tried, the one counts at which
    two orders agree best, and rounding is least.
    """
    steps = start[:, None] * FINER ** np.arange(STEPS)
    distances = (steps[:, :, None] * np.arange(1.0, _COUNT + 1.0)).reshape(which.size, -1)
    sides = [_side(lines, which, sign * distances, (sign * steps, cost, noise)) for sign in (-1.0, 1.0)]
    (left, one), (right, other) = sides
    return SideSlopes(left, right, np.maximum(one, other))


def _side(
    lines: Lines, which: Indices, distances: Array, known: tuple[Array, float, Array]
) -> tuple[Array, Array]:
    steps, cost, noise = known
    costs = lines(which, distances)[1].reshape(which.size, STEPS, _COUNT)
    with np.errstate(all="ignore"):
        rise = costs - cost
        slope, coarser = rise @ HIGHER / steps, rise @ LOWER / steps
        rounds = np.fmax(noise[:, None], UNIT_ROUNDOFF * np.abs(costs).max(axis=2))
        error = np.abs(slope - coarser) + ROUNDING * rounds / np.abs(steps)
    best = np.argmin(np.where(np.isnan(error), np.inf, error), axis=1)
    rows = np.arange(which.size)
    return slope[rows, best], error[rows, best]
