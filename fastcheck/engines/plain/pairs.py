"""Both signs of a change at once: pairs of changes, even + odd and even - odd, carried through a network.

A *column* is a change of one pre-activation of one unit by x and by -x, in all samples.  Its changes further on are
kept as odd and even part in x, (rows, columns, samples) each; where nothing has been curved yet the even part is None,
for zero.
With D(z, d) = c1 d + c2 d^2 + c3 d^3 they become

    odd:  o (c1 + 2 c2 e + c3 o^2)        even:  c1 e + c2 o^2

up to terms of the fourth order in changes of some 1e-6 at most, that is to rounding.  Longer changes go through the
array rules, each sign by itself.  The columns of all layers travel together: those of a layer join where they begin.
"""

from typing import Any

import numpy as np

from ..._types import Array, Rows
from ...rules.small import SHORT
from ..response.responses import QUADRATIC_REACH, QUARTIC_REACH
from .pairs_of_changes import Pair, larger
from .point import Point, Series
from .two_layers import across


def responses(point: Point, chosen: list[Any]) -> tuple[Pair, Pair | None]:
    """Odd and even part of the losses' responses to changes of pre-activations by the layers' steps.

    Parameters
    ----------
    chosen : for each layer the units that are changed, ascending, or a slice of them; None for none.

    Returns
    -------
    far, near : (columns, m), the units of all layers one after the other; near, to half the steps, where a curved
        function sees more than a quadratic is good for, and no more than a quartic is.
    """
    block, ends = _arriving(point, chosen, 1.0)
    halves = None
    parts = [part for part in (block, ends) if part is not None]
    if point.logits and all(part.even is None and part.reach == 0.0 for part in parts):
        # nothing was curved on the way: half the steps arrive as half the changes
        seen = max(part.size for part in parts)
        if QUADRATIC_REACH < seen <= QUARTIC_REACH:
            halves = tuple(None if part is None else Pair(0.5 * part.odd) for part in (block, ends))
    far, near = _losses(point, block, ends, chosen[-1]), None
    if QUADRATIC_REACH < far.reach <= QUARTIC_REACH:
        block, ends = halves or _arriving(point, chosen, 0.5)
        near = _losses(point, block, ends, chosen[-1])
    return far, near


def _arriving(point: Point, chosen: list[Any], fraction: float) -> tuple[Pair | None, Pair | None]:
    """What arrives at the loss, of all outputs (outputs, columns, m) and of single changed outputs (units, m)."""
    block: Pair | None = None
    ends: Pair | None = None
    alone = sum(units is not None for units in chosen) == 1
    reached = 0
    for k, units in enumerate(chosen):
        rows = None if units is None else _sources(point, k, units, fraction)
        if k < reached:
            continue
        if block is not None and point.passes(k):
            _activate(point, k, block, None)
        if alone and rows is not None and k + 2 <= point.last:
            block = across(point, k, units, rows)
            if block is not None:
                reached = k + 2
                continue
        if k < point.last:
            block = _next(point, k, units, block, rows)
        else:
            ends = rows
    return block, ends


def _sources(point: Point, k: int, units: Rows, fraction: float) -> Pair:
    """Changes (units, m) of the changed units' activations, or pre-activations where losses need those."""
    count = point.run.Z[k][units].shape[0]
    changes = np.empty((count, point.m))
    changes[:] = fraction * point.steps[k]
    rows = Pair(changes)
    if point.passes(k):
        _activate(point, k, rows, units)
    return rows


def _activate(point: Point, k: int, pair: Pair, units: Rows | None) -> None:
    """Changes of pre-activations of layer k become those of activations: of all of its units, or of some alone."""
    lift: Any = (slice(None), None) if units is None else units
    size = pair.size
    margin = point.margins[k]
    if margin is not None and not size < point.least_margins[k]:
        moves = np.abs(pair.odd) if pair.even is None else np.abs(pair.odd) + np.abs(pair.even)
        met = ~(moves < margin[lift]) & (moves != 0.0)
        pair.meets(met if units is not None else met.any(axis=0))
    if point.curved(k):
        pair.sees(size)
        if not size <= SHORT:
            z, a = point.run.Z[k][lift], point.run.A[k][lift]
            _by_rule(lambda d: point.difference(k, z[:, None], a[:, None], d), pair)
            return
    _by_series(point.series(k).of(lift), pair)


