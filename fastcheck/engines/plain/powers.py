"""Changes in a small network as power series: what a change x of one pre-activation becomes, p1 x + p2 x^2 + p3 x^3.

A *column* is a change x of one pre-activation of one unit, in all samples.  With D(z, d) = c1 d + c2 d^2 + c3 d^3, the
exact difference of an activation for short changes (see ``point.fitted``), the series becomes behind it

    q1 = c1 p1        q2 = c1 p2 + c2 p1^2        q3 = c1 p3 + 2 c2 p1 p2 + c3 p1^3

and behind a matrix of weights W p1, W p2, W p3.  For changes up to ``SHORT`` the powers from the fourth on are less than
rounding, so one pass gives the responses to steps of all sizes and both signs.  The columns of all layers travel
together: those of a layer join where they begin.
"""

from typing import NamedTuple

import numpy as np

from ..._types import Array
from .point import Series


class Powers(NamedTuple):
    """p1, p2 and p3 of columns, (rows, columns, m) or (rows, m); no p2, p3 where nothing has been curved yet."""

    first: Array
    second: Array | None = None
    third: Array | None = None


NOTHING = (None, None, None)
# Products of up to this many multiply-adds are done by one thread of BLAS anyway.
ONE_THREAD = 1 << 17


def through(series: Series, powers: Powers) -> Powers:
    """Return the powers behind an activation, in the place of those before it; coefficients broadcast against them."""
    c1, c2, c3 = series.c1, series.c2, series.c3
    p1, p2, p3 = powers
    if c2 is None or c3 is None:
        for part in powers:
            if part is not None:
                part *= c1
        return powers
    square = p1 * p1
    cubic = c3 * square
    square *= c2
    if p2 is None or p3 is None:
        cubic *= p1
        p1 *= c1
        return Powers(p1, square, cubic)
    cubic += (c2 + c2) * p2
    cubic *= p1
    p3 *= c1
    p3 += cubic
    p2 *= c1
    p2 += square
    p1 *= c1
    return powers


def onwards(W: Array, block: Powers | None, rows: Powers, room: int = 0) -> Powers:
    """Return the powers (outputs, columns, m) of the next layer's pre-activations.

    Parameters
    ----------
    W : (outputs, units) of the next layer.
    block : (units, columns, m), those of the columns that have come so far; None for none.
    rows : (units, m) of columns that begin here, each with one unit changed.
    room : number of further columns to leave room for, zero so far.
    """
    weights = W[:, :, None]
    outputs, units, m = *W.shape, rows.first.shape[1]
    came = 0 if block is None else block.first.shape[1]
    before, after = came * m, (came + units) * m
    most = max(1, ONE_THREAD // W.size)
    joined: list[Array | None] = []
    for old, new in zip(block or NOTHING, rows, strict=True):
        if old is None and new is None:
            joined.append(None)
            continue
        if not (came or room):
            joined.append(weights * new)
            continue
        both = np.empty((outputs, after + room * m))
        left, right = both[:, :before], both[:, before:after].reshape(outputs, units, m)
        if old is None:
            left[:] = 0.0
        else:
            changes = old.reshape(units, before)
            for first in range(0, before, most):
                part = slice(first, first + most)
                np.matmul(W, changes[:, part], out=left[:, part])
        if new is None:
            right[:] = 0.0
        else:
            np.multiply(weights, new, out=right)
        if room:
            both[:, after:] = 0.0
        joined.append(both.reshape(outputs, came + units + room, m))
    return Powers(*joined)  # type: ignore[arg-type]  # the first is always there


def largest_change(powers: Powers, step: float) -> float:
    """Return a bound of the changes that steps up to ``step`` make; NaN where there is one."""
    size = step * _largest(powers.first)
    return size if powers.second is None else size + step * step * _largest(powers.second)


def _largest(values: Array) -> float:
    top, bottom = float(np.maximum.reduce(values, axis=None)), -float(np.minimum.reduce(values, axis=None))
    return bottom if bottom > top else top
