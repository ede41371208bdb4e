"""A right gradient is proven in one go: directions through everything, a few entries, and literal subtraction.

One wrong entry is found on the way.  Whatever else disagrees, or stands on a kink, is left to the thorough ways
(``directions``, ``engine``), which measure noise and find the entry that is to blame.  A right gradient of a smooth
program needs none of that: where random directions agree to rounding, so do the noises of both sides.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..._constants import NOISE_SIGMAS
from ..._types import Array, Indices, Mask
from ...problems.gradients import NumericalGradient
from ...problems.parameters.tensor import Tensor
from ...runtime.run import Run
from ..finite.directional import Probe, power_notes
from .alone import likeliest
from .everything import DIRECTIONS, EXACTLY, FAINT, ROUNDINGS, Everything, limits_of, through_everything
from .gathering import costs_beside
from .literal import LITERAL_STEP, cost_apart
from .places import INNER_STEP, Place
from .problem import ProgramProblem
from .runner import Runner
from .trust import UNIT, Along, Direction, of_columns, one_sided, root_mean_square

if TYPE_CHECKING:
    from numpy.random import Generator

# Entries that are checked one by one beside the directions.
ENTRIES = 2
# Roundings of an entry's slope by which it is wrong beyond doubt; less is left to ways that measure noise.
BEYOND = 1e3
# Bytes of a column's changes of inputs from which entries have a run of their own: what stands still is then left out.
LARGE = 1 << 18


@dataclass(frozen=True)
class Proof:
    """What directions proved, with a few entries by themselves.

    probed : limits and notes.
    found, positions : of the entries; columns : how many perturbations all of it took.
    """

    probed: Probe
    found: NumericalGradient
    positions: Indices
    columns: int


def proof(
    problem: ProgramProblem, gradient: Array, run: Run, *, directions: int | None, tolerance: float,
    generator: "Generator", epsilon: float, rounded: bool = False,
) -> Proof | None:
    """Compare a gradient with directions through everything, and with a few entries; None where anything disagrees.

    Where one wrong entry explains all disagreement, it is one of those entries, and judged with them.

    Parameters
    ----------
    problem : with ``plain_cost``.
    gradient : (n,).
    directions : how many; None for two.
    tolerance, generator, rounded : as in ``directions.probe_exactly``.
    epsilon : the step of J_plus and J_minus.

    Returns
    -------
    Proof, or None: also where literal subtraction of everything at once contradicts the program.
    """
    runner = Runner(problem.program, problem.weights, run.memory_limit)
    every = [Place(number, value) for number, value in enumerate(problem.inputs(problem.theta))]
    pairs = [(place, tensor) for place, tensor in zip(every, problem.tensors, strict=True) if tensor.size]
    if not pairs or not np.isfinite(gradient).all():
        return None
    gradients = {place: gradient[tensor.start : tensor.stop] for place, tensor in pairs}
    count = DIRECTIONS if directions is None else directions
    chosen = through_everything(gradients, count, tolerance, generator, spare=1)
    moved = _behind_literal_step(chosen.columns, every)
    entries = _entries(_felt(pairs, gradients), generator)
    along, beside = _run(chosen, [direction for _, direction in entries], runner)
    change, along = float(along.right[count]), along.rows(np.arange(count))
    if along.flagged.any() or beside.flagged.any() or cost_apart(problem, moved, change, 0.0) is not None:
        return None
    rounding = ROUNDINGS * UNIT * along.terms
    limit = chosen.allowed * (1.0 if rounded else EXACTLY) + NOISE_SIGMAS * rounding
    apart = along.right - chosen.expected
    found = _slopes(entries, beside)
    if not (np.abs(apart) <= limit).all():
        wrong = _alone(chosen, apart, limit, dict(pairs), gradient, runner)
        if wrong is None:
            return None
        found = found.without(wrong.positions).joined(wrong)
    elif not found.agrees(gradient, tolerance):
        return None
    probed = Probe(limits=limits_of([tensor for _, tensor in pairs], chosen.steps, limit))
    probed.notes = power_notes(problem.tensors, gradient, probed, count)
    costs = costs_beside(problem, runner, every, found.positions, epsilon)
    numerical = NumericalGradient(
        problem.cost, *costs, found.slopes, found.noise, settled=True,
        facts={"evaluations": runner.runs + 1, "columns": runner.columns},
    )  # fmt: skip
    run.progress(found.positions.size, found.positions.size)
    return Proof(probed, numerical, found.positions, runner.columns)


@dataclass(frozen=True)
class _Entries:
    """Entries by themselves: positions (k,) in theta, ascending, slopes and their rounding."""

    positions: Indices
    slopes: Array
    noise: Array

    def agrees(self, gradient: Array, tolerance: float) -> bool:
        """Tell whether a gradient (n,) is right at all of them."""
        apart = np.abs(self.slopes - gradient[self.positions])
        return bool((apart <= tolerance * np.abs(self.slopes) + NOISE_SIGMAS * self.noise).all())

    def rows(self, chosen: Indices | Mask) -> "_Entries":
        """Return some of them."""
        return _Entries(self.positions[chosen], self.slopes[chosen], self.noise[chosen])

    def without(self, positions: Indices) -> "_Entries":
        """Return those elsewhere."""
        return self.rows(~np.isin(self.positions, positions))

    def joined(self, others: "_Entries") -> "_Entries":
        """Return these and others."""
        both = _Entries(
            np.concatenate([self.positions, others.positions]), np.concatenate([self.slopes, others.slopes]),
            np.concatenate([self.noise, others.noise]),
        )  # fmt: skip
        return both.rows(np.argsort(both.positions))


def _slopes(entries: Sequence[tuple[int, Direction]], found: Along) -> _Entries:
    steps = np.array([sum(float(change.sum()) for change in one.changes.values()) for _, one in entries])
    noise = np.abs(ROUNDINGS * UNIT * found.terms / steps)
    return _Entries(np.array([position for position, _ in entries]), found.right / steps, noise)


def _alone(
    chosen: Everything, apart: Array, limit: Array, tensors: Mapping[Place, Tensor], gradient: Array, runner: Runner
) -> _Entries | None:
    """Return the entry whose error alone explains what a gradient is off by along directions; None if none does."""
    if apart.size < 2 or not np.isfinite(apart).all():
        return None
    candidates = likeliest(chosen.columns, apart)
    own = [(tensors[place].start + entry, _step_of(place, entry)) for place, entry in candidates]
    moved = one_sided([direction for _, direction in own], runner)
    if moved.flagged.any():
        return None
    found = _slopes(own, moved)
    for row, (place, entry) in enumerate(candidates):
        error = found.slopes[row] - gradient[found.positions[row]]
        explained = np.abs(apart - error * chosen.columns[place][: apart.size, entry]) <= limit
        if explained.all() and abs(error) > BEYOND * found.noise[row]:
            return found.rows(np.array([row]))
    return None


def _step_of(place: Place, entry: int) -> Direction:
    """Return the direction that moves one entry."""
    change = np.zeros(place.size)
    change[entry] = place.step[entry]
    return Direction({place: change})


def _felt(pairs: Sequence[tuple[Place, Tensor]], gradients: Mapping[Place, Array]) -> list[tuple[Place, Tensor]]:
    """Return the inputs whose gradient is more than next to nothing beside the others'."""
    sizes = {place: root_mean_square(own) for place, own in gradients.items()}
    largest = max(sizes.values())
    return [(place, tensor) for place, tensor in pairs if sizes[place] >= FAINT * largest]


