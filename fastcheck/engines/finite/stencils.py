"""Stencils: derivatives along lines from a few costs that are subtracted the ordinary way, and their errors.

A *line* is the cost as a function of one number t, along one parameter or along a direction.

Sources: B. Fornberg, "Generation of finite difference formulas on arbitrarily spaced grids", Math. Comp. 51 (1988),
for the weights.
"""

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ..._types import Array, Indices
from ...runtime.cached_property import cached_property


class Lines(Protocol):
    """Costs on lines through theta."""

    def __call__(self, which: Indices, distances: Array) -> tuple[Array, Array]:
        """Distances and costs (p, s) of some lines (p,), at some distances along them (p, s).

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

    @cached_property
    def rounding(self) -> float:
        """Standard error for costs of standard error one and a step of one."""
        return math.sqrt(2.0 * sum(w * w for w in self.weights))

    @cached_property
    def nodes(self) -> Array:
        """-s, ..., -1, 1, ..., s."""
        steps = np.arange(1.0, len(self.weights) + 1.0)
        return np.concatenate([-steps[::-1], steps])

    @cached_property
    def forward(self) -> Array:
        """The weights as an array."""
        return np.array(self.weights)

    @np.errstate(all="ignore")
    def slope(self, distances: Array, costs: Array) -> Array:
        """Return the derivative at 0 from costs at the distances, both (p, 2s); exact for straight lines."""
        half, weights = len(self.weights), self.forward
        # Pairs first: equal costs then leave nothing, not even rounding.
        rise = (costs[:, half:] - costs[:, half - 1 :: -1]).dot(weights)  # "@" takes twice as long for so few
        return np.asarray(rise / (distances[:, half:] - distances[:, half - 1 :: -1]).dot(weights))

    def best_step(self, noise: Array, bend: Array) -> Array:
        """Return the step with the least error, given the noise of the costs and |f^(order+1)|; it may be infinite."""
        ratio = self.rounding * noise / (self.order * self.truncation * bend)
        return np.asarray(ratio ** (1.0 / (self.order + 1)))


STENCILS = {
    2: Stencil(2, (1 / 2,), 1 / 6),
    4: Stencil(4, (2 / 3, -1 / 12), 1 / 30),
    6: Stencil(6, (3 / 4, -3 / 20, 1 / 60), 1 / 140),
}
WIDEST = STENCILS[6]
ORDERS = tuple(STENCILS)


@np.errstate(all="ignore")
def power_of_two(value: Array) -> Array:
    """Return the nearest power of two: steps that floating point adds without rounding."""
    return np.asarray(np.exp2(np.rint(np.log2(value))))


def central(
    lines: Lines, which: Indices, step: Array, order: int, *, literal: bool = False
) -> tuple[Array, Array, Array]:
    """Return central differences of a given step and order.

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
