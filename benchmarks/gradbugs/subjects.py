"""The programs that a case can be: each knows its right and its wrong version.

PyTorch and JAX are imported where they are used, so that the NumPy cases run without them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

Version = Literal["right", "wrong"]


@dataclass(frozen=True)
class Layer:
    """A layer in NumPy, for ``fastcheck.check_vjp``.

    forward(*inputs) -> array or tuple of arrays; right, wrong(upstream, *inputs) -> gradients of the floating inputs;
    inputs() -> the arrays, the same ones each time.
    """

    forward: Callable[..., Any]
    right: Callable[..., Any]
    wrong: Callable[..., Any]
    inputs: Callable[[], tuple[Any, ...]]


@dataclass(frozen=True)
class Cost:
    """A cost in NumPy, for ``fastcheck.check_function``.

    cost(parameters) -> number; right, wrong(parameters) -> gradients in the same structure; parameters() -> a
    dictionary of arrays, the same one each time.
    """

    cost: Callable[..., Any]
    right: Callable[..., Any]
    wrong: Callable[..., Any]
    parameters: Callable[[], dict[str, Any]]


@dataclass(frozen=True)
class Dense:
    """A network of dense layers, for ``fastcheck.check``.

    network() -> (net, parameters, X, Y); right, wrong(parameters, X, Y) -> {"dW1": ..., "db1": ..., ...}.
    """

    network: Callable[[], tuple[Any, dict[str, Any], Any, Any]]
    right: Callable[..., Any]
    wrong: Callable[..., Any]


@dataclass(frozen=True)
class TorchFunction:
    """A differentiable function of tensors, for ``fastcheck.torch.gradcheck``.

    reference(*tensors) -> the same value by operators of PyTorch alone; right, wrong(*tensors); inputs() -> tensors
    that require gradients where they are to be checked.
    """

    reference: Callable[..., Any]
    right: Callable[..., Any]
    wrong: Callable[..., Any]
    inputs: Callable[[], tuple[Any, ...]]


@dataclass(frozen=True)
class TorchModule:
    """A module and its loss, for ``fastcheck.torch.check_module``.

    make(version) -> the module, with the same parameters each time; loss(output, targets) -> a scalar tensor; data()
    -> (inputs, targets).
    """

    make: Callable[[Version], Any]
    loss: Callable[..., Any]
    data: Callable[[], tuple[Any, Any]]


@dataclass(frozen=True)
class JaxFunction:
    """A differentiable function of JAX arrays, for ``fastcheck.jax.check_grads``.

    right, wrong(*arrays) -> arrays; arguments() -> arrays.
    """

    right: Callable[..., Any]
    wrong: Callable[..., Any]
    arguments: Callable[[], tuple[Any, ...]]


Subject = Layer | Cost | Dense | TorchFunction | TorchModule | JaxFunction
