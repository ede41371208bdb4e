"""How steep a cost is further away, along entries whose slope a gradient contradicts.

Where the cost is far steeper there, something at theta is saturated, and the slope is what that leaves: a (1 - a) with
a next to one.  Formulas that subtract from one lose a rounding of the slope that there could be, however small it is.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from ..._constants import NOISE_SIGMAS
from ..._errors import NoRule
from ..._types import Array, Indices, Mask
from ..finite.lines import OutOfTime
from ..finite.unlearned import SHRUNK, shrunk_shares
from .places import scales
from .problem import ProgramProblem
from .protocols import OperationSize
from .runner import costs_of

# How far entries are moved, relative to their size: into and through what is saturated.
DISTANCES = np.array([-8.0, -3.0, -1.0, 1.0, 3.0, 8.0])
# ... from where everything has shrunk: what a large bias saturates no weight beside it changes.
NEAR = np.array([-1.0, 1.0])
# Where the cost rises by more than this each time that all parameters shrink FURTHER, there is a pole where they are
# zero, as 1 / r**12 of particles that meet: what rises without end says nothing of what is saturated at theta, as
# nothing is.  Below that share of it a pole's chord explains no error as large as the tolerance.
FURTHER, POLE = 1.0 / 16.0, 16.0**4
# What only multiplies loses no rounding of its slope, however small it is, as A exp(-B / T) of a large B, unless it is
# as NEAR_ONE as exp(-x) is of a small x, which 1 - exp(-x) makes small.
MULTIPLY = frozenset({
    "multiply", "divide", "exp", "exp2", "power", "float_power", "square", "sqrt", "cbrt", "reciprocal", "negative",
    "positive", "absolute",
})  # fmt: skip
NEAR_ONE = 1e-3
# By exact changes a cost may be larger than by a plain call by this share.  Where it is by more, so long a move has
# lost its digits: what has underflowed at theta, as exp(-d**2) of points far apart, does not come back by its change.
FOLLOWED = 1e-3
# What adds, and what has no rule of its own, loses one where it has at least this share of the size that it has where
# all has shrunk.  What has a rule and is none of these may lose one in any case.
ADD, HELD = frozenset({"add", "subtract", "sum", "mean", ""}), 1e-3
# This many moves are subtracted: a call that is followed takes the time of some thirty plain ones where arrays are
# small.
FEW = 24
# Columns that an entry takes at once.
COLUMNS = DISTANCES.size + (len(SHRUNK) + 1) * NEAR.size


@runtime_checkable
class SizedProgram(Protocol):
    """A program that knows how large the results of its operations are."""

    def sizes(self, changes: Mapping[int, Array], batch: int) -> Sequence[OperationSize] | None:
        """Return them here and behind changes; None where they cannot be known."""


# Shares of theta that entries are moved from, and how far they are.
Start = tuple[Array, Array]


def steepest_chords(
    problem: ProgramProblem, positions: Indices, most: int, starts: Sequence[Start] | None = None
) -> Array:
    """Return the largest slopes (k,) of chords along entries; zero where nothing is finite, or can be known.

    What rises by more than the cost where it is moved from grows and is not saturated: it counts as that much.  Where
    everything is learned the cost is next to nothing, but not where all parameters have shrunk or have random signs.

    Parameters
    ----------
    positions : (k,) of theta.
    most : entries that may be moved at once.
    starts : what ``starts_of`` gives, where that is known.
    """
    starts = starts_of(problem) if starts is None else starts
    blocks = [positions[first : first + most] for first in range(0, positions.size, most)]
    return np.concatenate([_steepest(problem, block, starts) for block in blocks])


def far_costs(problem: ProgramProblem) -> Array:
    """Return the costs (k,) where everything has shrunk, last where it is zero, by a plain call each."""
    moves = np.append(moves_where_shrunk(problem), -problem.theta[None], axis=0)
    with np.errstate(all="ignore"):
        return problem.cost + _plain_rises(problem, moves)


def leads_there(problem: ProgramProblem, exact: Array, plain: Array, rounding: float) -> Mask:
    """Tell at which of some places far away exact changes lead to no larger costs than plain calls have.

    Parameters
    ----------
    exact, plain : (k,) costs; where one of them is no number, nothing contradicts the other.
    rounding : standard error of the cost's rounding, which plain calls are off by.
    """
    with np.errstate(all="ignore"):
        size = np.abs(exact) + np.abs(plain) + abs(problem.cost)
        beyond = ~(np.abs(exact) <= np.abs(plain) + FOLLOWED * size + NOISE_SIGMAS * rounding)
    return ~(beyond & np.isfinite(exact) & np.isfinite(plain))


def sizes_where_shrunk(problem: ProgramProblem) -> Sequence[OperationSize]:
    """Return how large all results are at theta and where it has shrunk; none where that cannot be known."""
    if not isinstance(problem.program, SizedProgram):
        return ()
    moves = moves_where_shrunk(problem)
    return problem.program.sizes(parts_of(problem, moves), len(moves)) or ()


def moves_where_shrunk(problem: ProgramProblem) -> Array:
    """Return the moves (k, n) to where all parameters have shrunk."""
    return (_shrunk(problem) - 1.0) * problem.theta


def _shrunk(problem: ProgramProblem) -> Array:
    return np.stack([np.broadcast_to(shares, problem.theta.shape) for shares in shrunk_shares(problem.theta.size)])


def starts_of(
    problem: ProgramProblem, sizes: Sequence[OperationSize] | None = None, followed: Mask | None = None
) -> list[Start]:
    """Return from which shares of theta entries are moved: theta, and where all has shrunk to no pole.

    Exponentials of what is divided by a parameter soon are infinite.

    Parameters
    ----------
    sizes : what ``sizes_where_shrunk`` gives, where that is known.
    followed : (k,) where exact changes lead, of the places where all has shrunk; None for everywhere.
    """
    shrunk = _shrunk(problem)
    nearer = np.concatenate([[FURTHER**times * shares for times in range(3)] for shares in shrunk])
    with np.errstate(all="ignore"):
        costs = np.abs(problem.cost + rises(problem, (nearer - 1.0) * problem.theta)).reshape(-1, 3)
        here, there, beyond = costs.T
        poles = (there > POLE * here) & (np.isinf(there) | ~(beyond <= POLE * there))
        tell = _may_be_saturated(sizes_where_shrunk(problem) if sizes is None else sizes, len(shrunk)) & ~poles
        tell &= True if followed is None else followed
    starts = zip(shrunk_shares(problem.theta.size), tell, strict=True)
    return [(np.ones(1), DISTANCES), *((shares, NEAR) for shares, told in starts if told)]


def _may_be_saturated(sizes: Sequence[OperationSize], shares: int) -> Mask:
    """Tell for which shares of theta there is anything that may be lost at theta; all where nobody knows."""
    added = [one for one in sizes if one.name in ADD]
    others = (one for one in sizes if one.name not in ADD)
    if not sizes or any(one.name not in MULTIPLY or one.nearest_to_one < NEAR_ONE for one in others):
        return np.ones(shares, dtype=bool)
    here, there = np.array([one.here for one in added]), np.array([one.there for one in added])
    found: Mask = ~(here[:, None] < HELD * there.reshape(len(added), shares))
    return np.asarray(found.any(axis=0))


def parts_of(problem: ProgramProblem, moves: Array) -> dict[int, Array]:
    """Return moves (k, n) of all parameters as those of the program's inputs."""
    return {number: moves[:, t.start : t.stop].reshape(len(moves), *t.shape)
            for number, t in enumerate(problem.tensors)}


