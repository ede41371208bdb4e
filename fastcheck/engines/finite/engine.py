"""Cost differences of any function, by subtraction: steps planned per parameter, a second look at what disagrees."""

import math
import time
from collections.abc import Iterator

import numpy as np

from ..._types import Array, Indices
from ...problems.functions.purity import require_same
from ...problems.gradients import Kinks, NumericalGradient
from ...problems.parameters.sampling import stratified_order
from ...runtime.run import Run
from .difference_table import SlopeEstimates, table
from .noise import ROUNDING
from .plan_steps import COMPLEX_STEP, plan
from .recheck import look_again
from .state import NOISE, RICHARDSON, CheckState, FunctionProblem, Method
from .stencils import STENCILS, WIDEST, central, richardson
from .steps import median, refine

# Errors this many times the usual one call for another step.
POOR = 30.0
# A bend this many times the usual one of at least so many entries is a kink's; then a step so much shorter is taken.
OUTLIER, ENOUGH, SHORTER = 10.0, 16, 16.0
# One batch of work: seconds between reports of progress.
BATCH_SECONDS = 0.5
# Bytes of an entry in it: a few evaluations, each with its place, distance, value and cost.
BYTES_PER_ENTRY = 400
# Orders at which all entries have the same few evaluations, at a step that is not their own.
CENTRAL = (2, 4)
# The table of extrapolation begins at so many times the best step of order 4.
RICHARDSON_REACH = 4.0
# Roundings that the imaginary part of a cost goes through, at the usual length of a computation.
NOISE_OF_COMPLEX = 8.0


def differences(
    problem: FunctionProblem, positions: Indices, choice: Method, run: Run
) -> tuple[NumericalGradient, Indices, float | Array]:
    """Cost differences of a function at positions of theta.

    Parameters
    ----------
    positions : (k,) ascending.
    choice : how.

    Returns
    -------
    Differences, the positions that were checked before the deadline (ascending), and epsilon: one for all or one each.

    Raises
    ------
    NondeterministicError : if the cost at theta is another one at the end.
    ValueError : if complex_step was asked for and the cost is not analytic.
    Whatever the cost raises, with a note that says at which parameter.
    """
    work = CheckState.begin(problem, positions, choice)
    plan(work)
    _look_at_all(work, run)
    _look_closer(work)
    look_again(work)
    again = float(np.real(work.lines.at(problem.theta.copy())))
    require_same(problem.cost, again, "after other parameters were tried")
    found, done = work.found, np.flatnonzero(work.found.done)
    facts = {"evaluations": work.lines.count, "order": "complex step" if choice.complex_step else choice.order}
    result = NumericalGradient(
        problem.cost, found.above[done], found.below[done], found.slope[done], found.error[done], _kinks(work, done),
        tuple(work.notes), facts, settled=True,
    )
    return result, positions[done], found.step[done] if choice.epsilon is None else choice.epsilon


