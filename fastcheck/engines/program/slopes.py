"""Slopes along many directions through one input of a program."""

from dataclasses import dataclass

import numpy as np

from ..._types import Array, Mask
from ...rules.branches import Held
from .columns import SHRINK, SHRINKS
from .places import INNER_STEP, Place
from .runner import Runner
from .trust import TOGETHER


@dataclass(frozen=True)
class Slopes:
    """Slopes along directions, (k,) each.

    Parameters
    ----------
    right, left : one-sided.
    terms : sums of |terms|.
    tied : which moved a value that stands on a kink, or crossed one at every step.
    """

    right: Array
    left: Array
    terms: Array
    tied: Mask

    @property
    def central(self) -> Array:
        """Means of both sides."""
        return 0.5 * (self.right + self.left)


def slopes_along(
    place: Place, directions: Array, runner: Runner, convention: Held | None = None, *, both: bool = True
) -> Slopes:
    """Slopes along directions (k, n) through one input; unless ``both``, to the right alone, which stand for the left.

    Notes
    -----
    The step is so small that what curvature leaves in a one-sided slope is rounding.
    """
    step = INNER_STEP
    size = len(directions)
    found = Slopes(np.empty(size), np.empty(size), np.empty(size), np.zeros(size, dtype=bool))
    waiting = np.arange(size)
    for level in range(SHRINKS + 1):
        again = []
        for rows in np.array_split(waiting, max(1, -(-16 * waiting.size * place.size // TOGETHER))):
            if not rows.size:
                continue
            change = step * directions[rows]
            moved = runner.run([(place, np.concatenate([change, -change]) if both else change)], convention)
            costs, terms, sides = runner.weighted(moved), np.zeros(moved.ties.size), (1 + both, rows.size)
            for output, part in moved.moving():
                terms += np.abs(part) @ np.abs(runner.weights[output])
            crossed = (moved.crossed | ~np.isfinite(costs)).reshape(sides).any(axis=0)
            costs = costs.reshape(sides) / step
            found.right[rows], found.left[rows] = costs[0], -costs[1] if both else costs[0]
            found.terms[rows] = terms[: rows.size] / step
            found.tied[rows] = crossed | moved.ties.reshape(sides).any(axis=0)
            again.append(rows[crossed])
        waiting, step = np.concatenate([np.empty(0, np.int64), *again]), step * SHRINK
        if not waiting.size or level == SHRINKS:
            break
    return found