def _behind_literal_step(columns: dict[Place, Array], every: Sequence[Place]) -> list[Array]:
    """Fill the last row with the first direction's step made long enough to be subtracted; all inputs behind it."""
    values = []
    for place in every:
        value = place.value
        if place in columns:
            flat, block = value.reshape(-1), columns[place]
            behind = block[0] * (LITERAL_STEP / INNER_STEP)
            behind += flat
            np.subtract(behind, flat, out=block[-1])
            value = behind.reshape(place.shape)
        values.append(value)
    return values


def _entries(pairs: Sequence[tuple[Place, Tensor]], generator: "Generator") -> list[tuple[int, Direction]]:
    """Return a few entries of different inputs at random, ascending, and the direction that moves each."""
    found = []
    for number in np.sort(generator.choice(len(pairs), min(ENTRIES, len(pairs)), replace=False)):
        place, tensor = pairs[int(number)]
        entry = int(generator.integers(place.size))
        found.append((tensor.start + entry, _step_of(place, entry)))
    return found


def _run(chosen: Everything, entries: Sequence[Direction], runner: Runner) -> tuple[Along, Along]:
    """Return all of them in one run; entries of large programs in another, in which all other inputs stand still."""
    size = sum(place.size for place in chosen.columns)
    if 8 * size > LARGE:
        return of_columns(chosen.columns, runner), one_sided(entries, runner)
    columns = {place: np.concatenate([block, np.zeros((len(entries), place.size))])
               for place, block in chosen.columns.items()}
    count = len(next(iter(chosen.columns.values())))
    for row, entry in enumerate(entries, count):
        for place, change in entry.changes.items():
            columns[place][row] = change
    found = of_columns(columns, runner)
    return found.rows(np.arange(count)), found.rows(np.arange(count, count + len(entries)))
