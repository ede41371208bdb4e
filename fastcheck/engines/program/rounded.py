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
        """Return by how much operation number ``count`` is off: (2, seeds + 1, *shape), the last of them zero."""
        found = np.zeros((2, len(self.seeds) + 1, *shape))
        for place, seed in enumerate(self.seeds):
            found[:, place] = UNIT * np.random.default_rng((seed, count)).standard_normal((2, *shape))
        return found

    def off(self, xp: Any, value: Any, change: Any, draws: Any) -> Any:
        """Return the change of a result that is off by draws (see ``near_by``)."""
        return (far_away if self.far else near_by)(xp, value, change, draws)


def near_by(xp: Any, value: Any, change: Any, draws: Any) -> Any:
    """Return the change of a result that is off by a rounding, as it is behind the change.

    Parameters
    ----------
    xp : the array namespace.
    value, change : of the result: (*shape), and (B, *shape) or, of one perturbation, (*shape).
    draws : two arrays like the change, by how much the result and its change are off, of themselves.
    """
    off, factor = draws
    return change * (1.0 + factor) + _finite_or_zero(xp, value * off)


def far_away(xp: Any, value: Any, change: Any, draws: Any) -> Any:
    """Do the same where the result behind the change is rounded otherwise."""
    return change + _finite_or_zero(xp, (value + change) * draws[0])


def _finite_or_zero(xp: Any, roundings: Any) -> Any:
    """Return roundings, and zero where a result is not finite."""
    if xp is np and roundings.ndim == 1:
        square = roundings @ roundings
        if square - square == 0.0:  # all are finite: this takes a third of the time for a few numbers
            return roundings
    return xp.where(xp.isfinite(roundings), roundings, 0.0)
