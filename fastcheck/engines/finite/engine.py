"""Cost differences of any function, by subtraction: steps planned per parameter, a second look at what disagrees."""

import math
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from ..._constants import NOISE_SIGMAS
from ..._types import Array, Indices, Mask
from ...problems.functions.evaluators import ExecutorCost, PythonCost
from ...problems.functions.purity import require_same
from ...problems.gradients import Kinks, NumericalGradient
from ...problems.parameters.sampling import stratified_order
from ...runtime.run import Run
from .check import Check
from .complex_step import complex_estimates, require_analytic
from .difference_table import SlopeEstimates, table
from .estimates import Estimates
from .lines import OutOfTime
from .plan_steps import Plan, plan
from .problem import FunctionProblem, Method
from .recheck import Rechecked, recheck
from .resolve import resolved
from .stencils import STENCILS, WIDEST, central
from .steps import median, refine
from .unmoved import error_of_unmoved

# Errors this many times the usual one call for another step.
POOR = 30.0
# A bend this many times the usual one ...
OUTLIER = 10.0
# ... of at least this many entries is a kink's; ...
ENOUGH = 16
# ... then a step this much shorter is taken.
SHORTER = 16.0
# Seconds of one batch of entries, between two reports of progress.
BATCH_SECONDS = 0.5
# Batches that a time limit should leave room for: each is looked at twice before the next one is started.
ROUNDS = 4.0
# Bytes of an entry in a batch: a few evaluations, each with its place, distance, value and cost.
BYTES_PER_ENTRY = 400
# Orders at which all entries have the same few evaluations, at a step that is not their own.
CENTRAL = (2, 4)


@dataclass(frozen=True)
class Looked:
    """What a check has found.

    Parameters
    ----------
    done : places of the entries that were looked at, ascending.
    found : their estimates, rechecked.
    """

    done: Indices
    found: Rechecked


def differences(
    problem: FunctionProblem, positions: Indices, method: Method, run: Run
) -> tuple[NumericalGradient, Indices, float | Array]:
    """Cost differences of a function at positions of theta.

    Parameters
    ----------
    positions : (k,) ascending.
    method : how.

    Returns
    -------
    Differences, the positions that were checked before the deadline (ascending), and epsilon: one for all or one each.

    Raises
    ------
    NondeterministicError : if the cost at theta is another one at the end.
    ValueError : if complex_step was asked for and the cost is not analytic.
    Whatever the cost raises, with a note that says at which parameter.
    """
    check = Check.of(problem, positions, method)
    if method.complex_step:
        with suppress(OutOfTime):
            require_analytic(check)
    looked = _all_at_leisure(check, run) if math.isinf(method.deadline) else _until_the_deadline(check, run)
    estimates = looked.found.estimates
    error = error_of_unmoved(check, estimates, problem.gradient[positions[looked.done]])
    if check.lines.count and time.perf_counter() < method.deadline:
        again = float(np.real(check.lines.at(problem.theta.copy())))
        require_same(problem.cost, again, "after other parameters were tried")
        _require_defined(check, positions[looked.done], estimates)
    facts = {"evaluations": check.lines.count, "order": "complex step" if method.complex_step else method.order}
    result = NumericalGradient(
        problem.cost, estimates.above, estimates.below, estimates.slope, error, _kinks(looked),
        tuple(_notes(check, looked)), facts, settled=True,
    )
    return result, positions[looked.done], estimates.step if method.epsilon is None else method.epsilon


def _require_defined(check: Check, positions: Indices, estimates: Estimates) -> None:
    """Raise what a Python cost raises at points near theta where that left no derivative of an entry."""
    evaluator = check.problem.evaluator
    called = evaluator.called if isinstance(evaluator, ExecutorCost) else evaluator
    if not isinstance(called, PythonCost) or not math.isfinite(check.problem.cost):
        return
    lost = np.flatnonzero(~np.isfinite(estimates.slope))
    if not lost.size:
        return
    k, step = int(positions[lost[0]]), float(estimates.step[lost[0]])
    for side in (1.0, -1.0):
        called.require_defined(k, float(check.problem.theta[k]) + side * step)


