"""The names of the course exercise (deeplearning.ai, "Gradient Checking"), for its dictionaries as they are.

The network is a chain of ReLU layers and a sigmoid output with the binary cross-entropy, of any depth.  Every formula
is evaluated in the order in which the course has it, rounding and all, so that the published numbers come out; to know
whether a back-propagation is right, ask ``fastcheck.check``, whose differences do not round.
"""

import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np

from ._types import Array
from ._validation import real_array
from .checks.network import check
from .problems.networks.layers.dense import Dense
from .problems.networks.network import Network
from .rules.activations import ACTIVATIONS
from .rules.losses import COSTS

# The seed's rule: a larger difference is a mistake.
THRESHOLD = 1e-7
MISTAKE = "\033[93mThere is a mistake in the backward propagation! difference = {}\033[0m"
PERFECT = "\033[92mYour backward propagation works perfectly fine! difference = {}\033[0m"
# The exercise's own network.
WIDTHS = (4, 5, 3, 1)


def gradient_check_n(
    parameters: Mapping[str, Any],
    gradients: Mapping[str, Any],
    X: Any,
    Y: Any,
    epsilon: float = 1e-7,
    print_msg: bool = True,
) -> float:
    """Compare back-propagated gradients with central differences by the textbook's loop, and print the course's line.

    Parameters
    ----------
    parameters : {"W1": (n_1, n_x), "b1": (n_1, 1), ...}; other keys are ignored.
    gradients : {"dW1": ..., "db1": ...}; other keys (dZ3, dA2, ...) are ignored.
    X : (n_x, m), samples in columns; Y : (m,) or (1, m), between 0 and 1.
    epsilon : the perturbation.
    print_msg : whether to print the line.

    Returns
    -------
    ||grad - gradapprox|| / (||grad|| + ||gradapprox||), a float; more than 1e-7 or NaN is a mistake.

    Raises
    ------
    ValueError, TypeError : for missing tensors and shapes that do not fit.
    """
    theta = _named(parameters, r"[Wb]\d+", "parameters")
    slopes = _named(gradients, r"d[Wb]\d+", "gradients")
    net = Network.from_parameters(theta, hidden="relu", output="sigmoid")
    missing = [tensor.name for tensor in net.tensors if f"d{tensor.name}" not in slopes]
    if missing:
        given = ", ".join(slopes) or "none"
        raise ValueError(f"gradients: expected d{missing[0]}, got {given}; {missing[0]} is missing")
    gradapprox = check(net, theta, slopes, X, Y, epsilon=epsilon, engine="reference").gradapprox
    difference = textbook_difference(gradients_to_vector(slopes).reshape(-1), gradapprox)
    if print_msg:
        # NaN must not slip through a comparison, as it does in the textbook.
        print((PERFECT if difference <= THRESHOLD else MISTAKE).format(difference))
    return difference


def textbook_difference(grad: Array, gradapprox: Array) -> float:
    """The seed's formula; nothing against nothing is 0, not NaN."""
    total = _norm(grad) + _norm(gradapprox)
    return _norm(grad - gradapprox) / total if total != 0.0 else 0.0


def _norm(vector: Array) -> float:
    # Not np.linalg.norm: its BLAS sums in an order that depends on the processor, and so would the last digit.
    return float(np.sqrt(np.einsum("i,i->", vector, vector)))


def forward_propagation_n(X: Any, Y: Any, parameters: Mapping[str, Any]) -> tuple[float, tuple[Array, ...]]:
    """Forward propagation and cost.

    Parameters
    ----------
    X : (n_x, m); Y : (m,) or (1, m); parameters : {"W1": (n_1, n_x), "b1": (n_1, 1), ...}, other keys ignored.

    Returns
    -------
    cost, and the cache (Z1, A1, W1, b1, Z2, A2, W2, b2, ...) for ``backward_propagation_n``.
    """
    theta = _named(parameters, r"[Wb]\d+", "parameters")
    net = Network.from_parameters(theta, hidden="relu", output="sigmoid")
    tensors = net.to_parameters(net.to_vector(theta))
    inputs = net.inputs(X)
    run = net.forward(tensors, inputs)
    with np.errstate(all="ignore"):
        cost = COSTS["binary_cross_entropy"].textbook(run.A[-1], net.targets(Y, inputs.shape[1]))
    layers = enumerate(zip(run.Z, run.A, strict=True), 1)
    return cost, tuple(array for i, (Z, A) in layers for array in (Z, A, tensors[f"W{i}"], tensors[f"b{i}"]))