def _by_series(series: Series, pair: Pair) -> None:
    """Short changes through curved functions, and any through straight ones."""
    odd, even = pair.odd, pair.even
    if series.c2 is None or series.c3 is None:
        odd *= series.c1
        if even is not None:
            even *= series.c1
        return
    square = odd * odd
    slope = series.c3 * square
    square *= series.c2
    if even is not None:
        slope += (2.0 * series.c2) * even
        even *= series.c1
        square += even
    slope += series.c1
    odd *= slope
    pair.even = square


def _by_rule(change: Any, pair: Pair) -> None:
    """Changes of any size."""
    plus, minus = np.moveaxis(change(pair.signs()), 1, 0)
    pair.odd, pair.even = 0.5 * (plus - minus), 0.5 * (plus + minus)


def _next(point: Point, k: int, units: Rows, block: Pair | None, rows: Pair | None) -> Pair | None:
    """Changes of the next layer's pre-activations: W times those of the block, and one weight for each of the rows."""
    W = point.weights[k + 1]
    through = None if block is None else Pair(_product(W, block.odd), None if block.even is None else
                                              _product(W, block.even), block.met, block.reach)
    if rows is None:
        return through
    weights = W[:, units, None]
    begun = Pair(weights * rows.odd, None if rows.even is None else weights * rows.even, rows.met, rows.reach)
    return begun if through is None else _joined(through, begun, axis=1)


def _product(W: Array, changes: Array) -> Array:
    """W times every column."""
    rows, columns, m = changes.shape
    return np.asarray((W @ changes.reshape(rows, columns * m)).reshape(W.shape[0], columns, m))


def _joined(one: Pair, other: Pair, axis: int) -> Pair:
    """The columns of both; ``axis`` is that of columns."""
    even = None
    if one.even is not None or other.even is not None:
        even = np.concatenate([np.zeros_like(p.odd) if p.even is None else p.even for p in (one, other)], axis)
    met = None
    if one.met is not None or other.met is not None:
        met = np.concatenate([np.zeros(p.odd.shape[-2:], np.bool_) if p.met is None else p.met for p in (one, other)])
    return Pair(np.concatenate([one.odd, other.odd], axis), even, met, larger(one.reach, other.reach))


def _losses(point: Point, block: Pair | None, ends: Pair | None, units: Rows) -> Pair:
    """Responses of the losses: to the block's changes of all outputs, and to changes of single outputs."""
    cost = point.net.cost_entry
    if not cost.separable or point.softmax:
        if ends is not None:
            alone = _spread(point, ends, units)
            block = alone if block is None else _joined(block, alone, axis=1)
        if block is not None:
            return _mixed(point, block)
    found = []
    if block is not None:
        _separate(point, block, (slice(None), None))
        block.odd, block.even = block.odd.sum(axis=0), None if block.even is None else block.even.sum(axis=0)
        found.append(block)
    if ends is not None:
        _separate(point, ends, units)
        found.append(ends)
    return found[0] if len(found) == 1 else _joined(found[0], found[1], axis=0)


def _separate(point: Point, pair: Pair, rows: Any) -> None:
    """Changes of outputs become those of their own shares of the loss."""
    size = pair.size
    if point.logits:
        pair.sees(size)
    if size <= SHORT:
        _by_series(point.loss_series.of(rows), pair)
        return
    z, a, y = (part[rows][:, None] for part in (point.run.Z[-1], point.run.A[-1], point.problem.Y))
    _by_rule(lambda d: point.loss_change(z, a, y, d), pair)


def _spread(point: Point, ends: Pair, units: Rows) -> Pair:
    """Changes of single outputs among unchanged others."""
    outputs, (columns, m) = point.net.widths[-1], ends.odd.shape
    odd = np.zeros((outputs, columns, m))
    odd[np.arange(outputs)[units], np.arange(columns)] = ends.odd
    return Pair(odd, None, ends.met, ends.reach)


def _mixed(point: Point, block: Pair) -> Pair:
    """Responses of a loss that mixes the outputs."""
    if point.loss_parts is not None and block.size <= SHORT:
        block.sees(block.size)
        even = np.zeros_like(block.odd) if block.even is None else block.even
        parts = point.loss_parts(point.run.A[-1], point.problem.Y, block.odd, even)
        return Pair(*parts, block.met, block.reach)
    signs = block.signs()
    z, a, y = (part[:, None, None] for part in (point.run.Z[-1], point.run.A[-1], point.problem.Y))
    block.sees(block.size)
    if point.softmax and not point.logits:
        signs = point.softmax_difference(z, a, signs)
    change = point.loss_change(z, a, y, signs)
    plus, minus = change.sum(axis=0) if point.net.cost_entry.separable else change
    return Pair(0.5 * (plus - minus), 0.5 * (plus + minus), block.met, block.reach)
