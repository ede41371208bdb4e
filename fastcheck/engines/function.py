"""Cost differences of any function: steps from measured noise and curvature, and a second look where they disagree."""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from ..activations import Array
from ..differences import Differences, Indices, Kinks, Run
from ..evaluators import Evaluator
from ..noise import ROUNDING, tensor_noise
from ..purity import require_same
from ..sampling import stratified_order
from ..steps import STENCILS, Slopes, central, first_step, power_of_two, refine, richardson
from ..structure import Structure

# Tensors of up to so many checked entries have the step of each entry chosen by itself; of others so many are tried.
SMALL, PILOTS = 16, 4
# Steps that noise is measured at, as parts of the parameters' size.
NEAR, FAR = 2.0**-24, 2.0**-17
# A step this much smaller than a parameter would lose its digits in the sum.
LEAST_STEP = 2.0**-36
# Values of a tensor further apart than this may need steps in proportion.
WIDE = 100.0
COMPLEX_STEP = 2.0**-67
# Entries looked at twice before it is asked whether they show a mistake: so many, and a share of all.
AGAIN, AGAIN_SHARE = 64, 1 / 32
# One batch of work: seconds between reports of progress.
BATCH_SECONDS = 0.5
RICHARDSON = "richardson"


@dataclass(frozen=True)
class FunctionProblem:
    """A cost at one point.

    Parameters
    ----------
    evaluator : computes costs.
    structure : names, shapes and places of the tensors.
    theta, gradient : (n,).
    cost : J(theta).
    """

    evaluator: Evaluator
    structure: Structure
    theta: Array
    gradient: Array
    cost: float


@dataclass(frozen=True)
class Choice:
    """How differences are taken.

    Parameters
    ----------
    epsilon : one step for all, or None for one per parameter from measured noise and curvature.
    order : 2, 4, 6 or "richardson".
    complex_step : the imaginary part at theta + i h instead.
    tolerance : relative disagreement from which an entry is looked at a second time.
    deadline : of ``time.perf_counter``; infinite for none.
    seed : of random choices.
    """

    epsilon: float | None = None
    order: int | str = 2
    complex_step: bool = False
    tolerance: float = 1e-7
    deadline: float = math.inf
    seed: int = 0


class Entries:
    """The lines along single parameters, which also counts evaluations."""

    def __init__(self, problem: FunctionProblem) -> None:
        self.problem = problem
        self.count = 0

    def __call__(self, which: Indices, distances: Array) -> tuple[Array, Array]:
        """Distances as they came out, and costs there."""
        start = self.problem.theta[which][:, None]
        values = start + distances
        self.count += values.size
        costs = self.problem.evaluator.moved(np.repeat(which, values.shape[1]), values.reshape(-1))
        return values - start, costs.reshape(values.shape)

    def at(self, theta: Any) -> Any:
        """The cost of a whole vector."""
        self.count += 1
        return self.problem.evaluator.at(theta)


@dataclass
class Found:
    """What is known about the checked entries, (k,) each; ``done`` says which are."""

    slope: Array
    error: Array
    step: Array
    noise: Array
    below: Array
    above: Array
    done: NDArray[np.bool_]
    notes: list[str] = field(default_factory=list)

    @classmethod
    def nothing(cls, count: int) -> "Found":
        """Nothing yet."""
        blank = [np.full(count, np.nan) for _ in range(6)]
        return cls(blank[0], blank[1], blank[2], blank[3], blank[4], blank[5], np.zeros(count, dtype=bool))

    def put(self, where: Indices, slope: Array, error: Array, below: Array, above: Array) -> None:
        """Write the results of some entries."""
        self.slope[where], self.error[where] = slope, error
        self.below[where], self.above[where] = below, above
        self.done[where] = True

    def put_slopes(self, where: Indices, slopes: Slopes) -> None:
        """Write slopes of order 6 with their steps."""
        self.step[where], self.noise[where] = slopes.step, slopes.noise
        self.put(where, slopes.slope, slopes.error, slopes.below, slopes.above)


def differences(
    problem: FunctionProblem, positions: Indices, choice: Choice, run: Run
) -> tuple[Differences, Indices, float | Array]:
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
    generator = np.random.default_rng(choice.seed)
    lines, found = Entries(problem), Found.nothing(positions.size)
    _plan(problem, lines, positions, choice, found, generator)
    _first_look(problem, lines, positions, choice, found, run)
    kinks = _second_look(problem, lines, positions, choice, found, generator)
    require_same(problem.cost, float(np.real(lines.at(problem.theta.copy()))), "after other parameters were tried")
    done = np.flatnonzero(found.done)
    facts = {"evaluations": lines.count, "order": "complex step" if choice.complex_step else choice.order}
    result = Differences(
        problem.cost, found.above[done], found.below[done], found.slope[done], found.error[done],
        _kinks_among(kinks, done), tuple(found.notes), facts, settled=True,
    )
    return result, positions[done], found.step[done] if choice.epsilon is None else choice.epsilon


