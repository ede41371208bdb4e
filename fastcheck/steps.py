"""Step and stencil: how a derivative is taken from costs that are subtracted the ordinary way.

Everything here works on *lines*: the cost as a function of one number t, along one parameter or along a direction.

Sources: B. Fornberg, "Generation of finite difference formulas on arbitrarily spaced grids", Math. Comp. 51 (1988),
for the weights; J. J. More and S. M. Wild, "Estimating derivatives of noisy simulations", ACM TOMS 38 (2012), for steps
from noise and curvature; C. Ridders, Adv. Eng. Softw. 4 (1982), for the extrapolation's error estimate.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from .activations import Array
from .differences import Indices
from .noise import AGREEMENT, ROUNDING

Flags = NDArray[np.bool_]


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
# The derivative to one side, from the rises over one, two and three steps; and its error where each cost has error one.
ONE_SIDED = np.array([3.0, -1.5, 1.0 / 3.0])
ONE_SIDED_ROUNDING = math.sqrt(float(np.sum(ONE_SIDED**2)) + float(np.sum(ONE_SIDED)) ** 2)

# The first step, as a part of the parameter: near the best of order 6 for most functions.
FIRST = 2.0**-8
# Parameters smaller than this part of the usual size are taken for as large, unless they are another kind altogether.
CLIP, TINY = 0.5, 1e-3
ROUNDS = 6
# A step counts as good where the best one lies within these multiples of it: beyond them a digit would be lost.
GOOD = (0.6, 4.0)
# Error, relative to the usual slope, at which no better step is looked for; the second where nothing but the
# difference of first order shows, which says little about better steps.
EXACT, FLAT = 3e-13, 1e-12
# How much further to go in one round.
ADVANCE = 32.0
# A table whose differences do not shrink by this factor in two orders is not that of a smooth function.
SMOOTH = 0.3
# Relative rounding of half precision: no cost is coarser.
COARSEST = 2.0**-11
# How far to go where a function is not smooth at a step.
RETREAT = 1.0 / 32.0
# The step of a second opinion, as a part of the first: no power of two, and far enough to tell.
ELSEWHERE = 3.0 / 16.0
DISAGREEMENT = 8.0
# Standard deviations of the k-th differences of independent errors of standard deviation one, k = 1 ... 6.
SPREAD = np.array([math.sqrt(math.comb(2 * k, k)) for k in range(1, 7)])
# The differences of order 1 (six of them), 2 (five), ..., 6 (one) of seven values, as one matrix.
_COUNTS = np.arange(6, 0, -1)
_FIRST = np.concatenate([[0], np.cumsum(_COUNTS)[:-1]])
_DIFFERENCES = np.concatenate([np.diff(np.eye(7), k, axis=0) for k in range(1, 7)]).T
# Differences this many times what noise makes them count as the function's own.
RESOLVED = 4.0


@dataclass
class Slopes:
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
    """

    slope: Array
    truncation: Array
    rounding: Array
    step: Array
    noise: Array
    bend: Array
    decay: Array
    smooth: Flags
    below: Array
    above: Array
    left: Array
    right: Array
    nearest: Array
    evaluations: int = 0

    @classmethod
    def unknown(cls, count: int) -> "Slopes":
        """Nothing known yet about so many lines."""
        slope, rounding, step, noise, decay, below, above, left, right = (np.full(count, np.nan) for _ in range(9))
        return cls(slope, np.full(count, np.inf), rounding, step, noise, np.zeros((count, 6)), decay,
                   np.zeros(count, dtype=bool), below, above, left, right, np.full(count, np.inf))

    @property
    def resolved(self) -> Flags:
        """Which differences stand out of the noise: (p, 6)."""
        return np.asarray(self.bend > RESOLVED * SPREAD * self.noise[:, None])

    @property
    def level(self) -> Array:
        """The noise that would make the highest differences what they are."""
        return np.asarray(np.max(self.bend[:, 4:] / SPREAD[4:], axis=1))

    @property
    def quiet(self) -> Array:
        """The noise that would make the lowest two orders in a row of the differences what they are."""
        levels = self.bend / SPREAD
        return np.asarray(np.min(np.maximum(levels[:, :-1], levels[:, 1:]), axis=1))

    @property
    def error(self) -> Array:
        """Standard error of the slope."""
        return self.truncation + self.rounding

    def best_step(self, order: int) -> Array:
        """The best step of another order, from what the table says of |f^(order + 1)|."""
        if order == WIDEST.order:
            return self.step
        with np.errstate(all="ignore"):
            modelled = np.maximum(self.bend[:, 0], self.bend[:, 1]) * self.decay**order
            seen = self.bend[:, order]
            own = (seen > RESOLVED * SPREAD[order] * self.noise) & (seen > modelled / 10.0)
            bend = np.where(own, seen, modelled) / self.step ** (order + 1)
            step = STENCILS[order].best_step(self.noise, bend)
        usable = np.isfinite(step) & (step > 0.0) & self.smooth
        # Where the table has looked: three of its steps to both sides.
        most = self.step * (2.0 if order == 2 else 1.0)
        return power_of_two(np.where(usable, np.minimum(step, most), self.step))

    def take(self, other: "Slopes", where: Flags | Indices, from_: Flags) -> None:
        """Overwrite the lines ``where`` with the lines ``from_`` of another."""
        for name in ("slope", "truncation", "rounding", "step", "noise", "bend", "decay", "smooth", "below", "above"):
            getattr(self, name)[where] = getattr(other, name)[from_]


