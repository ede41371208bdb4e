"""How far rounding inside a program reaches into the slopes of entries: its results are off by a rounding each.

Inputs that are off by an ulp or two do not show all of it.  Near zero they leave cos(x) as it is, whose rounding
(1 - cos(x)) / x**2 divides by x**2, and its slope by x**3.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..._constants import NOISE_SIGMAS, SATURATED, UNIT_ROUNDOFF, UNIT_ROUNDOFFS
from ..._types import Array, Indices, Mask
from ...problems.gradients import NumericalGradient
from ...problems.parameters.sampling import stratified_order
from ...problems.parameters.tensor import Tensor
from ..finite.problem import Method
from ..finite.unlearned import SHRUNK
from .chords import COLUMNS, starts_of, steepest_chords, unlearned_cost
from .problem import ProgramProblem
from .runner import DifferencedProgram, Runner, costs_of, scales
from .trust import UNIT, root_mean_square

# Draws of roundings, whose root mean square is taken.
DRAWS = 3
# Entries that are looked at first, one of each tensor if these are enough; the others are where rounding explains one.
FEWEST, FIRST = 3, 8
# Entries of a run at most, each of which is moved with and without rounding.
MOST = 64
# The step, relative to an entry: so long that a rounding is no part of it, and what curvature leaves is subtracted.
STEP = 2.0**-20

# A gradient's formula may lose this many roundings of the steepest chord, as a standard error: where a unit goes from
# one end to the other, its steepest slope is some ten times the chord's.
LOST = 64.0
# ... and this many times the share of the cost that is seen to be rounding, where that is more.
STEEPER = 16.0
# ... and in every entry this share of what is usual in its tensor: where samples cancel, so that the cost hardly moves
# with one of them, their roundings do not.
SPREAD = 1.0 / 4.0


class Rounded:
    """An observer that has every moving result, and its change, be off by a rounding in some rows.

    Parameters
    ----------
    seeds : of the roundings.
    rows : for each row which of the seeds its roundings have; -1 for none.
    far : whether moves may be so long that a result has another size behind them, and another rounding.
    """

    def __init__(self, seeds: Sequence[int], rows: Indices, *, far: bool = False) -> None:
        self._seeds, self._rows, self._far = seeds, rows, far

    def result(self, count: int, value: Any, change: Any) -> Any:
        """Return the change to go on with, of the result of operation number ``count``."""
        value = np.asarray(value)
        if change is None or value.dtype.kind not in "fc":
            return change
        off, factor = np.zeros((2, len(self._seeds) + 1, *value.shape))
        for place, seed in enumerate(self._seeds):
            off[place], factor[place] = UNIT * np.random.default_rng((seed, count)).standard_normal((2, *value.shape))
        if self._far:
            moved = value + change
            return change + np.where(np.isfinite(moved), moved * off[self._rows], 0.0)
        off = np.where(np.isfinite(value), value * off, 0.0)
        return change * (1.0 + factor[self._rows]) + off[self._rows]


class Sized:
    """An observer that counts the numbers in all moving results."""

    numbers = 0

    def result(self, count: int, value: Any, change: Any) -> Any:
        """Return the change to go on with, of the result of operation number ``count``."""
        self.numbers += 0 if change is None else int(np.size(value))
        return change


def with_rounding(
    problem: ProgramProblem, found: NumericalGradient, done: Indices, gradient: Array, units: Array, method: Method,
    memory_limit: int,
) -> NumericalGradient:
    """Return differences whose noise tells of rounding inside the program, at entries that a gradient contradicts.

    Parameters
    ----------
    problem, found, done : the program, its differences, and the positions of theta that they are of.
    gradient, units : (n,) what they are held against, and the unit roundoff that it was computed with.
    method : the tolerance, the seed of the roundings, and the deadline after which nothing is looked at.
    memory_limit : bytes that changes may take.
    """
    tolerance, seed = method.tolerance, method.seed
    given = gradient[done]
    with np.errstate(invalid="ignore"):
        apart = np.abs(given - found.gradapprox)
        doubted = apart > tolerance * np.abs(found.gradapprox) + NOISE_SIGMAS * found.noise
    doubted &= np.isfinite(apart)
    if found.kinks is not None:
        doubted[found.kinks.where] = False
    if not hasattr(problem.program, "watched"):  # of which nothing is known in less than double precision
        doubted &= units[done] <= UNIT_ROUNDOFF
    places = np.flatnonzero(doubted)
    if not places.size or time.perf_counter() >= method.deadline:
        return found
    noise = np.array(np.broadcast_to(found.noise, done.shape))
    inside, lost = np.zeros((2, done.size))
    most = _entries_of_run(problem, memory_limit)
    order = stratified_order(problem.tensors, done[places], np.random.default_rng(seed))
    tensors = sum(bool(doubted[np.searchsorted(done, t.start) : np.searchsorted(done, t.stop)].any())
                  for t in problem.tensors)
    places, looked, first = places[order], 0, min(max(FEWEST, tensors), FIRST)
    here = _rounding_here(problem, seed)
    lose = max(LOST * UNIT_ROUNDOFF, STEEPER * _share_of_rounding(problem, seed, here))
    starts = starts_of(problem, here)
    while looked < places.size and time.perf_counter() < method.deadline:
        block = places[looked : looked + min(most, max(first, looked))]
        inside[block] = _roundings(problem, done[block], seed, method.deadline)
        noise[block] = np.hypot(noise[block], inside[block])
        lost[block] = lose * steepest_chords(problem, done[block], max(1, most // COLUMNS), starts)
        low = units[done[block]] / UNIT_ROUNDOFF
        rounding = noise[block] + np.where(low > 1.0, low * np.maximum(inside[block], SATURATED * lost[block]),
                                          lost[block])
        explained = apart[block] <= tolerance * np.abs(found.gradapprox[block]) + NOISE_SIGMAS * rounding
        looked += block.size
        if looked >= first and not explained.any():
            break
    for t in problem.tensors:
        mine = places[:looked][(done[places[:looked]] >= t.start) & (done[places[:looked]] < t.stop)]
        if mine.size:
            lost[mine] = np.maximum(lost[mine], SPREAD * root_mean_square(lost[mine]))
    return replace(found, noise=noise, inside=inside, lost=lost)


def units_of(tensors: Sequence[Tensor], precision: Mapping[str, str]) -> Array:
    """Return the unit roundoff (n,) of every entry's gradient, by the dtypes of those in less than double precision."""
    return np.concatenate([np.full(t.size, UNIT_ROUNDOFFS.get(precision.get(t.name, "float64"), UNIT_ROUNDOFF))
                           for t in tensors])


