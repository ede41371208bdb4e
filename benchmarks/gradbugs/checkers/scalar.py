"""Every case as a cost of one vector, which is what the oldest checkers take.

A layer becomes the sum of its outputs weighted by a fixed random upstream gradient.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..subjects import Cost, Dense, JaxFunction, Layer, Subject, TorchFunction, TorchModule, Version

SEED = 11


@dataclass(frozen=True)
class ScalarProblem:
    """cost(arrays) -> number, its gradient as computed by the version at hand, and the arrays at which both are."""

    cost: Callable[[Sequence[Any]], float]
    gradients: list[Any]
    arrays: list[Any]

    @property
    def theta(self) -> Any:
        """All arrays as one vector."""
        return _joined(self.arrays)

    @property
    def gradient(self) -> Any:
        """All gradients as one vector."""
        return _joined(self.gradients)

    def at(self, theta: Any) -> float:
        """The cost at a vector; the arrays keep their precision."""
        arrays, start = [], 0
        for array in self.arrays:
            arrays.append(theta[start:start + array.size].reshape(array.shape).astype(array.dtype))
            start += array.size
        return float(self.cost(arrays))


def scalar_problem(subject: Subject, version: Version) -> ScalarProblem:
    """The case's cost and gradient."""
    return MAKERS[type(subject)](subject, version)


def upstream_of(outputs: Any) -> Any:
    """Random weights, a fixed one for each output entry; of a tuple of outputs a tuple."""
    rng = np.random.default_rng(SEED)
    if isinstance(outputs, tuple):
        return tuple(_weights(rng, output) for output in outputs)
    return _weights(rng, outputs)


def weighted(outputs: Any, upstream: Any) -> float:
    """The sum of all outputs, each times its weight."""
    pairs = zip(outputs, upstream, strict=True) if isinstance(outputs, tuple) else [(outputs, upstream)]
    return float(sum(np.sum(np.asarray(a, float) * np.asarray(b, float)) for a, b in pairs))


def _weights(rng: Any, output: Any) -> Any:
    array = np.asarray(output)
    return rng.uniform(0.5, 1.5, array.shape).astype(array.dtype) * rng.choice([-1, 1], array.shape).astype(array.dtype)


def _joined(arrays: Sequence[Any]) -> Any:
    return np.concatenate([np.asarray(array, float).ravel() for array in arrays])


def floating(value: Any) -> bool:
    """Whether an input has gradients."""
    return np.asarray(value).dtype.kind == "f"


def _layer(subject: Layer, version: Version) -> ScalarProblem:
    inputs = subject.inputs()
    moved = [number for number, value in enumerate(inputs) if floating(value)]
    upstream = upstream_of(subject.forward(*inputs))
    found = getattr(subject, version)(upstream, *subject.inputs())
    gradients = list(found) if isinstance(found, tuple) else [found]
    if len(gradients) == len(inputs):
        gradients = [gradients[number] for number in moved]

    def cost(arrays: Sequence[Any]) -> float:
        given = list(inputs)
        for number, array in zip(moved, arrays, strict=True):
            given[number] = array
        return weighted(subject.forward(*given), upstream)

    return ScalarProblem(cost, gradients, [np.asarray(inputs[number]) for number in moved])


def _cost(subject: Cost, version: Version) -> ScalarProblem:
    parameters = subject.parameters()
    names = list(parameters)
    found = getattr(subject, version)(subject.parameters())
    return ScalarProblem(
        lambda arrays: subject.cost(dict(zip(names, arrays, strict=True))), [found[name] for name in names],
        [np.asarray(parameters[name]) for name in names],
    )


def _dense(subject: Dense, version: Version) -> ScalarProblem:
    net, parameters, X, Y = subject.network()
    names = list(parameters)
    found = getattr(subject, version)(parameters, X, Y)
    return ScalarProblem(
        lambda arrays: net.cost_of(dict(zip(names, arrays, strict=True)), X, Y), [found["d" + name] for name in names],
        [parameters[name] for name in names],
    )