def _steepest(problem: ProgramProblem, positions: Indices, starts: Sequence[Start]) -> Array:
    """Return the same of entries that are moved at once, from each of the starts."""
    sizes = np.concatenate([scales(value) for value in problem.inputs(problem.theta)])[positions]
    costs = rises(problem, np.concatenate([_moves(problem.theta, positions, sizes, *start) for start in starts]))
    found, first = [], 0
    for _, distances in starts:
        steps = sizes[:, None] * distances
        here = costs[first : first + steps.size].reshape(steps.shape)
        first += steps.size + 1
        start = costs[first - 1]
        chords = np.minimum(np.abs(here - start), abs(problem.cost + start)) / np.abs(steps)
        found.append(np.where(np.isfinite(chords), chords, 0.0).max(axis=1))
    return np.asarray(np.max(found, axis=0))


def _moves(theta: Array, positions: Indices, sizes: Array, shares: Array, distances: Array) -> Array:
    """Return moves of entries by so many times their sizes from shares of theta; the last leads there and no further.
    """
    moves = np.tile((shares - 1.0) * theta, (positions.size * distances.size + 1, 1))
    steps = (sizes[:, None] * distances).reshape(-1)
    moves[np.arange(steps.size), positions.repeat(distances.size)] += steps
    return moves


def rises(problem: ProgramProblem, moves: Array) -> Array:
    """Return how far the cost rises (k,) along moves (k, n) of all parameters, so long that subtraction will do.

    Few plain calls take less time than one that is followed.
    """
    if len(moves) > FEW:
        return exact_rises(problem, moves)
    with np.errstate(all="ignore"):
        return _plain_rises(problem, moves)


def exact_rises(problem: ProgramProblem, moves: Array) -> Array:
    """Return how far the cost rises (k,) along moves (k, n) of all parameters, however short these are."""
    parts = parts_of(problem, moves)
    with np.errstate(all="ignore"):
        try:
            found = costs_of(problem.program.run(parts), problem.weights, len(moves))
        except NoRule:  # so far away the cost takes another branch, perhaps
            return _plain_rises(problem, moves)
        lost = ~np.isfinite(found)  # as where exp(-z) is infinite before the move and finite behind it
        if lost.any():
            found[lost] = _plain_rises(problem, moves[lost])
        return found


def _plain_rises(problem: ProgramProblem, moves: Array) -> Array:
    """Return how far the cost rises (k,) along moves (k, n), by a plain call each; nan where it raises anything.

    Nobody asked for it so far away, where an index is out of range, a key missing, a solver diverging.
    """
    found = np.full(len(moves), np.nan)
    for place, move in enumerate(moves):
        try:
            found[place] = problem.literal_cost(problem.inputs(problem.theta + move)) - problem.cost
        except OutOfTime:
            break
        except Exception:  # noqa: S112 - what is not known there stays nan
            continue
    return found
