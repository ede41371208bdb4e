"""Exact differences of a program at all wanted entries, in as few columns as its structure allows."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ..._errors import EngineError
from ..._types import Array, Indices
from ...problems.costs_on_demand import CostsOnDemand
from ...problems.functions.purity import require_same, require_unchanged
from ...problems.gradients import Kinks, NumericalGradient
from ...problems.parameters.sampling import stratified_order
from ...runtime.run import Run
from .choice import Way, choose
from .colouring import LEAST, MOST, Colouring
from .columns import Job, Limits, Quotients, measure
from .kinks import CONVENTIONS, Candidates, at_kinks, measure_way, under_conventions
from .problem import ProgramProblem
from .runner import Place, Runner, ranges
from .trust import (
    UNIT,
    Along,
    Direction,
    along,
    directions_through,
    disagreeing,
    dither,
    dithered_noise,
    require_literal,
)

if TYPE_CHECKING:
    from numpy.random import Generator

# Programs at dithered inputs that noise is measured with.
DITHERS = 2
# Roundings that an entry is allowed, in units of its |terms|.
ROUNDINGS = 4.0
# Entries that may be moved by themselves where a faster way is in doubt, however few columns that way took.
MOST_SINGLE = 256
# The convention that ties are held to while entries are compared with directions.
FROZEN = 1.0
# The step at which J_plus and J_minus are given where the caller has not asked for one.
EPSILON = 1e-7


@dataclass
class _Check:
    """One run of the engine: what is wanted of each input, how it is found, and what was found."""

    problem: ProgramProblem
    runner: Runner
    inputs: list[Place]
    wanted: list[Indices]
    generator: "Generator"
    limits: Limits
    ways: list[Way]
    places: dict[Place, Quotients]
    quotients: list[Quotients]


def differences(
    problem: ProgramProblem, positions: Indices, run: Run, *, deadline: float = math.inf, seed: int = 0,
    epsilon: float | None = None,
) -> tuple[NumericalGradient, Indices]:
    """Exact differences at positions of theta.

    Parameters
    ----------
    problem : the program.
    positions : (k,) ascending.
    run : how the machine may be used.
    deadline : of ``time.perf_counter``, after which no block of columns is begun.
    seed : of random amounts and directions.
    epsilon : the step of J_plus and J_minus; gradapprox has a far smaller one, since nothing rounds.

    Returns
    -------
    NumericalGradient, and the positions that were differenced before the deadline, ascending.

    Raises
    ------
    EngineError : where literal subtraction contradicts the program, or its parts one another.
    NoRule : where an operation has no exact difference.
    """
    require_same_outputs(problem)
    check = _begin(problem, positions, run, deadline, seed)
    _measure_all(check, positions)
    candidates = under_conventions(check.ways, check.places, check.runner, check.limits)
    dithered = _verify(check, candidates)
    literal = _spot_check(check, dithered)
    _require_unmoved(check)
    found, done = _gathered(check, candidates, dithered, EPSILON if epsilon is None else epsilon)
    run.progress(positions.size, positions.size)
    facts = {"evaluations": check.runner.runs + literal, "columns": check.runner.columns,
             "ways": {t.name: way.name for t, way in zip(problem.tensors, check.ways, strict=True)}}
    return replace(found, facts=facts), done


def _begin(problem: ProgramProblem, positions: Indices, run: Run, deadline: float, seed: int) -> _Check:
    runner = Runner(problem.program, problem.weights, run.memory_limit)
    inputs = [Place(number, value) for number, value in enumerate(problem.inputs(problem.theta))]
    wanted = []
    for tensor in problem.tensors:
        first, last = np.searchsorted(positions, (tensor.start, tensor.stop))
        wanted.append(positions[first:last] - tensor.start)
    done = 0

    def progress(columns: int) -> None:
        nonlocal done
        done += columns
        run.progress(min(done, positions.size - 1), positions.size)

    generator = np.random.default_rng(seed)
    ways = choose(runner, inputs, wanted, generator)
    return _Check(problem, runner, inputs, wanted, generator, Limits(deadline, progress), ways, {}, [])


def require_same_outputs(problem: ProgramProblem) -> None:
    """Raise EngineError unless the program's outputs are the function's, bit for bit."""
    with np.errstate(all="ignore"):
        plain = problem.plain(problem.inputs(problem.theta))
    for place, (mine, theirs) in enumerate(zip(problem.program.outputs, plain, strict=True)):
        if not np.array_equal(np.asarray(mine), np.asarray(theirs), equal_nan=True):
            raise EngineError(
                f"exact differences: output {place} of the program is not the function's, bit for bit; "
                'use engine="differences", and please report the program'
            )


def _require_unmoved(check: _Check) -> None:
    """Raise NondeterministicError where the function gives other outputs at the end, ChangedArgumentError where it
    writes to its inputs.
    """
    problem = check.problem
    inputs = problem.inputs(problem.theta)
    with np.errstate(all="ignore"):
        outputs = problem.plain(inputs)
        again = sum(float(np.vdot(weight, out)) for weight, out in zip(problem.weights, outputs, strict=True))
    require_unchanged(np.concatenate([value.reshape(-1) for value in inputs]), problem.theta)
    require_same(problem.cost, again, "after other parameters were tried")


def _measure_all(check: _Check, positions: Indices) -> None:
    """Quotients of all wanted entries: those that are had many at a time before single ones."""
    together, single = _jobs(check)
    left = check.limits.deadline - time.perf_counter()
    columns = 2 * sum(job.colours.size for job in (*together, *single))
    seconds_each = check.runner.seconds / max(check.runner.columns, 1)
    order = None
    if columns * seconds_each > left:
        # Not all will be done: entries at random then, so that what is done represents the rest.
        check.ways = [Way(Colouring(place)) for place in check.inputs]
        together, single = _jobs(check)
        order = stratified_order(check.problem.tensors, positions, check.generator)
    for jobs in filter(None, (together, single)):
        for job, quotients in zip(jobs, measure(jobs, check.runner, check.limits, order=order), strict=True):
            check.places[job.place] = quotients
    for place in check.inputs:
        check.places.setdefault(place, Quotients.of(place.size))
    check.quotients = [
        measure_way(way, check.places, place.size) for way, place in zip(check.ways, check.inputs, strict=True)
    ]
    _look_at_single_entries(check)


def _jobs(check: _Check) -> tuple[list[Job], list[Job]]:
    """Columns that move many entries or serve them, and columns of one entry."""
    together, single = {}, []
    for way, wanted in zip(check.ways, check.wanted, strict=True):
        if way.units:
            together.update({site.place: Job(site, np.arange(site.count)) for site in way.sites})
        elif wanted.size and way.colouring.single:
            single.append(Job(way.colouring, wanted))
        elif wanted.size:
            together[way.colouring.place] = Job(way.colouring, np.unique(way.colouring.colour[wanted]))
    return list(together.values()), single


def _look_at_single_entries(check: _Check) -> None:
    """Move by themselves the entries whose kinks several products share, and those that are not finite."""
    for way, place, quotients in zip(check.ways, check.inputs, check.quotients, strict=True):
        if way.name == "entries":
            continue
        odd = ~np.isfinite(quotients.right + quotients.left)
        if way.units:
            odd |= quotients.flagged
        entries = np.flatnonzero(odd & quotients.done)
        if entries.size and 2 * entries.size <= max(MOST_SINGLE, check.runner.columns):
            _take_single(check, place, quotients, entries)


def _take_single(check: _Check, place: Place, quotients: Quotients, entries: Indices) -> None:
    quotients.take(measure([Job(Colouring(place), entries)], check.runner, check.limits)[0])


def _verify(check: _Check, candidates: Candidates) -> "_Dithered":
    """Hold the entries against directions, mend what disagrees, and measure the noise."""
    directions = directions_through(check.inputs, [q.done for q in check.quotients], check.generator)
    base = along(directions, check.runner)
    dithered = _dithered(check, directions, base)
    wrong = _contradicted(check, directions, base, candidates, dithered.noise)
    for place in wrong:
        # What was guessed of a structure does not hold here; entries by themselves need no guess.
        quotients = check.quotients[place.number]
        check.ways[place.number] = Way(Colouring(place))
        _take_single(check, place, quotients, check.wanted[place.number])
        quotients.done[:] = False
        quotients.done[check.wanted[place.number]] = True
    if wrong and (still := _contradicted(check, directions, base, candidates, dithered.noise)):
        name = check.problem.tensors[still[0].number].name
        raise EngineError(
            f"exact differences: the entries of {name} do not add up to the change along a direction; "
            'use engine="differences", and please report the program'
        )
    return dithered


def _contradicted(
    check: _Check, directions: Sequence[Direction], base: Along, candidates: Candidates, noise: dict[Place, float]
) -> list[Place]:
    """Inputs whose entries do not add up to what directions show; at ties both are held to one convention."""
    slopes = {place: quotients.slope for place, quotients in zip(check.inputs, check.quotients, strict=True)}
    tied = base.flagged.any()
    frozen = along(directions, check.runner, FROZEN) if tied else base
    held = dict(zip(check.inputs, candidates[FROZEN], strict=True)) if candidates else slopes
    wrong = []
    for row, direction in enumerate(directions):
        flagged = bool(base.flagged[row])
        one, side = (frozen, held) if flagged else (base, slopes)
        wrong += disagreeing([direction], side, one.rows([row]), noise)
    return list(dict.fromkeys(wrong))


@dataclass(frozen=True)
class _Dithered:
    """What dithered inputs move: the error of an entry of each input, and the outputs."""

    noise: dict[Place, float]
    outputs: list[float]


def _dithered(check: _Check, directions: Sequence[Direction], base: Along) -> _Dithered:
    """Take the same directions, with steps of other digits, at inputs that are off by an ulp or two."""
    found, outputs = [], [0.0] * len(check.runner.outputs)
    for _ in range(DITHERS):
        factor = float(check.generator.uniform(LEAST, MOST))
        values = [dither(place.value, check.generator) for place in check.inputs]
        with np.errstate(all="ignore"):
            program = check.problem.program_at(values)
            runner = Runner(program, check.problem.weights, check.runner.memory_limit)
            found.append(along([Direction(one.place, factor * one.change) for one in directions], runner) / factor)
            for place, (there, here) in enumerate(zip(program.outputs, check.runner.outputs, strict=True)):
                apart = np.abs(np.asarray(there) - np.asarray(here))
                outputs[place] = max(outputs[place], float(apart[np.isfinite(apart)].max(initial=0.0)))
    return _Dithered(dithered_noise(directions, base, found), outputs)


def _spot_check(check: _Check, dithered: _Dithered) -> int:
    names = [tensor.name for tensor in check.problem.tensors]
    return require_literal(
        check.problem.plain, check.runner, check.inputs, dithered.outputs, names, check.generator
    )


def _gathered(
    check: _Check, candidates: Candidates, dithered: _Dithered, epsilon: float
) -> tuple[NumericalGradient, Indices]:
    """One vector of all tensors."""
    slopes, noises, done, kinks = [], [], [], []
    start = 0
    for tensor, place, wanted, quotients in zip(
        check.problem.tensors, check.inputs, check.wanted, check.quotients, strict=True
    ):
        here = wanted[quotients.done[wanted]]
        slope = quotients.settled
        slopes.append(slope[here])
        rounding = ROUNDINGS * UNIT * quotients.terms[here]
        noises.append(np.hypot(rounding, dithered.noise.get(place, 0.0)) + quotients.unseen[here])
        done.append(here + tensor.start)
        options = {CONVENTIONS[held]: slopes_of[place.number] for held, slopes_of in candidates.items()}
        kinks.append(_kinks(quotients, options, here, start))
        start += here.size
    positions = np.concatenate(done)
    costs = [CostsOnDemand(_CostsBeside(check, positions, sign * epsilon), positions.size) for sign in (1.0, -1.0)]
    found = NumericalGradient(
        check.problem.cost, costs[0], costs[1], np.concatenate(slopes), np.concatenate(noises), _joined(kinks),
        settled=True,
    )
    return found, positions


def _kinks(quotients: Quotients, candidates: dict[str, Array], here: Indices, start: int) -> Kinks:
    where = np.intersect1d(at_kinks(quotients, list(candidates.values())), here, assume_unique=True)
    right, left = quotients.right[where], quotients.left[where]
    right, left = np.where(np.isfinite(right), right, left), np.where(np.isfinite(left), left, right)
    return Kinks(
        start + np.searchsorted(here, where), np.minimum(right, left), np.maximum(right, left),
        {name: candidate[where] for name, candidate in candidates.items()},
    )


def _joined(kinks: list[Kinks]) -> Kinks | None:
    """The kinks of all tensors; each has all conventions or, where no tie moved anywhere, none."""
    if not any(one.where.size for one in kinks):
        return None
    where, low, high = (np.concatenate([getattr(one, name) for one in kinks]) for name in ("where", "low", "high"))
    names = kinks[0].conventions
    return Kinks(where, low, high, {name: np.concatenate([one.conventions[name] for one in kinks]) for name in names})


class _CostsBeside:
    """Costs with one checked entry moved by a step."""

    def __init__(self, check: _Check, positions: Indices, step: float) -> None:
        self.runner, self.inputs, self.cost = check.runner, check.inputs, check.problem.cost
        self.starts = np.array([tensor.stop for tensor in check.problem.tensors])
        self.tensors, self.positions, self.step = check.problem.tensors, positions, step

    def __call__(self, places: Indices) -> Array:
        """Costs, one for each place among the checked positions."""
        costs = np.empty(places.size)
        owner = np.searchsorted(self.starts, self.positions[places], side="right")
        for number in np.unique(owner):
            mine = np.flatnonzero(owner == number)
            place = self.inputs[number]
            for block in ranges(mine.size, min(MOST_SINGLE, self.runner.most_columns([place.size]))):
                rows = mine[block]
                change = np.zeros((rows.size, place.size))
                entries = self.positions[places[rows]] - self.tensors[number].start
                change[np.arange(rows.size), entries] = self.step
                costs[rows] = self.cost + self.runner.weighted(self.runner.run([(place, change)]))
        return costs
