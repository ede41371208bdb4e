"""Which network a dump belongs to: what was said about it, and for the rest what its shapes and targets tell."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..._names import Activation, Cost
from ..._validation import real_array
from ..networks.conventions.arrays import read_parameters
from ..networks.defaults import output_and_cost
from ..networks.network import Network
from .npz import Dump

HIDDEN: Final = "relu"


def infer_network(
    dump: Dump, hidden: Activation | Sequence[Activation] | None = None, output: Activation | None = None,
    cost: Cost | None = None, l2: float = 0.0,
) -> Network:
    """Describe the network of a dump.

    Parameters
    ----------
    dump : what ``fastcheck.problems.files.npz.load`` returned.
    hidden : activation of the hidden layers, or one for each of them; by default relu.
    output : activation of the output layer, by default the one that the cost needs, else what the targets suggest:
        class labels and targets that sum to one softmax, targets that are 0 or 1 sigmoid, all others identity.
    cost : by default the one that belongs to the output activation, else squared_error.
    l2 : weight of the penalty.

    Raises
    ------
    ValueError, TypeError : for names that are not known and tensors that do not make a network.
    """
    if output is None and cost is None:
        widths, X, Y = read_parameters(dump.parameters).widths, np.shape(dump.X), real_array("Y", dump.Y)
        rows = len(X) == 2 and X[1] == widths[0] != X[0]
        output = _output_for(Y.T if rows else Y, widths[-1])
    output, cost = output_and_cost(output, cost, "squared_error")
    names = [HIDDEN if hidden is None else hidden] if hidden is None or isinstance(hidden, str) else list(hidden)
    net = Network.from_parameters(dump.parameters, names[0] if names else HIDDEN, output, cost, l2)
    if len(names) == 1:
        return net
    before = net.layers[:-1]
    if len(names) != len(before):
        raise ValueError(f"hidden: expected one activation, or one for each of the {len(before)} hidden layers, got "
                         f"{len(names)}: {', '.join(names)}")
    layers = [replace(layer, activation=name) for layer, name in zip(before, names, strict=True)]
    return Network([*layers, net.layers[-1]], net.cost, net.l2, samples=net.samples, weights=net.weights)


def _output_for(Y: NDArray[Any], outputs: int) -> Activation:
    values = np.asarray(Y, dtype=np.float64)
    values = values[np.isfinite(values)]
    binary = bool(np.isin(values, (0.0, 1.0)).all())
    if outputs == 1:
        return "sigmoid" if binary else "identity"
    if Y.ndim == 1 or Y.shape[0] == 1:
        return "softmax" if bool((values == np.floor(values)).all()) else "identity"
    shares = bool((values >= 0.0).all()) and bool(np.all(np.abs(Y.sum(axis=0) - 1.0) < 1e-6))
    if shares:
        return "softmax"
    return "sigmoid" if binary else "identity"
