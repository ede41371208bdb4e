"""Which layers are carried down from the outputs: those whose steps are short, and meet no kink out of sight."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..._types import Array, Mask, Rows
from ...runtime.threads import run_all
from .kinks_near import FurtherOn, either, met_behind
from .point import CUBIC_REACH, WORTHWHILE, Point

# The bound of the outputs' second powers adds up magnitudes of terms of either sign: where it is the square of this
# beside the loss's slopes, leaving them out moved no derivative of networks with 80 to 512 units by 1e-16 of the
# largest.
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
    deep : whether second powers of outputs' changes count, or further curved layers follow behind layer k + 1.
    """

    layer: int
    units: Rows
    met: Mask | None
    largest: float
    reach: float = 0.0
    beyond: float = 0.0
    deep: bool = False


def carried(point: Point, chosen: list[Any], threads: int = 1) -> list[Carried]:
    """Return the layers, from the last down, whose responses to their steps ``from_outputs`` finds.

    Parameters
    ----------
    chosen : for each layer the units that are changed, ascending, or a slice of them; None for none.
    """
    if not (point.logits or point.entries[-1].name == "identity"):
        return []
    further_on = FurtherOn(point)
    layers = [k for k in range(point.last, -1, -1) if chosen[k] is not None]
    # the lowest first: it has most layers behind it
    found = run_all(lambda k: _carried(point, k, chosen[k], further_on), layers[::-1], threads)
    return [layer for layer in found[::-1] if layer is not None]


@np.errstate(all="ignore")  # NumPy keeps this per thread
def _carried(point: Point, k: int, units: Rows, further_on: FurtherOn) -> Carried | None:
    """Return a layer; None where it is left to ``pairs``."""
    h = point.steps[k]
    longest = float(h.max())
    if k == point.last:
        return Carried(k, units, None, longest)
    reach, beyond = longest if point.curved(k) else 0.0, 0.0
    if not reach <= CUBIC_REACH:
        return None
    deep = any(point.curved(j) for j in range(k + 2, point.last))
    margin, met = point.margins[k], None
    if margin is not None and not longest < point.least_margins[k]:
        met = ~(h < margin[units])
    changes = point.series(k).of(units).bound(h)
    largest = float(changes.max())
    if k + 1 < point.last:
        W, tops = point.weights[k + 1][:, units], np.asarray(point.weight_tops[k + 1])
        bounds = tops[:, None] * changes.max(axis=0)
        if W.shape[1] * WORTHWHILE < point.net.widths[-1]:
            return None
        if point.curved(k + 1):
            beyond = float(bounds.max())
            if not beyond <= CUBIC_REACH:
                return None
            deep = deep or not largest * _bend(point, k, W) <= BEND_IS_NOTHING * point.loss_slope**0.5
        margin = point.margins[k + 1]
        behind, told = (None, True) if margin is None else met_behind(W, margin, changes, bounds)
        beyond_that, also_told = further_on.met(k, units, changes, bounds) if told else (None, False)
        if not also_told:
            return None
        met = either(met, either(behind, beyond_that))
    return Carried(k, units, met, largest, max(reach, beyond), beyond, deep)


def _bend(point: Point, k: int, W: Array) -> float:
    """The root of the most that the outputs' changes have of a square of those of layer k's activations."""
    to_outputs = np.abs(point.weights[-1])
    for j in range(point.last - 1, k + 1, -1):
        to_outputs = (to_outputs * np.abs(point.series(j).c1).max(axis=1)) @ np.abs(point.weights[j])
    c2 = point.series(k + 1).c2
    steepest = np.zeros(len(W)) if c2 is None else np.abs(c2).max(axis=1)
    return float(np.sqrt(2.0 * ((to_outputs * steepest) @ (W * W)).max()))  # relative to the targets: up to twice
