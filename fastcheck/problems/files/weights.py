"""Weights made elsewhere: PyTorch modules, their state_dicts and .safetensors files as a Network and its parameters."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..._names import Activation, Cost
from ..._types import Array
from ..._validation import regular_file
from ..networks.defaults import output_and_cost
from ..networks.network import Network

SUFFIX = ".safetensors"


def from_torch(
    source: Any, *, hidden: Activation = "relu", output: Activation | None = None,
    cost: Cost | None = None, l2: float = 0.0
) -> tuple[Network, dict[str, Array]]:
    """Bring the weights of a chain of Linear layers here.

    Parameters
    ----------
    source : a torch.nn.Sequential of Linear layers and activations, which tell their own names; or a state_dict; or the
        path of a .safetensors file.  In the last two weights are (outputs, inputs) as PyTorch has them, named
        "fc1.weight", "fc1.bias", "fc2.weight", ..., their order by name and number.
    hidden : activation of the hidden layers, where the source does not tell.
    output : activation of the output layer, where the source does not tell or leaves it to the loss (as softmax is
        left to CrossEntropyLoss); None for the one that the cost needs, else identity.
    cost : None for the one that belongs to the output, else mean_squared_error.
    l2 : weight of the penalty.

    Returns
    -------
    Network, and parameters {"W1": (n_1, n_x), "b1": (n_1, 1), ...} in double precision: copies.

    Raises
    ------
    ValueError, TypeError : for modules and names that do not make a chain of dense layers; says which is the first
        that does not fit.
    ImportError : where PyTorch or safetensors is needed and not installed.

    Examples
    --------
    >>> state = {"fc1.weight": np.ones((3, 2)), "fc1.bias": np.zeros(3), "fc2.weight": np.ones((1, 3))}
    >>> net, parameters = from_torch(state, hidden="tanh", cost="binary_cross_entropy")
    >>> net
    Network(2-3-1: tanh, sigmoid; binary_cross_entropy)
    """
    if isinstance(source, (str, Path)):
        source = _read(Path(source))
    if isinstance(source, Mapping):
        parameters = _parameters(source)
    else:
        if not hasattr(source, "state_dict"):
            raise TypeError(f"source: expected a torch.nn.Sequential, a state_dict, or the path of a {SUFFIX} "
                            f"file, got {type(source).__name__}")
        from .torch_chain import layers_of, network_from_chain, parameters_of

        layers = layers_of(source)
        return network_from_chain(layers, cost, output, l2), parameters_of(layers)
    last, cost = output_and_cost(output, cost, "mean_squared_error")
    return Network.from_parameters(parameters, hidden, last, cost, l2), parameters


def _read(path: Path) -> dict[str, Any]:
    if path.suffix.lower() != SUFFIX:
        raise ValueError(f"{path}: expected a {SUFFIX} file, got {path.suffix!r}; load others yourself and pass the "
                         "state_dict: from_torch(torch.load(path, weights_only=True))")
    try:
        from safetensors import SafetensorError
        from safetensors.numpy import load_file
    except ImportError as error:
        raise ImportError(f"{path}: reading it takes safetensors: pip install safetensors") from error
    try:
        return dict(load_file(regular_file(path)))
    except SafetensorError as error:
        raise ValueError(
            f"{path}: expected a {SUFFIX} file, got one that is damaged or of another kind ({error})"
        ) from None
    except KeyError as error:
        raise ValueError(
            f"{path}: expected numbers of a type that NumPy has, got {error}; save them in float32"
        ) from None


def _parameters(state: Mapping[str, Any]) -> dict[str, Array]:
    """W1, b1, ... from "fc1.weight", "fc1.bias", ..., in the order of their names and numbers."""
    prefixes = sorted({name.rpartition(".")[0] for name in state}, key=_natural)
    left = [name for name in state if name.rpartition(".")[2] not in ("weight", "bias")]
    if left or not prefixes:
        raise ValueError(f"source: expected weights and biases of Linears, got {', '.join(left[:4]) or 'nothing'}")
    found: dict[str, Array] = {}
    before = None
    for number, prefix in enumerate(prefixes, 1):
        weight, bias = (_array(state, f"{prefix}.{kind}" if prefix else kind) for kind in ("weight", "bias"))
        if weight is None or weight.ndim != 2:
            shape = "nothing" if weight is None else f"shape {weight.shape}"
            raise ValueError(f"source: expected {prefix}.weight of shape (outputs, inputs), got {shape}")
        if before is not None and weight.shape[1] != before:
            raise ValueError(f"source: expected {prefix}.weight to take the {before} outputs of the layer before it, "
                             f"got {weight.shape[1]} inputs; the order of names is {', '.join(prefixes)}")
        before = weight.shape[0]
        found[f"W{number}"] = weight
        found[f"b{number}"] = np.zeros((before, 1)) if bias is None else bias.reshape(-1, 1)
    return found


def _array(state: Mapping[str, Any], name: str) -> Array | None:
    value = state.get(name)
    if value is None:
        return None
    if hasattr(value, "detach"):
        value = value.detach().cpu().double().numpy()
    return np.array(value, dtype=np.float64)


def _natural(name: str) -> list[tuple[int, str]]:
    """fc2 before fc10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]
