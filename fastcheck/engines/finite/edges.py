"""Derivatives at the edge of a cost's domain: from one side, where the other side has no cost."""

from dataclasses import dataclass

import numpy as np

from ..._types import Array, Indices, Mask
from .difference_table import ONE_SIDED, ONE_SIDED_ROUNDING
from .stencils import Lines

# Steps that are tried, each this part of the one before; and how many of them, where both sides are looked for.
STEPS, FINER, REACH = 5, 2.0**-5, 9


@dataclass(frozen=True)
class EdgeSlopes:
    """One-sided derivatives of lines, (p,) each.

    known : which lines have costs on one side and none on the other; the rest of the fields counts only there.
    slope, error, step : the derivative, its standard error, and the step it comes from.
    below, above : costs at -step and step; not finite on the side where there is none.
    """

    known: Mask
    slope: Array
    error: Array
    step: Array
    below: Array
    above: Array


def inner_step(lines: Lines, which: Indices, start: Array) -> Array:
    """The largest step, at most ``start``, at which lines have costs to both sides, (p,); nan where there is none.

    The edge of the domain may be as near as the parameter's last digits.
    """
    steps = start[:, None] * FINER ** np.arange(1.0, REACH + 1.0)
    distances, costs = lines(which, np.concatenate([-3.0 * steps, 3.0 * steps], axis=1))
    usable = (np.isfinite(costs) & (distances != 0.0)).reshape(which.size, 2, REACH).all(axis=1)
    first = np.argmax(usable, axis=1)
    return np.where(usable.any(axis=1), steps[np.arange(which.size), first], np.nan)


def edge_slopes(lines: Lines, which: Indices, start: Array, cost: float, noise: Array) -> EdgeSlopes:
    """Return one-sided derivatives of lines that have no cost on one of their sides.

    Parameters
    ----------
    lines, which : the lines to work on (p,).
    start : the largest step (p,).
    cost : the value at 0.
    noise : standard deviation of one cost (p,).

    Notes
    -----
    A derivative of order three from three costs on one side, at STEPS steps.  Where the cost is smooth up to the edge
    they agree; where its next term is a fractional power, as in t**1.5, they approach the derivative like a geometric
    sequence, whose limit three of them tell (Aitken).
    """
    steps = start[:, None] * FINER ** np.arange(STEPS)
    distances = (steps[:, :, None] * np.array([1.0, 2.0, 3.0])).reshape(which.size, -1)
    costs = np.stack([lines(which, side * distances)[1].reshape(which.size, STEPS, 3) for side in (-1.0, 1.0)])
    finite: Mask = np.asarray(np.isfinite(costs).all(axis=(2, 3)))
    chosen = np.argmax(finite, axis=0)  # 0: below, 1: above
    rows = np.arange(which.size)
    other = costs[1 - chosen, rows]
    known = finite[chosen, rows] & ~np.isfinite(other[:, -1]).any(axis=1)
    with np.errstate(all="ignore"):
        sign = np.where(chosen == 1, 1.0, -1.0)[:, None]
        slopes = sign * ((costs[chosen, rows] - cost) @ ONE_SIDED) / steps
        rounding = ONE_SIDED_ROUNDING * noise[:, None] / steps
        limits, doubts = _limits(slopes, rounding)
        best = np.argmin(np.where(np.isnan(doubts), np.inf, doubts), axis=1)
    at = np.where(best < STEPS - 1, best, best - 1)  # the last steps' limits follow the slopes
    near = costs[:, rows, at, 0]
    return EdgeSlopes(known, limits[rows, best], doubts[rows, best], steps[rows, at], near[0], near[1])


def _limits(slopes: Array, rounding: Array) -> tuple[Array, Array]:
    """Candidates for the derivatives and their errors: the slopes themselves, then limits of three in a row."""
    rise = np.diff(slopes, axis=1)
    bend = np.diff(rise, axis=1)
    with np.errstate(all="ignore"):
        limits = slopes[:, 2:] - np.where(bend == 0.0, 0.0, rise[:, 1:] ** 2 / bend)
    plain = np.abs(rise) + rounding[:, :-1]
    doubts = np.abs(np.diff(limits, axis=1)) + 4.0 * rounding[:, 3:]
    return np.hstack([slopes[:, :-1], limits[:, 1:]]), np.hstack([plain, doubts])
