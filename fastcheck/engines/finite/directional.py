"""Random directions: a few cost differences that every entry takes part in, and bisection to the one that is wrong."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from ..._constants import NOISE_SIGMAS, UNIT_ROUNDOFF
from ..._types import Array
from ...problems.parameters.sampling import LEAST_SIZE, random_direction
from ...problems.parameters.tensor import Tensor
from .difference_table import table
from .lines import OutOfTime
from .noise import FAR, line_noise
from .stairs import on_a_tread
from .stencils import Lines, central
from .steps import ELSEWHERE, first_step, refine
from .structure import resolving_step, slopes_at

if TYPE_CHECKING:
    from numpy.random import Generator

# Directions per tensor, unless the caller says how many.
DIRECTIONS = 3
# Errors within tolerance may add up to this many times their root mean square.
SPREAD = 8.0
# A direction that disagrees by this part of the tolerance is looked into: the entry found there is judged by itself.
CLOSER = 1e-3
# The half of a direction that is followed has this part of its disagreement at least.
FOLLOWED = 0.25
# Error norm quoted in the power statement, as a multiple of the smallest detectable single-entry error.
NORM = 10.0
# A step at which exact differences have neither truncation nor noise worth mentioning, and hardly a kink.
EXACT_STEP = 2.0**-30

# The steps of a second and a third opinion on a slope, as parts of its own: no simple fractions.
SHORTER = np.array([3.0 / 16.0, 0.11])
# Parts of a step at which noise is measured: at one alone coarse rounding may happen to advance by whole jumps.
PARTS = (1.0, 0.61)

# The one line that there is.
ONE = np.zeros(1, dtype=np.int64)

# The slope along a direction (n,) and its standard error, given an error that is small enough; and one that is measured
# anew where it is told what slope somebody promised, who may be blamed.
SlopeAlong = Callable[[Array, float, float | None], tuple[float, float]]


@dataclass(frozen=True)
class Suspect:
    """A direction along which the gradient disagrees.

    tensor : the one it moves.
    direction : (n,), zero outside the tensor.
    slope, error : measured derivative along it and its standard error.
    expected : the gradient's.
    entry : the position in theta that bisection ended at.
    beyond : whether errors within tolerance cannot explain the disagreement, wherever they are.
    share : what the entry has of the disagreement at least, where slopes along parts of the direction add up to it.
    """

    tensor: Tensor
    direction: Array
    slope: float
    error: float
    expected: float
    entry: int
    beyond: bool
    share: float = 0.0


@dataclass
class Probe:
    """What random directions found.

    suspects : at most one per tensor.
    limits : per tensor, the error of a single entry from which it is found with certainty.
    notes : what the directions prove.
    """

    suspects: list[Suspect] = field(default_factory=list)
    limits: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


class Ray:
    """Slopes along directions from costs that are subtracted the ordinary way.

    Parameters
    ----------
    cost_at : the cost of a vector (n,).
    theta : (n,).
    cost : cost_at(theta).
    deadline : of ``time.perf_counter``, after which no cost is evaluated: OutOfTime is raised.

    Notes
    -----
    Where the last step is good enough, the slope costs two evaluations; else, and where an error is to be measured, it
    has its step found, from there on.  A slope to be sure of is held against two shorter steps, in which noise would
    be several times as large; unless that is enough, it has the noise measured, and a second table tried.  It may still
    be the slope of a tread (see ``stairs``): then its error is what it is off by.
    """

    def __init__(
        self, cost_at: Callable[[Array], float], theta: Array, cost: float, deadline: float = math.inf
    ) -> None:
        self.cost_at, self.theta, self.cost, self.deadline = cost_at, theta, cost, deadline
        self.evaluations = 0
        self.usual = self.start = float(first_step(np.ones(1))[0])
        self.step, self.error, self.noise = math.nan, math.inf, 0.0
        self._last: tuple[Array | None, float] = (None, math.nan)

    def __call__(self, direction: Array, wanted: float, promised: float | None) -> tuple[float, float]:
        """Slope along a direction and its standard error."""
        line = self._line(direction)
        slope, error = self._slope(line, direction, wanted, promised is not None)
        if promised is not None and abs(slope - promised) > NOISE_SIGMAS * error and on_a_tread(
                line, ONE, slope, promised, max(self.start, self.step), self.usual):
            error = abs(slope - promised)
        return slope, error

    def _line(self, direction: Array) -> Lines:
        """Return costs along a direction."""

        def line(which: object, distances: Array) -> tuple[Array, Array]:
            """Return the distances, and the costs there."""
            costs = np.empty(distances.shape)
            for place, distance in np.ndenumerate(distances):
                if time.perf_counter() >= self.deadline:
                    raise OutOfTime
                self.evaluations += 1
                costs[place] = self.cost_at(self.theta + distance * direction)
            return distances, costs

        return line

    def _slope(self, line: Lines, direction: Array, wanted: float, sure: bool) -> tuple[float, float]:
        """The same, where no stairs are looked for; to be sure, the error is measured anew."""

        def along(distances: Array) -> Array:
            """Return the costs at some distances (k,)."""
            costs: Array = line(ONE, distances[None])[1][0]
            return costs

        def noise() -> Array:
            """Measure the noise, and return the most that was seen."""
            self.noise = max(self.noise, *(line_noise(along, part * FAR, self.cost) for part in PARTS))
            return np.array([self.noise])

        if self.error <= wanted and not sure:
            self._last = direction, float(central(line, ONE, np.array([self.step]), 2)[0][0])
            return self._last[1], self.error
        if sure and self._last[0] is direction and self.error <= wanted:
            quick = self._last[1]
            others = central(line, np.zeros(2, dtype=np.int64), self.step * SHORTER, 2)[0]
            error = self.error + float(np.max(np.abs(others - quick)))
            if error <= wanted:
                return quick, error
        known = noise() if sure else np.array([self.noise])
        found = refine(line, ONE, np.array([self.start]), self.cost, known, wanted=wanted, measure=noise)
        fine = resolving_step(along, self.cost, self.usual, float(found.noise[0]))
        if fine:  # what seemed to be noise
            found = slopes_at(line, ONE, fine, self.cost)
        self.start, self.step = float(found.step[0]), float(found.best_step(2)[0])
        self.error = 2.0 * float(found.noise[0]) / self.step
        slope, error = float(found.slope[0]), float(found.error[0])
        self._last = direction, slope
        if sure:  # no gradient is blamed by one step alone
            shorter = table(line, ONE, found.step * ELSEWHERE, self.cost, found.noise)
            error = max(error, float(shorter.error[0]) + abs(slope - float(shorter.slope[0])) / NOISE_SIGMAS)
        return slope, error


def exact_slopes(difference_along: Callable[[Array, float], tuple[float, float]]) -> SlopeAlong:
    """Return slopes along directions from exact differences of the cost.

    Parameters
    ----------
    difference_along : (direction, step) -> (J(theta + step v) - J(theta), J(theta - step v) - J(theta)), exact.
    """

    def slope_along(direction: Array, wanted: float, promised: float | None) -> tuple[float, float]:
        """Return the slope, and how far rounding or a kink may take it."""
        plus, minus = difference_along(direction, EXACT_STEP)
        slope = (plus - minus) / (2.0 * EXACT_STEP)
        bent = abs(plus + minus) / EXACT_STEP  # of the order of the step, unless a kink lies within it
        return slope, 64.0 * UNIT_ROUNDOFF * abs(slope) + (bent if bent > 1e-6 * abs(slope) else 0.0)

    return slope_along


def probe(
    tensors: Sequence[Tensor], theta: Array, gradient: Array, slope_along: SlopeAlong, *, directions: int | None,
    tolerance: float, generator: "Generator", rounded: bool = False,
) -> Probe:
    """Compare the gradient with slopes along random directions, tensor by tensor, and find the entry to blame.

    Parameters
    ----------
    tensors : names, shapes and places in theta.
    theta, gradient : (n,).
    slope_along : measures slopes (``Ray``, ``exact_slopes``).
    directions : how many per tensor; None for three.
    tolerance : relative error that an entry of the gradient may have.
    generator : draws the directions.
    rounded : whether the gradient is known to be off by as much as the tolerance (single precision).

    Notes
    -----
    A direction v moves every entry of one tensor, by random signs and sizes.  An error e of the gradient shows as
    e . v.  A single wrong entry cannot cancel; for many, the sum has a density of at most 0.71 / ||e|| (Rogozin;
    Ball), so one direction misses an error of norm E with probability at most sqrt(2) T / E, where T is the least
    disagreement that counts.
    """
    count = DIRECTIONS if directions is None else directions
    prober = Prober(theta, gradient, slope_along, count, tolerance, generator, rounded)
    found = Probe()
    late = ""
    for number, tensor in enumerate(tensors):
        try:
            found = prober.probed(found, tensor) if tensor.size else found
        except OutOfTime:
            late = f"The time limit let random directions be taken in {number:,} of {len(tensors):,} tensors."
            break
    notes = power_notes(tensors, gradient, found, count)
    if not late:
        return replace(found, notes=notes)
    # What no direction was taken through may be wrong anywhere.
    unseen = {tensor.name: math.inf for tensor in tensors if tensor.size}
    return replace(found, limits=unseen | found.limits, notes=[late, *notes])


@dataclass(frozen=True)
class Prober:
    """How tensors are probed (see ``probe``)."""

    theta: Array
    gradient: Array
    slope_along: SlopeAlong
    count: int
    tolerance: float
    generator: "Generator"
    rounded: bool

    def probed(self, found: Probe, tensor: Tensor) -> Probe:
        """Return what was found so far and, with it, what directions in one more tensor find."""
        here = slice(tensor.start, tensor.stop)
        size = float(np.sqrt(np.mean(self.theta[here] ** 2))) or 1.0
        largest, suspects = 0.0, []
        for _ in range(self.count):
            direction = np.zeros(self.theta.size)
            direction[here] = size * random_direction(self.generator, tensor.size)
            expected, allowed = expected_along(self.gradient[here], direction[here], self.tolerance)
            close = allowed * (1.0 if self.rounded else CLOSER)
            slope, error = self.slope_along(direction, allowed / NOISE_SIGMAS, None)
            if not abs(slope - expected) <= close + NOISE_SIGMAS * error:
                # a quick slope may have crossed a kink: ask again
                slope, error = self.slope_along(direction, abs(slope - expected) / NOISE_SIGMAS**2, expected)
            limit = close + NOISE_SIGMAS * error
            largest = max(largest, limit)
            if not abs(slope - expected) <= limit:
                entry, share = locate(self.gradient, direction, tensor, self.slope_along, slope - expected)
                beyond = not abs(slope - expected) <= allowed + NOISE_SIGMAS * error
                suspects.append(Suspect(tensor, direction, slope, error, expected, entry, beyond, share))
                break
        limits = {**found.limits, tensor.name: largest / (LEAST_SIZE * size)}
        return replace(found, suspects=[*found.suspects, *suspects], limits=limits)


def expected_along(gradient: Array, direction: Array, tolerance: float) -> tuple[float, float]:
    """Return what a gradient promises along a direction, and how far rounding within tolerance may take it."""
    with np.errstate(over="ignore", invalid="ignore"):
        terms = gradient * direction
        total = float(terms.sum())  # in pairs: off by no more than the products' own roundings are
    return total if math.isfinite(total) else math.nan, SPREAD * tolerance * float(np.linalg.norm(terms))


def locate(
    gradient: Array, direction: Array, tensor: Tensor, slope_along: SlopeAlong, disagreement: float
) -> tuple[int, float]:
    """Find the entry of a tensor that disagrees most, by halving: two evaluations for each half, log2(size) halves.

    Parameters
    ----------
    gradient : (n,); a non-finite entry is the answer.
    direction : (n,), along which the disagreement showed.
    disagreement : slope minus gradient . direction.

    Returns
    -------
    Its position in theta, or where halving got to before the deadline, and what it has of the disagreement at least.

    Notes
    -----
    The half that is followed has half of the disagreement.  A fourth is asked of it, for slopes have errors.
    """
    low, high, share = tensor.start, tensor.stop, abs(disagreement)
    broken = np.flatnonzero(~np.isfinite(gradient[low:high]))
    if broken.size:
        return low + int(broken[0]), 0.0
    while high - low > 1:
        middle = (low + high) // 2
        part = np.zeros_like(direction)
        part[low:middle] = direction[low:middle]
        expected, _ = expected_along(gradient[low:middle], direction[low:middle], 0.0)
        try:
            first = slope_along(part, abs(disagreement) / NOISE_SIGMAS, None)[0] - expected
        except OutOfTime:
            return low, 0.0
        share *= FOLLOWED
        if not abs(first) < abs(disagreement - first):
            high, disagreement = middle, first
        else:
            low, disagreement = middle, disagreement - first
    return low, share


def power_notes(tensors: Sequence[Tensor], gradient: Array, found: Probe, count: int) -> list[str]:
    """Return what the directions prove, in sentences."""
    worst, ratio = None, -1.0
    for tensor in tensors:
        if tensor.name not in found.limits or any(s.tensor is tensor for s in found.suspects):
            continue
        usual = float(np.sqrt(np.mean(gradient[tensor.start : tensor.stop] ** 2)))
        relative = found.limits[tensor.name] / usual if usual else math.inf
        if relative > ratio:
            worst, ratio = tensor, relative
    notes = []
    if worst is not None:
        size = f"{ratio:.1g} of their root mean square" if math.isfinite(ratio) else f"{found.limits[worst.name]:.1g}"
        missed = (math.sqrt(2.0) * LEAST_SIZE / NORM) ** count
        notes.append(
            f"Random directions, {count} for each tensor: one wrong entry is found with certainty if it is off by more "
            f"than {size} ({worst.name}; less in the other tensors); errors of {NORM:g} times that norm, spread over "
            f"many entries, are missed with probability below {missed:.0e}."
        )
    for suspect in found.suspects:
        notes.append(
            f"Along a random direction in {suspect.tensor.name} the cost changes by {suspect.slope:.9g}, by the "
            f"gradient {suspect.expected:.9g}; halving led to "
            f"{suspect.tensor.place(suspect.entry)}."
        )
    return notes
