"""Networks of dense layers: description, shapes, names, forward propagation and back-propagation in plain NumPy."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np

from ..._names import Activation as ActivationName, Cost as CostName
from ..._types import Array
from ..._validation import known, real_array, real_number
from ...rules.activations import ACTIVATIONS, Activation
from ...rules.losses import COSTS, Cost
from ...runtime.cached_property import cached_property
from ..parameters.layout import Layout
from ..parameters.tensor import Tensor
from ..parameters.tree import Branch, Leaf, Tree
from .defaults import output_and_cost
from .layers.base import Layer
from .layers.dense import Dense
from .names import GRADIENT, PATTERN, name_of


@dataclass(frozen=True)
class Propagation:
    """What forward propagation leaves behind: inputs and, per layer, pre-activations and activations (units, m)."""

    X: Array
    Z: list[Array]
    A: list[Array]

    def inputs_of(self, layer: int) -> Array:
        """The activations that layer ``layer`` (0-based) reads."""
        return self.X if layer == 0 else self.A[layer - 1]


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

    def values(self, parameters: Mapping[str, Array]) -> dict[str, Array]:
        """Its own parameters, by kind, among all of the network's, by name."""
        return {kind: parameters[tensor.name] for kind, tensor in self.tensors.items()}

    def of_unit(self, theta: Array, unit: int) -> Array:
        """The weights of one unit of a dense layer and, last, its bias."""
        weights, bias = self.tensors["W"], self.tensors["b"]
        return np.append(theta[weights.start : weights.stop].reshape(weights.shape)[unit], theta[bias.start + unit])


