"""Exact differences of a program at all wanted entries, in as few columns as its structure allows."""

import math
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import numpy as np

from ..._types import Indices
from ...problems.functions.purity import require_same, require_unchanged
from ...problems.gradients import NumericalGradient
from ...problems.parameters.sampling import stratified_order
from ...runtime.run import Run
from .choice import Way, choose, serves_directly
from .columns import Job, measure
from .cut import terms_of
from .early import begin_early
from .gathering import gathered
from .kinks import at_kinks, measure_way, under_conventions
from .limits import Limits
from .literal import require_finite, require_literal, require_same_outputs
from .places import Place
from .problem import ProgramProblem
from .protocols import ObservedProgram
from .quotients import Quotients
from .runner import Runner, Term
from .state import Check
from .trust import MANY, equal_shares
from .verification import verify

# Entries that may be moved by themselves where a faster way is in doubt, however few columns that way took.
MOST_SINGLE = 256
# Those that kinks of others were moved with may be so where their columns take no more numbers of inputs and outputs.
MOST_SHARED = 1 << 20
# Entries from which a scalar cost is worth cutting where it is a weighted sum.
CUT_FROM = 150
# Runs of the program that follow the last entry, beside a literal one for each input.
CLOSING_RUNS = 6
# ... and plain calls, beside those: at dithered inputs, and at theta once more, which may begin at the last moment.
CLOSING_CALLS = 1
# Where a time limit leaves less than this many times the time of literal calls for each input, one has to do for all.
HASTE = 4.0
# The step at which J_plus and J_minus are given where the caller has not asked for one.
EPSILON = 1e-7


def differences(
    problem: ProgramProblem, positions: Indices, run: Run, *, deadline: float = math.inf, seed: int = 0,
    epsilon: float | None = None, joint: bool = False, longest: float = math.inf,
) -> tuple[NumericalGradient, Indices]:
    """Exact differences at positions of theta.

    Parameters
    ----------
    problem : the program.
    positions : (k,) ascending.
    run : how the machine may be used.
    deadline : of ``time.perf_counter``, after which no block of columns is started.
    seed : of random amounts and directions.
    epsilon : the step of J_plus and J_minus; gradapprox has a far smaller one, since nothing rounds.
    joint : hold all inputs against directions and literal subtraction together, not each by itself: for a few entries
        beside directions.
    longest : seconds of the processor that it may take; infinite where there is nothing that would be quicker.

    Returns
    -------
    NumericalGradient, and the positions that were differenced before the deadline, ascending.

    Raises
    ------
    EngineError : where literal subtraction contradicts the program, or its parts one another.
    NoRule : where an operation has no exact difference.
    TooSlow : where it would take longer than it may, as soon as that shows.
    """
    started = time.process_time()
    require_same_outputs(problem)
    literal_calls = min(len(problem.tensors), MANY)
    joint = joint or HASTE * literal_calls * problem.seconds > deadline - time.perf_counter()
    check = _begin(problem, positions, run, deadline, seed, 1 if joint else literal_calls)
    check.limits.started, check.limits.longest = started, longest
    early = None if joint else begin_early(check)
    _measure_all(check, positions)
    candidates = under_conventions(check.ways, check.places, check.runner, check.limits)
    candidates, dithered = verify(
        check, candidates, joint=joint, early=None if early is None else early.along(check)
    )
    shares = equal_shares(check.inputs, [q.done for q in check.quotients], [q.slope for q in check.quotients])
    literal = require_literal(
        problem, check.runner, check.inputs, dithered.outputs, shares if joint else None, check.generator,
        None if early is None else early.literal,
    )
    for place, quotients in zip(check.inputs, check.quotients, strict=True):
        literal += require_finite(problem, place, quotients, np.flatnonzero(quotients.done), check.generator)
    _require_unmoved(check)
    found, done = gathered(check, candidates, dithered, EPSILON if epsilon is None else epsilon)
    run.progress(positions.size, positions.size)
    facts = {"evaluations": check.runner.runs + literal, "columns": check.runner.columns,
             "ways": {t.name: way.name for t, way in zip(problem.tensors, check.ways, strict=True)}}
    return replace(found, facts=facts), done


def expected_seconds(problem: ProgramProblem, run: Run) -> float:
    """How long all entries would take: columns of the ways that would be chosen, times the time of those tried."""
    check = _begin(problem, np.arange(problem.theta.size), run, math.inf, 0, 0)
    together, single = _jobs(check)
    if not check.runner.columns:
        check.runner.run([(place, place.step[None]) for place in check.inputs if place.size])
    return _expected_seconds(check, [*together, *single])


