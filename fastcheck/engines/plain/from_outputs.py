"""Responses to short changes, from the outputs down and some samples at a time.

A change d of the activation of unit i of layer k moves the outputs' pre-activations by J_k[:, i] d, where

    J_k = J_{k+1} diag(c1 of layer k + 1) W_{k+1}

so that one product of matrices says what becomes of all of a layer's units, and what some samples take stays in a
processor's cache.  The loss makes of it a series l1 d + l2 d^2 + l3 d^3 (see ``loss_changes.cross_entropy_cumulants``).
Where layer k + 1 is curved, and none behind it is, it adds

    sum_r g_r c2_r W[r, i]^2 d^2 + sum_r g_r c3_r W[r, i]^3 d^3

where g_r is l1 of unit r of layer k + 1: products again, of one row for each sample.  Changes d are themselves series
in changes x of pre-activations.

What that leaves out, second powers of the outputs' changes beside one, is less than rounding wherever ``carried`` takes
a layer.  It takes none either where a change may meet a kink behind the next layer: those are left to ``pairs``.
"""

from collections.abc import Callable

import numpy as np

from ..._types import Array, Mask
from ...rules.loss_changes import LOSS_CUMULANTS, moments, relative_to_targets
from ...runtime.run import Run
from ...runtime.threads import run_all
from .carried import Carried
from .found import LayerFound
from .pieces import PIECE, evenly
from .point import QUADRATIC_REACH, QUARTIC_REACH, SQUARE_IS_NOTHING, Point, Series
from .powers import largest_of

# Rows of one block of J: what a block takes stays in a processor's cache, and BLAS packs W anew for each.
ROWS = 320


