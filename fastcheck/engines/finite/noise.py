"""How noisy a computed cost is: measured from a difference table, not guessed from the rounding unit.

Source: J. J. More and S. M. Wild, "Estimating computational noise", SIAM J. Sci. Comput. 33 (2011), 1292-1314, and
their public ECnoise algorithm.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from operator import sub
from typing import TYPE_CHECKING, Literal

import numpy as np

from ..._constants import UNIT_ROUNDOFF
from ..._types import Array, Indices
from ...problems.parameters.tensor import Tensor

if TYPE_CHECKING:
    from numpy.random import Generator

AHEAD = np.arange(1.0, 8.0)  # steps to the points of a difference table
# The table tells noise from smoothness where three estimates in a row agree within this factor.
AGREEMENT = 4.0
# A cost that varies by more than this share of itself over the table is not sampled closely enough.
RANGE = 0.1
TRIES = 6
# No step is sought between two within this factor.
CLOSE = 4.0
# A cost that has not moved at this many steps does not depend on what was moved.
STILL = 3
# Noise this many times the least that rounding can be is looked at again at a step this many times larger.
SUSPICIOUS, FURTHER = 1e2, 32.0
# Evaluations that measuring one tensor's noise usually takes.
EVALUATIONS = 21
# Noise that is assumed where there is no time to measure it, in units of the cost's own rounding.
ASSUMED = 16.0
# Entries that move together where the noise of one tensor is measured.
MOVED = 16
# Noise is measured at small steps whatever epsilon is, for long ones cross kinks; and at a second one further out.
NEAR, FAR = 1e-7, 1e-5
# Costs (k,) at theta with the entries (k, w) set to values (k, w).
CostsAt = Callable[[Indices, Array], Array]
Finding = Literal["noise", "too close", "too far"]


@dataclass(frozen=True)
class Noise:
    """What a difference table says.

    Parameters
    ----------
    level : standard deviation of one value; 0 unless found.
    finding : "noise" where it was found; "too close" where half of the values are equal, or all rise alike, as on the
        steps of a staircase (try 100 times the step); "too far" where the values are smooth at this step (try a
        hundredth of it).
    levels : what each column of the table implies, where no three in a row agree.
    """

    level: float
    finding: Finding
    levels: tuple[float, ...] = ()


def ecnoise(values: list[float]) -> Noise:
    """Noise of a function from its values at equally spaced points (Moré and Wild's ECnoise).

    Parameters
    ----------
    values : k function values, k at least 4 (6 to 8 serve well), in the order of the points; so few are quicker without
        NumPy.

    Returns
    -------
    Noise

    Raises
    ------
    ValueError : for fewer than four values.

    Notes
    -----
    The k-th differences of a smooth function vanish as the k-th power of the step, those of independent errors of
    standard deviation s have variance s^2 (2k)! / (k!)^2: the columns of the table agree on s from where the function
    itself has been differenced away.
    """
    if len(values) < 4:
        raise ValueError(f"values: expected at least four in a row, got {len(values)}")
    if not all(map(math.isfinite, values)):
        return Noise(0.0, "too far")
    steps = _differences(values)
    if steps.count(0.0) >= len(values) / 2 or not any(_differences(steps)):
        return Noise(0.0, "too close")
    if max(values) - min(values) > RANGE * max(map(abs, values)):
        return Noise(0.0, "too far")
    levels, signs = [], []
    for level, column in difference_levels(values):
        levels.append(level)
        signs.append(min(column) < 0.0 < max(column))
        three = levels[-3:]
        if len(levels) >= 3 and signs[-3] and max(three) <= AGREEMENT * min(three):
            return Noise(three[0], "noise")
    return Noise(0.0, "too far", tuple(levels))


def difference_levels(column: list[float]) -> Iterator[tuple[float, list[float]]]:
    """Noise of one value as the differences of order 1, 2, ... of a column imply it, and these differences."""
    gamma = 1.0
    for order in range(1, len(column)):
        column = _differences(column)
        gamma *= 0.5 * order / (2 * order - 1)
        yield math.sqrt(gamma / len(column)) * math.hypot(*column), column


def _differences(column: list[float]) -> list[float]:
    return list(map(sub, column[1:], column))


def line_noise(along: Callable[[Array], Array], step: float, cost: float, first: Array | None = None) -> float:
    """Standard deviation of one value of ``along`` near 0, or the rounding unit times |cost| where none is found.

    Parameters
    ----------
    along : the costs at (signed) distances from the point of interest, along some direction.
    step : first spacing of the points; changed by factors of 100, then by halving, a few times at most, until noise
        shows.
    cost : the cost at distance 0.
    first : the costs at the first points, where they are known.

    Notes
    -----
    The points lie on one side: the point itself may sit exactly on a kink (a dead unit feeding a zero bias).
    """
    if not math.isfinite(cost):
        return 0.0
    floor = UNIT_ROUNDOFF * abs(cost)
    close, far = 0.0, math.inf  # steps known to be so
    still, seen = 0, 0.0
    for _ in range(TRIES):
        ahead = along(step * AHEAD) if first is None else first
        values, first = [cost, *ahead.tolist()], None
        found = ecnoise(values)
        still += values.count(cost) == len(values)
        if still == STILL:
            return floor
        if found.finding == "noise":
            return max(found.level, floor)
        if found.finding == "too close":
            close = step
        else:
            far, seen = step, max(found.levels[2:], default=0.0)
        step = 100.0 * close if far == math.inf else far / 100.0 if close == 0.0 else math.sqrt(close * far)
        if far < CLOSE * close:
            break
    return max(seen, floor)


def network_noise(
    cost: Callable[[Array], float], theta: Array, tensors: Sequence[Tensor], epsilon: float,
    deadline: float = math.inf,
) -> Array:
    """Return the standard error of each central difference of a network's cost that rounding alone can cause.

    Parameters
    ----------
    cost : J(theta), subtracted the ordinary way.
    theta : (n,) the parameters; not changed.
    tensors : their places in theta, first layer first.
    epsilon : the step of the central difference.
    deadline : of ``time.perf_counter``, after which noise is assumed and no longer measured.

    Returns
    -------
    (tensors,) array : sqrt(2) sigma / (2 epsilon) with sigma measured per tensor.

    Notes
    -----
    A change in one layer redraws the rounding of all later ones, never the reverse: a tensor's noise is at least that
    of the tensors behind it, which makes up for what a few directions and points may miss.
    """
    generator = np.random.default_rng(0)
    started = time.perf_counter()
    center = cost(theta)
    seconds = EVALUATIONS * (time.perf_counter() - started)  # of one tensor

    def costs_at(entries: Indices, values: Array) -> Array:
        costs = np.empty(len(entries))
        for row, (where, value) in enumerate(zip(entries, values, strict=True)):
            vector = theta.copy()
            vector[where] = value
            costs[row] = cost(vector)
        return costs

    sigma = np.zeros(len(tensors))
    near, largest = min(epsilon, NEAR), 0.0
    for number, tensor in reversed(list(enumerate(tensors))):
        if time.perf_counter() + seconds > deadline:
            sigma[: number + 1] = max(AGREEMENT * largest, ASSUMED * UNIT_ROUNDOFF * abs(center))
            break
        sigma[number] = largest = max(largest, tensor_noise(costs_at, theta, tensor, near, FAR, center, generator))
    return sigma * (math.sqrt(2.0) / (2.0 * epsilon))


def tensor_noise(
    costs_at: CostsAt, theta: Array, tensor: Tensor, near: float, far: float, center: float, generator: "Generator"
) -> float:
    """Return the standard deviation of the rounding of a cost when entries of one tensor move a little.

    Parameters
    ----------
    costs_at : costs with some entries moved.
    theta, tensor : as in ``network_noise``.
    near, far : the two movements it is measured at.
    center : the cost at theta.
    generator : draws the directions: a few entries each, for moving all of a large tensor would cross the kinks of
        all its units, which one entry does not.

    Notes
    -----
    Where a rounded intermediate value (1 - a of a saturated unit) stays on one step of its staircase at the near
    movement, the noise shows only further out.  A kink further out looks like noise, but seldom in two directions of
    three; and in one of three a float32 part of the cost may happen not to move.  Noise that is far less still further
    out is that of a quotient near its guard, (1 - cos x) / x^2, and not that of usual steps.
    """

    size = tensor.stop - tensor.start
    count = min(size, MOVED)

    def line(count: int) -> tuple[Indices, Array]:
        return (tensor.start + generator.choice(size, count, replace=False),
                np.where(generator.integers(0, 2, count), 1.0, -1.0))

    def along(entries: Indices, signs: Array, distances: Array) -> Array:
        """Return the costs (lines, points) on lines (lines, count) at distances (lines, points)."""
        values = theta[entries][:, None] + distances[:, :, None] * signs[:, None]
        rows = values.reshape(-1, entries.shape[1])
        return costs_at(entries.repeat(distances.shape[1], axis=0), rows).reshape(distances.shape)

    def measured(line: tuple[Indices, Array], spacing: float, first: Array | None = None) -> float:
        entries, signs = line
        return line_noise(lambda distances: along(entries[None], signs[None], distances[None])[0], spacing, center,
                          first)

    few = max(1, count // 2)
    lines, spacings = (line(count), line(count)), (near, far)
    costs = along(np.array([entries for entries, _ in lines]), np.array([signs for _, signs in lines]),
                  np.array(spacings)[:, None] * AHEAD)
    close, out = (measured(*each) for each in zip(lines, spacings, costs, strict=True))
    if out > close:
        again = measured(line(count), far)
        if again * AGREEMENT < out:
            again = max(again, min(out, measured(line(few), far)))
        close = max(close, min(out, again))
    if close > SUSPICIOUS * UNIT_ROUNDOFF * abs(center):
        entries, signs = line(count)
        beyond = ecnoise([center, *along(entries[None], signs[None], FURTHER * far * AHEAD[None])[0].tolist()])
        close = min(close, AGREEMENT * beyond.level) if beyond.finding == "noise" else close
    return close
