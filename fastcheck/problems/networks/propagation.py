"""Forward propagation and back-propagation through a chain of layers, in plain NumPy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..._types import Array
from ...rules.activations import ACTIVATIONS, Activation
from ...rules.losses import Cost
from ..parameters.tensor import Tensor
from .layers.base import Layer


@dataclass(frozen=True)
class Propagation:
    """What forward propagation leaves behind: inputs and, per layer, pre-activations and activations (units, m)."""

    X: Array
    Z: list[Array]
    A: list[Array]

    def inputs_of(self, layer: int) -> Array:
        """Return the activations that layer ``layer`` (0-based) reads."""
        return self.X if layer == 0 else self.A[layer - 1]


class Span(NamedTuple):
    """Where what belongs to a dense layer lies.

    Parameters
    ----------
    weights, bias : in theta; shape : of the weights.
    units, inputs : its units among those of all layers, and what it reads among what all layers read.
    """

    weights: slice
    shape: tuple[int, ...]
    bias: slice
    units: slice
    inputs: slice


@dataclass(frozen=True)
class LayerPlace:
    """A layer of a network, and where its parameters are.

    Parameters
    ----------
    layer : what it computes.
    number : from 1 on.
    tensors : its parameters, by kind.
    """

    layer: Layer
    number: int
    tensors: dict[str, Tensor]

    @property
    def activation(self) -> Activation:
        """The table entry of its activation."""
        return ACTIVATIONS[self.layer.activation]

    def values(self, parameters: Mapping[str, Array]) -> dict[str, Array]:
        """Its own parameters, by kind, among all of the network's, by name."""
        return {kind: parameters[tensor.name] for kind, tensor in self.tensors.items()}

    def of_unit(self, theta: Array, unit: int) -> Array:
        """Return the weights of one unit of a dense layer and, last, its bias."""
        weights, bias = self.tensors["W"], self.tensors["b"]
        return np.append(theta[weights.start : weights.stop].reshape(weights.shape)[unit], theta[bias.start + unit])


def forward(places: Sequence[LayerPlace], parameters: Mapping[str, Array], X: Array) -> Propagation:
    """Propagate X (n_x, m) through the layers, with the parameters by name."""
    Z, A, a = [], [], X
    with np.errstate(all="ignore"):
        for place in places:
            Z.append(place.layer.forward(place.values(parameters), a))
            a = place.activation.value(Z[-1])
            A.append(a)
    return Propagation(X, Z, A)


def backward(
    places: Sequence[LayerPlace], parameters: Mapping[str, Array], run: Propagation, dZ: Array
) -> dict[str, Array]:
    """Propagate dJ/dZ of the last layer back: the gradients of the parameters, by name, without any penalty."""
    gradients: dict[str, Array] = {}
    with np.errstate(all="ignore"):
        for k in range(len(places) - 1, -1, -1):
            place = places[k]
            values = place.values(parameters)
            found = place.layer.gradients(values, run.inputs_of(k), dZ)
            gradients |= {place.tensors[kind].name: gradient for kind, gradient in found.items()}
            if k > 0:
                dZ = place.layer.backward(values, dZ) * places[k - 1].activation.derivative(run.Z[k - 1])
    return gradients


def output_gradient(cost: Cost, activation: Activation, run: Propagation, targets: Array) -> Array:
    """Find dJ/dZ of the last layer: the cost's gradient through the output activation, where it is not by Z itself."""
    A = run.A[-1]
    with np.errstate(all="ignore"):
        gradient = cost.gradient(run.Z[-1], A, targets) * cost.scale(targets.shape[1], targets.shape[0])
        if cost.output:
            return gradient
        if activation.elementwise:
            return gradient * activation.derivative(run.Z[-1])
        others = np.ones((A.shape[0], A.shape[0])) - np.eye(A.shape[0])
        return np.asarray(A * (gradient * (others @ A) - others @ (A * gradient)))
