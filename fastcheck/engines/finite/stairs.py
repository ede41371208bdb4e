"""Stairs: a cost of which a part is rounded coarsely rises by jumps, and has only the slope of the rest in between."""

import numpy as np

from ..._types import Array, Indices
from .stencils import Lines, central

# Differences at longer steps are asked whether they are near what was promised: the first step is this many times the
# line's own, ...
START = 8.0
# ... each next one this many times the one before, ...
LEAP = 4.0
# ... and the last no more than this many times a usual step.
FURTHEST = 64.0
# They are near it within this part of what the slope is off by, and that twice in a row.
AFAR = 0.25
# Stairs are looked for at this many places to both sides.
PLACES = 32
# Of what was promised from one place to the next the cost rises, beyond its slope, by less than this part on a tread,
# ...
FLAT = 0.25
# ... and by more than this many times at a jump, up or down.
STEEP = 3.0
# Treads are this part of all, ...
TREADS = 0.75
# ... jumps are at least this many, ...
JUMPS = 2
# ... and all that the cost rises is what was promised but for this part.
CLIMB = 0.5


def on_a_tread(lines: Lines, which: Indices, slope: float, promised: float, step: float, usual: float) -> bool:
    """Tell whether the slope of one line is that of a tread, where the promised one is that of the stairs.

    A cost in which a sum is rounded to float16, or to some decimal places, has that sum's slope in its jumps alone.  A
    curve, a ripple, or a kink that a longer step reaches has no jumps.

    Parameters
    ----------
    lines, which : the line (1,).
    slope, promised : what differences say, and what a gradient does.
    step : the longest one that the slope is from; usual : where one begins to look for steps.
    """
    reach, near = START * step, False
    while reach <= FURTHEST * usual:
        found = float(central(lines, which, np.array([reach]), 2)[0][0])
        before, near = near, abs(found - promised) <= AFAR * abs(slope - promised)
        if before and near:  # what a curve makes near at one step it takes far away at the next
            return any(_climbs(lines, which, slope, promised, far) for far in (reach, reach / LEAP))
        reach *= LEAP
    return False


def _climbs(lines: Lines, which: Indices, slope: float, promised: float, reach: float) -> bool:
    """Tell whether a line has a slope between jumps, within some reach, and jumps that make it the promised one."""
    distances, costs = lines(which, reach * np.linspace(-1.0, 1.0, 2 * PLACES + 1)[None])
    apart = np.diff(distances[0])
    with np.errstate(all="ignore"):
        rises: Array = (np.diff(costs[0]) - slope * apart) / ((promised - slope) * apart)
        rises -= np.median(np.diff(rises)) * (np.arange(rises.size) - 0.5 * (rises.size - 1))  # treads are curved
    flat, steep = np.abs(rises) <= FLAT, np.abs(rises) >= STEEP
    climbs = abs(float(np.mean(rises)) - 1.0) <= CLIMB and np.count_nonzero(steep) >= JUMPS
    return bool(climbs and (flat | steep).all() and np.mean(flat) >= TREADS)
