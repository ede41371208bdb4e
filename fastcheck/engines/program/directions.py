"""Directions through a program: exact slopes, several at once, and the entry that is to blame by masks in one batch."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from ..._types import Array, Indices, Mask
from ...problems.parameters.sampling import LEAST_SIZE, random_direction
from ...problems.parameters.tensor import Tensor
from ..finite.directional import (
    CLOSER,
    DIRECTIONS,
    NOISE,
    Probe,
    Suspect,
    expected_along,
    power_notes,
)
from .columns import SHRINK, SHRINKS
from .kinks import CONVENTIONS, JUMP
from .problem import ProgramProblem
from .runner import INNER_STEP, Place, Runner
from .trust import TOGETHER, UNIT, dither

if TYPE_CHECKING:
    from numpy.random import Generator

# Programs at dithered inputs that a slope's noise is measured with, and roundings of its |terms| beside that.
DITHERS, ROUNDINGS = 2, 4.0
# Parts that a tensor is cut into at random, again and again, where several entries are wrong.
PARTS = 32
# Share of the disagreement by which the masks of single bits may miss one wrong entry's.
SINGLE = 1e-3


@dataclass(frozen=True)
class Slopes:
    """Slopes along directions, (k,) each.

    Parameters
    ----------
    right, left : one-sided.
    terms : sums of |terms|.
    tied : which moved a value that stands on a kink, or crossed one at every step.
    """

    right: Array
    left: Array
    terms: Array
    tied: Mask

    @property
    def central(self) -> Array:
        """Means of both sides."""
        return 0.5 * (self.right + self.left)


def slopes_along(
    place: Place, directions: Array, runner: Runner, convention: float | None = None, *, both: bool = True
) -> Slopes:
    """Slopes along directions (k, n) through one input; unless ``both``, to the right alone, which stand for the left.

    Notes
    -----
    The step is so small that what curvature leaves in a one-sided slope is rounding.
    """
    step = INNER_STEP
    size = len(directions)
    found = Slopes(np.empty(size), np.empty(size), np.empty(size), np.zeros(size, dtype=bool))
    waiting = np.arange(size)
    for level in range(SHRINKS + 1):
        again = []
        for rows in np.array_split(waiting, max(1, -(-16 * waiting.size * place.size // TOGETHER))):
            if not rows.size:
                continue
            change = step * directions[rows]
            moved = runner.run([(place, np.concatenate([change, -change]) if both else change)], convention)
            costs, terms, sides = runner.weighted(moved), np.zeros(moved.ties.size), (1 + both, rows.size)
            for output, part in moved.moving():
                terms += np.abs(part) @ np.abs(runner.weights[output])
            crossed = (moved.crossed | ~np.isfinite(costs)).reshape(sides).any(axis=0)
            costs = costs.reshape(sides) / step
            found.right[rows], found.left[rows] = costs[0], -costs[1] if both else costs[0]
            found.terms[rows] = terms[: rows.size] / step
            found.tied[rows] = crossed | moved.ties.reshape(sides).any(axis=0)
            again.append(rows[crossed])
        waiting, step = np.concatenate([np.empty(0, np.int64), *again]), step * SHRINK
        if not waiting.size or level == SHRINKS:
            break
    return found


def probe_exactly(
    problem: ProgramProblem,
    gradient: Array,
    memory_limit: int,
    *,
    directions: int | None,
    tolerance: float,
    generator: "Generator",
    rounded: bool = False,
) -> tuple[Probe, int]:
    """Compare the gradient with exact slopes along random directions, tensor by tensor (see ``finite.directional``).

    Parameters
    ----------
    problem : the program.
    gradient : (n,).
    memory_limit : bytes that changes may take.
    directions : how many per tensor; None for three.
    tolerance, generator, rounded : as in ``finite.directional.probe``.

    Returns
    -------
    Probe, and the number of columns that it took.

    Notes
    -----
    Where a direction moves ties, the gradient is held against the slope under each convention first, the same for all
    directions of a tensor; if it equals none, the two sides are all that is known, and their distance is an error.
    """
    runners = [Runner(problem.program, problem.weights, memory_limit)]
    runners += [
        Runner(problem.program_at([dither(value, generator) for value in problem.inputs(problem.theta)]),
               problem.weights, memory_limit)
        for _ in range(DITHERS)
    ]  # fmt: skip
    count = DIRECTIONS if directions is None else directions
    found = Probe()
    for number, (tensor, value) in enumerate(zip(problem.tensors, problem.inputs(problem.theta), strict=True)):
        if tensor.start == tensor.stop:
            continue
        size = float(np.sqrt(np.mean(value**2))) or 1.0
        chosen = size * np.stack([random_direction(generator, value.size) for _ in range(count)])
        place = Place(number, value)
        one = _Tensor(tensor, place, gradient[tensor.start : tensor.stop], runners, tolerance, rounded, generator)
        one.compare(chosen, found, gradient.size)
        found.limits[tensor.name] /= LEAST_SIZE * size
    found.notes = power_notes(problem.tensors, gradient, found, count)
    return found, sum(runner.columns for runner in runners)


@dataclass(frozen=True)
class _Tensor:
    """One tensor's gradient and what it is held against."""

    tensor: Tensor
    place: Place
    gradient: Array
    runners: Sequence[Runner]
    tolerance: float
    rounded: bool
    generator: "Generator"

    def compare(self, directions: Array, found: Probe, n: int) -> None:
        """Hold the gradient against directions (k, size); note how far it may be off, and one that disagrees."""
        expected, allowed = np.array([expected_along(self.gradient, v, self.tolerance) for v in directions]).T
        slope, error, convention = self.measured(directions, expected)
        close = allowed * (1.0 if self.rounded else CLOSER)
        limit = close + NOISE * error
        found.limits[self.tensor.name] = float(limit.max())
        apart = np.abs(slope - expected)
        wrong = np.flatnonzero(~(apart <= limit))
        if not wrong.size:
            return
        row = int(wrong[0])
        entry = self.locate(directions[row], float(slope[row] - expected[row]), convention)
        whole = np.zeros(n)
        whole[self.tensor.start : self.tensor.stop] = directions[row]
        beyond = not apart[row] <= allowed[row] + NOISE * error[row]
        found.suspects.append(Suspect(
            self.tensor, whole, float(slope[row]), float(error[row]), float(expected[row]),
            self.tensor.start + entry, beyond,
        ))  # fmt: skip

    def measured(self, directions: Array, expected: Array) -> tuple[Array, Array, float | None]:
        """Slopes, their errors, and the convention that they hold at ties."""
        base = slopes_along(self.place, directions, self.runners[0])
        rounding = ROUNDINGS * UNIT * base.terms
        if base.tied.any():
            return self._at_ties(base, directions, expected, rounding)
        others = [slopes_along(self.place, directions, runner).central for runner in self.runners[1:]]
        noise = np.sqrt(np.mean([np.mean((other - base.central) ** 2) for other in others]))
        return base.central, np.hypot(rounding, noise), None

    def _at_ties(
        self, base: Slopes, directions: Array, expected: Array, rounding: Array
    ) -> tuple[Array, Array, float | None]:
        best, chosen = None, None
        for convention in CONVENTIONS:
            slope = slopes_along(self.place, directions, self.runners[0], convention).central
            apart = float(np.max(np.abs(slope - expected)))
            if best is None or apart < best[0]:
                best, chosen = (apart, slope), convention
        assert best is not None  # noqa: S101  # there are conventions
        size = np.abs(base.right) + np.abs(base.left)
        if best[0] <= JUMP * float(np.max(size, initial=0.0)):
            return best[1], rounding, chosen
        jump = np.abs(base.right - base.left)
        return base.central, rounding + np.where(jump > JUMP * size, jump, 0.0), None

    def locate(self, direction: Array, disagreement: float, convention: float | None) -> int:
        """The entry that disagrees most along a direction: from masks of bits if it is alone, else part by part."""
        broken = np.flatnonzero(~np.isfinite(self.gradient))
        if broken.size:
            return int(broken[0])
        entries = np.arange(direction.size)
        bits = max(1, (entries.size - 1).bit_length())
        share = self._apart(direction, (entries >> bit & 1 == 1 for bit in range(bits)), convention) / disagreement
        if ((np.abs(share) < SINGLE) | (np.abs(share - 1.0) < SINGLE)).all():
            alone = int(np.sum((share > 0.5) << np.arange(bits)))
            if alone < entries.size:
                by_itself = self._apart(direction, [entries == alone], convention)[0] / disagreement
                if abs(by_itself - 1.0) < SINGLE:
                    return alone
        return self._part_by_part(direction, entries, convention)

    def _part_by_part(self, direction: Array, entries: Indices, convention: float | None) -> int:
        """The worst entry of the worst part of the worst part ..."""
        while entries.size > 1:
            parts = np.array_split(self.generator.permutation(entries), min(PARTS, entries.size))
            masks = (_mask(part, direction.size) for part in parts)
            entries = parts[int(np.argmax(np.abs(self._apart(direction, masks, convention))))]
        return int(entries[0])

    def _apart(self, direction: Array, masks: Iterable[Mask], convention: float | None) -> Array:
        """How far slopes and gradient are apart along parts of a direction."""
        found, masks = [], iter(masks)
        while chosen := list(islice(masks, max(1, TOGETHER // (8 * direction.size)))):
            parts = np.array([np.where(mask, direction, 0.0) for mask in chosen])
            slopes = slopes_along(self.place, parts, self.runners[0], convention, both=False).right
            found += [slope - math.fsum(self.gradient * part) for slope, part in zip(slopes, parts, strict=True)]
        return np.array([apart if math.isfinite(apart) else math.inf for apart in found])


def _mask(entries: Indices, size: int) -> Mask:
    mask = np.zeros(size, dtype=bool)
    mask[entries] = True
    return mask
