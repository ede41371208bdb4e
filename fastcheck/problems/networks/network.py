"""Networks of dense layers: description, shapes, names, and what they compute."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, cast

import numpy as np

from ..._names import (
    ACTIVATION_SYNONYMS,
    COST_SYNONYMS,
    Activation as ActivationName,
    Cost as CostName,
    Samples,
    Weights,
)
from ..._types import Array, Indices
from ..._validation import known, real_array, real_number
from ...rules.activations import ACTIVATIONS, Activation
from ...rules.losses import COSTS, Cost
from ...runtime.cached_property import cached_property
from ..parameters.layout import Layout, Values
from ..parameters.tensor import Tensor
from ..parameters.tree import Branch, Leaf, Tree
from .conventions.arrays import read_parameters
from .conventions.fitting import IN_OUT, OUT_IN
from .conventions.structures import is_canonical
from .data import in_columns, inputs_of, targets_of
from .defaults import output_and_cost
from .layers.dense import Dense, checked_chain
from .names import GRADIENT, name_of
from .propagation import LayerPlace, Propagation, Span, backward, forward, output_gradient

COLUMNS: Samples = "columns"
ROWS: Samples = "rows"


class Network:
    """A chain of dense layers and a cost.

    Parameters
    ----------
    layers : sequence of Dense, widths chained.
    cost : "binary_cross_entropy" (sigmoid output), "cross_entropy" (softmax output), "squared_error" or
        "mean_squared_error" (any output).
    l2 : weight of the penalty l2/(2m) sum ||W||_F^2 (the course's lambd); biases are not penalised.
    samples : where they lie in X and Y, "columns" or "rows"; None for what the shapes tell, columns where they tell
        nothing.
    weights : their axes, "out_in" (W @ a) or "in_out" (a @ W); None for what the shapes tell, else "out_in".

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

    def __init__(
        self, layers: Sequence[Dense], cost: CostName, l2: float = 0.0, *, samples: Samples | None = None,
        weights: Weights | None = None,
    ) -> None:
        self.layers = checked_chain(layers)
        self.cost = cast(CostName, known("cost", cost, COSTS, COST_SYNONYMS))
        self.samples = None if samples is None else cast(Samples, known("samples", samples, (COLUMNS, ROWS)))
        self.weights = None if weights is None else cast(Weights, known("weights", weights, (OUT_IN, IN_OUT)))
        output = self.layers[-1].activation
        wanted = COSTS[self.cost].output
        if wanted and output != wanted:
            own = next((name for name, entry in COSTS.items() if entry.output == output), "")
            rest = f"{own!r}, its own cost" if own else "squared_error or mean_squared_error, which take any"
            raise ValueError(
                f"cost: expected a {wanted} output with {self.cost!r}, got {output!r}; use a {wanted} output, or {rest}"
            )
        self.l2 = real_number("l2", l2)
        if not 0.0 <= self.l2 < np.inf:
            raise ValueError(f"l2: expected a finite number that is not negative, got {l2}")

    def __repr__(self) -> str:
        chain = "-".join(str(n) for n in self.widths)
        names = ", ".join(layer.activation for layer in self.layers)
        penalty = f", l2={self.l2}" if self.l2 else ""
        rows = ", samples in rows" if self.samples == ROWS else ""
        turned = ", weights (inputs, outputs)" if self.weights == IN_OUT else ""
        return f"Network({chain}: {names}; {self.cost}{penalty}{rows}{turned})"

    @classmethod
    def from_parameters(
        cls,
        parameters: Mapping[str, Any],
        hidden: ActivationName = "relu",
        output: ActivationName = "sigmoid",
        cost: CostName | None = None,
        l2: float = 0.0,
        *,
        samples: Samples | None = None,
        weights: Weights | None = None,
    ) -> "Network":
        """Describe a network by its parameters: widths from the shapes, the cost from the output.

        Parameters
        ----------
        parameters : {"W1": (n_1, n_x), "b1": (n_1, 1) or (n_1,), "W2": ...}; or with other names ("w0", "fc1.weight"),
            nested, in lists of (W, b), as (weights, biases), without biases, or with weights as (inputs, outputs).
        hidden, output : names of activations.
        cost : name of the cost; by default the one that belongs to ``output``, else "squared_error".
        l2 : weight of the penalty.
        samples, weights : as for ``Network``; the order of the weights' axes is found out where the shapes tell.

        Raises
        ------
        ValueError, TypeError : for missing or extra tensors, and for what ``Network`` refuses.
        """
        if isinstance(hidden, (list, tuple)):
            raise TypeError(f"hidden: expected one activation for all hidden layers, got a {type(hidden).__name__}; "
                            "Network([Dense(inputs, outputs, activation), ...], cost) takes one for each")
        inside = cast(ActivationName, known("hidden activation", hidden, ACTIVATIONS, ACTIVATION_SYNONYMS))
        last, cost = output_and_cost(output, cost, "squared_error")
        if weights is not None:
            known("weights", weights, (OUT_IN, IN_OUT))
        read = read_parameters(parameters, None, weights)
        pairs = list(pairwise(read.widths))
        layers = [Dense(a, b, last if number == len(pairs) else inside) for number, (a, b) in enumerate(pairs, 1)]
        turned = read.weights if read.told and read.weights == IN_OUT else weights
        return cls(layers, cost, l2, samples=samples, weights=turned)

    @cached_property
    def widths(self) -> tuple[int, ...]:
        """Number of inputs, then the units of every layer."""
        return (self.layers[0].inputs, *(layer.outputs for layer in self.layers))

    @cached_property
    def largest_matrix(self) -> int:
        """Number of weights of the layer that has most."""
        return max(a * b for a, b in pairwise(self.widths))

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
    def spans(self) -> tuple[Span, ...]:
        """Where the parameters, units and inputs of each layer lie."""
        found = []
        units = inputs = 0
        for place, reads, count in zip(self.places, self.widths, self.widths[1:], strict=False):
            weights, bias = place.tensors["W"], place.tensors["b"]
            found.append(Span(slice(weights.start, weights.stop), weights.shape, slice(bias.start, bias.stop),
                              slice(units, units + count), slice(inputs, inputs + reads)))
            units, inputs = units + count, inputs + reads
        return tuple(found)

    @cached_property
    def unit_starts(self) -> Indices:
        """First unit of each layer among those of all layers."""
        return np.array([span.units.start for span in self.spans])

    @cached_property
    def input_starts(self) -> Indices:
        """First input of each layer among what all layers read."""
        return np.array([span.inputs.start for span in self.spans])

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
        """Return the same network with dropout off: the one whose gradients can be checked."""
        layers = [replace(layer, dropout=0.0) for layer in self.layers]
        return Network(layers, self.cost, self.l2, samples=self.samples, weights=self.weights)

    @cached_property
    def canonical(self) -> "Network":
        """The same network with samples in columns and weights as (outputs, inputs), as all engines have it."""
        if self.weights != IN_OUT and self.samples != ROWS:
            return self
        return Network(self.layers, self.cost, self.l2)

    def initialize(self, seed: "int | np.random.Generator | None" = None) -> dict[str, Array]:
        """Return random parameters: He-scaled normal weights (scale sqrt(2 / inputs)) and small normal biases.

        Parameters
        ----------
        seed : an integer or a NumPy Generator.

        Returns
        -------
        {"W1": (n_1, n_x), "b1": (n_1, 1), ...}, float64; with weights="in_out" (n_x, n_1) and (1, n_1).
        """
        try:
            rng = np.random.default_rng(seed)
        except (TypeError, ValueError) as error:
            raise type(error)(f"seed: expected an integer of at least 0 or a Generator, got {seed!r}") from None
        made = {
            name_of(p.kind, number): p.scale * rng.standard_normal(p.shape)
            for number, layer in enumerate(self.layers, 1) for p in layer.parameters
        }
        return {name: np.ascontiguousarray(array) for name, array in self._laid_out(made).items()}

    def _laid_out(self, tensors: Mapping[str, Array]) -> dict[str, Array]:
        """Tensors as its user has them: transposed views where weights are (inputs, outputs), biases as rows then."""
        return {name: array.T if self.weights == IN_OUT else array for name, array in tensors.items()}

    def to_vector(self, parameters: Mapping[str, Any]) -> Array:
        """Flatten a dictionary of tensors to theta, in the order W1, b1, W2, b2, ..., each in C order.

        Parameters
        ----------
        parameters : the tensors, as ``from_parameters`` takes them; weights lie in theta as (outputs, inputs).

        Returns
        -------
        theta, (n,), float64, a new array.

        Raises
        ------
        ValueError, TypeError : for missing or extra tensors and wrong shapes or dtypes.
        """
        return self.read(parameters, row_biases=self.samples == ROWS).vector

    def read(self, parameters: Any, *, row_biases: bool = False) -> Values:
        """Parameters as the engines have them; biases that are not there are zero.

        Parameters
        ----------
        parameters : as ``from_parameters`` takes them.
        row_biases : whether (1, n) is a bias where weights are (outputs, inputs).

        Raises
        ------
        ValueError, TypeError : for missing or extra tensors and wrong shapes or dtypes.
        """
        refusal: Exception | None = None
        if self.weights != IN_OUT:
            try:
                return self.layout.parameters(parameters)
            except (TypeError, ValueError) as error:
                refusal = error
        try:
            found = read_parameters(parameters, self.widths, self.weights, row_biases=row_biases)
        except (TypeError, ValueError):
            if refusal is not None and is_canonical(parameters):
                raise refusal from None  # it names what the network's own names and shapes are
            raise
        return self.layout.parameters(self.completed(found.tensors))

    def completed(self, tensors: Mapping[str, Any]) -> dict[str, Any]:
        """Return the tensors with zeros for those that are not there."""
        return {t.name: tensors[t.name] if t.name in tensors else np.zeros(t.shape) for t in self.tensors}

    def to_parameters(self, theta: Any) -> dict[str, Array]:
        """Unpack theta (n,) into {"W1": ..., "b1": ..., ...}: views of theta where it is a float64 vector.

        With weights="in_out" they are (inputs, outputs), and biases rows.

        Raises
        ------
        ValueError : if theta does not have one entry per parameter.
        """
        vector = np.asarray(real_array("theta", theta), dtype=np.float64)
        if vector.shape not in ((self.size,), (self.size, 1)):
            raise ValueError(f"theta: expected shape ({self.size},), got shape {vector.shape}")
        views: dict[str, Array] = self.layout.views(vector.reshape(-1))
        return self._laid_out(views) if self.weights == IN_OUT else views

    def data(self, X: Any, Y: Any) -> tuple[Array, Array, Samples]:
        """X as (n_x, m) and Y as (n_L, m), float64 and C-contiguous, and where samples lay.

        Parameters
        ----------
        X, Y : with samples in columns, or in rows: (m, n_x), and (m, n_L), (m, 1) or (m,).

        Raises
        ------
        ValueError, TypeError : see ``inputs`` and ``targets``.
        """
        if self.samples == ROWS:
            return (*self._transposed(X, Y), ROWS)
        try:
            data = self.inputs(X)
            return data, self.targets(Y, data.shape[1]), COLUMNS
        except ValueError:
            if self.samples is None:
                try:
                    return (*self._transposed(X, Y), ROWS)
                except (TypeError, ValueError):
                    if np.shape(X)[1:] == self.widths[:1] != np.shape(X)[:1]:
                        raise  # X lies in rows for certain, so Y is what does not fit
            raise

    def _transposed(self, X: Any, Y: Any) -> tuple[Array, Array]:
        data, targets = in_columns(X, Y, self.widths[0], self.widths[-1])
        return self.inputs(data), self.targets(targets, data.shape[1])

    def inputs(self, X: Any) -> Array:
        """X as (n_x, m) float64, C-contiguous.  Raises ValueError or TypeError if it does not fit."""
        return inputs_of(X, self.widths[0])

    def targets(self, Y: Any, m: int) -> Array:
        """Y as (n_L, m) float64: binary (m,) or (1, m), labels (m,), one-hot, soft or real targets (n_L, m).

        Raises
        ------
        ValueError, TypeError : for a wrong shape, labels out of range or not integers, targets outside [0, 1] for a
            cross-entropy, or soft targets that do not sum to one.
        """
        return targets_of(Y, m, self.widths[-1], self.cost_entry, self.cost)

    def forward(self, parameters: Mapping[str, Array], X: Array) -> Propagation:
        """Forward propagation of X (n_x, m) with tensors as ``to_parameters`` gives them."""
        return forward(self.places, parameters, X)

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
        data, targets, samples = self.data(X, Y)
        tensors = self.layout.views(self.read(parameters, row_biases=samples == ROWS).vector)
        return self.cost_at(tensors, self.forward(tensors, data), targets)

    def gradients(self, parameters: Mapping[str, Any], X: Any, Y: Any) -> dict[str, Array]:
        """Back-propagation in plain NumPy, dropout off: {"dW1": ..., "db1": ...}, each in its tensor's shape.

        Parameters
        ----------
        parameters : {"W1": ..., "b1": ..., ...}.
        X : (n_x, m); Y : targets (see ``targets``).
        """
        data, targets, samples = self.data(X, Y)
        rows = samples == ROWS
        found = self.backpropagated(self.layout.views(self.read(parameters, row_biases=rows).vector), data, targets)
        own = read_parameters(parameters, self.widths, self.weights, row_biases=True).own
        return {GRADIENT + name: one.as_user(found[name]) for name, one in own.items()}

    def backpropagated(self, theta: Mapping[str, Array], data: Array, targets: Array) -> dict[str, Array]:
        """Back-propagation by the parameters' names: tensors, data and targets as the engines have them."""
        run = self.forward(theta, data)
        gradients = backward(self.places, theta, run, self.output_gradient(run, targets))
        with np.errstate(all="ignore"):
            for tensor in self.penalised:
                gradients[tensor.name] = gradients[tensor.name] + self.l2 / data.shape[1] * theta[tensor.name]
        return {tensor.name: gradients[tensor.name] for tensor in self.tensors}

    def output_gradient(self, run: Propagation, targets: Array) -> Array:
        """dJ/dZ of the last layer."""
        return output_gradient(self.cost_entry, self.activation_entries[-1], run, targets)
