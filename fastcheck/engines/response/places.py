"""Where the parameters of units stand among the checked positions, and which of them are at kinks."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..._types import Array, Indices
from ...problems.gradients import Kinks
from ...problems.networks.problem import Problem


class Places:
    """Where the parameters of one layer's units stand among the checked positions.

    Parameters
    ----------
    indices : the checked positions of theta, ascending; None for all.

    Attributes
    ----------
    units : those that have parameters to check.
    """

    def __init__(self, problem: Problem, layer: int, indices: Indices | None) -> None:
        weights, bias = (problem.network.places[layer].tensors[kind] for kind in ("W", "b"))
        self.outputs, self.inputs = weights.shape
        edges = np.array([weights.start, bias.start, bias.stop])
        first, middle, last = edges if indices is None else np.searchsorted(indices, edges)
        self.weights, self.biases = slice(int(first), int(middle)), slice(int(middle), int(last))
        self.units = np.arange(self.outputs)
        if indices is not None:
            self.units = self._whole_units(weights.start, bias.start, indices)
        self.whole = self.units.size > 0
        if indices is not None and not self.whole:
            of_weight, of_bias = indices[self.weights] - weights.start, indices[self.biases] - bias.start
            self.rows = np.concatenate([of_weight // self.inputs, of_bias])
            self.columns = np.concatenate([of_weight % self.inputs, np.full(of_bias.size, self.inputs)])
            self.positions = np.arange(first, last)
            self.units = np.unique(self.rows)

    def _whole_units(self, weights: int, bias: int, indices: Indices) -> Indices:
        """Return the units, where the checked positions are all those of neighbouring units; else none."""
        of_weights, of_biases = indices[self.weights], indices[self.biases]
        count = of_biases.size
        if not count or of_weights.size != count * self.inputs:
            return np.empty(0, np.int64)
        unit = int(of_biases[0] - bias)
        ends = of_biases[-1] - bias - unit, of_weights[0] - weights, of_weights[-1] - weights
        wanted = count - 1, unit * self.inputs, (unit + count) * self.inputs - 1
        return np.arange(unit, unit + count if ends == wanted else unit)

    def add(self, total: Array, units: Indices, values: Array) -> None:
        """Add values (units, inputs + 1), bias last, where they belong."""
        if self.whole:
            first, last = units[0] - self.units[0], units[-1] + 1 - self.units[0]
            total[self.weights].reshape(-1, self.inputs)[first:last] += values[:, :-1]
            total[self.biases][first:last] += values[:, -1]
            return
        chosen = np.isin(self.rows, units)
        rows = np.searchsorted(units, self.rows[chosen])
        total[self.positions[chosen]] += values[rows, self.columns[chosen]]

    def position(self, unit: int, column: int) -> int | None:
        """Checked position of one parameter, None where it is not checked."""
        if self.whole:
            row = unit - int(self.units[0])
            return self.biases.start + row if column == self.inputs else (
                self.weights.start + row * self.inputs + column)
        found = self.positions[(self.rows == unit) & (self.columns == column)]
        return int(found[0]) if found.size else None

    def select(self, units: Indices, mask: Any) -> tuple[Indices, Any, Any]:
        """Checked positions where mask (units, inputs + 1) holds, with their rows and columns in it."""
        if self.whole:
            rows, columns = np.nonzero(mask)
            row = units[rows] - self.units[0]
            weight, bias = self.weights.start + row * self.inputs + columns, self.biases.start + row
            return np.asarray(np.where(columns < self.inputs, weight, bias)), rows, columns
        chosen = np.isin(self.rows, units)
        rows, columns = np.asarray(np.searchsorted(units, self.rows[chosen])), self.columns[chosen]
        kept = mask[rows, columns]
        return self.positions[chosen][kept], rows[kept], columns[kept]


def kinks_of(found: Sequence[tuple[Indices, Array, Array]], gradapprox: Array) -> Kinks:
    """Parameters at kinks, from pieces (positions, low, high) with bounds relative to the numerical gradient."""
    if not found:
        return Kinks(np.empty(0, np.int64), np.empty(0), np.empty(0))
    positions, low, high = (np.concatenate(parts) for parts in zip(*found, strict=True))
    where, back = np.unique(positions, return_inverse=True)
    return Kinks(where, gradapprox[where] + np.bincount(back, low), gradapprox[where] + np.bincount(back, high))
