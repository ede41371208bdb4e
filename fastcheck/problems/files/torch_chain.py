"""Modules that are chains of Linear layers and known activations: what a ``Network`` can describe."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from ..._types import Array
from ..networks.defaults import output_and_cost
from ..networks.layers.dense import Dense
from ..networks.network import Network

# An activation's name, or "" where its settings are none of ours.
ACTIVATION_OF: dict[type[nn.Module], Callable[[Any], str]] = {
    nn.Identity: lambda m: "identity",
    nn.ReLU: lambda m: "relu",
    nn.LeakyReLU: lambda m: "leaky_relu" if m.negative_slope == 0.01 else "",
    nn.ReLU6: lambda m: "relu6",
    nn.Hardtanh: lambda m: "hardtanh" if (m.min_val, m.max_val) == (-1.0, 1.0) else "",
    nn.ELU: lambda m: "elu" if m.alpha == 1.0 else "",
    nn.SELU: lambda m: "selu",
    nn.Sigmoid: lambda m: "sigmoid",
    nn.Tanh: lambda m: "tanh",
    nn.Softplus: lambda m: "softplus" if m.beta == 1.0 and m.threshold >= 20.0 else "",
    nn.SiLU: lambda m: "silu",
    nn.GELU: lambda m: "gelu" if m.approximate == "none" else "gelu_tanh",
    nn.Softmax: lambda m: "softmax" if m.dim in (1, -1) else "",
}
HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


class NotAChainError(ValueError):
    """The module is not a chain of Linear layers and known activations; says where."""


@dataclass
class Layer:
    """A Linear layer, where it is in the module, and the activation behind it."""

    name: str
    linear: nn.Linear
    activation: Any = ""


def layers_of(module: nn.Module) -> list[Layer]:
    """Return the layers of a chain, in order.

    Raises
    ------
    NotAChainError : with the first thing that does not fit.
    """
    layers: list[Layer] = []
    for name, part in _steps(module, ""):
        activation = ACTIVATION_OF.get(type(part))
        if any(getattr(part, hooks) for hooks in HOOKS) or nn.utils.parametrize.is_parametrized(part):
            raise NotAChainError(f"{name} has hooks or parametrizations")
        if type(part) is nn.Linear:
            layers.append(Layer(name, part))
        elif type(part) is nn.Flatten and not layers and (part.start_dim, part.end_dim) == (1, -1):
            continue
        elif isinstance(part, nn.modules.dropout._DropoutNd):
            if part.training and part.p:
                raise NotAChainError(f"{name} is {type(part).__name__}, active")
        elif activation is None or not activation(part):
            raise NotAChainError(f"{name or 'it'} is {_in_short(part)}, which fastcheck.Network does not describe")
        elif not layers or layers[-1].activation:
            raise NotAChainError(f"{name or 'it'} is {_in_short(part)}, not behind a Linear layer")
        else:
            layers[-1].activation = activation(part)
    if not layers:
        raise NotAChainError("no Linear layer found")
    return layers


def _steps(module: nn.Module, path: str) -> Iterator[tuple[str, nn.Module]]:
    """Yield the modules of nested Sequentials, in order, with their names."""
    if type(module) is not nn.Sequential:
        yield path, module
        return
    if any(getattr(module, hooks) for hooks in HOOKS):
        raise NotAChainError(f"{path or 'the module'} has hooks")
    for name, child in module.named_children():
        yield from _steps(child, f"{path}.{name}" if path else name)


def _in_short(part: nn.Module) -> str:
    """Return a module's description, of one that holds others its name."""
    return type(part).__name__ if any(True for _ in part.children()) else str(part)


def cost_of(loss: Any, output: str, outputs: int) -> tuple[str, str]:
    """Return the cost and the output activation that a loss and the last activation make together.

    Raises
    ------
    NotAChainError : for losses that are none of ours.
    """
    raw = output in ("", "identity")
    mean = getattr(loss, "reduction", "mean") == "mean" and getattr(loss, "weight", None) is None
    if _is(loss, nn.CrossEntropyLoss, F.cross_entropy) and raw and mean and not getattr(loss, "label_smoothing", 0.0):
        return "cross_entropy", "softmax"
    if _is(loss, nn.MSELoss, F.mse_loss) and mean:
        return "mean_squared_error", output or "identity"
    if outputs == 1 and mean and getattr(loss, "pos_weight", None) is None:
        logits = _is(loss, nn.BCEWithLogitsLoss, F.binary_cross_entropy_with_logits) and raw
        if logits or (_is(loss, nn.BCELoss, F.binary_cross_entropy) and output == "sigmoid"):
            return "binary_cross_entropy", "sigmoid"
    output = output or "identity"
    raise NotAChainError(f"fastcheck.Network has no cost for the loss {loss!r} with the output {output!r}")


def _is(loss: Any, kind: type[nn.Module], function: Callable[..., Any]) -> bool:
    return type(loss) is kind or loss is function


def network_from_chain(layers: list[Layer], cost: Any, output: Any, l2: float = 0.0) -> Network:
    """Return the network of a chain; its cost, and its output where the chain leaves that to the loss, as told."""
    last, cost = output_and_cost(output or layers[-1].activation or None, cost, "mean_squared_error")
    activations: list[Any] = [layer.activation or "identity" for layer in layers[:-1]] + [last]
    dense = [Dense(layer.linear.in_features, layer.linear.out_features, activation)
             for layer, activation in zip(layers, activations, strict=True)]
    return Network(dense, cost, l2)


def parameters_of(layers: list[Layer]) -> dict[str, Array]:
    """W1, b1, ... in double precision; zeros for a bias that is not there."""
    found: dict[str, Array] = {}
    for number, layer in enumerate(layers, 1):
        weight, bias = layer.linear.weight, layer.linear.bias
        found[f"W{number}"] = _array(weight)
        found[f"b{number}"] = _array(torch.zeros(weight.shape[0]) if bias is None else bias).reshape(-1, 1)
    return found


def _array(tensor: torch.Tensor) -> Array:
    """Return a copy in double precision."""
    return np.array(tensor.detach().cpu().double().numpy())
