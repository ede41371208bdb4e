"""What is found about the units of one layer, and what it makes of the layer's parameters."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..._types import Array, Mask
from .literally import literal_parts, slopes
from .point import Point


@dataclass(frozen=True)
class Literal:
    """Units that met kinks, or whose steps are too long for a polynomial, in the samples concerned.

    rows : (u,) places among the layer's chosen units.
    odd, even : (u, J) sums over those samples, bias last.
    kinked : (u, J) whether a change met a kink.
    low, high : (u, J) sums of one-sided derivatives.
    steepest : the largest sum of squares of a unit's one-sided derivatives.
    """

    rows: Any
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
    units: Any
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

    def add_slopes(self, inputs: Array, epsilon: float, scale: float, weights: Array, biases: Array) -> None:
        """The same written where it belongs, weights (units, inputs) and biases (units,)."""
        slopes = scale * self.powers[0]
        np.matmul(slopes, inputs.T, out=weights)
        slopes.sum(axis=1, out=biases)
        if len(self.powers) > 2:
            cubes = (scale * epsilon**2) * self.powers[2]
            weights += cubes @ (inputs * inputs * inputs).T
            biases += cubes.sum(axis=1)

    def even(self, inputs: Array, epsilon: float) -> Array:
        """Return the even parts likewise."""
        total = epsilon**2 * (self.powers[1] @ (inputs**2).T)
        if len(self.powers) > 2:
            total += epsilon**4 * (self.powers[3] @ (inputs**4).T)
        return np.asarray(total)


def with_ones(inputs: Array) -> Array:
    """Return the inputs of a layer and, last, those of its biases."""
    return np.vstack([inputs, np.ones(inputs.shape[1])])


def literal_of(point: Point, layer: int, units: Any, met: Mask) -> Literal:
    """Return the responses of units (U,) to every step of the samples where they met something, (U, m)."""
    inputs = with_ones(point.inputs[layer]).T
    rows = np.flatnonzero(met.any(axis=1))
    shape = (rows.size, inputs.shape[1])
    odd_sum, even_sum, lowest, highest = (np.zeros(shape) for _ in range(4))
    met_by = np.zeros(shape, np.bool_)
    steepest = 0.0
    for place, row in enumerate(rows):
        samples = np.flatnonzero(met[row])
        unit = np.full(samples.size, units[row])
        a = inputs[samples]
        odd, even, kinked = literal_parts(point, layer, unit, samples, point.epsilon * a)
        odd_sum[place], even_sum[place], met_by[place] = odd.sum(axis=0), even.sum(axis=0), kinked.any(axis=0)
        low, high = slopes(point, layer, unit, samples)
        up, down = np.maximum(a, 0.0), np.maximum(-a, 0.0)
        lowest[place], highest[place] = low @ up - high @ down, high @ up - low @ down
        steepest = max(steepest, float(low @ low), float(high @ high))
    return Literal(rows, odd_sum, even_sum, met_by, lowest, highest, steepest)
