"""What many cases need: fixed random arrays, the usual functions, and custom autograd functions in one line."""

from collections.abc import Callable
from typing import Any

import numpy as np


def normal(*shapes: tuple[int, ...], seed: int = 0, dtype: Any = float) -> tuple[Any, ...]:
    """Standard normal arrays of these shapes, the same ones for the same seed."""
    rng = np.random.default_rng(seed)
    return tuple(rng.standard_normal(shape).astype(dtype) for shape in shapes)


def sigmoid(z: Any) -> Any:
    """1 / (1 + exp(-z))."""
    return 1 / (1 + np.exp(-z))


def softmax(z: Any, axis: int = -1) -> Any:
    """exp(z), normalised along an axis."""
    e = np.exp(z - z.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def tensors(*arrays: Any, dtype: str = "float64") -> tuple[Any, ...]:
    """PyTorch tensors that require gradients, of NumPy arrays."""
    import torch

    return tuple(torch.tensor(array, dtype=getattr(torch, dtype), requires_grad=True) for array in arrays)


def custom(forward: Callable[..., Any], backward: Callable[..., Any]) -> Callable[..., Any]:
    """A differentiable function of tensors with a backward pass by hand.

    Parameters
    ----------
    forward : forward(*inputs) -> the output.
    backward : backward(upstream, *inputs) -> the gradient of each input, None where there is none.
    """
    import torch

    class Custom(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, *inputs: Any) -> Any:
            ctx.inputs = inputs
            return forward(*inputs)

        @staticmethod
        def backward(ctx: Any, *upstream: Any) -> Any:
            found = backward(upstream if len(upstream) > 1 else upstream[0], *ctx.inputs)
            return found if isinstance(found, tuple) else (found,)

    return lambda *inputs: Custom.apply(*inputs)


def module_of(function: Callable[..., Any], shapes: dict[str, tuple[int, ...]], dtype: str, seed: int = 0) -> Any:
    """A module that computes function(input, *parameters) with normal parameters of these names and shapes.

    Parameters
    ----------
    function : takes the input and the parameters in order.
    shapes : of the parameters, by name.
    dtype : "bfloat16", "float16", "float32" or "float64".
    """
    import torch

    class Made(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            for (name, _), array in zip(shapes.items(), normal(*shapes.values(), seed=seed), strict=True):
                self.register_parameter(name, torch.nn.Parameter(torch.tensor(array, dtype=getattr(torch, dtype))))

        def forward(self, x: Any) -> Any:
            return function(x, *(getattr(self, name) for name in shapes))

    return Made()


def weighted_sum(output: Any, targets: Any) -> Any:
    """A loss that takes every number of an output with another weight, in double precision; it needs no targets."""
    import torch

    return (output.double() * torch.linspace(0.5, 1.5, output.numel()).double().reshape(output.shape)).sum()
