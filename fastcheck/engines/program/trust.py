"""Directions through a program's inputs: what its entries must add up to, and how far rounding reaches."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..._types import Array, Indices, Mask
from ...problems.parameters.sampling import random_direction
from ...rules.branches import Held
from .places import Place
from .runner import FLUSHED, Moved, Runner

if TYPE_CHECKING:
    from numpy.random import Generator

UNIT = float(np.finfo(np.float64).eps)
# Directions through each input.
DIRECTIONS = 2
# Steps with other digits whose roundings are compared, at the inputs themselves and at dithered ones.
FACTORS = 1
# More inputs than this share directions: each one of these many goes through a random half of them.
MANY, HALVES = 30, 8
# What a direction and the entries along it may differ by: a share of the |terms|, far above rounding and far below
# any entry that is attributed to another.
AGREEMENT = 1e-9
# Rounding of a direction, in units of its |terms|: a sum of some thousand roundings that all go one way.
ROUNDINGS = 1e4
# What two dithered inputs show of rounding may be this many times too little.
DITHERED = 1e3
# Bytes of changes that directions through several inputs share a run in.
TOGETHER = 1 << 25
# A sum of squares between this and its inverse has neither overflowed nor lost terms that matter.
SAFE_SQUARE = 1e-200
# Inputs that share a direction take part alike, as far as factors within this bring them to it.
LEAST_SHARE = 1e-9


@dataclass(frozen=True)
class Direction:
    """A direction through some inputs: (n,) steps of each; zero at entries that are not looked at."""

    changes: Mapping[Place, Array]

    def norm(self, place: Place) -> float:
        """Return Euclidean length within one input."""
        return norm_of(self.changes[place])

    def scaled(self, factor: float) -> "Direction":
        """Return the same with longer steps."""
        return Direction({place: factor * change for place, change in self.changes.items()})


@dataclass(frozen=True)
class Along:
    """Central differences along directions, (k,) each: their sums of |terms|, and whether a tie or a kink was met.

    right, left : one-sided differences.
    """

    right: Array
    left: Array
    terms: Array
    flagged: Mask

    @property
    def difference(self) -> Array:
        """Means of both sides."""
        return 0.5 * (self.right + self.left)

    def __truediv__(self, factor: float) -> "Along":
        """Return what steps that are shorter by a factor would have given, but for rounding."""
        return Along(self.right / factor, self.left / factor, self.terms / factor, self.flagged)

    def rows(self, chosen: Sequence[int] | Indices) -> "Along":
        """Return some of the directions."""
        where = np.asarray(chosen)
        return Along(self.right[where], self.left[where], self.terms[where], self.flagged[where])


@dataclass(frozen=True)
class EarlyAlong:
    """What was found to the right along directions before they were asked for (see ``early``).

    right, longer : along the directions, and along those that are longer by each of the factors.
    """

    directions: Sequence[Direction]
    factors: Array
    right: Along
    longer: Along


def through_each(places: Sequence[Place], done: Sequence[Mask], generator: "Generator") -> list[Direction]:
    """Return random directions through the entries of each input that were looked at."""
    found = []
    for place, looked_at in zip(places, done, strict=True):
        for _ in range(DIRECTIONS if looked_at.any() else 0):
            found.append(Direction({place: _step(place, looked_at, generator)}))
    return found


def through_several(
    places: Sequence[Place], done: Sequence[Mask], slopes: Sequence[Array], generator: "Generator", count: int
) -> list[Direction]:
    """Return random directions through random halves of the inputs, in which each takes part alike.

    Parameters
    ----------
    places, done : the inputs, and which of their entries are looked at.
    slopes : (n,) what their entries are thought to do to the cost: sizes count alone.
    count : how many; one goes through all inputs.
    """
    shares = equal_shares(places, done, slopes)
    moving = [(place, looked_at) for place, looked_at in zip(places, done, strict=True) if looked_at.any()]
    found = []
    for _ in range(count if moving else 0):
        kept = generator.random(len(moving)) < 0.5 if count > 1 else np.ones(len(moving), dtype=bool)
        kept |= not kept.any()
        found.append(Direction({
            place: shares[place] * _step(place, looked_at, generator)
            for (place, looked_at), wanted in zip(moving, kept, strict=True) if wanted
        }))
    return found


def _step(place: Place, looked_at: Mask, generator: "Generator") -> Array:
    return np.where(looked_at, random_direction(generator, place.size) * place.step, 0.0)


def equal_shares(places: Sequence[Place], done: Sequence[Mask], slopes: Sequence[Array]) -> dict[Place, float]:
    """Factors of inputs' steps, at most one, with which all of them do about as much to the cost."""
    effects = {}
    for place, looked_at, slope in zip(places, done, slopes, strict=True):
        with np.errstate(invalid="ignore", over="ignore"):
            effect = norm_of((slope * place.step)[looked_at])
        effects[place] = effect if math.isfinite(effect) else 0.0
    least = min((effect for effect in effects.values() if effect > 0.0), default=1.0)
    return {place: max(least / effect, LEAST_SHARE) if effect > 0.0 else 1.0 for place, effect in effects.items()}