def median(values: Array) -> float:
    """The middle of at least one number, nan counting as the largest; NumPy's takes longer than all else for a few."""
    half = values.size // 2
    if values.size % 2:
        return float(np.partition(values, half)[half])
    return float(np.partition(values, (half - 1, half))[half - 1 : half + 1].mean())


def power_of_two(value: Array) -> Array:
    """The nearest power of two: steps that floating point adds without rounding."""
    with np.errstate(all="ignore"):
        return np.asarray(np.exp2(np.rint(np.log2(value))))


def first_step(values: Array) -> Array:
    """Where to begin looking for a step, for parameters of these values."""
    sizes = np.abs(values)
    used = sizes[(sizes > 0.0) & np.isfinite(sizes)]
    usual = median(used) if used.size else 1.0
    sizes = np.where(np.isfinite(sizes) & (sizes > 0.0), sizes, usual)
    return power_of_two(FIRST * np.where(sizes > TINY * usual, np.maximum(sizes, CLIP * usual), sizes))


# Steps are taken to be in proportion to the parameters only where those differ by more than this.
WIDE = 8.0


def likely_step(values: Array, known: Array, steps: Array) -> Array:
    """Steps for parameters from the best steps of a few: the same for all, or in proportion to their size.

    Parameters
    ----------
    values : the parameters (k,).
    known, steps : a few parameters and their best steps (p,).
    """
    sizes, logs = np.abs(known), np.log2(steps)
    usual = median(sizes) or 1.0
    step = np.full(values.size, np.exp2(_common(logs)))
    if sizes.min() > 0.0 and sizes.max() > WIDE * sizes.min():
        ratios = logs - np.log2(sizes)
        if np.ptp(ratios) < np.ptp(logs):
            step = np.exp2(_common(ratios)) * np.where(values == 0.0, usual, np.abs(values))
    return power_of_two(step)


def _common(logs: Array) -> float:
    """One step for all, as all are logarithms: that with the least norm of all errors, but not far from the middle.

    The third power of a step tells how large its error would be at another: the shortest count most.
    """
    middle = median(logs)
    with np.errstate(over="ignore"):
        shorter = np.log2(np.mean(np.exp2(6.0 * (middle - logs)))) / 6.0
    return float(middle - min(shorter, 1.0))


