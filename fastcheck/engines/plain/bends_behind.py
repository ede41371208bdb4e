"""What curved layers further on add to a change's higher powers, in single precision, for they count for little.

A change d of the activation of unit i of layer k moves the pre-activations of layer l by P_l[:, i] d + R_l[:, i] d^2,
with c1, c2 and c3 those of layer l - 1 on the right,

    P_l = W_l diag(c1) P_{l-1}        R_l = W_l (diag(c1) R_{l-1} + diag(c2) P_{l-1}^2)        P_{k+1} = W_{k+1}

and R_{k+1} = 0.  Powers of P are taken entry by entry.  In layer l the activations bend, which moves output o of the
network by

    sum_q J_l[o, q] c2_q P_l[q, i]^2 d^2

where J_l is what outputs make of changes of layer l's activations, and the loss, of slopes g in these, by

    sum_q g_q (2 c2_q P_l[q, i] R_l[q, i] + c3_q P_l[q, i]^3) d^3

beside what it makes of the outputs' changes.  Steps d are 1e-7 or so: all this is some 1e-14 of what slopes make, so
that single precision says it to far less than rounding, as long as d^2 is small beside that precision.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..._types import Array
from .point import BLOCK, Point, Series
from .powers import largest_of

Single = NDArray[np.float32]


class Passed(NamedTuple):
    """One layer on the way, by sample.

    c1, c2 : (samples, inputs), of the layer before; no c2 where it is straight.
    weights : (inputs, units) of the layer.
    bends : (samples, units, outputs), J c2; None where the layer is straight.
    thirds : (samples, units) each, 2 g c2 and g c3 likewise.
    """

    c1: Single
    c2: Single | None
    weights: Single
    bends: Array | None = None
    thirds: tuple[Array, Array] | None = None


class Singles:
    """What ``bends_behind`` needs of a network, in single precision.

    Attributes
    ----------
    first : by layer from which changes come, what they make of the next layer's pre-activations (units, outputs).
    c1, c2 : by layer (m, units); weights : by layer, (inputs, units).
    """

    def __init__(self, point: Point, weights: dict[int, Array]) -> None:
        self.first = {k: _single(W.T) for k, W in weights.items()}
        passed = {k: point.series(k) for k in range(min(weights, default=point.last) + 1, point.last)}
        self.c1 = {k: _single(series.c1.T) for k, series in passed.items()}
        self.c2 = {k: None if series.c2 is None else _single(series.c2.T) for k, series in passed.items()}
        self.weights = {k: _single(point.weights[k].T) for k in passed}

    def passed(self, j: int, samples: slice, series: Series, J: Array | None, slopes: Array | None) -> Passed:
        """Return a layer that changes pass, in some samples.

        Parameters
        ----------
        series : of its activations (samples, units), in double precision.
        J, slopes : (samples, outputs, units) and (samples, units), what changes of its activations make of outputs and
            of the losses; of curved layers alone.
        """
        bent = self.c2[j - 1]
        passed = Passed(self.c1[j - 1][samples], None if bent is None else bent[samples], self.weights[j])
        _, c2, c3 = series.all
        if c2 is None or c3 is None or J is None or slopes is None:
            return passed
        bends = J.swapaxes(1, 2) * c2[:, :, None]
        return passed._replace(bends=bends, thirds=(2.0 * slopes * c2, slopes * c3))


@np.errstate(all="ignore")
def bends_behind(
    first: Single, layers: list[Passed], samples: slice, outputs: int, *, cubic: bool
) -> tuple[Array, Array, float]:
    """Return what the layers add to d^2 of outputs (samples, outputs, units), and to d^3 of the loss (samples, units).

    Last comes the steepest slope of a curved layer's pre-activation, or NaN.

    Parameters
    ----------
    first : (units, outputs) of the layer after these units, transposed.
    layers : those behind that one.
    samples : which of them.
    outputs : how many the network has.
    cubic : whether to find the latter; zeros if not, in half of the time.
    """
    count, units = samples.stop - samples.start, len(first)
    second, third = np.zeros((count, units, outputs)), np.zeros((count, units))
    steepest = np.float32(0.0)
    step = max(1, BLOCK // (units * max((layer.weights.shape[1] for layer in layers), default=1)))
    for begin in range(0, count if layers else 0, step):
        part = slice(begin, min(begin + step, count))
        s = slice(samples.start + part.start, samples.start + part.stop)
        P, R = first[None], None
        for layer in layers:
            if cubic:
                R = _second_behind(layer, P, R, s)
            P = _through(P * layer.c1[s, None], layer.weights)
            if layer.bends is not None and layer.thirds is not None:
                squares = P * P
                steepest = np.maximum(steepest, squares.max())
                second[part] += _weighted(squares, layer.bends[s])
                if cubic:
                    third[part] += _thirds(P, R, squares, *(one[s] for one in layer.thirds))
    return second.swapaxes(1, 2), third, float(np.sqrt(steepest))


def _single(values: Array) -> Single:
    return np.ascontiguousarray(values, np.float32)


def _through(changes: Single, weights: Single) -> Single:
    """Return changes (samples, units, inputs) behind weights."""
    behind: Single = np.matmul(changes.reshape(-1, len(weights)), weights)
    return behind.reshape(*changes.shape[:2], weights.shape[1])


def _second_behind(layer: Passed, P: Single, R: Single | None, s: slice) -> Single | None:
    """Return R behind a layer; None for zeros."""
    bent = None if R is None else R * layer.c1[s, None]
    if layer.c2 is not None:
        squares = P * P * layer.c2[s, None]
        bent = squares if bent is None else bent + squares
    return None if bent is None else _through(bent, layer.weights)


def _weighted(squares: Single, bends: Array) -> Array:
    """Return the sums of squares (samples, units, inputs) by weights (samples, inputs, outputs)."""
    size = largest_of(bends)
    return size * np.matmul(squares, (bends / size).astype(np.float32)) if size else np.zeros(1)


def _thirds(P: Single, R: Single | None, squares: Single, of_products: Array, of_cubes: Array) -> Array:
    """Return the sums of P R and P^3 by weights (samples, inputs) each."""
    size = max(largest_of(of_products), largest_of(of_cubes))
    if not size:
        return np.zeros(1)
    factors = squares * (of_cubes / size).astype(np.float32)[:, None]
    if R is not None:
        factors += R * (of_products / size).astype(np.float32)[:, None]
    return np.asarray(size * np.einsum("sui,sui->su", P, factors))