def _expected_seconds(check: Check, jobs: Sequence[Job]) -> float:
    columns = sum((3 if job.colouring.coded else 2) * job.colours.size for job in jobs)
    return columns * check.runner.seconds / max(check.runner.paid, 1)


def _begin(
    problem: ProgramProblem, positions: Indices, run: Run, deadline: float, seed: int, literal_calls: int
) -> Check:
    generator = np.random.default_rng(seed)
    values = problem.inputs(problem.theta)
    terms: Sequence[Term] = ()
    cut = positions.size >= CUT_FROM and getattr(problem.program, "observes", False)
    if cut and not serves_directly(problem.program, positions.size):
        terms = terms_of(cast(ObservedProgram, problem.program), values, generator)
    runner = Runner(problem.program, problem.weights, run.memory_limit, terms)
    runner.threads = run.threads if problem.side_by_side else 1
    inputs = [Place(number, value) for number, value in enumerate(values)]
    wanted = []
    for tensor in problem.tensors:
        first, last = np.searchsorted(positions, (tensor.start, tensor.stop))
        wanted.append(positions[first:last] - tensor.start)
    done = 0

    def progress(columns: int) -> None:
        nonlocal done
        done += columns
        run.progress(min(done, positions.size - 1), positions.size)

    ways = choose(runner, inputs, wanted, generator)
    if math.isfinite(deadline):
        deadline -= _closing_seconds(runner, inputs) + (CLOSING_CALLS + literal_calls) * problem.seconds
    limits = Limits(deadline, progress)
    return Check(problem, runner, inputs, wanted, generator, limits, ways, {}, [])


def _closing_seconds(runner: Runner, inputs: Sequence[Place]) -> float:
    """How long it takes to hold what was measured against directions, dithered inputs and literal subtraction."""
    if not runner.runs:
        runner.run([(place, place.step[None]) for place in inputs if place.size])
    return (CLOSING_RUNS + min(len(inputs), MANY)) * runner.seconds / runner.runs


def _require_unmoved(check: Check) -> None:
    """Raise NondeterministicError where the function gives other outputs at the end, ChangedArgumentError where it
    writes to its inputs.
    """
    problem = check.problem
    inputs = problem.inputs(problem.theta)
    with np.errstate(all="ignore"):
        again = problem.literal_cost(inputs)
    require_unchanged(np.concatenate([value.reshape(-1) for value in inputs]), problem.theta)
    require_same(problem.cost, again, "after other parameters were tried")


def _measure_all(check: Check, positions: Indices) -> None:
    """Quotients of all wanted entries: those that are had many at a time before single ones."""
    together, single = _jobs(check)
    left = check.limits.deadline - time.perf_counter()
    order = None
    if _expected_seconds(check, [*together, *single]) > left:
        # Not all will be done: entries at random then, so that what is done represents the rest.
        check.ways = [Way.alone(place) for place in check.inputs]
        together, single = _jobs(check)
        order = stratified_order(check.problem.tensors, positions, check.generator)
    for jobs in filter(None, (together, single)):
        for job, quotients in zip(jobs, measure(jobs, check.runner, check.limits, order=order), strict=True):
            check.places[job.place] = quotients
    for place in (colouring.place for way in check.ways for colouring in way.colourings):
        check.places.setdefault(place, Quotients.of(place.size, place.only))
    check.quotients = [measure_way(way, check.places) for way in check.ways]
    _look_at_single_entries(check)


def _jobs(check: Check) -> tuple[list[Job], list[Job]]:
    """Columns that move many entries or serve them, and columns of one entry."""
    together, single = {}, []
    for way, wanted in zip(check.ways, check.wanted, strict=True):
        sites = dict.fromkeys(site.colouring for site in way.sites)
        together.update({site.place: Job(site, np.arange(site.count)) for site in sites})
        for colouring in way.colourings:
            colours = colouring.colours_of(wanted)
            if colours.size and colouring.single:
                single.append(Job(colouring, colours))
            elif colours.size:
                together[colouring.place] = Job(colouring, colours)
    return list(together.values()), single


def _look_at_single_entries(check: Check) -> None:
    """Move by themselves the entries whose kinks several products or other entries share, and those not finite."""
    for way, place, quotients in zip(check.ways, check.inputs, check.quotients, strict=True):
        if way.name == "entries":
            continue
        odd = ~np.isfinite(quotients.right + quotients.left)
        if way.units:
            odd |= quotients.flagged
        kinks = at_kinks(quotients, ())
        few = min(MOST_SINGLE, MOST_SHARED // (place.size + check.runner.size))
        for entries, most in (
            (np.flatnonzero(odd & quotients.done), MOST_SINGLE), (kinks[~(quotients.lone | odd)[kinks]], few),
        ):
            if entries.size and 2 * entries.size <= max(most, check.runner.columns):
                check.take_single(place, entries)
