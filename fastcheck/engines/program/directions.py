"""Directions through a program: exact slopes, several at once, and the entry that is to blame by masks in one batch."""

import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from ..._constants import NOISE_SIGMAS
from ..._types import Array, Indices, Mask
from ...problems.parameters.sampling import LEAST_SIZE, random_direction
from ...problems.parameters.tensor import Tensor
from ...rules.branches import Held
from ..finite.directional import DIRECTIONS, Probe, Suspect, expected_along, power_notes
from ..finite.lines import OutOfTime
from .everything import DITHERS, EXACTLY, ROUNDINGS, closest, limits_of, through_everything
from .kinks import JUMP, tried, under_each
from .places import INNER_STEP, Place
from .problem import ProgramProblem
from .roundings import STEP, rounding_along
from .runner import Moved, Runner
from .slopes import slopes_along
from .trust import TOGETHER, UNIT, Direction, along, dither, norm_of, root_mean_square

if TYPE_CHECKING:
    from numpy.random import Generator

# Evaluations that entries beside directions take, at least.
CLOSING = 12
# Parts that a tensor is cut into at random, again and again, where several entries are wrong.
PARTS = 32
# Share of the disagreement by which the masks of single bits may miss one wrong entry's.
SINGLE = 1e-3


def probe_exactly(
    problem: ProgramProblem,
    gradient: Array,
    memory_limit: int,
    *,
    directions: int | None,
    tolerance: float,
    generator: "Generator",
    rounded: bool,
    deadline: float,
) -> tuple[Probe, int]:
    """Compare the gradient with exact slopes along random directions, tensor by tensor (see ``finite.directional``).

    Parameters
    ----------
    problem : the program.
    gradient : (n,).
    memory_limit : bytes that changes may take.
    directions : how many per tensor; None for three.
    tolerance, generator, rounded : as in ``finite.directional.probe``.
    deadline : of ``time.perf_counter``, after which no run is started.

    Returns
    -------
    Probe, and the number of columns that it took.

    Notes
    -----
    Directions go through all tensors at once; only where they disagree through one tensor after the other, and then to
    the entry that is to blame.  Where a direction moves ties, the gradient is held against the slope under each
    convention first, the same for all directions of a tensor.  If it equals none, the two sides are all that is known
    of the direction, and their distance is an error; but the entry that the nearest convention disagrees with most can
    be looked at by itself.
    """
    started = time.perf_counter()
    runners = [TimedRunner(problem.program, problem.weights, memory_limit)]
    runners += [
        TimedRunner(problem.program_at([dither(value, generator) for value in problem.inputs(problem.theta)]),
                    problem.weights, memory_limit)
        for _ in range(DITHERS)
    ]  # fmt: skip
    for runner in runners:  # the entries beside need some time, too
        runner.deadline = deadline - CLOSING / DITHERS * (time.perf_counter() - started)
    count = DIRECTIONS if directions is None else directions
    tensors: list[_Tensor] = [
        _Tensor(tensor, Place(number, value), gradient[tensor.start : tensor.stop], runners, tolerance, rounded,
                generator)
        for number, (tensor, value) in enumerate(zip(problem.tensors, problem.inputs(problem.theta), strict=True))
        if tensor.size
    ]  # fmt: skip
    found = Probe()
    late = []
    try:
        _hold_against_directions(tensors, count, found, gradient.size)
    except OutOfTime:
        late.append(f"The time limit let random directions be taken in {len(found.limits):,} of {len(tensors):,} "
                    "tensors.")
    found.notes = [*late, *power_notes(problem.tensors, gradient, found, count)]
    found.limits = {tensor.name: math.inf for tensor in problem.tensors if late and tensor.size} | found.limits
    return found, sum(runner.columns for runner in runners)


def _hold_against_directions(tensors: Sequence["_Tensor"], count: int, found: Probe, n: int) -> None:
    """Note what directions would have shown, and what they have."""
    limits = _together(tensors, count)
    if limits is not None:
        found.limits = limits
        return
    doubtful, found.limits = _apart(tensors, count)
    own = [one.directions(count) for one in doubtful]
    for one, chosen, known in zip(doubtful, own, _each(doubtful, own), strict=True):
        one.compare(chosen, known, found, n)
        found.limits[one.tensor.name] /= LEAST_SIZE * one.size