class Network:
    """A chain of dense layers and a cost.

    Parameters
    ----------
    layers : sequence of Dense, widths chained.
    cost : "binary_cross_entropy" (sigmoid output), "cross_entropy" (softmax output), "squared_error" or
        "mean_squared_error" (any output).
    l2 : weight of the penalty l2/(2m) sum ||W||_F^2 (the course's lambd); biases are not penalised.

    Raises
    ------
    ValueError, TypeError : for an empty chain, widths that do not chain, softmax before the output, a cost that does
        not fit the output activation, an unknown cost, or a negative or non-finite l2.

    Examples
    --------
    >>> net = Network([Dense(4, 5, "relu"), Dense(5, 1, "sigmoid")], cost="binary_cross_entropy")
    >>> net.size, [t.name for t in net.tensors]
    (31, ['W1', 'b1', 'W2', 'b2'])
    """

    def __init__(self, layers: Sequence[Dense], cost: CostName, l2: float = 0.0) -> None:
        self.layers = _checked_layers(layers)
        self.cost = cast(CostName, known("cost", cost, COSTS))
        output = self.layers[-1].activation
        wanted = COSTS[cost].output
        if wanted and output != wanted:
            raise ValueError(
                f"cost: expected a {wanted} output with {cost!r}, got {output!r}; "
                f"use a {wanted} output, or squared_error or mean_squared_error, which take any"
            )
        self.l2 = real_number("l2", l2)
        if not 0.0 <= self.l2 < np.inf:
            raise ValueError(f"l2: expected a finite number that is not negative, got {l2}")

    def __repr__(self) -> str:
        chain = "-".join(str(n) for n in self.widths)
        names = ", ".join(layer.activation for layer in self.layers)
        penalty = f", l2={self.l2}" if self.l2 else ""
        return f"Network({chain}: {names}; {self.cost}{penalty})"

    @classmethod
    def from_parameters(
        cls,
        parameters: Mapping[str, Any],
        hidden: ActivationName = "relu",
        output: ActivationName = "sigmoid",
        cost: CostName | None = None,
        l2: float = 0.0,
    ) -> "Network":
        """Describe a network by its parameters: widths from the shapes, the cost from the output.

        Parameters
        ----------
        parameters : {"W1": (n_1, n_x), "b1": (n_1, 1) or (n_1,), "W2": ...}.
        hidden, output : names of activations.
        cost : name of the cost; by default the one that belongs to ``output``, else "squared_error".
        l2 : weight of the penalty.

        Raises
        ------
        ValueError, TypeError : for missing or extra tensors, and for what ``Network`` refuses.
        """
        if not isinstance(parameters, Mapping):
            raise TypeError(f"parameters: expected a dictionary of arrays, got {type(parameters).__name__}")
        depth = sum(1 for name in parameters if re.fullmatch(PATTERN, str(name)) and str(name)[0] == "W")
        if depth == 0:
            raise ValueError("parameters: expected W1, b1, W2, b2, ..., got no weights")
        known("activation", hidden, ACTIVATIONS)
        known("activation", output, ACTIVATIONS)
        layers: list[Dense] = []
        for index in range(1, depth + 1):
            if f"W{index}" not in parameters:
                found = ", ".join(map(str, parameters))
                raise ValueError(f"parameters: expected W1, b1, W2, ..., got {found}; W{index} is missing")
            weights = real_array(f"W{index}", parameters[f"W{index}"])
            if weights.ndim != 2 or 0 in weights.shape:
                raise ValueError(f"W{index}: expected shape (n_{index}, n_{index - 1}), got shape {weights.shape}")
            activation = output if index == depth else hidden
            if layers and layers[-1].outputs != weights.shape[1]:
                raise ValueError(
                    f"W{index}: expected shape (n_{index}, {layers[-1].outputs}), got shape {weights.shape}; "
                    f"its columns must match the rows of W{index - 1}"
                )
            layers.append(Dense(weights.shape[1], weights.shape[0], activation))
        net = cls(layers, output_and_cost(output, cost, "squared_error")[1], l2)
        net.to_vector(parameters)
        return net

    @cached_property
    def widths(self) -> tuple[int, ...]:
        """Number of inputs, then the units of every layer."""
        return (self.layers[0].inputs, *(layer.outputs for layer in self.layers))

    @cached_property
    def layout(self) -> Layout:
        """Names, shapes and places of the parameters: W1, b1, W2, b2, ..."""
        entries: dict[Any, Tree] = {}
        start = 0
        for number, layer in enumerate(self.layers, 1):
            for parameter in layer.parameters:
                name = name_of(parameter.kind, number)
                tensor = Tensor(name, parameter.shape, start, start + math.prod(parameter.shape))
                entries[name] = Leaf(tensor, flat=parameter.flat)
                start = tensor.stop
        return Layout(Branch(entries), closed=True)

    @cached_property
    def places(self) -> tuple[LayerPlace, ...]:
        """The layers with the places of their parameters."""
        by_name = {tensor.name: tensor for tensor in self.tensors}
        return tuple(
            LayerPlace(layer, number, {p.kind: by_name[name_of(p.kind, number)] for p in layer.parameters})
            for number, layer in enumerate(self.layers, 1)
        )

    @cached_property
    def penalised(self) -> tuple[Tensor, ...]:
        """The tensors that the l2 penalty includes."""
        return tuple(
            place.tensors[p.kind] for place in self.places for p in place.layer.parameters if p.penalised
        )

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """W1, b1, W2, b2, ... with their shapes and places in theta."""
        return self.layout.tensors

    @property
    def size(self) -> int:
        """Number of parameters."""
        return self.layout.size

    @property
    def cost_entry(self) -> Cost:
        """The table entry of the cost."""
        return COSTS[self.cost]

    @property
    def activation_entries(self) -> list[Activation]:
        """The table entries of the layers' activations."""
        return [ACTIVATIONS[layer.activation] for layer in self.layers]

    def without_dropout(self) -> "Network":
        """The same network with dropout off: the one whose gradients can be checked."""
        return Network([replace(layer, dropout=0.0) for layer in self.layers], self.cost, self.l2)

    def initialize(self, seed: "int | np.random.Generator | None" = None) -> dict[str, Array]:
        """Random parameters: He-scaled normal weights (scale sqrt(2 / inputs)) and small normal biases.

        Parameters
        ----------
        seed : an integer or a NumPy Generator.

        Returns
        -------
        {"W1": (n_1, n_x), "b1": (n_1, 1), ...}, float64.
        """
        try:
            rng = np.random.default_rng(seed)
        except (TypeError, ValueError) as error:
            raise type(error)(f"seed: expected an integer of at least 0 or a Generator, got {seed!r}") from None
        return {
            name_of(p.kind, number): p.scale * rng.standard_normal(p.shape)
            for number, layer in enumerate(self.layers, 1) for p in layer.parameters
        }

    def to_vector(self, parameters: Mapping[str, Any]) -> Array:
        """Flatten a dictionary of tensors to theta, in the order W1, b1, W2, b2, ..., each in C order.

        Parameters
        ----------
        parameters : the tensors; b may be (n, 1) or flat (n,).

        Returns
        -------
        theta, (n,), float64, a new array.

        Raises
        ------
        ValueError, TypeError : for missing or extra tensors and wrong shapes or dtypes.
        """
        return self.layout.parameters(parameters).vector

    def to_parameters(self, theta: Any) -> dict[str, Array]:
        """Unpack theta (n,) into {"W1": ..., "b1": ..., ...}: views of theta where it is a float64 vector.

        Raises
        ------
        ValueError : if theta does not have one entry per parameter.
        """
        vector = np.asarray(real_array("theta", theta), dtype=np.float64)
        if vector.shape not in ((self.size,), (self.size, 1)):
            raise ValueError(f"theta: expected shape ({self.size},), got shape {vector.shape}")
        views: dict[str, Array] = self.layout.views(vector.reshape(-1))
        return views

    def inputs(self, X: Any) -> Array:
        """X as (n_x, m) float64, C-contiguous.  Raises ValueError or TypeError if it does not fit."""
        data = real_array("X", X)
        if data.ndim != 2 or data.shape[0] != self.widths[0]:
            raise ValueError(f"X: expected shape ({self.widths[0]}, m), samples in columns, got shape {data.shape}")
        if data.shape[1] == 0:
            raise ValueError(f"X: expected at least one sample (column), got an empty batch of shape {data.shape}")
        return np.ascontiguousarray(data, dtype=np.float64)

    def targets(self, Y: Any, m: int) -> Array:
        """Y as (n_L, m) float64: binary (m,) or (1, m), labels (m,), one-hot, soft or real targets (n_L, m).

        Raises
        ------
        ValueError, TypeError : for a wrong shape, labels out of range or not integers, targets outside [0, 1] for a
            cross-entropy, or soft targets that do not sum to one.
        """
        outputs = self.widths[-1]
        data = real_array("Y", Y)
        if self.cost_entry.labels and data.shape in ((m,), (1, m)) and (data.ndim == 1 or outputs != 1):
            return _one_hot(data.reshape(-1), outputs)
        if data.shape == (m,) and outputs == 1:
            data = data.reshape(1, m)
        if data.shape != (outputs, m):
            labels = f" or integer labels ({m},)" if self.cost_entry.labels else ""
            raise ValueError(
                f"Y: expected shape ({outputs}, {m}){labels} for X with {m} samples, got shape {data.shape}"
            )
        data = np.ascontiguousarray(data, dtype=np.float64)
        if self.cost_entry.output and not bool(np.all((data >= 0.0) & (data <= 1.0) | ~np.isfinite(data))):
            raise ValueError(f"Y: expected targets between 0 and 1 for {self.cost}, got {data.min()} to {data.max()}")
        if self.cost_entry.labels:
            sums = data.sum(axis=0)
            if np.any(np.abs(sums - 1.0) > 1e-6):
                raise ValueError(f"Y: expected soft targets that sum to one, got a sum over classes of {sums.min()}")
        return data

    def forward(self, parameters: Mapping[str, Array], X: Array) -> Propagation:
        """Forward propagation of X (n_x, m) with tensors as ``to_parameters`` gives them."""
        Z, A, a = [], [], X
        with np.errstate(all="ignore"):
            for place, entry in zip(self.places, self.activation_entries, strict=True):
                Z.append(place.layer.forward(place.values(parameters), a))
                a = entry.value(Z[-1])
                A.append(a)
        return Propagation(X, Z, A)

    def penalty(self, parameters: Mapping[str, Array], m: int) -> float:
        """l2/(2m) sum ||W||_F^2."""
        if self.l2 == 0.0:
            return 0.0
        squares = [float(np.vdot(parameters[t.name], parameters[t.name])) for t in self.penalised]
        return self.l2 / (2 * m) * sum(squares)

    def cost_at(self, parameters: Mapping[str, Array], propagation: Propagation, Y: Array) -> float:
        """J from a finished forward propagation and targets as ``targets`` gives them."""
        return self.mean_loss(propagation, Y) + self.penalty(parameters, Y.shape[1])

    def mean_loss(self, propagation: Propagation, Y: Array) -> float:
        """J without the penalty."""
        with np.errstate(all="ignore"):
            losses = self.cost_entry.losses(propagation.Z[-1], propagation.A[-1], Y)
            return self.cost_entry.scale(Y.shape[1], self.widths[-1]) * float(losses.sum())

    def cost_of(self, parameters: Mapping[str, Any], X: Any, Y: Any) -> float:
        """J(theta), dropout off, computed so that saturated units keep their digits.

        Parameters
        ----------
        parameters : {"W1": ..., "b1": ..., ...}.
        X : (n_x, m); Y : targets (see ``targets``).

        Returns
        -------
        float
        """
        tensors = self.to_parameters(self.to_vector(parameters))
        data = self.inputs(X)
        return self.cost_at(tensors, self.forward(tensors, data), self.targets(Y, data.shape[1]))

    def gradients(self, parameters: Mapping[str, Any], X: Any, Y: Any) -> dict[str, Array]:
        """Back-propagation in plain NumPy, dropout off: {"dW1": ..., "db1": ...}, each in its tensor's shape.

        Parameters
        ----------
        parameters : {"W1": ..., "b1": ..., ...}.
        X : (n_x, m); Y : targets (see ``targets``).
        """
        theta = self.to_parameters(self.to_vector(parameters))
        data = self.inputs(X)
        targets = self.targets(Y, data.shape[1])
        m = data.shape[1]
        gradients: dict[str, Array] = {}
        with np.errstate(all="ignore"):
            run = self.forward(theta, data)
            dZ = self.output_gradient(run, targets)
            for k in range(len(self.layers) - 1, -1, -1):
                place = self.places[k]
                values = place.values(theta)
                found = place.layer.gradients(values, run.inputs_of(k), dZ)
                gradients |= {place.tensors[kind].name: gradient for kind, gradient in found.items()}
                if k > 0:
                    dZ = place.layer.backward(values, dZ) * self.activation_entries[k - 1].derivative(run.Z[k - 1])
            for tensor in self.penalised:
                gradients[tensor.name] = gradients[tensor.name] + self.l2 / m * theta[tensor.name]
        return {
            GRADIENT + t.name: gradients[t.name].reshape(np.shape(parameters[t.name])) for t in self.tensors
        }

    def output_gradient(self, run: Propagation, targets: Array) -> Array:
        """dJ/dZ of the last layer."""
        cost, entry, A = self.cost_entry, self.activation_entries[-1], run.A[-1]
        gradient = cost.gradient(run.Z[-1], A, targets) * cost.scale(targets.shape[1], targets.shape[0])
        if cost.output:
            return gradient
        if entry.elementwise:
            return gradient * entry.derivative(run.Z[-1])
        others = np.ones((A.shape[0], A.shape[0])) - np.eye(A.shape[0])
        return np.asarray(A * (gradient * (others @ A) - others @ (A * gradient)))


