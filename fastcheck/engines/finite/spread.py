"""What slopes at several steps say of each other's errors: noise at the step that is used, and staircases."""

from dataclasses import dataclass

import numpy as np

from ..._types import Array, Indices
from .stencils import WIDEST, Lines

# Steps beside the first one, as parts of it: near enough to have its truncation, far enough to round anew.
FACTORS = np.array([0.93, 0.86, 0.79, 0.71, 0.64])
# How far ahead, in steps, a cost that stands still is looked at: as near as stairs of a few steps ask for.
FAR = 4.0 ** np.arange(1.0, 13.0)
# How far to one of the sides of there, in steps, it must stand still again.
BESIDE = np.array([-0.25, 0.25])


@dataclass(frozen=True)
class Spread:
    """Slopes of lines at several steps, (p,) each: their mean, and the standard deviation of a single one."""

    mean: Array
    deviation: Array


def spread(lines: Lines, which: Indices, step: Array, slope: Array) -> Spread:
    """Return how slopes of order 6 scatter at steps near the one that is used.

    Parameters
    ----------
    lines, which : the lines to work on (p,).
    step, slope : the step and the slope there (p,).

    Notes
    -----
    Noise that was measured close to theta is too little where neighbouring costs share their roundings (a sum of large
    terms of which each moves by less than its last place).  At the step itself the slopes tell.
    """
    distances = (step[:, None, None] * FACTORS[:, None] * WIDEST.nodes).reshape(which.size, -1)
    distances, costs = lines(which, distances)
    per_slope = (which.size * FACTORS.size, WIDEST.nodes.size)
    others = WIDEST.slope(distances.reshape(per_slope), costs.reshape(per_slope)).reshape(which.size, -1)
    slopes = np.column_stack([slope, others])
    return Spread(slopes.mean(axis=1), slopes.std(axis=1, ddof=1))


def stair_heights(lines: Lines, which: Indices, step: Array, cost: float) -> Array:
    """Of lines along which the cost stands still at a step: how far it jumps where it is a staircase; else 0, (p,).

    Notes
    -----
    Where rounding inside the cost swallows the step, as in (x + 1e16) - 1e16, it moves further out, and there it
    stands still again.  Where a parameter does nothing, it never moves; where a unit is dead, it moves on.  Both sides
    are asked: log(1 - p) has stairs on one side alone where 1 - p is all but zero, and is infinite on the other.
    """
    return np.maximum(*(_height_ahead(lines, which, direction, cost) for direction in (step, -step)))


def _height_ahead(lines: Lines, which: Indices, step: Array, cost: float) -> Array:
    """Return how far lines jump on the side that their steps lead to."""
    ahead = lines(which, step[:, None] * FAR)[1]
    moved = np.isfinite(ahead) & (ahead != cost)
    first = np.argmax(moved, axis=1)
    rows = np.arange(which.size)
    there = ahead[rows, first]
    beside = lines(which, step[:, None] * (FAR[first][:, None] + BESIDE))[1]
    still = (beside == there[:, None]).any(axis=1)  # the next jump may be between
    return np.where(moved.any(axis=1) & still, np.abs(there - cost), 0.0)