def _plan(
    problem: FunctionProblem, lines: Entries, positions: Indices, choice: Choice, found: Found, generator: Generator
) -> None:
    """Steps and noise of all entries, tensor by tensor."""
    for tensor in problem.structure.tensors:
        first, last = np.searchsorted(positions, (tensor.start, tensor.stop))
        here = np.arange(first, last)
        if not here.size:
            continue
        if choice.complex_step:
            found.step[here], found.noise[here] = COMPLEX_STEP, 0.0
            continue
        size = float(np.median(np.abs(problem.theta[positions[here]]))) or 1.0
        near, far = (NEAR * size, FAR * size) if choice.epsilon is None else (choice.epsilon, None)
        noise = ROUNDING / 2.0 * abs(problem.cost)
        if here.size > SMALL or choice.epsilon is not None:
            noise = tensor_noise(lines.at, problem.theta, tensor, near, problem.cost, generator, far)
        found.noise[here] = noise
        if choice.epsilon is not None:
            found.step[here] = choice.epsilon
        else:
            _pilot(problem, lines, positions, choice, found, here, generator)


def _pilot(
    problem: FunctionProblem, lines: Entries, positions: Indices, choice: Choice, found: Found, here: Indices,
    generator: Generator,
) -> None:
    """Steps of one tensor's entries, from difference tables of a few of them (of all, in a small tensor)."""
    chosen = here if here.size <= SMALL else np.sort(generator.choice(here, PILOTS, replace=False))
    values = problem.theta[positions]
    start = first_step(values[here])[np.searchsorted(here, chosen)]
    slopes = refine(lines, positions[chosen], start, problem.cost, found.noise[chosen])
    order = 4 if choice.order == RICHARDSON else int(choice.order)
    best = slopes.best_step(order)
    if here.size > SMALL:
        _extend(found, here, values[here], np.abs(values[chosen]), best, slopes)
    else:
        found.step[here] = best
        found.noise[here] = np.fmax(found.noise[here], slopes.noise)
    if choice.order == 6:
        found.put_slopes(chosen, slopes)


def _extend(found: Found, here: Indices, values: Array, sizes: Array, best: Array, slopes: Slopes) -> None:
    """Steps for a whole tensor from the best ones of a few entries: the same for all, or in proportion."""
    known = np.isfinite(slopes.error) & slopes.smooth & (sizes > 0.0)
    if not known.any():
        known = np.ones_like(known)
    logs, sizes = np.log2(best[known]), sizes[known]
    found.step[here] = np.exp2(np.median(logs))
    if sizes.min() > 0.0 and sizes.max() > WIDE * sizes.min() and np.std(logs - np.log2(sizes)) < np.std(logs):
        ratio = np.exp2(np.median(logs - np.log2(sizes)))
        found.step[here] = ratio * np.where(values == 0.0, np.median(sizes), np.abs(values))
    found.step[here] = power_of_two(np.maximum(found.step[here], LEAST_STEP * np.abs(values)))
    found.noise[here] = np.fmax(found.noise[here], np.median(slopes.noise[known]))


def _first_look(
    problem: FunctionProblem, lines: Entries, positions: Indices, choice: Choice, found: Found, run: Run
) -> None:
    """All entries once, in batches, as far as the deadline lets."""
    waiting = np.flatnonzero(~found.done)
    if math.isfinite(choice.deadline):
        order = stratified_order(
            problem.structure.tensors, positions[waiting], np.random.default_rng(choice.seed)
        )
        waiting = waiting[order]
    least = len(problem.structure.tensors)
    finished = positions.size - waiting.size
    for batch in _batches(waiting.size, least, choice.deadline):
        _measure(problem, lines, positions, choice, found, waiting[batch])
        run.progress(finished + batch.stop, positions.size)


def _batches(count: int, least: int, deadline: float) -> Iterator[slice]:
    """Batches of work that take about BATCH_SECONDS each; the first ``least`` pieces are done in any case."""
    done, size = 0, max(least, 1)
    while done < count:
        started = time.perf_counter()
        batch = slice(done, min(done + size, count))
        yield batch
        now = time.perf_counter()
        done = batch.stop
        each = max(now - started, 1e-9) / (batch.stop - batch.start)
        if now >= deadline:
            return
        size = int(max(1, min(4 * size, min(BATCH_SECONDS, deadline - now) / each)))


def _measure(
    problem: FunctionProblem, lines: Entries, positions: Indices, choice: Choice, found: Found, where: Indices
) -> None:
    """Slopes of some entries at the steps planned for them."""
    which, step, noise = positions[where], found.step[where], found.noise[where]
    if choice.complex_step:
        slope, cost = _complex_slopes(problem, lines, which)
        found.put(where, slope, 8.0 * ROUNDING * np.abs(slope), cost, cost)
    elif choice.order == RICHARDSON:
        first = 4.0 * step if choice.epsilon is None else step
        slope, doubt, below, above = richardson(lines, which, first)
        found.step[where] = first
        found.put(where, slope, doubt + 2.0 * noise / step, below, above)
    else:
        stencil = STENCILS[int(choice.order)]
        slope, below, above = central(lines, which, step, stencil.order)
        rounding = stencil.rounding * noise / step
        # At the best step the stencil leaves out the order-th part of what noise does; twice that for neighbours.
        share = 0.0 if choice.epsilon is not None else 2.0 / stencil.order
        found.put(where, slope, (1.0 + share) * rounding, below, above)


