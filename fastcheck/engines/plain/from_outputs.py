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
ROWS = 160


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
    found = (down.found(layer, [each[layer.layer] for each in sizes], blocks) for layer in layers)
    return [(one, layer.met) for one, layer in zip(found, layers, strict=True) if one is not None]


class _Descent:
    """The way down from the outputs."""

    def __init__(self, point: Point, layers: list[Carried]) -> None:
        self.point = point
        self.layers = {layer.layer: layer for layer in layers}
        self.lowest = min(self.layers)
        passed = range(self.lowest, point.last)
        self.series = {k: point.series(k) for k in passed}
        self.weights = {k: point.weights[k + 1] for k in passed}
        if self.lowest < point.last:
            self.weights[self.lowest] = self.weights[self.lowest][:, self.layers[self.lowest].units]
        bent = [k for k in self.layers if k + 1 < point.last and point.curved(k + 1)]
        self.squares = {k: self.weights[k] * self.weights[k] for k in bent}
        self.cubes = {k: square * self.weights[k] for k, square in self.squares.items()
                      if self.layers[k].beyond > SQUARE_IS_NOTHING}
        self.powers = {k: [np.empty((point.m, len(point.run.Z[k][layer.units]))) for _ in range(4)]
                       for k, layer in self.layers.items()}
        self.mixing = not point.net.cost_entry.separable
        of_outputs = [point.run.A[-1]] if self.mixing else point.loss_series.all
        self.of_outputs = [np.ascontiguousarray(part.T) for part in of_outputs if part is not None]
        self.others: Mask | None = None
        Y = point.problem.Y
        if self.mixing and len(Y) > 1 and bool((np.count_nonzero(Y, axis=0) == 1).all()):
            self.others = Y.T == 0.0  # relative to itself the only target does not change
            self.of_outputs[0] = self.of_outputs[0][self.others].reshape(point.m, len(Y) - 1)

    def found(self, layer: Carried, sizes: list[float], blocks: list[slice]) -> LayerFound | None:
        """Return what was found of a layer; None where two or four powers do not say it.

        Parameters
        ----------
        sizes : the largest changes of outputs, of each of the blocks of samples.
        """
        powers = self.powers[layer.layer]
        if not all(size <= QUADRATIC_REACH for size in sizes):
            if layer.reach or not self.mixing or not all(size <= QUARTIC_REACH for size in sizes):
                return None
            for block, size in zip(blocks, sizes, strict=True):
                if size <= QUADRATIC_REACH:
                    powers[2][block] = powers[3][block] = 0.0
        else:
            powers = powers[:2]
        by_unit = [power.T for power in powers]
        if layer.met is not None:
            for power in by_unit:
                power[layer.met] = 0.0
        return LayerFound(layer.layer, layer.units, by_unit)

    def some_samples(self, s: slice) -> dict[int, float]:
        """Go down with some samples; return the largest change of an output that each layer's steps make."""
        sizes: dict[int, float] = {}
        with np.errstate(all="ignore"):  # NumPy keeps this per thread
            series = {k: _by_sample(whole.of((slice(None), s))) for k, whole in self.series.items()}
            J = slopes = self._at_outputs(s)
            for k in range(self.point.last, self.lowest - 1, -1):
                if k < self.point.last:
                    J = self._below(k, J, series.get(k + 1))
                layer, degree = self.layers.get(k), 2
                if layer is not None:
                    sizes[k] = largest_of(J) * layer.largest
                    degree = 2 if max(sizes[k], layer.beyond) <= SQUARE_IS_NOTHING else (
                        3 if sizes[k] <= QUADRATIC_REACH or layer.reach else 4)
                powers = self._of_loss(J, s, degree)
                if k in self.squares:
                    self._add_bend(k, slopes, powers, series[k + 1])
                slopes = powers[0]
                if layer is not None:
                    self._write(layer, powers, s, series.get(k))
        return sizes

    def _at_outputs(self, s: slice) -> Array:
        """Changes of the outputs by one of each, as the loss sees them, (samples, outputs, outputs)."""
        y = self.point.problem.Y[:, s]
        if not self.mixing:
            return np.repeat(np.eye(len(y))[None], y.shape[1], axis=0)
        J = relative_to_targets(y)
        return J if self.others is None else J[self.others[s]].reshape(len(J), -1, len(y))

    def _below(self, k: int, J: Array, behind: Series | None) -> Array:
        """J_k from J_{k + 1}, which is used up; ``behind`` is of layer k + 1."""
        if behind is not None:
            J *= behind.c1[:, None]
        W = self.weights[k]
        return np.asarray((J.reshape(-1, len(W)) @ W).reshape(*J.shape[:2], W.shape[1]))

    def _of_loss(self, J: Array, s: slice, degree: int) -> list[Array]:
        """Powers of the loss's changes (samples, units), for changes J of the outputs, by one of each unit."""
        parts = [part[s] for part in self.of_outputs]
        if self.mixing:
            return LOSS_CUMULANTS[self.point.net.cost](self.point.problem.Y[:, s].sum(axis=0), parts[0], J, degree)
        return moments(parts[:degree], J)

    def _add_bend(self, k: int, slopes: Array, powers: list[Array], behind: Series) -> None:
        """Add what the curved layer k + 1 adds to the second and third power."""
        if behind.c2 is not None and behind.c3 is not None:
            powers[1] += (slopes * behind.c2) @ self.squares[k]
            if k in self.cubes:
                powers[2] += (slopes * behind.c3) @ self.cubes[k]

    def _write(self, layer: Carried, powers: list[Array], s: slice, own: Series | None) -> None:
        """Write the powers of changes of pre-activations, from those of changes of activations."""
        k, units = layer.layer, layer.units
        if k > self.lowest or k == self.point.last:
            powers = [power[:, units] for power in powers]
        if own is not None:
            powers = _composed(powers, own.of((slice(None), units)))
        if len(powers) == 3:
            h = self.point.steps[k][s, None]
            powers[0] += powers.pop() * (h * h)
        for whole, power in zip(self.powers[k], powers, strict=False):
            whole[s] = power


def _by_sample(series: Series) -> Series:
    """Return the same with samples first, (m, units)."""
    c2, c3 = (None if part is None else np.ascontiguousarray(part.T) for part in (series.c2, series.c3))
    return Series(np.ascontiguousarray(series.c1.T), c2, c3)


def _composed(powers: list[Array], inner: Series) -> list[Array]:
    """Powers of x of sum_n powers[n] d^n, where d is a series in x; of up to three powers where that is curved."""
    r1, r2, r3 = inner.all
    composed = [powers[0] * r1]
    power = r1
    for factor in powers[1:]:
        power = power * r1
        composed.append(factor * power)
    if r2 is not None and r3 is not None:
        composed[1] += powers[0] * r2
        third = 2.0 * powers[1] * r1 * r2 + powers[0] * r3
        composed[2:] = [composed[2] + third if len(composed) > 2 else third]
    return composed