@dataclass(frozen=True)
class Rows:
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
    def of(cls, lines: Lines, which: Indices, step: Array, cost: float) -> "Rows":
        """Evaluate the lines wanted (p,) at steps (p,); the cost at 0 is known."""
        distances, costs = lines(which, step[:, None] * WIDEST.nodes)
        half = WIDEST.nodes.size // 2
        values = np.empty((which.size, 2 * half + 1))
        values[:, :half], values[:, half], values[:, half + 1 :] = costs[:, :half], cost, costs[:, half:]
        return cls(step, distances, costs, values)

    def some(self, where: Flags) -> "Rows":
        """Some of the lines."""
        return Rows(self.step[where], self.distances[where], self.costs[where], self.values[where])


def table(lines: Lines, which: Indices, step: Array, cost: float, noise: Array) -> Slopes:
    """Slopes of order 6 at a step, with what their difference table says about noise, step and smoothness.

    Parameters
    ----------
    lines, which : the lines to work on (p,).
    step : their spacing (p,).
    cost : the value at 0.
    noise : standard deviation of one cost near 0 (p,), or a lower bound of it.
    """
    return judged(Rows.of(lines, which, step, cost), noise)


def judged(rows: Rows, noise: Array) -> Slopes:
    """What rows of costs say of slopes, given the noise of a cost near 0 (p,).

    Notes
    -----
    In terms of h^k f^(k) = S rho^(k-1), S measured by the first two differences: rho follows from the highest
    difference that stands out of the noise and is bounded by those that do not; it gives the term that the stencil
    leaves out.
    """
    step, costs, cost, half = rows.step, rows.costs, rows.values[:, 3:4], WIDEST.nodes.size // 2
    with np.errstate(all="ignore"):
        bend, largest = _differences(rows.values), np.max(np.abs(rows.values), axis=1)
        # Rounding grows with what is rounded.  In proportion to the cost is the most: less where the cost at 0 is small
        # because large terms cancel, and never more than the highest differences show.
        most = np.minimum(noise / np.abs(cost[:, 0]), COARSEST) * largest
        shown = AGREEMENT * np.max(bend[:, 4:] / SPREAD[4:], axis=1)
        noise = np.fmax(noise, ROUNDING / 2.0 * largest)
        grown = np.fmax(noise, np.minimum(most, shown))
        own = bend > RESOLVED * SPREAD * grown[:, None]
        size = np.maximum(bend[:, 0], bend[:, 1])
        # Two orders, for a kink can lie where one of them happens to vanish.
        rough = np.any(own[:, 4:] & (bend[:, 4:] > SMOOTH * np.maximum(bend[:, 2:4], bend[:, 3:5])), axis=1)
        rho = _decay(bend, own, size, grown)
        truncation = np.where(rough, np.maximum(bend[:, 4], bend[:, 5]), _left_out(size, rho)) / step
        truncation[size == 0.0] = 0.0
    broken = ~np.isfinite(costs).all(axis=1)
    truncation[broken] = np.inf
    above, below = costs[:, half], costs[:, half - 1]
    with np.errstate(all="ignore"):
        right = (costs[:, half:] - cost) @ ONE_SIDED / step
        left = (cost - costs[:, half - 1 :: -1]) @ ONE_SIDED / step
    return Slopes(WIDEST.slope(rows.distances, costs), truncation, WIDEST.rounding * grown / step, step, noise, bend,
                  rho, ~rough & ~broken, below, above, left, right, step, costs.size)


def _differences(row: Array) -> Array:
    """Root mean squares of the differences of order 1 to 6 of seven values: (p, 7) -> (p, 6)."""
    # The middle value first taken off: differences do not see it, but their rounding would.
    columns = (row - row[:, 3:4]) @ _DIFFERENCES
    with np.errstate(over="ignore"):
        scale = np.max(np.abs(columns), axis=1, keepdims=True)
        scale[scale == 0.0] = 1.0
        squares = np.add.reduceat((columns / scale) ** 2, _FIRST, axis=1)
    return np.asarray(scale * np.sqrt(squares / _COUNTS))