def backward_propagation_n(X: Any, Y: Any, cache: tuple[Any, ...]) -> dict[str, Array]:
    """Back-propagation, without the course's planted mistakes.

    Parameters
    ----------
    X : (n_x, m); Y : (m,) or (1, m); cache : what ``forward_propagation_n`` returned.

    Returns
    -------
    {"dZ3": ..., "dW3": ..., "db3": ..., "dA2": ..., ..., "dW1": ..., "db1": ...}.

    Raises
    ------
    ValueError, TypeError : for anything else than that cache, and X or Y of other shapes than it was made of.
    """
    layers = _layers_of(cache)
    X, Y = (np.asarray(real_array(name, value), dtype=np.float64) for name, value in (("X", X), ("Y", Y)))
    (outputs, m), inputs = layers[-1][0].shape, layers[0][2].shape[1]
    if X.shape != (inputs, m):
        raise ValueError(f"X: expected shape ({inputs}, {m}) as in forward propagation, got shape {X.shape}")
    if Y.shape != (outputs, m) and (outputs, Y.shape) != (1, (m,)):
        raise ValueError(f"Y: expected shape ({outputs}, {m}) as in forward propagation, got shape {Y.shape}")
    gradients: dict[str, Array] = {}
    for index in range(len(layers), 0, -1):
        Z, A = layers[index - 1][:2]
        if index == len(layers):
            dZ = A - Y.reshape(A.shape)
        else:
            dA = np.dot(layers[index][2].T, dZ)
            dZ = np.multiply(dA, ACTIVATIONS["relu"].derivative(Z))
            gradients[f"dA{index}"] = dA
        before = X if index == 1 else layers[index - 2][1]
        gradients[f"dZ{index}"] = dZ
        gradients[f"dW{index}"] = 1.0 / m * np.dot(dZ, before.T)
        gradients[f"db{index}"] = 1.0 / m * np.sum(dZ, axis=1, keepdims=True)
    return gradients


def dictionary_to_vector(parameters: Mapping[str, Any]) -> tuple[Array, list[str]]:
    """Roll W1, b1, W2, b2, ... into one column.

    Returns
    -------
    theta (n, 1), and the list of n names that tells which tensor each entry belongs to.
    """
    tensors = _in_order(_named(parameters, r"[Wb]\d+", "parameters"), "parameters")
    return _column(tensors), [name for name, array in tensors.items() for _ in range(array.size)]


def vector_to_dictionary(theta: Any, like: Mapping[str, Any] | None = None) -> dict[str, Array]:
    """Unroll a column into {"W1": ..., "b1": ..., ...}.

    Parameters
    ----------
    theta : (n, 1) or (n,).
    like : parameters whose shapes to take; by default those of the exercise (4-5-3-1, 47 entries).
    """
    if like is None:
        net = Network([Dense(a, b) for a, b in pairwise(WIDTHS)], "squared_error")
    else:
        shapes = _named(like, r"[Wb]\d+", "like")
        if not shapes:
            raise ValueError("like: expected W1, b1, W2, b2, ..., got no weights")
        net = Network.from_parameters(shapes)
    return {name: array.copy() for name, array in net.to_parameters(theta).items()}


def gradients_to_vector(gradients: Mapping[str, Any]) -> Array:
    """Roll dW1, db1, dW2, db2, ... into one column (n, 1); other keys (dZ3, dA2, ...) are ignored."""
    return _column(_in_order(_named(gradients, r"d[Wb]\d+", "gradients"), "gradients"))


def _named(tensors: Mapping[str, Any], pattern: str, argument: str) -> dict[str, Any]:
    if not isinstance(tensors, Mapping):
        raise TypeError(f"{argument}: expected a dictionary of arrays, got {type(tensors).__name__}")
    return {name: tensors[name] for name in tensors if re.fullmatch(pattern, str(name))}


def _layers_of(cache: Any) -> list[tuple[Array, ...]]:
    """(Z, A, W, b) of every layer."""
    if not isinstance(cache, (tuple, list)):
        raise TypeError(f"cache: expected the tuple that forward_propagation_n returned, got {type(cache).__name__}")
    arrays = [real_array(f"cache[{place}]", value) for place, value in enumerate(cache)]
    layers = [tuple(arrays[start : start + 4]) for start in range(0, len(arrays), 4)]
    if not layers or len(arrays) % 4 or not all(map(_is_layer, [(), *layers], layers)):
        raise ValueError("cache: expected (Z1, A1, W1, b1, Z2, ...) as forward_propagation_n returned it, "
                         "got arrays that do not fit each other")
    return layers


def _is_layer(before: tuple[Array, ...], layer: tuple[Array, ...]) -> bool:
    """Whether (Z, A, W, b) fit each other and the layer before."""
    Z, A, W, _ = layer
    alone = Z.ndim == W.ndim == 2 and Z.shape == A.shape and Z.shape[0] == W.shape[0]
    return alone and (not before or before[0].shape == (W.shape[1], Z.shape[1]))


def _in_order(tensors: Mapping[str, Any], argument: str) -> dict[str, Array]:
    """Sorted by layer, weights before biases."""
    if not tensors:
        raise ValueError(f"{argument}: expected the tensors of layers 1, 2, ..., got none of them")
    names = sorted(tensors, key=lambda name: (int(name.lstrip("dWb")), name))
    return {name: np.asarray(real_array(name, tensors[name]), dtype=np.float64) for name in names}


def _column(tensors: Mapping[str, Array]) -> Array:
    return np.concatenate([array.reshape(-1, 1) for array in tensors.values()])
