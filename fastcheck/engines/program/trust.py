"""Why the engine's numbers can be trusted: its own directions, dithered ones, and literal subtraction."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..._errors import EngineError
from ..._types import Array, Mask
from .runner import INNER_STEP, Place, Runner, scale_of

if TYPE_CHECKING:
    from numpy.random import Generator

UNIT = float(np.finfo(np.float64).eps)
# Directions through each input.
DIRECTIONS = 2
# What a direction and the entries along it may differ by: a share of the |terms|, far above rounding and far below
# any entry that is attributed to another.
AGREEMENT = 1e-9
# Rounding of a direction, in units of its |terms|: a sum of some thousand roundings that all go one way.
ROUNDINGS = 1e4
# Bytes of changes that directions through several inputs share a run in.
TOGETHER = 1 << 24
# The literal step, relative to the entries: so large that subtraction keeps most of its digits.
LITERAL_STEP = 2.0**-10
# A literal difference may be off by this share of the change, and by this many roundings of the outputs.
LITERAL_AGREEMENT, LITERAL_ROUNDINGS = 1e-8, 1e3
# What two dithered inputs show of rounding may be this many times too little.
DITHERED = 1e3


@dataclass(frozen=True)
class Direction:
    """A direction through one input, and the cost's central difference along it.

    change : (n,) the step; zero at entries that are not looked at.
    """

    place: Place
    change: Array


@dataclass(frozen=True)
class Along:
    """Central differences along directions, (k,) each: their sums of |terms|, and whether a tie or a kink was met."""

    difference: Array
    terms: Array
    flagged: Mask

    def __truediv__(self, factor: float) -> "Along":
        """What steps that are shorter by a factor would have given, but for rounding."""
        return Along(self.difference / factor, self.terms / factor, self.flagged)

    def rows(self, chosen: Sequence[int]) -> "Along":
        """Some of the directions."""
        where = np.asarray(chosen)
        return Along(self.difference[where], self.terms[where], self.flagged[where])


def directions_through(
    places: Sequence[Place], done: Sequence[Mask], generator: "Generator", count: int = DIRECTIONS
) -> list[Direction]:
    """Random directions through the entries of each input that were looked at."""
    found = []
    for place, looked_at in zip(places, done, strict=True):
        if not looked_at.any():
            continue
        for _ in range(count):
            amount = generator.uniform(0.5, 1.5, place.size) * generator.choice((-1.0, 1.0), place.size)
            found.append(Direction(place, np.where(looked_at, amount * place.step, 0.0)))
    return found


def along(directions: Sequence[Direction], runner: Runner, convention: float | None = None) -> Along:
    """Differences along directions, several to a run."""
    found = []
    for group in _groups(directions):
        count = len(group)
        changes: dict[Place, Array] = {}
        for row, direction in enumerate(group):
            change = changes.setdefault(direction.place, np.zeros((2 * count, direction.place.size)))
            change[row], change[count + row] = direction.change, -direction.change
        moved = runner.run(list(changes.items()), convention)
        costs, terms = runner.weighted(moved), np.zeros(2 * count)
        for output, change in moved.moving():
            terms += np.abs(change) @ np.abs(runner.weights[output])
        flags = moved.crossed | moved.ties
        found.append((0.5 * (costs[:count] - costs[count:]), terms[:count], flags[:count] | flags[count:]))
    if not found:
        return Along(np.empty(0), np.empty(0), np.empty(0, dtype=bool))
    return Along(*(np.concatenate(part) for part in zip(*found, strict=True)))


def _groups(directions: Sequence[Direction]) -> Iterator[list[Direction]]:
    group: list[Direction] = []
    for direction in directions:
        places = {one.place for one in [*group, direction]}
        if group and 16 * (len(group) + 1) * sum(place.size for place in places) > TOGETHER:
            yield group
            group = []
        group.append(direction)
    if group:
        yield group


def disagreeing(
    directions: Sequence[Direction], slopes: dict[Place, Array], found: Along, noise: dict[Place, float]
) -> list[Place]:
    """Inputs whose entries do not add up to what directions through them show.

    Parameters
    ----------
    directions, found : the directions and the cost's differences along them.
    slopes : of the entries of each input.
    noise : standard error of an entry of each input: it is far more than what rounding of the cost's own change tells
        where terms cancel on the way (the gradient of a bias before a normalization is zero but for rounding).
    """
    wrong = []
    for direction, difference, terms in zip(directions, found.difference, found.terms, strict=True):
        with np.errstate(invalid="ignore"):
            parts = np.where(direction.change != 0.0, slopes[direction.place], 0.0) * direction.change
        total, size = float(parts.sum()), float(np.abs(parts).sum())
        blurred = DITHERED * noise.get(direction.place, 0.0) * float(np.linalg.norm(direction.change))
        allowed = AGREEMENT * size + ROUNDINGS * UNIT * terms + blurred
        known = math.isfinite(difference) and math.isfinite(total)
        if known and abs(total - difference) > allowed and direction.place not in wrong:
            wrong.append(direction.place)
    return wrong


def dithered_noise(directions: Sequence[Direction], base: Along, dithered: Sequence[Along]) -> dict[Place, float]:
    """Standard error of an entry of each input, from how directions change with dithered inputs and other digits.

    Entries' errors e are independent of the direction v, so e . v has the size of e's entries times the norm of v.
    """
    squares: dict[Place, list[float]] = {}
    for row, direction in enumerate(directions):
        if base.flagged[row]:
            continue
        size = float(np.linalg.norm(direction.change))
        for other in dithered:
            if not other.flagged[row] and size > 0.0:
                squares.setdefault(direction.place, []).append(
                    ((other.difference[row] - base.difference[row]) / size) ** 2
                )
    return {place: math.sqrt(float(np.mean(values))) for place, values in squares.items()}


def dither(value: Array, generator: "Generator") -> Array:
    """A value whose entries are off by up to two units in the last place."""
    return np.asarray(value * (1.0 + 2.0 * UNIT * generator.integers(-1, 2, value.shape)))


def require_literal(
    plain: Callable[[Sequence[Array]], Sequence[Any]], runner: Runner, inputs: Sequence[Place], noise: Sequence[float],
    names: Sequence[str], generator: "Generator",
) -> int:
    """Compare the program's changes with literal subtraction, along one random direction through each input.

    Parameters
    ----------
    plain : the function on plain arrays, from inputs to outputs.
    inputs : of the program.
    noise : of each output, how far dithered inputs move it.
    names : of the inputs.

    Returns
    -------
    int : number of literal evaluations.

    Raises
    ------
    EngineError : where they differ by more than rounding explains.

    Notes
    -----
    Both are differences for the same step, so no derivative and no truncation is involved, and the step may be so
    large that rounding of the outputs is a millionth of the change.
    """
    for number, place in enumerate(inputs):
        if not place.size:
            continue
        amount = generator.uniform(0.5, 1.5, place.size) * generator.choice((-1.0, 1.0), place.size)
        value = place.value.reshape(-1)
        with np.errstate(invalid="ignore"):
            wanted = value + LITERAL_STEP / INNER_STEP * amount * place.step
            change = wanted - value
        response = runner.run_outputs(place, change[None])
        values = [place.value for place in inputs]
        values[number] = wanted.reshape(place.shape)
        with np.errstate(all="ignore"):
            literal = plain([value.copy() for value in values])
        for output, (was, now, moved) in enumerate(zip(runner.outputs, literal, response, strict=True)):
            exact = np.zeros(np.shape(was)) if moved is None else moved[0]
            _compare(names[number], output, np.asarray(was), np.asarray(now), exact, noise[output])
    return sum(bool(place.size) for place in inputs)


def _compare(name: str, output: int, was: Any, now: Any, exact: Array, noise: float) -> None:
    if now.shape != was.shape:
        raise EngineError(f"output {output}: expected shape {was.shape}, got {now.shape} with {name} moved")
    with np.errstate(all="ignore"):
        subtracted = now - was
        known = np.isfinite(subtracted) & np.isfinite(exact)
        apart = np.abs(subtracted - exact)[known]
    size = max(scale_of([was[np.isfinite(was)]]), scale_of([now[np.isfinite(now)]]))
    allowed = (LITERAL_AGREEMENT * float(np.abs(exact[known]).max(initial=0.0))
               + LITERAL_ROUNDINGS * UNIT * size + DITHERED * noise)
    worst = float(apart.max(initial=0.0))
    if not worst <= allowed:
        raise EngineError(
            f"exact differences: with {name} moved, output {output} changes by {worst:.3g} more or less than literal "
            f"subtraction says, where rounding explains {allowed:.3g}; "
            'use engine="differences", and please report the program'
        )
