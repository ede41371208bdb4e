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
from .kinks import under_each
from .runner import Place, Runner
from .trust import Along, Direction, along, root_mean_square

if TYPE_CHECKING:
    from numpy.random import Generator

# Programs at dithered inputs that a slope's noise is measured with, and roundings of its |terms| beside that.
DITHERS, ROUNDINGS = 2, 4.0
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
    directions : (k,) of them; steps : the size of each input's share in them.
    expected : (k,) what a gradient promises along them.
    allowed : (k,) what errors within tolerance may add up to there.
    """

    directions: list[Direction]
    steps: dict[Place, float]
    expected: Array
    allowed: Array


def through_everything(
    gradients: Mapping[Place, Array], count: int, tolerance: float, generator: "Generator"
) -> Everything:
    """Random directions through all inputs, in which each takes part alike, by what its gradient (n,) promises."""
    places = list(gradients)
    # What is zero but for rounding (a bias before a normalisation) takes part as if its gradient were a share of the
    # others': with steps large enough to make it felt, its rounding would drown all of them.
    sizes = {place: float(np.linalg.norm(gradients[place] * place.step)) for place in places}
    least = FAINT * max(sizes.values(), default=0.0)
    shares = {place: least / size if (size := max(own, least)) > 0.0 else 1.0 for place, own in sizes.items()}
    steps = {place: root_mean_square(place.step) * shares[place] for place in places}
    directions = [
        Direction({place: steps[place] * _signed_sizes(generator, place.size) for place in places})
        for _ in range(count)
    ]
    parts = [[gradients[place] * step for place, step in one.changes.items()] for one in directions]
    expected = np.array([math.fsum(float(np.sum(terms)) for terms in one) for one in parts])
    allowed = SPREAD * tolerance * np.array([math.hypot(*(float(np.linalg.norm(t)) for t in one)) for one in parts])
    return Everything(directions, steps, expected, allowed)


def _signed_sizes(generator: "Generator", size: int) -> Array:
    """Return numbers of sizes from LEAST_SIZE to MOST_SIZE and of both signs, from one draw each."""
    drawn = generator.uniform(LEAST_SIZE - MOST_SIZE, MOST_SIZE - LEAST_SIZE, size)
    return np.asarray(drawn + np.copysign(LEAST_SIZE, drawn))


def closest(directions: Sequence[Direction], expected: Array, runner: Runner) -> Along | None:
    """Return differences along directions; at ties those of the convention that is closest to what is expected.

    None where a kink is crossed even at the engine's step.
    """
    base = along(directions, runner)
    if not np.isfinite(base.difference).all():
        return None
    if not base.flagged.any():
        return base
    tries = under_each(runner.kinds, lambda convention: along(directions, runner, convention))
    return min((one for _, one in tries), key=lambda one: float(np.max(np.abs(one.difference - expected))))
