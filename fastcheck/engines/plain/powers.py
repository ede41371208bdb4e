"""Changes in a small network as power series: what a change d of one unit becomes further on, p1 d + p2 d^2 + p3 d^3.

A *column* is a change d of one unit's activation, in all samples.  With D(z, d) = c1 d + c2 d^2 + c3 d^3, the exact
difference of an activation for short changes (see ``point.series_of``), its series becomes behind that

    q1 = c1 p1        q2 = c1 p2 + c2 p1^2        q3 = c1 p3 + 2 c2 p1 p2 + c3 p1^3

and behind a matrix of weights W p1, W p2, W p3.  For short changes that is all there is to odd parts, to rounding, and
one pass gives the responses to steps of all sizes and both signs.  The columns of all layers travel together: those of
a layer join where they begin, as a column of W, with no second power before something is curved.
"""

from typing import NamedTuple

import numpy as np

from ..._types import Array
from ...runtime.threads import ONE_THREAD
from .point import Series

# Of up to this many numbers, absolute values take less time than another reduction.
FEW = 1 << 11


class Powers(NamedTuple):
    """p1, p2 and p3 of columns, (rows, columns, m); m is 1 where all samples are alike.

    second, third : of the columns that come first, the others having none; None where no column has any.
    """

    first: Array
    second: Array | None = None
    third: Array | None = None


class Responses(NamedTuple):
    """The powers of what losses become, (columns, m) each."""

    first: Array
    second: Array
    third: Array


def through(series: Series, powers: Powers) -> Powers:
    """Return the powers behind an activation, whose coefficients are (rows, 1, m)."""
    c1, c2, c3 = series.c1, series.c2, series.c3
    p1, p2, p3 = powers
    if c2 is None or c3 is None:
        return Powers(c1 * p1, None if p2 is None else c1 * p2, None if p3 is None else c1 * p3)
    if p2 is None or p3 is None:
        square = p1 * p1
        return Powers(c1 * p1, c2 * square, c3 * (square * p1))
    square = p1 * p1
    cubic = c3 * square
    square *= c2
    curved = p2.shape[1]
    cubic[:, :curved] += (c2 + c2) * p2
    cubic *= p1
    cubic[:, :curved] += c1 * p3
    square[:, :curved] += c1 * p2
    return Powers(c1 * p1, square, cubic)


def onwards(W: Array, block: Powers | None) -> Powers:
    """Return the powers (outputs, columns, m) of the next layer's pre-activations, its own columns the last.

    Parameters
    ----------
    W : (outputs, units) of the next layer.
    """
    outputs, units = W.shape
    if block is None:
        return Powers(W[:, :, None])
    _, came, m = block.first.shape
    joined = np.empty((outputs, came + units, m))
    _carry(W, block.first, joined)
    joined[:, came:] = W[:, :, None]
    return Powers(joined, *(None if part is None else _carry(W, part, np.empty((outputs, *part.shape[1:])))
                            for part in (block.second, block.third)))


def across(series: Series, block: Powers, W: Array) -> Powers:
    """Return ``onwards`` of ``through``, for columns p1 that are alike in all samples: W p^r times c_r, r = 1, 2, 3.

    A power then takes one product of matrices (outputs, columns, units) and (units, m), and no change of a single unit
    is computed.

    Parameters
    ----------
    series : coefficients (units, m).
    block : (units, columns, 1), without second and third powers.
    W : (outputs, units) of the next layer.
    """
    alike = block.first[:, :, 0].T
    (came, units), outputs = alike.shape, len(W)
    joined = np.empty((outputs, came + units, series.c1.shape[1]))
    joined[:, came:] = W[:, :, None]
    factors = W[:, None] * alike
    np.matmul(factors, series.c1, out=joined[:, :came])
    higher = []
    if series.c2 is not None and series.c3 is not None:
        for coefficient in (series.c2, series.c3):
            factors *= alike
            higher.append(np.matmul(factors, coefficient))
    return Powers(joined, *higher)


def times(rows: Array, matrix: Array, out: Array) -> None:
    """Write rows (r, k) times a matrix (k, n) to ``out``, as much at a time as is done by one thread."""
    most = max(1, ONE_THREAD // matrix.size)
    for first in range(0, len(rows), most):
        np.matmul(rows[first : first + most], matrix, out=out[first : first + most])


def _carry(W: Array, changes: Array, out: Array) -> Array:
    """Write W times every column to the first of ``out``, as much at a time as is done by one thread; return it."""
    flat, into = changes.reshape(len(changes), -1), out.reshape(len(out), -1)
    columns, most = flat.shape[1], max(1, ONE_THREAD // W.size)
    for first in range(0, columns, most):
        part = slice(first, min(first + most, columns))
        np.matmul(W, flat[:, part], out=into[:, part])
    return out


def largest_change(powers: Powers, largest: float) -> float:
    """Return a bound of what changes up to ``largest`` become; NaN where there is one."""
    size = largest * largest_of(powers.first)
    return size if powers.second is None else size + largest * largest * largest_of(powers.second)


def largest_of(values: Array) -> float:
    """Return the largest magnitude, or NaN."""
    if values.size <= FEW:
        return float(np.maximum.reduce(np.abs(values), axis=None))
    top, bottom = float(np.maximum.reduce(values, axis=None)), -float(np.minimum.reduce(values, axis=None))
    return bottom if bottom > top else top


def summed(block: Powers | None, ends: Series) -> Responses:
    """Return responses of a loss that is a sum over outputs.

    Parameters
    ----------
    block : (outputs, columns, m), what becomes of each output's share; None where there are no such columns.
    ends : (outputs, m) each, what becomes of a share by its own output alone; these columns are the last.
    """
    if ends.c2 is None or ends.c3 is None:
        raise TypeError("ends: expected three powers, got fewer; every loss is curved")
    responses = Responses(ends.c1, ends.c2, ends.c3)
    if block is None:
        return responses
    return Responses(*(of_one if of_all is None else np.concatenate([np.add.reduce(of_all, axis=0), of_one])
                       for of_all, of_one in zip(block, responses, strict=True)))


def from_steps(responses: Responses, starts: list[Series]) -> Responses:
    """Return responses to changes x of the units' pre-activations, from those to changes of their activations.

    Parameters
    ----------
    responses : (columns, m) each, in whose place the result comes.
    starts : how the layers' activations answer x, by layer; columns behind theirs are of pre-activations already.
    """
    r1 = np.concatenate([start.c1 for start in starts]) if len(starts) != 1 else starts[0].c1
    count, (first, second, third) = len(r1), responses
    if count < len(first):
        first, second, third = first[:count], second[:count], third[:count]
    square = r1 * r1
    third *= square
    if any(start.c2 is not None for start in starts):
        r2 = np.concatenate([np.zeros_like(start.c1) if start.c2 is None else start.c2 for start in starts])
        r3 = np.concatenate([np.zeros_like(start.c1) if start.c3 is None else start.c3 for start in starts])
        third += (second + second) * r2
        third *= r1
        third += first * r3
        second *= square
        second += first * r2
    else:
        third *= r1
        second *= square
    first *= r1
    return responses
