"""Results of a program's operations that are off by a rounding each."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..._constants import UNIT_ROUNDOFF
from ..._types import Array, Indices

# The standard deviation of what a result is off by, of its size: functions are good to one unit in the last place.
UNIT = 2.0 * UNIT_ROUNDOFF


@dataclass(frozen=True)
class Roundings:
    """What each moving result of a run, and its change, is off by.

    Parameters
    ----------
    seeds : of the roundings.
    rows : for each perturbation which of the seeds its roundings have; -1 for none.
    far : whether perturbations may be so long that a result has another size behind them, and another rounding.
    """

    seeds: Sequence[int]
    rows: Indices
    far: bool = False

    def draws(self, count: int, shape: tuple[int, ...]) -> Array:
        """Return how many units operation number ``count`` is off by: (2, seeds + 1, *shape), the last of them zero."""
        found = np.zeros((2, len(self.seeds) + 1, *shape))
        for place, seed in enumerate(self.seeds):
            found[:, place] = np.random.default_rng((seed, count)).standard_normal((2, *shape))
        return found


def off_by_rounding(xp: Any, value: Any, change: Any, draws: Any, far: Any) -> Any:
    """Return the change of a result that is off by a rounding.

    Parameters
    ----------
    xp : the array namespace.
    value, change : of the result: (*shape), and (B, *shape) or, of one perturbation, (*shape).
    draws : two arrays like the change, of how many units the result and its change are off by.
    far : as in ``Roundings``.
    """
    off, factor = draws
    size = value + far * change
    rounding = xp.where(xp.isfinite(size), UNIT * off * size, 0.0)
    return change * (1.0 + (1.0 - far) * UNIT * factor) + rounding
