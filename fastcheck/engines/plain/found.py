"""What is found about the units of one layer, and what it makes of the layer's parameters."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..._types import Array, Indices, Mask, Rows
from .literally import literal_parts, slopes
from .point import Point

# Numbers of the widest layer that are evaluated literally in one go, of all steps in it: about a tenth of a second.
PIECE = 1 << 20


@dataclass(frozen=True)
class Literal:
    """Units that met kinks, or whose steps are too long for a polynomial, in the samples concerned.

    rows : (u,) places among the layer's chosen units.
    odd, even : (u, J) sums over those samples, bias last.
    kinked : (u, J) whether a change met a kink.
    low, high : (u, J) sums of one-sided derivatives.
    steepest : the largest sum of squares of a unit's one-sided derivatives.
    """

    rows: Indices
    odd: Array
    even: Array
    kinked: Mask
    low: Array
    high: Array
    steepest: float


@dataclass(frozen=True)
class LayerFound:
    """Responses of a layer's chosen units, r(x) = c1 x + c2 x^2 + c3 x^3 + c4 x^4 for each sample.

    layer : counted from 0.
    units : the chosen ones, or a slice of all.
    powers : c1, c2 (c3, c4), (units, m) each; zero where ``literal`` has the response.
    """

    layer: int
    units: Rows
    powers: list[Array]
    literal: Literal | None = None

    def odd(self, inputs: Array, epsilon: float) -> Array:
        """Return slopes (units, inputs) from sums over samples: the odd parts over epsilon, without the cost's scale.

        Parameters
        ----------
        inputs : (J, m) of which each is a parameter's input, ones for the bias.
        """
        total = self.powers[0] @ inputs.T
        if len(self.powers) > 2:
            total += epsilon**2 * (self.powers[2] @ (inputs**3).T)
        return np.asarray(total)

    def add_slopes(
        self, rows: slice, inputs: Array, epsilon: float, scale: float, weights: Array, biases: Array
    ) -> None:
        """The same of some units, written where it belongs, weights (units, inputs) and biases (units,)."""
        slopes = scale * self.powers[0][rows]
        np.matmul(slopes, inputs.T, out=weights[rows])
        slopes.sum(axis=1, out=biases[rows])
        if len(self.powers) > 2:
            cubes = (scale * epsilon**2) * self.powers[2][rows]
            weights[rows] += cubes @ (inputs * inputs * inputs).T
            biases[rows] += cubes.sum(axis=1)

    def even(self, inputs: Array, epsilon: float) -> Array:
        """Return the even parts likewise."""
        total = epsilon**2 * (self.powers[1] @ (inputs**2).T)
        if len(self.powers) > 2:
            total += epsilon**4 * (self.powers[3] @ (inputs**4).T)
        return np.asarray(total)


def with_ones(inputs: Array) -> Array:
    """Return the inputs of a layer and, last, those of its biases."""
    return np.vstack([inputs, np.ones(inputs.shape[1])])


@dataclass(frozen=True)
class Piece:
    """Some samples in which a unit met something: as much as is done before anybody can stop it.

    part : which LayerFound it belongs to, and row, the unit's place there.
    """

    part: int
    layer: int
    row: int
    unit: int
    samples: Indices

    def numbers(self, point: Point) -> int:
        """Return how many numbers of the widest layer its steps change, one sign of each."""
        return int(self.samples.size) * _numbers_each(point, self.layer)

    def sums(self, point: Point) -> tuple[Any, ...]:
        """Return a unit's odd and even parts, kinks and one-sided derivatives over these samples, (J,) each.

        Last come the sums of squares of the one-sided derivatives.
        """
        a = with_ones(point.inputs[self.layer][:, self.samples]).T
        unit = np.full(self.samples.size, self.unit)
        odd, even, kinked = literal_parts(point, self.layer, unit, self.samples, point.epsilon * a)
        low, high = slopes(point, self.layer, unit, self.samples)
        up, down = np.maximum(a, 0.0), np.maximum(-a, 0.0)
        return (odd.sum(axis=0), even.sum(axis=0), kinked.any(axis=0), low @ up - high @ down, high @ up - low @ down,
                np.array([low @ low, high @ high]))


def pieces_of(point: Point, part: int, found: LayerFound, met: Mask) -> Iterator[Piece]:
    """Yield what has to be evaluated literally: units (U,) in the samples where they met something, (U, m)."""
    units = np.arange(point.net.widths[found.layer + 1])[found.units]
    size = max(1, PIECE // _numbers_each(point, found.layer))
    for row in np.flatnonzero(met.any(axis=1)):
        samples = np.flatnonzero(met[row])
        for first in range(0, samples.size, size):
            yield Piece(part, found.layer, int(row), int(units[row]), samples[first : first + size])


def literal_from(pieces: Sequence[Piece], sums: Sequence[tuple[Any, ...]]) -> Literal:
    """Put the pieces of one LayerFound together, ascending by row."""
    rows = np.array([piece.row for piece in pieces])
    starts = np.flatnonzero(np.diff(rows, prepend=-1))
    odd, even, kinked, low, high, squares = (np.stack(each) for each in zip(*sums, strict=True))
    odd, even, low, high, squares = (np.add.reduceat(each, starts) for each in (odd, even, low, high, squares))
    return Literal(rows[starts], odd, even, np.logical_or.reduceat(kinked, starts), low, high, float(squares.max()))


def _numbers_each(point: Point, layer: int) -> int:
    """Return the same for one sample: each parameter of a unit has a step of its own."""
    return int((point.net.widths[layer] + 1) * max(point.net.widths))