def _all_at_leisure(check: Check, run: Run) -> Looked:
    """Return all entries once, then those that disagree again."""
    total = check.positions.size
    parts: list[tuple[Indices, Estimates]] = []
    made = Plan(*(np.zeros(total),) * 2) if check.method.complex_step else plan(check)
    parts += made.known
    waiting = made.waiting
    finished = total - waiting.size
    for batch in _batches(check, waiting.size, run):
        parts.append((waiting[batch], _first_look(check, made, waiting[batch])))
        run.progress(finished + batch.stop, total)
    if not waiting.size:
        run.progress(total, total)
    everywhere, estimates = np.arange(total), Estimates.joined(parts, total)
    parts.clear()  # as many numbers again
    if not made.agreeing:
        estimates = _closer(check, everywhere, estimates)
    elif sum(part.size for part in made.agreeing) < total:
        others = np.setdiff1d(everywhere, np.concatenate(made.agreeing))
        estimates = estimates.with_entries(others, _closer(check, others, estimates.at(others)))
    return Looked(everywhere, recheck(check, everywhere, resolved(check, everywhere, estimates)))


def _until_the_deadline(check: Check, run: Run) -> Looked:
    """Return entries in random order, each batch looked at again before the next one, as long as there is time."""
    total = check.positions.size
    parts: list[tuple[Indices, Rechecked]] = []
    with suppress(OutOfTime):
        made = Plan(*(np.zeros(total),) * 2) if check.method.complex_step else plan(check)
        parts += [(places, recheck(check, places, estimates)) for places, estimates in made.known]
        waiting = made.waiting
        finished = total - waiting.size
        order = stratified_order(check.tensors, check.positions[waiting], check.generator)
        for batch in _batches(check, waiting.size, run):
            places = np.sort(waiting[order[batch]])
            estimates = resolved(check, places, _closer(check, places, _first_look(check, made, places)))
            parts.append((places, recheck(check, places, estimates)))
            run.progress(finished + batch.stop, total)
            if time.perf_counter() >= check.method.deadline:
                break
    whole = Estimates.joined([(places, part.estimates) for places, part in parts], total)
    done = np.sort(np.concatenate([places for places, _ in parts] or [np.empty(0, np.int64)]))
    found = Rechecked(whole.at(done))
    for _, part in parts:
        found = part.followed_by(found)
    return Looked(done, found)