class TimedRunner(Runner):
    """A runner that gives up where the time is over: it raises OutOfTime."""

    def run(self, moved: Sequence[tuple[Place, Array]], convention: Held | None = None) -> Moved:
        """See ``Runner``."""
        if time.perf_counter() >= self.deadline:
            raise OutOfTime
        return super().run(moved, convention)


def _together(tensors: Sequence["_Tensor"], count: int) -> dict[str, float] | None:
    """Hold the gradient against directions through all tensors at once; None where one of them disagrees.

    Returns
    -------
    dict : by tensor, how far one entry may be off unseen.

    Notes
    -----
    Each tensor takes part alike, so that none drowns in the noise of another.  A direction through everything takes as
    long as one through a single tensor, and a right gradient needs no other.
    """
    first = tensors[0]
    gradients = {one.place: one.gradient for one in tensors}
    if not all(np.isfinite(gradient).all() for gradient in gradients.values()):
        return None
    chosen = through_everything(gradients, count, first.tolerance, first.generator)
    directions, expected, allowed, steps = chosen.directions, chosen.expected, chosen.allowed, chosen.steps
    found = closest(directions, expected, first.runners[0])
    if found is None:
        return None
    others = [
        along([one.scaled(factor) for one in directions], runner) / factor
        for runner in first.runners[1:] for factor in first.generator.uniform(1.0, 2.0, 1)
    ]  # fmt: skip
    noise = root_mean_square(np.concatenate([other.difference - found.difference for other in others]))
    noise = 0.0 if found.flagged.any() else noise
    reach = np.hypot(noise, ROUNDINGS * UNIT * found.terms)
    limit = allowed * (1.0 if first.rounded else EXACTLY) + NOISE_SIGMAS * reach
    if not (np.abs(found.difference - expected) <= limit).all():
        return None
    return limits_of([one.tensor for one in tensors], steps, limit)


def _apart(tensors: Sequence["_Tensor"], count: int) -> tuple[Sequence["_Tensor"], dict[str, float]]:
    """Return the tensors along whose own direction the gradient disagrees, and the limits of the others if those agree.

    All tensors, and no limits, where the others do not agree together, or none disagrees by itself.
    """
    own = [one.directions(1) for one in tensors]
    directions = [Direction({one.place: INNER_STEP * v}) for one, (v,) in zip(tensors, own, strict=True)]
    found = along(directions, tensors[0].runners[0]) / INNER_STEP
    doubtful: list[_Tensor] = []
    rest: list[_Tensor] = []
    for row, (one, (v,)) in enumerate(zip(tensors, own, strict=True)):
        expected, allowed = expected_along(one.gradient, v, one.tolerance)
        limit = allowed * (1.0 if one.rounded else EXACTLY) + NOISE_SIGMAS * ROUNDINGS * UNIT * found.terms[row]
        agrees = abs(found.difference[row] - expected) <= limit and not found.flagged[row]
        (rest if agrees else doubtful).append(one)
    limits = _together(rest, count) if rest and doubtful else None
    return (tensors, {}) if limits is None else (doubtful, limits)


def _each(tensors: Sequence["_Tensor"], chosen: Sequence[Array]) -> list["_Measured | None"]:
    """Slopes along every tensor's own directions, all of them together; None where a tensor's directions move ties."""
    directions = [Direction({one.place: INNER_STEP * v}) for one, own in zip(tensors, chosen, strict=True) for v in own]
    base, *others = (
        along([one.scaled(factor) for one in directions], runner) / (factor * INNER_STEP)
        for runner, factor in zip(tensors[0].runners, (1.0, 1.3, 1.7), strict=True)
    )
    found: list[_Measured | None] = []
    for part in np.split(np.arange(len(directions)), np.cumsum([len(own) for own in chosen])[:-1]):
        one = base.rows(part)
        noise = root_mean_square(np.concatenate([o.difference[part] - one.difference for o in others]))
        known = np.isfinite(one.difference).all() and not one.flagged.any()
        found.append(
            _Measured(one.difference, np.hypot(ROUNDINGS * UNIT * one.terms, noise), np.zeros(part.size), None)
            if known
            else None
        )
    return found