def _checked_layers(layers: Sequence[Dense]) -> tuple[Dense, ...]:
    if isinstance(layers, Dense) or not isinstance(layers, Sequence):
        raise TypeError(f"layers: expected a list of Dense, got {type(layers).__name__}")
    if not layers:
        raise ValueError("layers: expected at least one Dense layer, got an empty list")
    for index, layer in enumerate(layers, 1):
        if not isinstance(layer, Dense):
            raise TypeError(f"layers: expected Dense as layer {index}, got {type(layer).__name__}")
        if index > 1 and layers[index - 2].outputs != layer.inputs:
            raise ValueError(
                f"layers: expected layer {index} to take the {layers[index - 2].outputs} outputs of layer {index - 1}, "
                f"got {layer.inputs} inputs"
            )
        if index < len(layers) and not ACTIVATIONS[layer.activation].elementwise:
            raise ValueError(f"layers: expected {layer.activation} in the output layer only, got it in layer {index}")
    return tuple(layers)


def _one_hot(labels: Array, classes: int) -> Array:
    if not bool(np.all(np.isfinite(labels))) or bool(np.any(labels != np.floor(labels))):
        raise ValueError(f"Y: expected labels that are integers from 0 to {classes - 1}, got others")
    if labels.min() < 0 or labels.max() >= classes:
        raise ValueError(
            f"Y: expected labels from 0 to {classes - 1} (the output layer has {classes} units), "
            f"got {labels.min():g} to {labels.max():g}"
        )
    return np.asarray(labels[None, :] == np.arange(classes)[:, None], dtype=np.float64)