def responses(
    point: Point, layers: list[Carried], run: Run, told: Callable[[int, int], None]
) -> list[tuple[LayerFound, Mask | None]]:
    """Return polynomials of the layers that they are good for, and in which samples they do not hold (units, m).

    Parameters
    ----------
    layers : as ``carried`` has them, at least one.
    told : called with how many blocks of samples are done, and of how many.
    """
    down = _Descent(point, layers)
    rows = point.m * point.net.widths[-1]
    blocks = evenly(point.m, min(rows // ROWS, rows * sum(W.size for W in down.weights.values()) // PIECE))
    sizes = run_all(down.some_samples, blocks, run.threads, lambda done: told(done, len(blocks)))
    largest = {k: float(np.max([each[k] for each in sizes])) for k in down.layers}  # NaN where one is
    found = (down.found(layer, largest[layer.layer]) for layer in layers)
    return [(one, layer.met) for one, layer in zip(found, layers, strict=True) if one is not None]


class _Descent:
    """The way down from the outputs, some samples at a time."""

    def __init__(self, point: Point, layers: list[Carried]) -> None:
        self.point = point
        self.layers = {layer.layer: layer for layer in layers}
        self.lowest = min(self.layers)
        passed = range(self.lowest, point.last)
        self.series = {k: _by_sample(point.series(k)) for k in passed}
        self.weights = {k: point.weights[k + 1] for k in passed}
        if self.lowest < point.last:
            units = self.layers[self.lowest].units
            self.weights[self.lowest] = self.weights[self.lowest][:, units]
            self.series[self.lowest] = self.series[self.lowest].of((slice(None), units))
        bent = [k for k in self.layers if k + 1 < point.last and point.curved(k + 1)]
        self.powers_of_weights = {k: self._powers_of_weights(k) for k in bent}
        self.mixing = not point.net.cost_entry.separable
        of_outputs = [point.run.A[-1]] * 4 if self.mixing else point.loss_series.all
        self.of_outputs = [np.ascontiguousarray(part.T) for part in of_outputs if part is not None]
        widths = {k: W.shape[1] for k, W in self.weights.items()} | {point.last: point.net.widths[-1]}
        wanted = set(self.layers) | {k + 1 for k in bent}
        self.powers = {k: [np.empty((point.m, widths[k])) for _ in self.of_outputs] for k in sorted(wanted)}
        self.bends = {k: [np.zeros((point.m, widths[k])) for _ in self.powers_of_weights[k]] for k in bent}
        self.degrees = {k: np.empty(point.m, np.int64) for k in wanted}
        self.others: Mask | None = None
        Y = point.problem.Y
        weight = Y.sum(axis=0)
        self.weight = weight[:, None] if self.mixing and bool((weight != 1.0).any()) else None
        if self.mixing and len(Y) > 1 and bool((np.count_nonzero(Y, axis=0) == 1).all()):
            self.others = Y.T == 0.0  # relative to itself the only target does not change
            self.of_outputs = [self.of_outputs[0][self.others].reshape(point.m, len(Y) - 1)] * 4

    def _powers_of_weights(self, k: int) -> list[Array]:
        """W^2 and, where that may count, W^3 from layer k to the next."""
        W = self.weights[k]
        square = W * W
        return [square, square * W] if self.layers[k].beyond > SQUARE_IS_NOTHING else [square]

    def some_samples(self, s: slice) -> dict[int, float]:
        """Go down with some samples; return the largest change of an output that each layer's steps make."""
        sizes: dict[int, float] = {}
        with np.errstate(all="ignore"):  # NumPy keeps this per thread
            J = self._at_outputs(s)
            for k in range(self.point.last, self.lowest - 1, -1):
                if k < self.point.last:
                    J = self._below(k, J, s)
                if k in self.powers:
                    layer, degree = self.layers.get(k), 2
                    if layer is not None:
                        sizes[k] = largest_of(J) * layer.largest
                        degree = self._degree(layer, sizes[k])
                    self.degrees[k][s] = degree
                    moments([part[s] for part in self.of_outputs], J, [power[s] for power in self.powers[k][:degree]])
                if k in self.bends:
                    self._bend(k, s)
        self._powers_of_steps(s)
        return sizes

    def _at_outputs(self, s: slice) -> Array:
        """Changes of the outputs by one of each, as the loss sees them, (samples, outputs, outputs)."""
        y = self.point.problem.Y[:, s]
        if not self.mixing:
            return np.repeat(np.eye(len(y))[None], y.shape[1], axis=0)
        J = relative_to_targets(y)
        return J if self.others is None else J[self.others[s]].reshape(len(J), -1, len(y))

    def _below(self, k: int, J: Array, s: slice) -> Array:
        """J_k from J_{k + 1}, which is used up."""
        if k + 1 < self.point.last:
            J *= self.series[k + 1].c1[s][:, None]
        W = self.weights[k]
        return np.asarray((J.reshape(-1, len(W)) @ W).reshape(*J.shape[:2], W.shape[1]))

    def _degree(self, layer: Carried, size: float) -> int:
        """How many powers count where a layer's steps make changes of outputs up to ``size``."""
        if max(size, layer.beyond) <= SQUARE_IS_NOTHING:
            return 2
        return 3 if size <= QUADRATIC_REACH or layer.reach or not self.mixing else 4

    def _bend(self, k: int, s: slice) -> None:
        """Write what the curved layer k + 1 adds to the second and third power, by one unit of the targets' weight."""
        slopes, behind = self.powers[k + 1][0][s], self.series[k + 1]
        for c, W, out in zip((behind.c2, behind.c3), self.powers_of_weights[k], self.bends[k], strict=False):
            if c is not None:
                np.matmul(slopes * c[s], W, out=out[s])

    def _powers_of_steps(self, s: slice) -> None:
        """Turn sums over outputs, of some samples, into powers of changes of pre-activations, in place."""
        point = self.point
        with np.errstate(all="ignore"):
            powers = {k: [power[s] for power in whole[: self.degrees[k][s].max()]] for k, whole in self.powers.items()}
            for k in self.layers:
                if self.mixing:
                    LOSS_CUMULANTS[point.net.cost](powers[k])
                for number, power in enumerate(powers[k][2:], 2):
                    power[self.degrees[k][s] <= number] = 0.0
                for power, bend in zip(powers[k][1:], self.bends.get(k, []), strict=False):
                    power += bend[s]
                if self.weight is not None:
                    for power in powers[k]:
                        power *= self.weight[s]
                rest = _compose(powers[k], self.series[k].of(s)) if point.passes(k) else powers[k][2:]
                if len(rest) == 1:
                    h = point.steps[k][s, None]
                    powers[k][0] += rest[0] * (h * h)

    def found(self, layer: Carried, size: float) -> LayerFound | None:
        """Return what was found of a layer; None where two or four powers do not say it.

        Parameters
        ----------
        size : the largest change of an output, or NaN.
        """
        k, powers = layer.layer, self.powers[layer.layer]
        if size <= QUADRATIC_REACH:
            powers = powers[:2]
        elif layer.reach or not self.mixing or not size <= QUARTIC_REACH:
            return None
        by_unit = [(power if k == self.lowest < self.point.last else power[:, layer.units]).T for power in powers]
        if layer.met is not None:
            for power in by_unit:
                power[layer.met] = 0.0
        return LayerFound(k, layer.units, by_unit)


def _by_sample(series: Series) -> Series:
    """Return the same with samples first, (m, units)."""
    c2, c3 = (None if part is None else np.ascontiguousarray(part.T) for part in (series.c2, series.c3))
    return Series(np.ascontiguousarray(series.c1.T), c2, c3)


def _compose(powers: list[Array], inner: Series) -> list[Array]:
    """Turn powers of d into those of x, where d is a series in x, in place; return those from the third on.

    Where that series is curved two powers make three; there are no more than three then.
    """
    r1, r2, r3 = inner.all
    bends = None if r2 is None or r3 is None else (powers[0] * r2, 2.0 * powers[1] * r1 * r2 + powers[0] * r3)
    factor = r1
    for number, power in enumerate(powers):
        if number:
            factor = factor * r1
        power *= factor
    if bends is None:
        return powers[2:]
    powers[1] += bends[0]
    return [powers[2] + bends[1] if len(powers) > 2 else bends[1]]
