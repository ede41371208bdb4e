"""Difference tables: what seven costs on a line say of its slope, their noise, its curvature and kinks.

Source of the estimates: J. J. More and S. M. Wild, "Estimating computational noise", SIAM J. Sci. Comput. 33 (2011).
"""

import math
from dataclasses import dataclass, fields

import numpy as np

from ..._constants import NOISE_SIGMAS, UNIT_ROUNDOFF
from ..._types import Array, Indices, Mask
from .noise import AGREEMENT
from .stencils import STENCILS, WIDEST, Lines, power_of_two

# The derivative to one side, from the rises over one, two and three steps; and its error where each cost has error one.
ONE_SIDED = np.array([3.0, -1.5, 1.0 / 3.0])
ONE_SIDED_ROUNDING = math.sqrt(float(np.sum(ONE_SIDED**2)) + float(np.sum(ONE_SIDED)) ** 2)
# A table whose differences do not shrink by this factor in two orders is not that of a smooth function.
SMOOTH = 0.3
# Relative rounding of half precision: no cost is coarser.
COARSEST = 2.0**-11
# Standard deviations of the k-th differences of independent errors of standard deviation one, k = 1 ... 6.
SPREAD = np.array([math.sqrt(math.comb(2 * k, k)) for k in range(1, 7)])
# The differences of order 1 (six of them), 2 (five), ..., 6 (one) of seven values, as one matrix.
_COUNTS = np.arange(6, 0, -1)
_FIRST = np.concatenate([[0], np.cumsum(_COUNTS)[:-1]])
_DIFFERENCES = np.concatenate([np.diff(np.eye(7), k, axis=0) for k in range(1, 7)]).T
# Roots that bring the differences of order 3 to 6, by that of the first two, to one factor.
_ROOTS = 1.0 / np.arange(2.0, 6.0)
# Differences this many times what noise makes them count as the function's own; so do these, in units of its deviation.
RESOLVED = 4.0
STANDING_OUT = RESOLVED * SPREAD


@dataclass
class SlopeEstimates:
    """Derivatives along lines, with what they rest on; all (p,).

    slope : the derivative.
    truncation, rounding : its errors from the step and from the noise of the costs.
    step : the spacing h.
    noise : standard deviation of one cost.
    bend : h^k |f^(k)|, k = 1 ... 6: (p, 6).
    decay : how they shrink from one order to the next.
    smooth : whether the function looks smooth at that step.
    below, above : costs at -h and h.
    left, right, nearest : derivatives to both sides at the smallest step at which the function is rough, and that step.
    afar, afar_error : the derivative at a far smaller step, and its standard error, with as much noise as the table may
        hide; nan where there is none.
    """

    slope: Array
    truncation: Array
    rounding: Array
    step: Array
    noise: Array
    bend: Array
    decay: Array
    smooth: Mask
    below: Array
    above: Array
    left: Array
    right: Array
    nearest: Array
    afar: Array
    afar_error: Array

    @classmethod
    def unknown(cls, count: int) -> "SlopeEstimates":
        """Nothing known yet about ``count`` lines."""
        slope, rounding, step, noise, decay, below, above, left, right, afar, afar_error = np.full((11, count), np.nan)
        truncation, nearest = np.full((2, count), np.inf)
        return cls(slope, truncation, rounding, step, noise, np.zeros((count, 6)), decay, np.zeros(count, dtype=bool),
                   below, above, left, right, nearest, afar, afar_error)

    @property
    def resolved(self) -> Mask:
        """Which differences stand out of the noise: (p, 6)."""
        return np.asarray(self.bend > STANDING_OUT * self.noise[:, None])

    def kinked(self) -> tuple[Mask, Array]:
        """Tell which lines have a kink at 0, and the noise of their one-sided derivatives."""
        with np.errstate(invalid="ignore"):
            blurred = ONE_SIDED_ROUNDING * self.noise / self.nearest
            return ~self.smooth & (np.abs(self.right - self.left) > NOISE_SIGMAS * blurred), blurred

    @property
    def level(self) -> Array:
        """Noise level implied by the highest differences."""
        return np.asarray(np.maximum(self.bend[:, 4] / SPREAD[4], self.bend[:, 5] / SPREAD[5]))

    @property
    def quiet(self) -> Array:
        """Noise level implied by the two smallest consecutive difference orders."""
        levels = self.bend / SPREAD
        return np.asarray(np.minimum.reduce(np.maximum(levels[:, :-1], levels[:, 1:]), axis=1))

    @property
    def error(self) -> Array:
        """Standard error of the slope."""
        return self.truncation + self.rounding

    @np.errstate(all="ignore")
    def best_step(self, order: int) -> Array:
        """Return the best step of another order, from what the table says of |f^(order + 1)|."""
        if order == WIDEST.order:
            return self.step
        modelled = np.maximum(self.bend[:, 0], self.bend[:, 1]) * self.decay**order
        seen = self.bend[:, order]
        own = (seen > STANDING_OUT[order] * self.noise) & (seen > modelled / 10.0)
        bend = np.where(own, seen, modelled) / self.step ** (order + 1)
        step = STENCILS[order].best_step(self.noise, bend)
        usable = (step > 0.0) & (step < np.inf) & self.smooth
        # Where the table has looked: three of its steps to both sides.
        most = self.step * (2.0 if order == 2 else 1.0)
        return power_of_two(np.where(usable, np.minimum(step, most), self.step))

    def take(self, other: "SlopeEstimates", where: Mask | Indices, from_: Mask) -> None:
        """Overwrite the lines ``where`` with the lines ``from_`` of another."""
        for name in FOUND:
            getattr(self, name)[where] = getattr(other, name)[from_]

    def put(self, where: Mask | Indices, other: "SlopeEstimates") -> None:
        """Overwrite all that is known of the lines ``where`` by another's lines, in order."""
        for name in ALL:
            getattr(self, name)[where] = getattr(other, name)

    def at(self, where: Mask | Indices) -> "SlopeEstimates":
        """Return some of the lines."""
        return SlopeEstimates(*(getattr(self, name)[where] for name in ALL))