def _torch_function(subject: TorchFunction, version: Version) -> ScalarProblem:
    import torch

    function, inputs = getattr(subject, version), subject.inputs()
    moved = [tensor for tensor in inputs if isinstance(tensor, torch.Tensor) and tensor.requires_grad]
    outputs = function(*inputs)
    several = isinstance(outputs, tuple)
    parts = outputs if several else (outputs,)
    upstream = upstream_of(tuple(as_numpy(part) for part in parts))
    weights = [torch.from_numpy(np.asarray(u, np.float64)).to(p.dtype) for u, p in zip(upstream, parts, strict=True)]
    gradients = torch.autograd.grad(parts, moved, weights, allow_unused=True)

    def cost(arrays: Sequence[Any]) -> float:
        replaced = iter(arrays)
        given = [torch.from_numpy(np.asarray(next(replaced), np.float64)).to(value.dtype)
                 if isinstance(value, torch.Tensor) and value.requires_grad else value for value in inputs]
        with torch.no_grad():
            found = function(*given)
        return weighted(tuple(as_numpy(part) for part in (found if several else (found,))), upstream)

    return ScalarProblem(cost, [zero_or(g, t) for g, t in zip(gradients, moved, strict=True)],
                         [as_numpy(tensor) for tensor in moved])


def _torch_module(subject: TorchModule, version: Version) -> ScalarProblem:
    import torch

    module, (inputs, targets) = subject.make(version), subject.data()
    parameters = [p for p in module.parameters() if p.requires_grad]
    loss = subject.loss(module(inputs), targets)
    gradients = torch.autograd.grad(loss, parameters, allow_unused=True)

    def cost(arrays: Sequence[Any]) -> float:
        with torch.no_grad():
            for parameter, array in zip(parameters, arrays, strict=True):
                parameter.copy_(torch.from_numpy(np.asarray(array, np.float64)))
            return float(subject.loss(module(inputs), targets))

    return ScalarProblem(cost, [zero_or(g, p) for g, p in zip(gradients, parameters, strict=True)],
                         [as_numpy(p).copy() for p in parameters])


def _jax_function(subject: JaxFunction, version: Version) -> ScalarProblem:
    import jax

    function, arguments = getattr(subject, version), subject.arguments()
    moved = [number for number, value in enumerate(arguments) if floating(value)]
    with jax.enable_x64(True):
        outputs, pull = jax.vjp(lambda *parts: function(*_replaced(arguments, moved, parts)),
                                *[arguments[number] for number in moved])
        upstream = upstream_of(jax.tree.map(np.asarray, outputs))
        gradients = [np.asarray(g) for g in pull(jax.tree.map(lambda u: u, upstream))]

    def cost(arrays: Sequence[Any]) -> float:
        with jax.enable_x64(True):
            found = function(*_replaced(arguments, moved, arrays))
        return weighted(jax.tree.map(np.asarray, found), upstream)

    return ScalarProblem(cost, gradients, [np.asarray(arguments[number]) for number in moved])


def _replaced(arguments: Sequence[Any], moved: Sequence[int], parts: Sequence[Any]) -> list[Any]:
    given = list(arguments)
    for number, part in zip(moved, parts, strict=True):
        given[number] = part
    return given


def as_numpy(tensor: Any) -> Any:
    """A tensor's numbers; bfloat16 has no NumPy type and becomes float32, which holds it exactly."""
    import torch

    plain = tensor.detach()
    return (plain.float() if plain.dtype == torch.bfloat16 else plain).numpy()


def zero_or(gradient: Any, tensor: Any) -> Any:
    """The gradient's numbers, zeros where autograd gives None."""
    return np.zeros(tuple(tensor.shape)) if gradient is None else as_numpy(gradient)


MAKERS: dict[type, Callable[..., ScalarProblem]] = {
    Layer: _layer, Cost: _cost, Dense: _dense, TorchFunction: _torch_function, TorchModule: _torch_module,
    JaxFunction: _jax_function,
}
