"""Directions through all inputs of a program at once: what a gradient promises along them, and what they show."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..._types import Array
from ...problems.parameters.sampling import LEAST_SIZE, MOST_SIZE
from ...problems.parameters.tensor import Tensor
from ..finite.directional import SPREAD
from .kinks import tried, under_each
from .places import Place
from .runner import Runner
from .trust import Along, Direction, along, norm_of, root_mean_square

if TYPE_CHECKING:
    from numpy.random import Generator

# Programs at dithered inputs that a slope's noise is measured with, and roundings of its |terms| beside that.
DITHERS, ROUNDINGS = 2, 4.0
# Directions through everything unless the caller says how many: each one sees every wrong entry that rounding lets be
# seen, and errors of several entries that cancel along one of them do not along the other.
DIRECTIONS = 2
# A direction that disagrees by this part of the tolerance is looked into: right gradients in double precision agree a
# thousand times better, and a wrong entry may be one of a million.
EXACTLY = 1e-5
# Tensors take part alike in directions through everything, but for those whose gradient does less than this share
# of what another's does.
FAINT = 1e-3


def limits_of(tensors: Sequence[Tensor], steps: Mapping[Place, float], limit: Array) -> dict[str, float]:
    """By tensor, how far one entry may be off where directions agree to within ``limit``; steps in the same order."""
    return {tensor.name: float(limit.max()) / (LEAST_SIZE * step)
            for tensor, step in zip(tensors, steps.values(), strict=True)}


@dataclass(frozen=True)
class Everything:
    """Directions through all inputs at once.

    Parameters
    ----------
    columns : of each input, (k + spare, its size): the k directions' steps, and rows to be filled by others.
    steps : the size of each input's share in them.
    expected : (k,) what a gradient promises along them.
    allowed : (k,) what errors within tolerance may add up to there.
    """

    columns: dict[Place, Array]
    steps: dict[Place, float]
    expected: Array
    allowed: Array

    @property
    def directions(self) -> list[Direction]:
        """The k directions."""
        return [Direction({place: block[row] for place, block in self.columns.items()})
                for row in range(self.expected.size)]


def through_everything(
    gradients: Mapping[Place, Array], count: int, tolerance: float, generator: "Generator", spare: int = 0
) -> Everything:
    """Random directions through all inputs, in which each takes part alike, by what its gradient (n,) promises."""
    places = list(gradients)
    largest = max(place.size for place in places)
    scratch = np.empty((2, largest))
    # What is zero but for rounding (a bias before a normalisation) takes part as if its gradient were a share of the
    # others': with steps large enough to make it felt, its rounding would drown all of them.
    sizes = {place: norm_of(np.multiply(gradients[place], place.step, out=scratch[0, : place.size]))
             for place in places}
    least = FAINT * max(sizes.values(), default=0.0)
    shares = {place: least / size if (size := max(own, least)) > 0.0 else 1.0 for place, own in sizes.items()}
    steps = {place: root_mean_square(place.step) * shares[place] for place in places}
    columns = _blocks(places, count + spare)
    sums, norms = np.empty((2, count, len(places)))
    for row in range(count):
        for number, place in enumerate(places):
            step, terms = columns[place][row], scratch[0, : place.size]
            _draw(generator, step, scratch[1, : place.size])
            step *= steps[place]
            np.multiply(gradients[place], step, out=terms)
            sums[row, number], norms[row, number] = terms.sum(), norm_of(terms)
    expected = np.array([math.fsum(row) for row in sums])
    return Everything(columns, steps, expected, SPREAD * tolerance * np.array([math.hypot(*row) for row in norms]))


def _blocks(places: Sequence[Place], rows: int) -> dict[Place, Array]:
    """Return a block (rows, size) for each input, all of them in one piece of memory: it comes in large pages."""
    whole, found, start = np.empty(rows * sum(place.size for place in places)), {}, 0
    for place in places:
        stop = start + rows * place.size
        found[place] = whole[start:stop].reshape(rows, place.size)
        start = stop
    return found


def _draw(generator: "Generator", out: Array, scratch: Array) -> None:
    """Fill an array with numbers of sizes from LEAST_SIZE to MOST_SIZE and of both signs, from one draw each."""
    generator.random(out=out)
    out *= 2.0 * (MOST_SIZE - LEAST_SIZE)
    out -= MOST_SIZE - LEAST_SIZE
    out += np.copysign(LEAST_SIZE, out, out=scratch)


def closest(directions: Sequence[Direction], expected: Array, runner: Runner) -> Along | None:
    """Return differences along directions; at ties those of the convention that is closest to what is expected.

    None where a kink is crossed even at the engine's step.
    """
    base = along(directions, runner)
    if not np.isfinite(base.difference).all():
        return None
    if not base.flagged.any():
        return base
    tries = under_each(tried(runner), lambda convention: along(directions, runner, convention))
    return min((one for _, one in tries), key=lambda one: float(np.max(np.abs(one.difference - expected))))