def _look_at_all(work: CheckState, run: Run) -> None:
    """All entries once, in batches, as far as the deadline lets."""
    waiting = np.flatnonzero(~work.found.done)
    finished, total = work.positions.size - waiting.size, work.positions.size
    tensors = work.problem.layout.tensors
    if math.isfinite(work.choice.deadline):
        waiting = waiting[stratified_order(tensors, work.positions[waiting], work.generator)]
    seconds = min(BATCH_SECONDS / 4.0, work.choice.deadline - time.perf_counter())
    first = max(len(tensors), int(seconds / max(6.0 * work.lines.seconds_each, 1e-7)))
    most = max(1, run.memory_limit // BYTES_PER_ENTRY)
    for batch in _batches(waiting.size, min(first, most), most, work.choice.deadline):
        _measure(work, waiting[batch])
        run.progress(finished + batch.stop, total)
    if not waiting.size:
        run.progress(total, total)


def _batches(count: int, first: int, most: int, deadline: float) -> Iterator[slice]:
    """Batches that take about BATCH_SECONDS each, of so many entries at most; the first one is done in any case."""
    done, size = 0, first
    while done < count:
        started = time.perf_counter()
        batch = slice(done, min(done + size, count))
        yield batch
        now = time.perf_counter()
        done = batch.stop
        each = max(now - started, 1e-9) / (batch.stop - batch.start)
        if now >= deadline:
            return
        size = int(max(1, min(most, 4 * size, min(BATCH_SECONDS, deadline - now) / each)))


def _measure(work: CheckState, where: Indices) -> None:
    """Slopes of some entries at the steps planned for them."""
    choice, found = work.choice, work.found
    which, step, noise = work.positions[where], found.step[where], found.noise[where]
    if choice.complex_step:
        slope, cost = _complex_slopes(work, which)
        found.put(where, slope, NOISE_OF_COMPLEX * ROUNDING * np.abs(slope), cost, cost)
    elif choice.order == RICHARDSON:
        first = RICHARDSON_REACH * step if choice.epsilon is None else step
        slope, doubt, below, above = richardson(work.lines, which, first)
        found.step[where] = first
        found.put(where, slope, doubt + 2.0 * noise / step, below, above)
    elif choice.order == WIDEST.order and choice.epsilon is None:
        found.put_slopes(where, _tables(work, which, step, noise))
    else:
        stencil = STENCILS[int(choice.order)]
        slope, below, above = central(
            work.lines, which, step, stencil.order, literal=choice.epsilon is not None
        )
        # At the best step the stencil leaves out the order-th part of what noise does; twice that for neighbours.
        share = 0.0 if choice.epsilon is not None else 2.0 / stencil.order
        found.put(where, slope, (1.0 + share) * stencil.rounding * noise / step, below, above)


def _look_closer(work: CheckState) -> None:
    """Take a shorter step for entries that bend the cost far more than is usual: most likely it crosses a kink."""
    choice, found = work.choice, work.found
    if choice.epsilon is not None or choice.complex_step or choice.order not in CENTRAL:
        return
    with np.errstate(invalid="ignore"):
        bend = np.abs(found.above + found.below - 2.0 * work.problem.cost)
        candidates = found.done & (bend > 4.0 * NOISE * found.noise)
    for tensor in work.problem.layout.tensors:
        first, last = np.searchsorted(work.positions, (tensor.start, tensor.stop))
        here = first + np.flatnonzero(candidates[first:last])
        if here.size > ENOUGH and time.perf_counter() < choice.deadline:
            bent = here[bend[here] > OUTLIER * median(bend[here])]
            found.step[bent] /= SHORTER
            _measure(work, bent)


def _complex_slopes(work: CheckState, which: Indices) -> tuple[Array, Array]:
    """Im J(theta + i h e_k) / h: no difference, so no rounding (Squire and Trapp, SIAM Review 40, 1998)."""
    costs = work.lines.costs_at(which, work.problem.theta[which] + 1j * COMPLEX_STEP)
    return costs.imag / COMPLEX_STEP, np.ascontiguousarray(costs.real)


def _tables(work: CheckState, which: Indices, step: Array, noise: Array) -> SlopeEstimates:
    """Slopes of order 6, each with its own difference table; where that is poor, with a step of its own."""
    slopes = table(work.lines, which, step, work.problem.cost, noise)
    poor = ~slopes.smooth | ~(slopes.error <= POOR * median(slopes.error))
    if poor.any():
        better = refine(work.lines, which[poor], step[poor], work.problem.cost, noise[poor])
        slopes.take(better, poor, np.ones(better.slope.size, dtype=bool))
    return slopes


def _kinks(work: CheckState, done: Indices) -> Kinks:
    """Kinks by their place among the checked positions."""
    places = np.array(sorted(work.kinks), dtype=np.int64)
    low, high = (np.array([work.kinks[int(place)][side] for place in places]) for side in (0, 1))
    return Kinks(np.searchsorted(done, places).astype(np.int64), low, high)