@dataclass(frozen=True)
class _Measured:
    """Slopes along directions, (k,): their standard errors, by how much ties may have the gradient off unseen, and the
    convention that was held.
    """

    slope: Array
    error: Array
    blind: Array
    convention: Held | None

    def rounded(self, error: Array) -> "_Measured":
        """Return the same with a further error of the slopes."""
        return replace(self, error=np.hypot(self.error, error))


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

    def compare(self, directions: Array, known: "_Measured | None", found: Probe, n: int) -> None:
        """Hold the gradient against directions (k, size); note how far it may be off, and one that disagrees."""
        expected, allowed = np.array([expected_along(self.gradient, v, self.tolerance) for v in directions]).T
        one = self._at_ties(directions, expected) if known is None else known
        close = allowed * (1.0 if self.rounded else EXACTLY)
        limit = close + NOISE_SIGMAS * one.error
        found.limits[self.tensor.name] = float(np.max(limit + one.blind))
        apart = np.abs(one.slope - expected)
        wrong = np.flatnonzero(~(apart <= limit))
        if wrong.size:
            one = one.rounded(self._rounding(directions))
            limit = close + NOISE_SIGMAS * one.error
            found.limits[self.tensor.name] = float(np.max(limit + one.blind))
            wrong = np.flatnonzero(~(apart <= limit))
        if not wrong.size:
            return
        row = int(wrong[0])
        entry = self.locate(directions[row], float(one.slope[row] - expected[row]), one.convention)
        whole = np.zeros(n)
        whole[self.tensor.start : self.tensor.stop] = directions[row]
        beyond = not apart[row] <= allowed[row] + NOISE_SIGMAS * one.error[row] + one.blind[row]
        found.suspects.append(Suspect(
            self.tensor, whole, float(one.slope[row]), float(one.error[row] + one.blind[row]), float(expected[row]),
            self.tensor.start + entry, beyond,
        ))  # fmt: skip

    def _rounding(self, directions: Array) -> Array:
        """Return standard errors that rounding inside the program leaves in slopes along directions."""
        moves = {self.place.number: STEP * directions.reshape(-1, *self.place.shape)}
        runner, seed = self.runners[0], int(self.generator.integers(1 << 31))
        return rounding_along(runner.program, runner.weights, moves, seed, runner.deadline) / STEP

    @property
    def size(self) -> float:
        """The usual size of its entries."""
        return norm_of(self.place.value.reshape(-1)) / math.sqrt(max(self.place.size, 1)) or 1.0

    def directions(self, count: int) -> Array:
        """Return random directions, (count, entries)."""
        return self.size * np.stack([random_direction(self.generator, self.place.size) for _ in range(count)])

    def _at_ties(self, directions: Array, expected: Array) -> "_Measured":
        """Return slopes under the convention that is closest to what is expected."""
        base = slopes_along(self.place, directions, self.runners[0])
        tries = under_each(
            tried(self.runners[0]),
            lambda convention: slopes_along(self.place, directions, self.runners[0], convention).central,
        )
        convention, slope = min(tries, key=lambda one: float(np.max(np.abs(one[1] - expected))))
        size = np.abs(base.right) + np.abs(base.left)
        jump = np.abs(base.right - base.left)
        equal = float(np.max(np.abs(slope - expected))) <= JUMP * float(np.max(size, initial=0.0))
        blind = np.zeros_like(jump) if equal else np.where(jump > JUMP * size, jump, 0.0)
        return _Measured(slope, ROUNDINGS * UNIT * base.terms, blind, convention)

    def locate(self, direction: Array, disagreement: float, convention: Held | None) -> int:
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

    def _part_by_part(self, direction: Array, entries: Indices, convention: Held | None) -> int:
        """Return the worst entry of the worst part of the worst part ..."""
        while entries.size > 1:
            parts = np.array_split(self.generator.permutation(entries), min(PARTS, entries.size))
            masks = (_mask(part, direction.size) for part in parts)
            entries = parts[int(np.argmax(np.abs(self._apart(direction, masks, convention))))]
        return int(entries[0])

    def _apart(self, direction: Array, masks: Iterable[Mask], convention: Held | None) -> Array:
        """Return how far slopes and gradient are apart along parts of a direction."""
        found, masks = [], iter(masks)
        while chosen := list(islice(masks, max(1, TOGETHER // (8 * direction.size)))):
            parts = np.array([np.where(mask, direction, 0.0) for mask in chosen])
            slopes = slopes_along(self.place, parts, self.runners[0], convention, both=False).right
            found += [slope - float((self.gradient * part).sum()) for slope, part in zip(slopes, parts, strict=True)]
        return np.array([apart if math.isfinite(apart) else math.inf for apart in found])


def _mask(entries: Indices, size: int) -> Mask:
    mask = np.zeros(size, dtype=bool)
    mask[entries] = True
    return mask
