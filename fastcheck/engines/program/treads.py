"""Costs that are rounded rise in jumps: what exact differences see there is the slope of a tread, most often zero.

A cost that is rounded to some decimals, cast to whole numbers, or computed by code that leaves small things out, has
the slope that its gradient means at all but the shortest steps.  Exact differences take the shortest.
"""

import math
import time

import numpy as np

from ..._errors import NoRule
from ..._types import Array, Indices
from ..finite.lines import OutOfTime
from .chords import exact_rises, rises
from .places import scales
from .problem import ProgramProblem
from .runner import costs_of
from .trust import UNIT

# Lengths of chords, relative to each entry, from the longest on; two neighbouring ones have to agree with the gradient.
# What is quantised so coarsely that these are on one tread is no rounding: there the gradient is another function's.
LENGTHS = 2.0 ** -np.arange(7.0, 29.0, 3.0)
# Directions through the entries that are contradicted, in all of which this has to be so.
DIRECTIONS = 4
# Slopes that differ by less than this, relatively, are no matter of jumps; nor by this part of the largest one of all.
APART, FAINT = 1e-3, 1e-5
# The step of a slope.
TINY = 2.0**-60
# Chords that this many roundings of the cost leave as they are may be those of plain calls.
ROUNDINGS = 1e5
# How near the gradient chords to both sides are, as a part of how far the slope is.
NEAR = 0.25


def rises_in_jumps(
    problem: ProgramProblem, positions: Indices, slopes: Array, gradient: Array, seed: int, deadline: float
) -> bool:
    """Tell whether a gradient is that of a cost's chords, to both sides and at two lengths, where its slopes are not.

    A curve takes the chords of one side above its slope and those of the other below, and shorter ones less so; a kink
    has different chords to both sides; and a ripple has another slope at every place.  So it takes treads, which all
    have the same slope, and jumps between them that are small beside the chords.

    Parameters
    ----------
    positions : (k,) of theta.
    slopes, gradient : (k,) what exact differences and the gradient say there.
    seed : of the directions.
    deadline : of ``time.perf_counter``; where it passes there are no jumps that anybody saw.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        apart, sizes = np.abs(gradient - slopes), np.maximum(np.abs(gradient), np.abs(slopes))
        largest = float(np.max(sizes, initial=0.0, where=np.isfinite(sizes)))
        doubted = np.isfinite(apart) & (apart > np.maximum(APART * sizes, FAINT * largest))
    if not doubted.any():
        return False
    steps = np.concatenate([scales(value) for value in problem.inputs(problem.theta)])
    generator, where = np.random.default_rng(seed), positions[doubted]
    ways = np.sign(gradient - slopes)[doubted]  # that in which the two differ most
    for _ in range(DIRECTIONS):
        along = np.zeros(problem.theta.size)
        along[where] = steps[where] * ways * generator.uniform(0.5, 1.5, where.size)
        promised, found = float(along[where] @ gradient[doubted]), float(along[where] @ slopes[doubted])
        near = NEAR * abs(promised - found)
        try:
            length = _length_of_chords(problem, along, (promised, found), near, deadline)
            place = length * generator.uniform(-1.0, 1.0)
            if not length or not abs(_slope_at(problem, along, place) - found) <= near:
                return False
        except OutOfTime:
            return False
    return True


def _length_of_chords(
    problem: ProgramProblem, along: Array, expected: tuple[float, float], near: float, deadline: float
) -> float:
    """Return the longest length at which chords to both sides, and those of the next length, rise as promised; or 0.

    Where they rise as the slope that was found, shorter ones do so too: most wrong gradients need no other.

    Parameters
    ----------
    along : (n,) the direction.
    expected : what the gradient promises along it, and what was found.
    near : how near to one of these a chord is.
    """
    promised, found = expected
    rounding, before = ROUNDINGS * UNIT * abs(problem.cost), False
    for length in LENGTHS.tolist():
        if time.perf_counter() >= deadline:
            raise OutOfTime
        steps = np.array([length, -length])
        risen = rises if rounding < near * length else exact_rises
        chords = risen(problem, steps[:, None] * along) / steps
        if (np.abs(chords - found) <= near).all():
            return 0.0
        here = bool((np.abs(chords - promised) <= near).all())
        if here and before:
            return float(length)
        before = here
    return 0.0


def _slope_at(problem: ProgramProblem, along: Array, place: float) -> float:
    """Return the slope along a direction at another place on it; nan where it cannot be followed there."""
    values = problem.inputs(problem.theta + place * along)
    step = {number: TINY * along[t.start : t.stop].reshape(1, *t.shape) for number, t in enumerate(problem.tensors)}
    with np.errstate(all="ignore"):
        try:
            return float(costs_of(problem.program_at(values).run(step), problem.weights, 1)[0]) / TINY
        except NoRule:
            return math.nan
