"""How steep a cost is further away, along entries whose slope a gradient contradicts.

Where the cost is far steeper there, something at theta is saturated, and the slope is what that leaves: a (1 - a) with
a next to one.  Formulas that subtract from one lose a rounding of the slope that there could be, however small it is.
"""

import numpy as np

from ..._types import Array, Indices
from .problem import ProgramProblem
from .runner import costs_of, scales

# How far entries are moved, relative to their size: into and through what is saturated.
DISTANCES = np.array([-8.0, -3.0, -1.0, 1.0, 3.0, 8.0])


def steepest_chords(problem: ProgramProblem, positions: Indices, most: int) -> Array:
    """Return the largest slopes (k,) of chords from theta along entries; zero where nothing is finite.

    What rises by more than the cost itself grows and is not saturated: it counts as that much.

    Parameters
    ----------
    positions : (k,) of theta.
    most : entries that may be moved at once.
    """
    return np.concatenate([_chords(problem, positions[first : first + most])
                           for first in range(0, positions.size, most)])


def _chords(problem: ProgramProblem, positions: Indices) -> Array:
    sizes = np.concatenate([scales(value) for value in problem.inputs(problem.theta)])[positions]
    steps = (sizes[:, None] * DISTANCES).reshape(-1)
    moves = np.zeros((steps.size, problem.theta.size))
    moves[np.arange(steps.size), positions.repeat(DISTANCES.size)] = steps
    parts = {number: moves[:, t.start : t.stop].reshape(steps.size, *t.shape)
             for number, t in enumerate(problem.tensors)}
    with np.errstate(all="ignore"):
        rises = np.abs(costs_of(problem.program.run(parts), problem.weights, steps.size))
        found = np.minimum(rises, abs(problem.cost)) / np.abs(steps)
    known = np.where(np.isfinite(found), found, 0.0)
    return np.asarray(np.max(known.reshape(positions.size, -1), axis=1))
