"""Which layers are carried down from the outputs: those whose steps are short, and meet no kink out of sight."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..._types import Array, Mask
from .kinks_near import met_behind
from .point import QUADRATIC_REACH, WORTHWHILE, Point, Series

# The bound of the outputs' second powers adds up magnitudes of terms of either sign: where it is the square of this,
# leaving them out moved no derivative of networks with 80 to 512 units by 1e-16 of the largest.
BEND_IS_NOTHING = 1e-7


@dataclass(frozen=True)
class Carried:
    """A layer whose responses ``from_outputs`` finds.

    Parameters
    ----------
    units : the chosen ones, or a slice of all.
    met : (units, m) where a step meets a kink; None for nowhere.
    largest : the largest change of an activation.
    reach : the largest change that a curved activation sees; beyond : the same of layer k + 1 alone.
    """

    layer: int
    units: Any
    met: Mask | None
    largest: float
    reach: float = 0.0
    beyond: float = 0.0


def carried(point: Point, chosen: list[Any]) -> list[Carried]:
    """Return the layers, from the last down, whose responses to their steps ``from_outputs`` finds.

    Parameters
    ----------
    chosen : for each layer the units that are changed, ascending, or a slice of them; None for none.
    """
    if not point.logits:
        return []
    found = [_carried(point, k, chosen[k]) for k in range(point.last, -1, -1) if chosen[k] is not None]
    return [layer for layer in found if layer is not None]


def _carried(point: Point, k: int, units: Any) -> Carried | None:
    """Return a layer; None where it is left to ``pairs``."""
    h = point.steps[k]
    longest = float(h.max())
    if k == point.last:
        return Carried(k, units, None, longest)
    reach, beyond = longest if point.curved(k) else 0.0, 0.0
    if not reach <= QUADRATIC_REACH or any(point.curved(j) for j in range(k + 2, point.last)):
        return None
    margin, met = point.margins[k], None
    if margin is not None and not longest < point.least_margins[k]:
        met = ~(h < margin[units])
    changes = _bound(point.series(k).of(units), h)
    largest = float(changes.max())
    if k + 1 < point.last:
        W, tops = point.weights[k + 1][:, units], np.asarray(point.weight_tops[k + 1])
        bounds = tops[:, None] * changes.max(axis=0)
        if W.shape[1] * WORTHWHILE < point.net.widths[-1] or not _is_clear(point, k, bounds):
            return None
        if point.curved(k + 1):
            beyond = float(bounds.max())
            if not (beyond <= QUADRATIC_REACH and largest * _bend(point, k, W) <= BEND_IS_NOTHING):
                return None
        margin = point.margins[k + 1]
        if margin is not None:
            behind, told = met_behind(W, margin, changes, bounds)
            if not told:
                return None
            met = behind if met is None else met if behind is None else met | behind
    return Carried(k, units, met, largest, max(reach, beyond), beyond)


def _bound(series: Series, h: Array) -> Array:
    """A bound of the changes of activations (units, m) that pre-activations' changes h make."""
    changes = np.abs(series.c1)
    changes *= h
    if series.c2 is not None and series.c3 is not None:
        changes += np.abs(series.c2) * (h * h) + np.abs(series.c3) * (h * h * h)
    return changes


def _is_clear(point: Point, k: int, bounds: Array) -> bool:
    """Whether moves of layer k + 1 up to ``bounds`` (units, m) reach no kink behind it, as magnitudes add up."""
    if _stays_clear(point, k, bounds, lambda j, moves: point.weight_sums[j][:, None] * moves.max(axis=0)):
        return True
    return _stays_clear(point, k, bounds, lambda j, moves: np.asarray(np.abs(point.weights[j]) @ moves))


def _stays_clear(point: Point, k: int, bounds: Array, onwards: Callable[[int, Array], Array]) -> bool:
    """The same by bounds that ``onwards`` has for a layer's moves, by those of the activations before it."""
    for j in range(k + 2, point.last):
        bounds = onwards(j, _bound(point.series(j - 1), bounds))
        margin = point.margins[j]
        if margin is not None and not bool(np.all(bounds < margin)):
            return False
    return True


def _bend(point: Point, k: int, W: Array) -> float:
    """The root of the most that the outputs' changes have of a square of those of layer k's activations."""
    to_outputs = np.abs(point.weights[-1])
    for j in range(point.last - 1, k + 1, -1):
        to_outputs = (to_outputs * np.abs(point.series(j).c1).max(axis=1)) @ np.abs(point.weights[j])
    c2 = point.series(k + 1).c2
    steepest = np.zeros(len(W)) if c2 is None else np.abs(c2).max(axis=1)
    return float(np.sqrt(2.0 * ((to_outputs * steepest) @ (W * W)).max()))  # relative to the targets: up to twice
