"""A right gradient is proven in one go: directions through everything, a few entries, and literal subtraction.

Whatever disagrees, or stands on a kink, is left to the thorough ways (``directions``, ``engine``), which measure noise
and find the entry that is to blame.  A right gradient of a smooth program needs none of that: where three random
directions agree to rounding, so do the noises of both sides.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..._constants import NOISE_SIGMAS
from ..._types import Array, Indices
from ...problems.gradients import NumericalGradient
from ...problems.parameters.tensor import Tensor
from ...runtime.run import Run
from ..finite.directional import DIRECTIONS, Probe, power_notes
from .everything import EXACTLY, FAINT, ROUNDINGS, limits_of, through_everything
from .gathering import costs_beside
from .literal import LITERAL_STEP, cost_apart
from .problem import ProgramProblem
from .runner import INNER_STEP, Place, Runner
from .trust import UNIT, Along, Direction, one_sided, root_mean_square

if TYPE_CHECKING:
    from numpy.random import Generator

# Entries that are checked one by one beside the directions.
ENTRIES = 2
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

    Parameters
    ----------
    problem : with ``plain_cost``.
    gradient : (n,).
    directions, tolerance, generator, rounded : as in ``directions.probe_exactly``.
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
    chosen = through_everything(gradients, count, tolerance, generator)
    literal, moved = _literal_step(chosen.steps, every, generator)
    largest = max(root_mean_square(own) for own in gradients.values())
    felt = [(place, tensor) for place, tensor in pairs if root_mean_square(gradients[place]) >= FAINT * largest]
    entries = _entries(felt, generator)
    along, beside = _run([*chosen.directions, literal], [direction for _, direction in entries], runner)
    change, along = float(along.right[count]), along.rows(np.arange(count))
    if along.flagged.any() or beside.flagged.any():
        return None
    if cost_apart(problem, moved, change, 0.0) is not None:
        return None
    rounding = ROUNDINGS * UNIT * along.terms
    limit = chosen.allowed * (1.0 if rounded else EXACTLY) + NOISE_SIGMAS * rounding
    if not (np.abs(along.right - chosen.expected) <= limit).all():
        return None
    positions = np.array([position for position, _ in entries])
    steps = np.array([sum(float(change.sum()) for change in one.changes.values()) for _, one in entries])
    slopes, noise = beside.right / steps, np.abs(ROUNDINGS * UNIT * beside.terms / steps)
    apart = np.abs(slopes - gradient[positions])
    if not (apart <= tolerance * np.abs(slopes) + NOISE_SIGMAS * noise).all():
        return None
    probed = Probe(limits=limits_of([tensor for _, tensor in pairs], chosen.steps, limit))
    probed.notes = power_notes(problem.tensors, gradient, probed, count)
    found = NumericalGradient(
        problem.cost, *costs_beside(problem, runner, every, positions, epsilon), slopes, noise, settled=True,
        facts={"evaluations": runner.runs + 1, "columns": runner.columns},
    )  # fmt: skip
    run.progress(positions.size, positions.size)
    return Proof(probed, found, positions, runner.columns)


def _literal_step(
    steps: dict[Place, float], every: Sequence[Place], generator: "Generator"
) -> tuple[Direction, list[Array]]:
    """Return a step through everything that is long enough to be subtracted, and all inputs behind it."""
    changes, values = {}, []
    for place in every:
        value = place.value.reshape(-1)
        if place in steps:
            signs = generator.choice((-1.0, 1.0), place.size)
            behind = value + signs * steps[place] * LITERAL_STEP / INNER_STEP
            changes[place] = behind - value
            value = behind
        values.append(value.reshape(place.shape))
    return Direction(changes), values


def _entries(pairs: Sequence[tuple[Place, Tensor]], generator: "Generator") -> list[tuple[int, Direction]]:
    """Return a few entries of different inputs at random, ascending, and the direction that moves each."""
    found = []
    for number in np.sort(generator.choice(len(pairs), min(ENTRIES, len(pairs)), replace=False)):
        place, tensor = pairs[int(number)]
        entry = int(generator.integers(place.size))
        change = np.zeros(place.size)
        change[entry] = place.step[entry]
        found.append((tensor.start + entry, Direction({place: change})))
    return found


def _run(directions: Sequence[Direction], entries: Sequence[Direction], runner: Runner) -> tuple[Along, Along]:
    """Return all of them in one run; entries of large programs in another, in which all other inputs stand still."""
    size = sum(place.size for place in directions[0].changes)
    if 8 * size <= LARGE:
        found = one_sided([*directions, *entries], runner)
        return found.rows(np.arange(len(directions))), found.rows(np.arange(len(directions), len(found.right)))
    return one_sided(directions, runner), one_sided(entries, runner)