def _entries_of_run(problem: ProgramProblem, memory_limit: int) -> int:
    """Return how many entries may be moved at once, by what a column takes if all of its results are kept."""
    changes = {number: value[None] for number, value in enumerate(problem.inputs(problem.theta))}
    if not hasattr(problem.program, "watched"):
        runner = Runner(problem.program, problem.weights, memory_limit)
        return max(1, min(MOST, runner.most_columns([value.size for value in changes.values()]) // COLUMNS))
    _, sized = problem.program.watched(changes, Sized, 1)
    columns: int = memory_limit // (8 * max(1, problem.theta.size + sized.numbers))
    return max(1, min(MOST, (columns - DRAWS) // (1 + DRAWS)))


def _roundings(problem: ProgramProblem, positions: Indices, seed: int, deadline: float) -> Array:
    """Return standard errors that rounding inside the program leaves in slopes at positions of theta."""
    steps = STEP * np.concatenate([scales(value) for value in problem.inputs(problem.theta)])[positions]
    moves = np.zeros((positions.size, problem.theta.size))
    moves[np.arange(positions.size), positions] = steps
    k = positions.size
    parts = {number: moves[:, t.start : t.stop].reshape(k, *t.shape) for number, t in enumerate(problem.tensors)}
    return rounding_along(problem.program, problem.weights, parts, seed, deadline) / steps


def _share_of_rounding(problem: ProgramProblem, seed: int, here: float) -> float:
    """Return the share of a cost that is rounding; 0 where that is not known.

    An epsilon inside a logarithm, log(1 - a + epsilon) with a next to one, divides the rounding of a by epsilon, in the
    cost and in the slope that a formula makes of a.  Rounding that stays the same where all parameters have shrunk is
    that of a sum with something large, which reaches no slope.

    Parameters
    ----------
    problem, seed : the program, and the seed of the roundings.
    here : the rounding of the cost at theta.
    """
    if not hasattr(problem.program, "watched"):
        return 0.0
    moves = np.array([share - 1.0 for share in SHRUNK])[:, None] * problem.theta
    parts = {number: moves[:, t.start : t.stop].reshape(len(moves), *t.shape)
             for number, t in enumerate(problem.tensors)}
    with np.errstate(all="ignore"):
        together = _together(problem.program.watched, problem.weights, parts, range(seed, seed + DRAWS), far=True)
    size, followed = unlearned_cost(problem, here)
    if together is None or size == 0.0:
        return 0.0
    known = together.found[:, np.isfinite(together.found).all(axis=0) & followed[: len(SHRUNK)]]
    if known.size:  # by kinks, too: moves as long as these always meet some
        return max(map(root_mean_square, known.T)) / size
    return here / size if math.isfinite(here) else 0.0


def _rounding_here(problem: ProgramProblem, seed: int) -> float:
    """Return the standard error of the cost's rounding at theta; infinity where that is not known."""
    if not hasattr(problem.program, "watched"):
        return math.inf
    still = {number: np.zeros(t.shape) for number, t in enumerate(problem.tensors)}
    return rounding_of_cost(problem.program, problem.weights, still, seed)


def rounding_along(
    program: DifferencedProgram, weights: Sequence[Any], moves: Mapping[int, Array], seed: int,
    deadline: float = math.inf,
) -> Array:
    """Return standard errors (k,) that rounding inside a program leaves in the cost's changes along moves.

    Parameters
    ----------
    program, weights : what is moved, and of each output what the cost takes it by.
    moves : by the input's number, (k, *shape), far longer than roundings.
    seed : of the roundings.
    deadline : after which no more of them are drawn.

    Notes
    -----
    They are what rounding and a move do to the cost together, beside what each of them does by itself; zero where that
    is not known: at kinks, of programs whose operations nobody can watch, and where there was no time.
    """
    k = len(next(iter(moves.values())))
    if not hasattr(program, "watched") or time.perf_counter() >= deadline:
        return np.zeros(k)
    seeds = range(seed, seed + DRAWS)
    errors = _errors(program.watched, weights, moves, seeds)
    if errors is None:  # rounding turned a branch in one of them, perhaps
        alone = [_errors(program.watched, weights, moves, [one]) for one in seeds if time.perf_counter() < deadline]
        known = [one for one in alone if one is not None]
        errors = np.concatenate(known) if known else np.zeros((1, k))
    return np.array([root_mean_square(column) for column in errors.T])


def rounding_of_cost(
    program: DifferencedProgram, weights: Sequence[Any], still: Mapping[int, Array], seed: int
) -> float:
    """Return the standard error of a cost that rounding inside its program makes; 0 where that is not known.

    Parameters
    ----------
    program, weights : what is computed, and of each output what the cost takes it by.
    still : zeros, by the input's number, of the inputs on which what is rounded depends.
    seed : of the roundings.
    """
    if not hasattr(program, "watched"):
        return 0.0
    seeds, rows = range(seed, seed + DRAWS), np.arange(DRAWS)
    changes = {number: np.zeros((DRAWS, *zeros.shape)) for number, zeros in still.items()}
    response, _ = program.watched(changes, lambda: Rounded(seeds, rows), DRAWS)
    if response is None:
        return 0.0
    found = root_mean_square(costs_of(response, weights, DRAWS))
    return found if math.isfinite(found) else math.inf  # where rounding leaves no number, it explains all


def _errors(
    watched: Callable[..., Any], weights: Sequence[Any], moves: Mapping[int, Array], seeds: Sequence[int]
) -> Array | None:
    """Return what roundings (seeds, k) and moves do to the cost together; None where the program cannot be followed."""
    together = _together(watched, weights, moves, seeds)
    if together is None:
        return None
    return np.where(np.isfinite(together.found) & ~together.kinked, together.found, 0.0)


@dataclass(frozen=True)
class _Together:
    """What roundings and moves do to a cost together, and where one of them met a kink; both (seeds, k)."""

    found: Array
    kinked: Mask


def _together(
    watched: Callable[..., Any], weights: Sequence[Any], moves: Mapping[int, Array], seeds: Sequence[int], *,
    far: bool = False,
) -> _Together | None:
    """Do what ``_errors`` does, at kinks as well, and for moves of any length; what is not known is not finite."""
    k, draws = len(next(iter(moves.values()))), len(seeds)
    # Moves without rounding, then for each draw one row that nothing moves but rounding, and the moves with it.
    rows = np.concatenate([np.full(k, -1), np.repeat(np.arange(draws), 1 + k)])
    changes = {
        number: np.concatenate([move, *[np.zeros_like(move[:1]), move] * draws]) for number, move in moves.items()
    }
    response, _ = watched(changes, lambda: Rounded(seeds, rows, far=far), rows.size)
    if response is None:
        return None
    costs = costs_of(response, weights, rows.size)
    flagged = np.broadcast_to(response.crossed | response.ties, rows.size)
    bare, rounded = costs[:k], costs[k:].reshape(draws, 1 + k)
    unknown = flagged[k:].reshape(draws, 1 + k)
    return _Together(rounded[:, 1:] - rounded[:, :1] - bare, unknown[:, 1:] | unknown[:, :1] | flagged[:k])
