"""How far rounding inside a program reaches into the slopes of entries: its results are off by a rounding each.

Inputs that are off by an ulp or two do not show all of it.  Near zero they leave cos(x) as it is, whose rounding
(1 - cos(x)) / x**2 divides by x**2, and its slope by x**3.
"""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..._constants import NOISE_SIGMAS, SATURATED, UNIT_ROUNDOFF
from ..._types import Array, Indices, Mask
from ...problems.gradients import NumericalGradient
from ...problems.parameters.sampling import stratified_order
from ..finite.problem import Method
from ..finite.unlearned import SHRUNK
from .chords import (
    COLUMNS,
    far_costs,
    leads_there,
    moves_where_shrunk,
    parts_of,
    sizes_where_shrunk,
    starts_of,
    steepest_chords,
)
from .places import scales
from .problem import ProgramProblem
from .protocols import DifferencedProgram
from .rounded import Roundings
from .runner import costs_of
from .trust import root_mean_square

# Draws of roundings, whose root mean square is taken.
DRAWS = 3
# ... and of those that the cost itself is held against, in programs of few numbers: three draws say too little of what
# takes a few values only, in one check of five.
DRAWS_OF_COST, FEW_NUMBERS = 16, 1 << 16
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
    with np.errstate(invalid="ignore"):
        apart = np.abs(gradient[done] - found.gradapprox)
    doubted = _contradicted(found, apart, tolerance)
    if not hasattr(problem.program, "watched"):  # frameworks run in less than double precision themselves: they tell
        doubted &= units[done] <= UNIT_ROUNDOFF
    places = np.flatnonzero(doubted)
    if not places.size or time.perf_counter() >= method.deadline:
        return found
    noise = np.array(np.broadcast_to(found.noise, done.shape))
    inside, lost = np.zeros((2, done.size))
    sizes = sizes_where_shrunk(problem)
    numbers = sum(one.numbers for one in sizes) or problem.program.column_numbers()
    most = _entries_of_run(problem, numbers, memory_limit)
    order = stratified_order(problem.tensors, done[places], np.random.default_rng(seed))
    tensors = sum(bool(doubted[np.searchsorted(done, t.start) : np.searchsorted(done, t.stop)].any())
                  for t in problem.tensors)
    places, looked, first = places[order], 0, min(max(FEWEST, tensors), FIRST)
    share, followed = _share_of_rounding(problem, seed, DRAWS_OF_COST if numbers <= FEW_NUMBERS else DRAWS)
    lose = max(LOST * UNIT_ROUNDOFF, STEEPER * share)
    starts = starts_of(problem, sizes, followed)
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
    _spread(problem, done, places[:looked], lost)
    return replace(found, noise=noise, inside=inside, lost=lost)


def _contradicted(found: NumericalGradient, apart: Array, tolerance: float) -> Mask:
    """Tell which differences a gradient, so far from them, contradicts; at kinks there is more than one slope."""
    with np.errstate(invalid="ignore"):
        doubted = apart > tolerance * np.abs(found.gradapprox) + NOISE_SIGMAS * found.noise
    doubted &= np.isfinite(apart)
    if found.kinks is not None:
        doubted[found.kinks.where] = False
    return np.asarray(doubted)


def _spread(problem: ProgramProblem, done: Indices, looked_at: Indices, lost: Array) -> None:
    """Let entries that were looked at lose a share at least of what is usual among those of their tensor."""
    positions = done[looked_at]
    for t in problem.tensors:
        mine = looked_at[(positions >= t.start) & (positions < t.stop)]
        if mine.size:
            lost[mine] = np.maximum(lost[mine], SPREAD * root_mean_square(lost[mine]))