ALL = tuple(one.name for one in fields(SlopeEstimates))
# What a table finds, whatever rough tables at other steps have found.
FOUND = tuple(name for name in ALL if name not in ("left", "right", "nearest"))


@dataclass(frozen=True)
class Samples:
    """Costs at seven equally spaced points of each line, the middle one at 0.

    step : their spacing (p,).
    distances, costs : as the lines gave them, without the middle (p, 6).
    values : with the middle (p, 7).
    """

    step: Array
    distances: Array
    costs: Array
    values: Array

    @classmethod
    def of(cls, lines: Lines, which: Indices, step: Array, cost: float) -> "Samples":
        """Evaluate some lines (p,) at steps (p,); the cost at 0 is known."""
        distances, costs = lines(which, step[:, None] * WIDEST.nodes)
        half = WIDEST.nodes.size // 2
        values = np.empty((which.size, 2 * half + 1))
        values[:, :half], values[:, half], values[:, half + 1 :] = costs[:, :half], cost, costs[:, half:]
        return cls(step, distances, costs, values)

    def some(self, where: Mask) -> "Samples":
        """Return some of the lines."""
        return Samples(self.step[where], self.distances[where], self.costs[where], self.values[where])


def table(lines: Lines, which: Indices, step: Array, cost: float, noise: Array) -> SlopeEstimates:
    """Return slopes of order 6 at a step, with what their difference table says about noise, step and smoothness.

    Parameters
    ----------
    lines, which : the lines to work on (p,).
    step : their spacing (p,).
    cost : the value at 0.
    noise : standard deviation of one cost near 0 (p,), or a lower bound of it.
    """
    return judged(Samples.of(lines, which, step, cost), noise)


