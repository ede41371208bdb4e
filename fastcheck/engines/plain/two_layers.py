"""Two layers at once: what a change of single units becomes behind the layer after the next.

A changed unit i moves the next layer's unit r by W[r, i] d, one weight times one number, and the layer after it by
sum_r V[q, r] D_r(W[r, i] d).  With D_r(x) = c1 x + c2 x^2 + c3 x^3 of each sample that is

    (V diag(c1) W)[q, i] d + (V diag(c2) W^2)[q, i] d^2 + (V diag(c3) W^3)[q, i] d^3

with powers of W entry by entry: matrix products, and nothing to do for every r, i and sample by itself.
"""


import numpy as np

from ..._types import Array, Rows
from ...rules.small import SHORT
from .kinks_near import either, met_behind
from .pairs_of_changes import Pair
from .point import BLOCK, SQUARE_IS_NOTHING, WORTHWHILE, Point


def across(point: Point, k: int, units: Rows, rows: Pair) -> Pair | None:
    """Changes (n_{k+2}, units, m) of layer k + 2's pre-activations; None where that is too long or not worth while.

    Parameters
    ----------
    rows : changes (units, m) of activations of layer k.
    """
    W, series = point.weights[k + 1][:, units], point.series(k + 1)
    if len(point.weights[k + 2]) > WORTHWHILE * len(rows.odd):
        return None
    sizes = np.abs(rows.odd) if rows.even is None else np.abs(rows.odd) + np.abs(rows.even)
    bounds = np.abs(W).max(axis=1)[:, None] * sizes.max(axis=0)
    reach = float(bounds.max())
    curved = series.c2 is not None and series.c3 is not None
    if curved and not reach <= SHORT:
        return None
    met = rows.met
    margin = point.margins[k + 1]
    if margin is not None:
        found, told = met_behind(W, margin, sizes, bounds)
        if not told:
            return None
        met = either(met, found)
    moved = Pair(np.empty((point.weights[k + 2].shape[0], *sizes.shape)), None, met, rows.reach)
    if curved:
        moved.sees(reach)
    if curved or rows.even is not None:
        moved.even = np.empty_like(moved.odd)
    _fill(point, k, W, rows, moved, cubic=reach > SQUARE_IS_NOTHING)
    return moved


def _fill(point: Point, k: int, W: Array, rows: Pair, moved: Pair, cubic: bool) -> None:
    """Write odd and even parts, some samples at a time."""
    V, series, odd = point.weights[k + 2], point.series(k + 1), rows.odd
    squares = W * W if series.c2 is not None else None
    step = max(1, BLOCK // V.size)
    for first in range(0, point.m, step):
        s = slice(first, first + step)
        linear = _through(V, series.c1[:, s], W)
        np.multiply(linear, odd[:, s], out=moved.odd[:, :, s])
        if moved.even is None:
            continue
        even = moved.even[:, :, s]
        if squares is None or series.c2 is None or series.c3 is None:
            np.multiply(linear, rows.even[:, s] if rows.even is not None else 0.0, out=even)
            continue
        bend = _through(V, series.c2[:, s], squares)
        np.multiply(bend, odd[:, s] * odd[:, s], out=even)
        if rows.even is not None:
            even += linear * rows.even[:, s]
            moved.odd[:, :, s] += bend * (2.0 * odd[:, s] * rows.even[:, s])
        if cubic:
            moved.odd[:, :, s] += _through(V, series.c3[:, s], squares * W) * odd[:, s] ** 3


def _through(V: Array, slopes: Array, W: Array) -> Array:
    """V diag(slopes of a sample) W, (n_{k+2}, units, samples), as a view."""
    outputs, rows = V.shape
    scaled = V[None] * slopes.T[:, None, :]
    return np.asarray((scaled.reshape(-1, rows) @ W).reshape(-1, outputs, W.shape[1]).transpose(1, 2, 0))