def _entries_of_run(problem: ProgramProblem, numbers: int, memory_limit: int) -> int:
    """Return how many entries may be moved at once, by what a column takes if all of its results are kept."""
    columns = memory_limit // (8 * max(1, problem.theta.size + numbers))
    return max(1, min(MOST, (columns - DRAWS) // (1 + DRAWS)))


def _roundings(problem: ProgramProblem, positions: Indices, seed: int, deadline: float) -> Array:
    """Return standard errors that rounding inside the program leaves in slopes at positions of theta."""
    steps = STEP * np.concatenate([scales(value) for value in problem.inputs(problem.theta)])[positions]
    moves = np.zeros((positions.size, problem.theta.size))
    moves[np.arange(positions.size), positions] = steps
    return rounding_along(problem.program, problem.weights, parts_of(problem, moves), seed, deadline) / steps


def _share_of_rounding(problem: ProgramProblem, seed: int, draws: int) -> tuple[float, Mask]:
    """Return the share of a cost that is rounding, 0 where that is not known; and where exact changes lead (k,).

    An epsilon inside a logarithm, log(1 - a + epsilon) with a next to one, divides the rounding of a by epsilon, in the
    cost and in the slope that a formula makes of a.  Rounding that stays the same where all parameters have shrunk is
    that of a sum with something large, which reaches no slope.

    The second is of the places where they have shrunk: of what has underflowed at theta, exact changes say nothing.
    """
    moves, seeds = moves_where_shrunk(problem), range(seed, seed + draws)
    followed, together = np.ones(len(moves), dtype=bool), None
    for k in (len(moves), len(SHRUNK)):  # where signs have changed too, it may take another branch
        with np.errstate(all="ignore"):
            together = together or _together(problem.program, problem.weights, parts_of(problem, moves[:k]), seeds,
                                             far=True)
    if together is None:
        return 0.0, followed
    costs, rounding = far_costs(problem), root_mean_square(together.still)
    size = float(np.max(np.abs(costs[np.isfinite(costs)]), initial=abs(problem.cost)))
    exact, found = problem.cost + together.bare, np.array([root_mean_square(column) for column in together.found.T])
    # a rounding that is larger than the cost is none that the cost has
    sound = leads_there(problem, exact, costs[: exact.size], rounding) & ~(found > size)
    followed[: exact.size] = sound
    told = found[: len(SHRUNK)][(sound & np.isfinite(found))[: len(SHRUNK)]]
    rounding = float(told.max(initial=0.0)) if told.size else rounding  # by kinks, too: such moves always meet some
    return rounding / size if size > 0.0 and math.isfinite(rounding) else 0.0, followed


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
    is not known: at kinks, of programs that cannot be followed, and where there was no time.
    """
    k = len(next(iter(moves.values())))
    if time.perf_counter() >= deadline:
        return np.zeros(k)
    seeds = range(seed, seed + DRAWS)
    errors = _errors(program, weights, moves, seeds)
    if errors is None:  # rounding turned a branch in one of them, perhaps
        alone = [_errors(program, weights, moves, [one]) for one in seeds if time.perf_counter() < deadline]
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
    roundings = Roundings(range(seed, seed + DRAWS), np.arange(DRAWS))
    changes = {number: np.zeros((DRAWS, *zeros.shape)) for number, zeros in still.items()}
    response = program.rounded(changes, roundings)
    if response is None:
        return 0.0
    found = root_mean_square(costs_of(response, weights, DRAWS))
    return found if math.isfinite(found) else math.inf  # where rounding leaves no number, it explains all


def _errors(
    program: DifferencedProgram, weights: Sequence[Any], moves: Mapping[int, Array], seeds: Sequence[int]
) -> Array | None:
    """Return what roundings (seeds, k) and moves do to the cost together; None where the program cannot be followed."""
    together = _together(program, weights, moves, seeds)
    if together is None:
        return None
    return np.where(np.isfinite(together.found) & ~together.kinked, together.found, 0.0)


@dataclass(frozen=True)
class _Together:
    """What roundings and moves do to a cost together.

    found, kinked : what both do beside what each does by itself, and where one of them met a kink, (seeds, k).
    bare, still : what moves do alone, (k,), and roundings, (seeds,).
    """

    found: Array
    kinked: Mask
    bare: Array
    still: Array


def _together(
    program: DifferencedProgram, weights: Sequence[Any], moves: Mapping[int, Array], seeds: Sequence[int], *,
    far: bool = False,
) -> _Together | None:
    """Do what ``_errors`` does, at kinks as well, and for moves of any length; what is not known is not finite."""
    k, draws = len(next(iter(moves.values()))), len(seeds)
    # Moves without rounding, then for each draw one row that nothing moves but rounding, and the moves with it.
    rows = np.concatenate([np.full(k, -1), np.repeat(np.arange(draws), 1 + k)])
    changes = {
        number: np.concatenate([move, *[np.zeros_like(move[:1]), move] * draws]) for number, move in moves.items()
    }
    response = program.rounded(changes, Roundings(seeds, rows, far))
    if response is None:
        return None
    costs = costs_of(response, weights, rows.size)
    flagged = np.broadcast_to(response.crossed | response.ties, rows.size)
    bare, rounded = costs[:k], costs[k:].reshape(draws, 1 + k)
    unknown = flagged[k:].reshape(draws, 1 + k)
    still, kinked = rounded[:, :1], unknown[:, 1:] | unknown[:, :1] | flagged[:k]
    return _Together(rounded[:, 1:] - still - bare, kinked, bare, still[:, 0])