def _left_out(size: Array, rho: Array) -> Array:
    """The error of the order 6 stencil times its step, with a margin of two."""
    return 2.0 * WIDEST.truncation * size * rho**WIDEST.order


def _decay(bend: Array, own: Flags, size: Array, noise: Array) -> Array:
    """By which factor the differences shrink from one order to the next."""
    power = 1.0 / np.arange(2.0, 6.0)
    seen = np.maximum(bend[:, 2:], SPREAD[2:] * noise[:, None])
    rho = (seen / size[:, None]) ** power
    rho[:, 3] = np.maximum(rho[:, 2], rho[:, 3])  # the last is a single difference, which may happen to vanish
    resolved = own[:, 2:]
    highest = np.where(resolved.any(axis=1), 3 - np.argmax(resolved[:, ::-1], axis=1), -1)
    beyond = np.arange(4) > highest[:, None]
    known = np.max(np.where(resolved, rho, 0.0), axis=1)
    bound = np.min(np.where(beyond, rho, np.inf), axis=1)
    return np.asarray(np.where(highest >= 0, np.minimum(known, bound), bound))


def refine(
    lines: Lines, which: Indices, start: Array, cost: float, noise: Array, *, wanted: float = 0.0,
    enough: float = 0.0, measure: Callable[[], Array] | None = None,
) -> Slopes:
    """The most accurate slope of order 6 for each line, its step found by a few rounds of trial.

    Parameters
    ----------
    lines, which : the lines to work on (p,).
    start : first spacing (p,), as ``first_step`` gives it.
    cost : the value at 0.
    noise : standard deviation of one cost (p,), as far as it is known: at least the rounding unit.
    wanted, enough : an error, absolute and relative, that is small enough.
    measure : measures the noise (p,); asked once, where costs seem to be rounded to less than double precision.

    Returns
    -------
    Slopes : of the best round of each line; one round (six evaluations) where the first step is good.  A line at a
        kink is not smooth, and has one-sided derivatives.
    """
    best = _search(lines, which, start, cost, noise, wanted, enough, measure)
    # A fast oscillation looks smooth at steps near its period: where a line was rough at some step, look once more.
    doubted = np.flatnonzero(best.smooth & np.isfinite(best.nearest))
    for _ in range(ROUNDS):
        if not doubted.size:
            break
        step = best.step[doubted] * ELSEWHERE
        found = table(lines, which[doubted], step, cost, best.noise[doubted])
        best.evaluations += found.evaluations
        off = np.abs(found.slope - best.slope[doubted])
        doubted = doubted[~(off <= DISAGREEMENT * (found.error + best.error[doubted]))]
        if doubted.size:
            again = _search(
                lines, which[doubted], best.step[doubted] * ELSEWHERE, cost, best.noise[doubted], wanted, enough
            )
            best.take(again, doubted, np.ones(doubted.size, dtype=bool))
            best.evaluations += again.evaluations
    return best