@np.errstate(all="ignore")
def judged(rows: Samples, noise: Array) -> SlopeEstimates:
    """Return what rows of costs say of slopes, given the noise of a cost near 0 (p,).

    Notes
    -----
    In terms of h^k f^(k) = S rho^(k-1), S measured by the first two differences: rho follows from the highest
    difference that stands out of the noise and is bounded by those that do not; it gives the term that the stencil
    leaves out.
    """
    step, costs, half = rows.step, rows.costs, WIDEST.nodes.size // 2
    largest, bend = np.maximum.reduce(np.abs(rows.values), axis=1), _differences(rows.values)
    first, second, third, fourth, fifth, sixth = bend.T
    # Rounding grows with what is rounded.  In proportion to the cost is the most: less where the cost at 0 is small
    # because large terms cancel, and never more than the highest differences show.
    most = np.minimum(noise / np.abs(rows.values[:, half]), COARSEST) * largest
    shown = AGREEMENT * np.maximum(fifth / SPREAD[4], sixth / SPREAD[5])
    noise = np.fmax(noise, UNIT_ROUNDOFF / 2.0 * largest)
    grown = np.fmax(noise, np.minimum(most, shown))
    own = bend > STANDING_OUT * grown[:, None]
    size = np.maximum(first, second)
    # Two orders, for a kink can lie where one of them happens to vanish.
    rough = own[:, 4] & (fifth > SMOOTH * np.maximum(third, fourth))
    rough |= own[:, 5] & (sixth > SMOOTH * np.maximum(fourth, fifth))
    rho = _decay(bend, own, size, grown)
    truncation = 2.0 * WIDEST.truncation * size * rho**WIDEST.order / step  # with a margin of two
    truncation[size == 0.0] = 0.0
    left, right, nearest, afar, afar_error = np.full((5, step.size), np.nan)
    nearest[:] = np.inf
    found = SlopeEstimates(WIDEST.slope(rows.distances, costs), truncation, WIDEST.rounding * grown / step, step, noise,
                           bend, rho, ~rough, costs[:, half - 1], costs[:, half], left, right, nearest, afar,
                           afar_error)
    if np.count_nonzero(rough) or np.count_nonzero(np.isfinite(costs)) < costs.size:
        _put_rough(found, rows, rough)
    return found


def _put_rough(found: SlopeEstimates, rows: Samples, rough: Mask) -> None:
    """Put what is known of lines that are rough, or have costs that are not finite: derivatives to both sides."""
    costs, cost, half = rows.costs, rows.values[:, 3:4], WIDEST.nodes.size // 2
    broken = ~np.logical_and.reduce(np.isfinite(costs), axis=1)
    found.truncation[rough] = np.maximum(found.bend[rough, 4], found.bend[rough, 5]) / found.step[rough]
    found.truncation[broken] = np.inf
    found.smooth[broken] = False
    left = (cost - costs[:, half - 1 :: -1]) @ ONE_SIDED / found.step
    right = (costs[:, half:] - cost) @ ONE_SIDED / found.step
    known = ~found.smooth & np.isfinite(left) & np.isfinite(right)
    found.left[known], found.right[known], found.nearest[known] = left[known], right[known], found.step[known]


def _differences(row: Array) -> Array:
    """Return the root mean squares of the differences of order 1 to 6 of seven values, (p, 7) -> (p, 6).

    They may overflow, in silence where the caller has seen to that.
    """
    # The middle value first taken off: differences do not see it, but their rounding would.
    columns = (row - row[:, 3:4]).dot(_DIFFERENCES)
    scale = np.maximum.reduce(np.abs(columns), axis=1, keepdims=True)
    scale[scale == 0.0] = 1.0
    squares = np.add.reduceat((columns / scale) ** 2, _FIRST, axis=1)
    return np.asarray(scale * np.sqrt(squares / _COUNTS))


def _decay(bend: Array, own: Mask, size: Array, noise: Array) -> Array:
    """By which factor the differences shrink from one order to the next."""
    seen = np.maximum(bend[:, 2:], SPREAD[2:] * noise[:, None])
    rho = (seen / size[:, None]) ** _ROOTS
    rho[:, 3] = np.maximum(rho[:, 2], rho[:, 3])  # the last is a single difference, which may happen to vanish
    resolved = own[:, 2:]
    below = np.logical_or.accumulate(resolved[:, ::-1], axis=1)[:, ::-1]  # this order, or a higher one, is resolved
    known = np.maximum.reduce(np.where(resolved, rho, 0.0), axis=1)
    bound = np.minimum.reduce(np.where(below, np.inf, rho), axis=1)
    return np.asarray(np.where(below[:, 0], np.minimum(known, bound), bound))
