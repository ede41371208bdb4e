"""How far rounding alone can carry a right back-propagation: the textbook's formulas, error by error.

A running error analysis with variances: every rounding is an independent error of one unit relative to what was
rounded, and errors are carried forward and back as the derivatives carry changes.  It tells a mistake from digits
lost where a - y, 1 - a or exp(z) - 1 cancels, and, in single precision, from a ReLU whose pre-activation rounds across
zero.
"""

import math
from typing import NamedTuple

import numpy as np

from ..._constants import UNIT_ROUNDOFF
from ..._types import Array
from ...rules.activations import Activation
from .names import kind_and_number
from .problem import Problem

# A pre-activation within this many standard errors of a breakpoint may have rounded to its other side.
NEAR = 4.0
# Slopes are taken this many standard errors of their pre-activation away; and beyond this pre-activation exp(-|z|) is
# lost beside one, so that 1 - a is exact.
REACH, LEVEL = 2.0, 40.0


class Layer(NamedTuple):
    """What the gradients of one layer are made of, with the variances of their errors, all (units, m)."""

    dZ: Array
    dZ_variance: Array
    inputs: Array
    inputs_variance: Array


class Rounding:
    """Standard errors that rounding leaves in each entry of a textbook back-propagation.

    Parameters
    ----------
    problem : the network at one point, with its data.
    limit : bytes that samples may take at a time.
    """

    def __init__(self, problem: Problem, limit: float = math.inf) -> None:
        self.problem, self.limit = problem, limit
        self._layers: dict[float, list[Layer]] = {}

    def __call__(self, name: str, unit: float = UNIT_ROUNDOFF) -> Array:
        """Return the standard errors of one tensor's gradient, flat.

        Parameters
        ----------
        name : W1, b1, ...
        unit : largest relative error of one rounding.
        """
        with np.errstate(all="ignore"):
            variance: Array = np.zeros(1)
            for part in self.problem.parts(self.limit):
                variance = variance + self._variance(part, name, unit)
            network = self.problem.network
            if network.l2 and name in {tensor.name for tensor in network.penalised}:
                weight = unit * network.l2 / self.problem.m
                variance += (weight * self.problem.parameters[name]) ** 2
            return np.asarray(np.sqrt(variance, out=variance).reshape(-1))

    def _variance(self, part: Problem, name: str, unit: float) -> Array:
        """Of a tensor's sum over a part of the samples."""
        kind, number = kind_and_number(name) or ("", 0)
        layer = self._layers_of(part, unit)[number - 1]
        squares = layer.dZ**2
        lost = layer.dZ_variance + unit**2 * squares
        if kind == "b":
            return np.asarray(lost.sum(axis=1))
        return np.asarray(np.hstack([lost, squares]) @ np.hstack([layer.inputs**2, layer.inputs_variance]).T)

    def _layers_of(self, part: Problem, unit: float) -> list[Layer]:
        """Kept for the next tensor where the part is the whole."""
        if part is not self.problem:
            return self._analysed(part, unit)
        if unit not in self._layers:
            self._layers[unit] = self._analysed(part, unit)
        return self._layers[unit]

    def _analysed(self, given: Problem, unit: float) -> list[Layer]:
        network = given.network
        parameters, run = given.parameters, given.forward()
        entries = network.activation_entries
        Z_variance, A_variance = [], [unit**2 * given.X**2]
        for k, entry in enumerate(entries, 1):
            values, inputs = network.places[k - 1].values(parameters), run.inputs_of(k - 1)
            W = values["W"]
            variance = W**2 @ (A_variance[-1] + unit**2 * inputs**2)
            variance += unit**2 * (values["b"].reshape(-1, 1) ** 2 + run.Z[k - 1] ** 2)
            Z_variance.append(variance)
            rounded = run.A[k - 1] if entry.terms is None else entry.terms(run.Z[k - 1])
            A_variance.append(_carried(entry, run.Z[k - 1], run.A[k - 1], variance) + unit**2 * rounded**2)
        dZ, variance = self._output(given.Y, run.Z[-1], run.A[-1], Z_variance[-1], A_variance[-1], unit)
        layers = []
        for k in range(len(entries), 0, -1):
            layers.append(Layer(dZ, variance, run.inputs_of(k - 1), A_variance[k - 1]))
            if k > 1:
                W = network.places[k - 1].values(parameters)["W"]
                dA, dA_variance = W.T @ dZ, (W**2).T @ (variance + unit**2 * dZ**2)
                dZ, variance = _through(entries[k - 2], run.Z[k - 2], Z_variance[k - 2], dA, dA_variance, unit)
        return layers[::-1]

    def _output(
        self, Y: Array, Z: Array, A: Array, Z_variance: Array, A_variance: Array, unit: float
    ) -> tuple[Array, Array]:
        """dZ of the last layer and the variance of its errors."""
        cost = self.problem.network.cost_entry
        entry = self.problem.network.activation_entries[-1]
        scale = cost.scale(self.problem.m, Y.shape[0])
        gradient = scale * cost.gradient(Z, A, Y)
        lost = scale**2 * cost.rounding(A, Y, A_variance, unit)
        if cost.output:
            return gradient, lost
        if entry.elementwise:
            return _through(entry, Z, Z_variance, gradient, lost, unit)
        mean = (A * gradient).sum(axis=0, keepdims=True)
        variance = A**2 * (lost + (A**2 * lost).sum(axis=0, keepdims=True))
        variance += (A_variance + unit**2 * A**2) * (gradient**2 + (A * np.abs(gradient)).sum(axis=0) ** 2)
        return A * (gradient - mean), variance


def _carried(entry: Activation, Z: Array, A: Array, variance: Array) -> Array:
    """Variance of an activation's errors from those of its pre-activation.

    Of a softmax, a_i (dz_i - sum_j a_j dz_j): an output of nearly one hardly feels its own logit, however large.
    """
    if entry.elementwise:
        return entry.derivative(Z) ** 2 * variance
    shares = A**2 * variance
    others = np.maximum(shares.sum(axis=0, keepdims=True) - shares, 0.0)
    return np.asarray(A**2 * ((1.0 - A) ** 2 * variance + others))


def _through(
    entry: Activation, Z: Array, Z_variance: Array, dA: Array, dA_variance: Array, unit: float
) -> tuple[Array, Array]:
    """dZ = dA g'(z) and the variance of its errors: 1 - a, for example, is off by a unit of one, not of itself.

    A slope moves with its pre-activation as far as it does at the ends of that one's error: hardly, where it is level.
    """
    slope = entry.derivative(Z)
    lost = np.zeros_like(Z)
    if not entry.linear:
        reach = REACH * np.sqrt(Z_variance)
        moved = np.maximum(*(np.abs(entry.derivative(Z + side) - slope) for side in (reach, -reach)))
        lost = (unit * (1.0 + np.minimum(np.abs(Z), LEVEL))) ** 2 + np.minimum(moved**2, Z_variance)
    for point in entry.breakpoints:
        lost[np.abs(Z - point) <= NEAR * np.sqrt(Z_variance)] = 1.0
    return dA * slope, slope**2 * (dA_variance + unit**2 * dA**2) + dA**2 * lost