def _search(
    lines: Lines, which: Indices, start: Array, cost: float, noise: Array, wanted: float, enough: float,
    measure: Callable[[], Array] | None = None, *, noise_known: bool = False,
) -> Slopes:
    """The rounds of ``refine``."""
    best = Slopes.unknown(which.size)
    step, tried, noise = start.copy(), [start.copy()], np.maximum(noise, ROUNDING * abs(cost) / 2.0)
    rough, quiet = [np.full(which.size, np.nan)], np.full(which.size, np.inf)
    active = np.arange(which.size)
    for _ in range(ROUNDS):
        rows = Rows.of(lines, which[active], step[active], cost)
        found = judged(rows, noise[active])
        best.evaluations += found.evaluations
        quiet[active] = np.fmin(quiet[active], found.quiet)
        seen, steady = np.zeros(which.size), np.zeros(active.size, dtype=bool)
        if measure is not None and _may_be_noise(found, rough[-1][active]):
            seen, measure = measure(), None
        if not found.smooth.all():
            level, others = found.level, np.array(rough)[:, active]
            # As rough at a far smaller step: that is noise, and not a kink.
            alike = (others <= AGREEMENT * level) & (level <= AGREEMENT * others)
            steady = ~found.smooth & alike.any(axis=0) & (level <= AGREEMENT * quiet[active])
            if steady.any():
                if 2 * np.count_nonzero(steady) >= np.count_nonzero(~found.smooth):  # the cost's: all lines have it
                    seen = np.maximum(seen, median(level[steady]))
                noise[active[steady]] = level[steady]
                found.take(judged(rows.some(steady), level[steady]), steady, np.ones(np.count_nonzero(steady), bool))
        if not noise_known and (seen > AGREEMENT * noise).any():
            again = _search(lines, which, start, cost, np.maximum(noise, seen), wanted, enough,
                            noise_known=True)
            again.evaluations += best.evaluations
            return again
        rough.append(np.full(which.size, np.nan))
        rough[-1][active] = np.where(found.smooth, np.nan, found.level)
        _keep(best, found, active, steady)
        step[active] = _next_step(found)
        known = np.any([step[active] == before[active] for before in tried], axis=0)
        go_on = ~_good(found, step[active], usual_slope(best), wanted, enough) & ~known
        tried.append(step.copy())
        active = active[go_on]
        if not active.size:
            break
    return best


def _may_be_noise(found: Slopes, before: Array) -> bool:
    """Whether some line does not move at all, or is rough and hardly less so than at the step before (p,).

    A kink's differences shrink with the step; those of coarse rounding stay, until all costs are equal.
    """
    stays = ~found.smooth & (found.level > AGREEMENT * RETREAT * before)
    return bool(np.any(stays | (found.bend[:, 0] == 0.0)))


def usual_slope(slopes: Slopes) -> float:
    """The median size of the slopes that are known."""
    known = np.abs(slopes.slope[np.isfinite(slopes.slope) & slopes.smooth])
    return median(known) if known.size else 0.0


def _good(found: Slopes, following: Array, usual: float, wanted: float, enough: float) -> Flags:
    """Which lines need no further step: theirs is near the best, their error small enough, or they are flat."""
    with np.errstate(all="ignore"):
        change = following / found.step
        share = np.where(found.resolved[:, 2:].any(axis=1), max(EXACT, enough), max(FLAT, enough))
        exact = share * np.fmax(np.abs(found.slope), usual)
    near = (change > GOOD[0]) & (change < GOOD[1])
    flat = found.smooth & (found.bend[:, 0] == 0.0)
    return np.asarray(near | flat | (found.error <= np.maximum(exact, wanted)) | ~np.isfinite(following))


def _keep(best: Slopes, found: Slopes, active: Indices, steady: Flags) -> None:
    """Keep what is better than before, and the one-sided derivatives of the smallest rough step."""
    better = (found.error < best.error[active]) | np.isnan(best.slope[active]) | steady
    best.take(found, active[better], better)
    known = np.isfinite(found.left) & np.isfinite(found.right)
    rough = ~found.smooth & known & (found.step < best.nearest[active])
    best.left[active[rough]], best.right[active[rough]] = found.left[rough], found.right[rough]
    best.nearest[active[rough]] = found.step[rough]
    best.left[active[steady]] = best.right[active[steady]] = np.nan  # what was rough was noise


def _next_step(found: Slopes) -> Array:
    """The step to try after a table."""
    with np.errstate(all="ignore"):
        factor = (found.rounding / (WIDEST.order * found.truncation)) ** (1.0 / (WIDEST.order + 1))
    factor = np.where(found.smooth, np.minimum(factor, ADVANCE), RETREAT)
    return power_of_two(found.step * factor)


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