def _batches(check: Check, count: int, run: Run) -> Iterator[slice]:
    """Batches that take about BATCH_SECONDS each, or less where a deadline is near."""
    deadline, tensors = check.method.deadline, len(check.tensors)
    most = max(1, run.memory_limit // BYTES_PER_ENTRY)
    check.lines.time_one()
    seconds = min(BATCH_SECONDS / 4.0, (deadline - time.perf_counter()) / ROUNDS)
    first = max(tensors if math.isinf(deadline) else 1, int(seconds / max(6.0 * check.lines.seconds_each, 1e-7)))
    done, size = 0, min(first, most)
    while done < count:
        started = time.perf_counter()
        batch = slice(done, min(done + size, count))
        yield batch
        now = time.perf_counter()
        done = batch.stop
        each = max(now - started, 1e-9) / (batch.stop - batch.start)
        size = int(max(1, min(most, 4 * size, min(BATCH_SECONDS, (deadline - now) / ROUNDS) / each)))


def _first_look(check: Check, made: Plan, places: Indices) -> Estimates:
    """Return slopes of some entries at the steps planned for them."""
    method = check.method
    if method.complex_step:
        return complex_estimates(check, places)
    which, step, noise = check.positions[places], made.step[places], made.noise[places]
    if method.order == WIDEST.order and method.epsilon is None:
        return Estimates.from_slopes(_tables(check, which, step, noise))
    return _central(check, which, step, noise)


def _central(check: Check, which: Indices, step: Array, noise: Array) -> Estimates:
    """Return central differences of the order asked for."""
    stencil, fixed = STENCILS[check.method.order], check.method.epsilon is not None
    slope, below, above = central(check.lines, which, step, stencil.order, literal=fixed)
    # At the best step the stencil leaves out the order-th part of what noise does; twice that for neighbours.
    share = 0.0 if fixed else 2.0 / stencil.order
    return Estimates(slope, (1.0 + share) * stencil.rounding * noise / step, step, noise, below, above)


def _closer(check: Check, places: Indices, estimates: Estimates) -> Estimates:
    """Take a shorter step for entries that bend the cost far more than is usual: most likely it crosses a kink."""
    method = check.method
    if method.epsilon is not None or method.complex_step or method.order not in CENTRAL:
        return estimates
    with np.errstate(invalid="ignore"):
        bend = np.abs(estimates.above + estimates.below - 2.0 * check.problem.cost)
        candidates: Mask = bend > 4.0 * NOISE_SIGMAS * estimates.noise
    if np.count_nonzero(candidates) <= ENOUGH:  # of all tensors together
        return estimates
    for tensor in check.tensors:
        here = check.rows_of(tensor, places)
        if np.count_nonzero(candidates[here]) > ENOUGH:
            usual = median(bend[here][candidates[here]])
            bent = here.start + np.flatnonzero(candidates[here] & (bend[here] > OUTLIER * usual))
            if bent.size:
                shorter = _central(check, check.positions[places[bent]], estimates.step[bent] / SHORTER,
                                   estimates.noise[bent])
                estimates = estimates.with_entries(bent, shorter)
    return estimates


def _tables(check: Check, which: Indices, step: Array, noise: Array) -> SlopeEstimates:
    """Return slopes of order 6, each with its own difference table; where that is poor, with a step of its own."""
    slopes = table(check.lines, which, step, check.problem.cost, noise)
    poor = ~slopes.smooth | ~(slopes.error <= POOR * median(slopes.error))
    if poor.any():
        better = refine(check.lines, which[poor], step[poor], check.problem.cost, noise[poor])
        slopes.take(better, poor, np.ones(better.slope.size, dtype=bool))
    return slopes


def _kinks(looked: Looked) -> Kinks:
    """Kinks by their place among the checked positions."""
    kinks = looked.found.kinks
    if not kinks:
        return Kinks(np.empty(0, np.int64), np.empty(0), np.empty(0), of_line=True)
    places = np.array(sorted(kinks), dtype=np.int64)
    low, high = (np.array([kinks[int(place)][side] for place in places]) for side in (0, 1))
    return Kinks(np.searchsorted(looked.done, places).astype(np.int64), low, high, of_line=True)


def _notes(check: Check, looked: Looked) -> Iterator[str]:
    """Yield what the report is to say about the second look."""
    found = looked.found
    if found.off:
        yield (
            f"epsilon={check.method.epsilon:g} is too large for {len(found.off):,} of the entries looked at again: "
            f"their differences are off by up to {max(found.off):.1g} of the derivative. epsilon=None chooses one per "
            "parameter."
        )
    if found.edges:
        entries = "1 entry" if found.edges == 1 else f"{found.edges:,} entries"
        yield f"At {entries} the cost is defined on one side only: judged there by one-sided differences."
    if found.suspects:
        noun, verb = "entry" if found.suspects == 1 else "entries", "was" if found.looked == 1 else "were"
        yield f"{found.looked:,} of {found.suspects:,} {noun} that disagreed {verb} looked at again with other steps."
    if found.unsure:
        entries = "1 entry disagrees" if found.unsure == 1 else f"{found.unsure:,} entries disagree"
        yield f"{entries}, but the time limit left no time to look again with other steps; give it more time."
