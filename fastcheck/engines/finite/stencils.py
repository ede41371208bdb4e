"""Stencils: derivatives along lines from a few costs that are subtracted the ordinary way, and their errors.

A *line* is the cost as a function of one number t, along one parameter or along a direction.

Sources: B. Fornberg, "Generation of finite difference formulas on arbitrarily spaced grids", Math. Comp. 51 (1988),
for the weights; C. Ridders, Adv. Eng. Softw. 4 (1982), for the extrapolation's error estimate.
"""

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ..._types import Array, Indices


class Lines(Protocol):
    """Costs on lines through theta."""

    def __call__(self, which: Indices, distances: Array) -> tuple[Array, Array]:
        """Distances and costs (p, s) for the lines wanted (p,), asked for at some distances along them (p, s).

        The distances come back as floating point really made them.
        """
        ...


@dataclass(frozen=True)
class Stencil:
    """A central difference: the weights of t = h, 2h, ... (those of -h, -2h, ... are their negatives).

    Its error is ``truncation * |f^(order+1)| * h^order + rounding * noise / h``.
    """

    order: int
    weights: tuple[float, ...]
    truncation: float

    @property
    def rounding(self) -> float:
        """Standard error for costs of standard error one and a step of one."""
        return math.sqrt(2.0 * sum(w * w for w in self.weights))

    @property
    def nodes(self) -> Array:
        """-s, ..., -1, 1, ..., s."""
        steps = np.arange(1.0, len(self.weights) + 1.0)
        return np.concatenate([-steps[::-1], steps])

    def slope(self, distances: Array, costs: Array) -> Array:
        """The derivative at 0 from costs at the distances, both (p, 2s); exact for straight lines."""
        half = len(self.weights)
        weights = np.array(self.weights)
        with np.errstate(all="ignore"):  # pairs first: equal costs then leave nothing, not even rounding
            rise = (costs[:, half:] - costs[:, half - 1 :: -1]) @ weights
            return np.asarray(rise / ((distances[:, half:] - distances[:, half - 1 :: -1]) @ weights))

    def best_step(self, noise: Array, bend: Array) -> Array:
        """The step with the least error, given the noise of the costs and |f^(order+1)|."""
        with np.errstate(divide="ignore"):
            ratio = self.rounding * noise / (self.order * self.truncation * bend)
        return np.asarray(ratio ** (1.0 / (self.order + 1)))

    def error(self, step: Array, noise: Array, bend: Array) -> Array:
        """Standard error of the slope."""
        return np.asarray(self.truncation * bend * step**self.order + self.rounding * noise / step)


STENCILS = {
    2: Stencil(2, (1 / 2,), 1 / 6),
    4: Stencil(4, (2 / 3, -1 / 12), 1 / 30),
    6: Stencil(6, (3 / 4, -3 / 20, 1 / 60), 1 / 140),
}
WIDEST = STENCILS[6]
ORDERS = tuple(STENCILS)


def power_of_two(value: Array) -> Array:
    """The nearest power of two: steps that floating point adds without rounding."""
    with np.errstate(all="ignore"):
        return np.asarray(np.exp2(np.rint(np.log2(value))))


def central(
    lines: Lines, which: Indices, step: Array, order: int, *, literal: bool = False
) -> tuple[Array, Array, Array]:
    """Central differences of a given step and order.

    Parameters
    ----------
    literal : divide by the step as it was asked for (the textbook's formula), not by what rounding made of it.

    Returns
    -------
    slope, below, above : (p,) each; below and above are the costs at -step and step.
    """
    stencil = STENCILS[order]
    distances, costs = lines(which, step[:, None] * stencil.nodes)
    if literal:
        distances = step[:, None] * stencil.nodes
    half = order // 2
    return stencil.slope(distances, costs), costs[:, half - 1], costs[:, half]


HALVINGS = 4


def richardson(lines: Lines, which: Indices, step: Array) -> tuple[Array, Array, Array, Array]:
    """Central differences at step, step/2, step/4, ..., extrapolated to a step of zero.

    Returns
    -------
    slope, error, below, above : (p,) each.  The entry of the extrapolation table that its neighbours agree with best,
        and their distance (Ridders).
    """
    steps = step[:, None] / 2.0 ** np.arange(HALVINGS)
    distances, costs = lines(which, np.concatenate([-steps, steps], axis=1))
    with np.errstate(all="ignore"):
        column = (costs[:, HALVINGS:] - costs[:, :HALVINGS]) / (distances[:, HALVINGS:] - distances[:, :HALVINGS])
        slope = column[:, 0].copy()
        error = np.full(which.size, np.inf)
        for level in range(1, HALVINGS):
            better = column[:, 1:] + (column[:, 1:] - column[:, :-1]) / (4.0**level - 1.0)
            doubt = np.maximum(np.abs(better - column[:, 1:]), np.abs(better - column[:, :-1]))
            place = np.argmin(np.where(np.isnan(doubt), np.inf, doubt), axis=1)[:, None]
            least = np.take_along_axis(doubt, place, axis=1)[:, 0]
            nearer = least < error
            slope[nearer] = np.take_along_axis(better, place, axis=1)[nearer, 0]
            error[nearer] = least[nearer]
            column = better
    return slope, error, costs[:, 0], costs[:, HALVINGS]