def along(
    directions: Sequence[Direction], runner: Runner, convention: Held | None = None, right: Along | None = None
) -> Along:
    """Return differences along directions, several to a run.

    The step is so small that what curvature leaves in a difference to one side is rounding; the left is looked at only
    where a tie is moved, whose slopes differ.

    ``right`` : those to the right, where they are known.
    """
    right = one_sided(directions, runner, convention) if right is None else right
    if convention is not None or not right.flagged.any():
        return right
    rows = np.flatnonzero(right.flagged).tolist()
    other = one_sided([directions[row].scaled(-1.0) for row in rows], runner, convention)
    left, flagged = right.left.copy(), right.flagged.copy()
    left[rows], flagged[rows] = -other.right, True
    return Along(right.right, left, right.terms, flagged)


def one_sided(directions: Sequence[Direction], runner: Runner, convention: Held | None = None) -> Along:
    """Differences to the right along directions, several to a run; flagged are those that met a tie or a kink."""
    found = [of_columns(columns_of(group), runner, convention) for group in _groups(directions)]
    if not found:
        return Along(np.empty(0), np.empty(0), np.empty(0), np.empty(0, dtype=bool))
    if len(found) == 1:
        return found[0]
    costs, sizes, flagged = (np.concatenate([getattr(one, part) for one in found])
                             for part in ("right", "terms", "flagged"))
    return Along(costs, costs, sizes, flagged)


def columns_of(directions: Sequence[Direction]) -> dict[Place, Array]:
    """Return the steps of directions as columns of the inputs that they go through."""
    columns: dict[Place, Array] = {}
    for row, direction in enumerate(directions):
        for place, step in direction.changes.items():
            columns.setdefault(place, np.zeros((len(directions), place.size)))[row] = step
    return columns


def of_columns(columns: Mapping[Place, Array], runner: Runner, convention: Held | None = None) -> Along:
    """Differences to the right along directions whose steps of each input are the rows of an array, in one run."""
    return along_moved(runner.run(list(columns.items()), convention), runner)


def along_moved(moved: Moved, runner: Runner) -> Along:
    """Differences to the right along the columns of a run."""
    terms = np.zeros(moved.crossed.size)
    for output, change in moved.moving():
        terms += np.abs(change) @ np.abs(runner.weights[output])
    costs = runner.weighted(moved)
    return Along(costs, costs, terms, moved.crossed | moved.ties)


def _groups(directions: Sequence[Direction]) -> Iterator[list[Direction]]:
    group: list[Direction] = []
    for direction in directions:
        places = {place for one in [*group, direction] for place in one.changes}
        if group and 8 * (len(group) + 1) * sum(place.size for place in places) > TOGETHER:
            yield group
            group = []
        group.append(direction)
    if group:
        yield group


def disagrees(direction: Direction, slopes: Mapping[Place, Array], found: Along, noise: Mapping[Place, float]) -> bool:
    """Tell whether entries do not add up to what a direction through them shows.

    Parameters
    ----------
    direction, found : the direction and the cost's difference along it, one row.
    slopes : of the entries of each input.
    noise : standard error of an entry of each input: it is far more than what rounding of the cost's own change tells
        where terms cancel on the way (the gradient of a bias before a normalization is zero but for rounding).
    """
    difference, total = float(found.difference[0]), 0.0
    allowed = ROUNDINGS * (UNIT * float(found.terms[0]) + FLUSHED)
    for place, change in direction.changes.items():
        with np.errstate(invalid="ignore"):
            parts = np.where(change != 0.0, slopes[place], 0.0) * change
        total += float(parts.sum())
        allowed += AGREEMENT * float(np.abs(parts).sum())
        allowed += DITHERED * noise.get(place, 0.0) * direction.norm(place)
    return math.isfinite(difference) and math.isfinite(total) and abs(total - difference) > allowed


def dithered_noise(directions: Sequence[Direction], base: Along, dithered: Sequence[Along]) -> dict[Place, float]:
    """Standard error of an entry of each input, from how directions change with dithered inputs and other digits.

    Entries' errors e are independent of the direction v, so e . v has the size of e's entries times the norm of v.
    Where several inputs share a direction, each of them is taken to have made all of it.
    """
    errors: dict[Place, list[float]] = {}
    for row, direction in enumerate(directions):
        if base.flagged[row]:
            continue
        for other in dithered:
            if other.flagged[row]:
                continue
            apart = float(other.difference[row] - base.difference[row])
            if not math.isfinite(apart):
                continue  # the direction leaves the function's domain, which tells nothing of rounding
            for place in direction.changes:
                size = direction.norm(place)
                if size > 0.0:
                    errors.setdefault(place, []).append(apart / size)
    return {place: root_mean_square(values) for place, values in errors.items()}


def norm_of(vector: Array) -> float:
    """Return the Euclidean norm of a vector, whose squares may lie beyond the range of numbers."""
    with np.errstate(over="ignore"):
        square = float(np.dot(vector, vector))
    if SAFE_SQUARE < square < 1.0 / SAFE_SQUARE:
        return math.sqrt(square)
    largest = float(np.max(np.abs(vector), initial=0.0))
    return largest * float(np.linalg.norm(vector / largest)) if 0.0 < largest < math.inf else largest


def root_mean_square(values: Sequence[float] | Array) -> float:
    """Return the root of the mean of squares, which may lie beyond the range of numbers."""
    vector = np.asarray(values, dtype=np.float64)
    return norm_of(vector.reshape(-1)) / math.sqrt(vector.size)


def dither(value: Array, generator: "Generator") -> Array:
    """Return a value whose entries are off by up to two units in the last place."""
    return np.asarray(value * (1.0 + 2.0 * UNIT * generator.integers(-1, 2, value.shape)))
