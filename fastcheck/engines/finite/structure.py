"""Structure below the steps: what looks like noise may be the cost's own fast change, which smaller steps resolve."""

import math
from collections.abc import Callable

import numpy as np

from ..._constants import UNIT_ROUNDOFF
from ..._types import Array, Indices
from .difference_table import SlopeEstimates
from .noise import AHEAD, difference_levels
from .stencils import Lines, power_of_two
from .steps import refine

# The noise that a line's differences of order 3 imply, and those of order 5 and more; None where nothing moves.
Seen = tuple[float, float] | None

# Noise of less than this many roundings of the cost could not be resolved if it were structure.
LOUD = 30.0
# The smallest step at which structure is looked for, as a part of the longest.
SMALLEST = 2.0**-28
# What is left of noise where the cost is smooth: this part of it.
QUIET = 1.0 / 32.0
# A curve shows where its bend is this part of the noise, and this many roundings of the cost.
BEND, ROUNDINGS = 1.0 / 128.0, 8.0
# The differences of a curve shrink by this factor at least from the third order to the fifth; those of a jump do not.
SHRINKS = 4.0
# The search begins at these parts of the longest step: a step that happens to be a period hides it from the first.
PARTS = (1.0, 0.7)
# A curve is still one at this part of the step, and as much of its bend remains.
NEARBY, REMAINS = 0.7, 0.03
# No step is sought between two within this factor.
CLOSE = 1.3
# The longest step at which slopes are taken, as a part of the one that was found.
SHORTER = 0.25


def slopes_at(lines: Lines, which: Indices, step: float, cost: float) -> SlopeEstimates:
    """Return slopes of some lines (p,) at steps that are no longer than one that resolves one of them."""
    longest = power_of_two(np.full(which.size, SHORTER * step))
    return refine(lines, which, longest, cost, np.zeros(which.size), longest=float(longest[0]))


def resolving_step(along: Callable[[Array], Array], cost: float, longest: float, noise: float) -> float:
    """Return a step at which the noise along a line turns out to be a curve; 0.0 where it does not, or is not loud.

    Parameters
    ----------
    along : costs at some distances along the line; ``cost`` at 0.
    longest : a step at which the cost is noisy.
    noise : standard deviation of the cost there.

    Notes
    -----
    Noise is as large at any step.  Coarse rounding is absent between its jumps, and a jump's differences are as large
    in all orders.  Only a curve, at steps of about a third of its radius, bends by a part of its height while its
    higher differences vanish.  The bend is that of third differences, of which the cost at large has next to none.
    """
    floor = max(BEND * noise, ROUNDINGS * UNIT_ROUNDOFF * abs(cost))

    def seen(step: float) -> Seen:
        values = [cost, *along(step * AHEAD).tolist()]
        if not all(map(math.isfinite, values)) or set(values) == {cost}:
            return None
        levels = [level for level, _ in difference_levels(values)]
        return levels[2], max(levels[4:])

    close, quiet = SMALLEST * longest, QUIET * noise
    nearest = seen(close) if noise > LOUD * UNIT_ROUNDOFF * abs(cost) else None
    if nearest is None or nearest[1] > quiet:
        return 0.0
    steps = (_between(seen, close, part * longest, floor, quiet) for part in PARTS)
    return next((step for step in steps if step), 0.0)


def _between(seen: Callable[[float], Seen], close: float, far: float, floor: float, quiet: float) -> float:
    """Return a step between one at which the line is smooth and one at which it is noisy where it is a curve; or 0."""
    while far > CLOSE * close:
        step = math.sqrt(close * far)
        found = seen(step)
        if found is None:
            return 0.0
        bend, rest = found
        if rest > quiet:
            far = step
        elif bend < max(floor, SHRINKS * rest):
            close = step
        elif _is_curve(seen, step, bend, quiet):
            return step
        else:
            far = NEARBY * step  # the step is a multiple of a period, or reaches to a jump
    return 0.0


def _is_curve(seen: Callable[[float], Seen], step: float, bend: float, quiet: float) -> bool:
    """Tell whether a line that bends within a step bends a little nearer as well, and is smooth to the other side."""
    nearer = seen(NEARBY * step)
    if nearer is None or nearer[0] < REMAINS * bend or nearer[1] > quiet:
        return False
    beyond = seen(-NEARBY * step)
    return beyond is not None and beyond[1] <= quiet
