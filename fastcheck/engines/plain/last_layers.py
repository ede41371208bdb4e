"""Small networks of at most two hidden layers whose loss mixes the outputs: from the outputs down, samples first.

A change d of unit i of the last hidden layer moves the outputs by V d, with V its column of W less the mean by the
targets, which the loss does not see.  A change d of a unit of the layer before, which moves the last hidden layer's
pre-activations by P d, alike in all samples, moves the outputs by

    V (c1 P) d + V (c2 P^2) d^2 + V (c3 P^3) d^3

where c1 x + c2 x^2 + c3 x^3 is the series of the last hidden layer, and powers of P are taken entry by entry.  Of
u d + s d^2 + t d^3, with means < > by the probabilities a, the loss makes the cumulants of u (see
``loss_changes.cross_entropy_cumulants``), and

    <s> d^2 + (<t> + <u s> - <u> <s>) d^3

Of these <s> and <t> are products of <V>, by sample and unit, with c2 P^2 and c3 P^3.
"""

import numpy as np

from ..._types import Array
from ...rules.loss_changes import LOSS_CUMULANTS, moments, relative_to_targets
from .point import Series
from .powers import Responses, largest_of, times

# Hidden layers that there may be, and powers of a change.
HIDDEN, POWERS = 2, 3


def last_responses(
    cost: str, a: Array, y: Array, weights: list[Array], series: Series | None
) -> tuple[Responses, float]:
    """Return the powers of what the loss becomes, and the largest change of an output by a change of one.

    Columns are changes of units of the hidden layers, in their order, and then of the outputs.

    Parameters
    ----------
    cost : the loss's name.
    a, y : probabilities and targets (outputs, m).
    weights : (units, inputs) of the layers behind the hidden ones.
    series : how the last hidden layer's units answer changes, (units, m); None where there is none.
    """
    outputs, m = a.shape
    came = weights[0].shape[1] if len(weights) == HIDDEN else 0
    units = weights[-1].shape[1] if weights else 0
    u = np.empty((m, outputs, came + units + outputs))
    of_first, V, of_outputs = u[:, :, :came], u[:, :, came : came + units], u[:, :, came + units :]
    of_outputs[:] = relative_to_targets(y)
    if units:
        _behind(of_outputs, weights[-1], V)
    if came and series is not None:
        _behind(V * series.c1.T[:, None], weights[0], of_first)
    sums, by_sample = np.empty((POWERS, m, u.shape[2])), np.ascontiguousarray(a.T)
    moments([by_sample] * POWERS, u, list(sums))
    bends: tuple[Array, ...] = ()
    if came and series is not None and series.c2 is not None and series.c3 is not None:
        means = sums[0, :, :came], sums[0, :, came : came + units]
        bends = _bends((series.c2.T, series.c3.T), weights[0], (of_first, V), by_sample, means)
    LOSS_CUMULANTS[cost](list(sums))
    for power, bend in zip(sums[1:], bends, strict=False):
        power[:, :came] += bend
    powers = np.empty((POWERS, u.shape[2], m))
    np.multiply(sums.transpose(0, 2, 1), np.add.reduce(y, axis=0), out=powers)
    return Responses(*powers), largest_of(u)


def _behind(changes: Array, W: Array, out: Array) -> None:
    """Write changes (m, outputs, units) times W (units, columns) to ``out``, (m, outputs, columns)."""
    times(changes.reshape(-1, W.shape[0]), W, out.reshape(-1, W.shape[1]))


def _bends(
    coefficients: tuple[Array, Array], P: Array, changes: tuple[Array, Array], a: Array, means: tuple[Array, Array]
) -> tuple[Array, Array]:
    """What a curved last hidden layer adds to the second and third power of the columns before it, (m, columns).

    Parameters
    ----------
    coefficients : c2 and c3, (m, units); P : (units, columns).
    changes, means : u and V, (m, outputs, columns and units), and their means by a, (m, outputs).
    """
    (u, V), (mean, mean_of_units), (c2, c3), square = changes, means, coefficients, P * P
    second, third = (mean_of_units * c2).dot(square), (mean_of_units * c3).dot(square * P)
    s = np.empty(u.shape)
    _behind(V * c2[:, None], square, s)
    s *= u
    third += np.matmul(a[:, None], s)[:, 0]
    third -= mean * second
    return second, third