def _complex_slopes(problem: FunctionProblem, lines: Entries, which: Indices) -> tuple[Array, Array]:
    """Im J(theta + i h e_k) / h: no difference, so no rounding (Squire and Trapp, SIAM Review 40, 1998)."""
    lines.count += which.size
    costs = problem.evaluator.moved(which, problem.theta[which] + 1j * COMPLEX_STEP)
    return costs.imag / COMPLEX_STEP, np.ascontiguousarray(costs.real)


def _second_look(
    problem: FunctionProblem, lines: Entries, positions: Indices, choice: Choice, found: Found, generator: Generator
) -> dict[int, tuple[float, float]]:
    """Look again, with other steps, at entries that disagree with the gradient: is it the step, a kink, or a mistake?

    Returns
    -------
    One-sided derivatives (low, high) of entries at kinks, by their place among the positions.
    """
    gradient = problem.gradient[positions]
    with np.errstate(invalid="ignore"):
        apart = np.abs(found.slope - gradient) > choice.tolerance * (np.abs(found.slope) + np.abs(gradient))
    suspects = np.flatnonzero(found.done & apart & np.isfinite(gradient))
    kinks: dict[int, tuple[float, float]] = {}
    if not suspects.size or not math.isfinite(problem.cost):
        return kinks
    suspects = generator.permutation(suspects)
    size = int(AGAIN + AGAIN_SHARE * positions.size)
    looked = 0
    for start in range(0, suspects.size, size):
        batch = np.sort(suspects[start : start + size])
        looked += batch.size
        guilty = _look_again(problem, lines, positions, choice, found, batch, kinks)
        if guilty or time.perf_counter() > choice.deadline:
            break
    found.notes.append(f"{looked:,} of {suspects.size:,} entries that disagreed were looked at again with other steps.")
    return kinks


def _look_again(
    problem: FunctionProblem, lines: Entries, positions: Indices, choice: Choice, found: Found, batch: Indices,
    kinks: dict[int, tuple[float, float]],
) -> bool:
    """Replace or qualify what was found of some entries; whether some of them are wrong beyond doubt."""
    which, gradient = positions[batch], problem.gradient[positions[batch]]
    start = first_step(problem.theta[which])
    noise = np.where(np.isnan(found.noise[batch]), 0.0, found.noise[batch])
    slopes = refine(lines, which, start, problem.cost, noise)
    kinked = ~slopes.smooth & np.isfinite(slopes.left) & np.isfinite(slopes.right)
    for place in np.flatnonzero(kinked):
        low, high = sorted((float(slopes.left[place]), float(slopes.right[place])))
        kinks[int(batch[place])] = (low, high)
    better = slopes.smooth & np.isfinite(slopes.error)
    if choice.complex_step:
        _require_analytic(problem, found, batch[better], which[better], slopes.slope[better], slopes.error[better])
    elif choice.epsilon is None:
        better &= slopes.error < found.error[batch]
        found.put_slopes(batch[better], _subset(slopes, better))
    else:  # the caller's epsilon stands; what it is off by is part of its error
        off = np.abs(slopes.slope - found.slope[batch])
        found.error[batch] = np.where(better, np.maximum(found.error[batch], off), found.error[batch])
    with np.errstate(invalid="ignore"):
        wrong = np.abs(slopes.slope - gradient) > (
            choice.tolerance * (np.abs(slopes.slope) + np.abs(gradient)) + 8.0 * slopes.error
        )
    return bool(np.any(wrong & ~kinked))


def _subset(slopes: Slopes, where: NDArray[np.bool_]) -> Slopes:
    some = Slopes.unknown(int(np.count_nonzero(where)))
    some.take(slopes, np.ones(some.slope.size, dtype=bool), where)
    return some


def _require_analytic(
    problem: FunctionProblem, found: Found, batch: Indices, which: Indices, slope: Array, error: Array
) -> None:
    apart = np.abs(found.slope[batch] - slope) > 1e-5 * np.abs(slope) + 8.0 * error
    if apart.any():
        place = int(np.argmax(apart))
        raise ValueError(
            f"complex_step: at {problem.structure.place(int(which[place]))} it gives "
            f"{found.slope[batch][place]:.9g}, real differences {slope[place]:.9g}: the cost is not analytic. abs, "
            "conj, .real, .T.conj(), norms and casts to float break it; rewrite them, or use order=6"
        )


def _kinks_among(kinks: dict[int, tuple[float, float]], done: Indices) -> Kinks:
    """Kinks by their place among the checked positions."""
    places = np.array(sorted(kinks), dtype=np.int64)
    low = np.array([kinks[int(place)][0] for place in places])
    high = np.array([kinks[int(place)][1] for place in places])
    return Kinks(np.searchsorted(done, places).astype(np.int64), low, high)
