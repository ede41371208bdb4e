"""``check_module``: every parameter of an nn.Module against loss.backward()."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.func import functional_call

from .._errors import NondeterministicError
from .._types import Array
from ..checks.function import check_function
from ..checks.network import check
from ..problems.functions.purity import same
from ..report.report import Report
from . import chain
from .function import TorchCost, TorchFunction, as_tuple, floating, in_short

REMEDY = "call module.eval() first, and backward() in that mode too"


def check_module(
    module: nn.Module,
    loss: Callable[..., torch.Tensor],
    inputs: Any,
    targets: Any = None,
    *,
    tolerance: float | None = None,
    norm: float = 2,
    method: str = "all",
    samples: int | None = None,
    directions: int | None = None,
    seed: int = 0,
    threads: int | None = None,
    memory_limit: int | None = None,
    progress: Any = False,
) -> Report:
    """Check what loss.backward() puts into every parameter of a module.

    A nn.Sequential of Linear layers and known activations with a known loss is checked by the response engine; any
    other module by differences of the loss in double precision, many moved parameters at a time.  The report's notes
    say which, and why.  Parameters, buffers, gradients, random state and training mode are afterwards as before.

    Parameters
    ----------
    module : its parameters that require gradients are checked.
    loss : loss(module(inputs), targets) -> a number; with targets=None loss(module(inputs)).
    inputs : a tensor, or a tuple of arguments of the module.
    targets : of the loss.
    tolerance, norm, method, samples, directions, seed, threads, memory_limit, progress : as in ``fastcheck.check``.

    Returns
    -------
    Report : of W1, b1, ... from the response engine (a note says whose they are), else by the parameters' names.

    Raises
    ------
    ValueError : where dropout is active, or buffers (running statistics) move; and for what does not fit.
    NondeterministicError : if the loss is random.
    """
    if not isinstance(module, nn.Module):
        raise TypeError(f"module: {type(module).__name__} found, wanted a torch.nn.Module")
    _require_still(module)
    options: dict[str, Any] = {
        "tolerance": tolerance, "norm": norm, "method": method, "samples": samples, "directions": directions,
        "seed": seed, "threads": threads, "memory_limit": memory_limit, "progress": progress,
    }
    case = Case(module, loss, as_tuple(inputs), targets)
    with torch.inference_mode(False), torch.enable_grad(), _preserved(module):
        value, gradients = case.backward()
        try:
            return _by_response(case, value, gradients, options)
        except chain.NotAChainError as reason:
            return _by_differences(case, gradients, str(reason), options)


@dataclass(frozen=True)
class Case:
    """A module, its loss and its data."""

    module: nn.Module
    loss: Callable[..., torch.Tensor]
    inputs: tuple[Any, ...]
    targets: Any

    @property
    def parameters(self) -> dict[str, torch.Tensor]:
        """Those that are checked."""
        return {name: p for name, p in self.module.named_parameters() if p.requires_grad}

    def cost(self, run: Callable[..., Any], inputs: tuple[Any, ...], targets: Any) -> torch.Tensor:
        """The loss, by way of running the module."""
        outputs = run(*inputs)
        value = self.loss(outputs) if targets is None else self.loss(outputs, targets)
        if not isinstance(value, torch.Tensor) or value.numel() != 1:
            found = tuple(value.shape) if isinstance(value, torch.Tensor) else type(value).__name__
            raise ValueError(f"loss: returned {found}, wanted one number; reduce it, e.g. with .mean()")
        return value.reshape(())

    def backward(self) -> tuple[float, dict[str, Array]]:
        """The loss and, by loss.backward(), the gradients."""
        parameters, inputs = self.parameters, _detached(self.inputs)
        if not parameters:
            raise ValueError("module: no parameter requires gradients, so there is nothing to check")
        for parameter in parameters.values():
            parameter.grad = None
        before = {name: b.detach().clone() for name, b in self.module.named_buffers()}
        value = self.cost(self.module, inputs, self.targets)
        moved = [name for name, b in self.module.named_buffers() if not _equal(b, before[name])]
        if moved:
            raise ValueError(f"module: its buffers {', '.join(moved[:4])} move with each call (running statistics), so "
                             f"that no two losses belong together; {REMEDY}")
        value.backward()
        first, again = value.item(), self.cost(self.module, inputs, self.targets).item()
        low = max((torch.finfo(p.dtype).eps for p in parameters.values()), default=0.0)
        if not same(first, again) and not abs(first - again) <= 1e2 * low * abs(again):
            raise NondeterministicError(
                f"the loss is random: {first!r} and then {again!r} for the same parameters. Likely causes: "
                f"functional dropout, or noise drawn in forward; {REMEDY}, or fix it inside the module"
            )
        return first, {
            name: np.zeros(tuple(p.shape), _numpy_dtype(p)) if p.grad is None else _array(p.grad)
            for name, p in parameters.items()
        }


def _by_response(case: Case, value: float, gradients: dict[str, Array], options: dict[str, Any]) -> Report:
    """By exact differences.  Raises NotAChainError where a Network cannot stand for the module."""
    layers = chain.layers_of(case.module)
    if len(gradients) != 2 * len(layers):
        raise chain.NotAChainError("a bias is missing, a parameter shared or frozen")
    cost, output = chain.cost_of(case.loss, layers[-1].activation, layers[-1].linear.out_features)
    net = chain.network_from_chain(layers, cost, output)
    X, Y = _columns(case.inputs, case.targets, net.widths[0], net.widths[-1])
    parameters, named = chain.parameters_of(layers), {}
    for number, layer in enumerate(layers, 1):
        for letter, kind in (("W", "weight"), ("b", "bias")):
            named[f"{letter}{number}"] = gradients[f"{layer.name}.{kind}" if layer.name else kind]
    try:
        found = net.cost_of(parameters, X, Y)
    except (TypeError, ValueError) as error:
        raise chain.NotAChainError(str(error)) from None
    precision = max(float(torch.finfo(p.dtype).eps) for p in case.parameters.values())
    if not abs(found - value) <= max(1e-9, 1e4 * precision) * max(abs(value), 1e-300):
        raise chain.NotAChainError(f"as a fastcheck.Network its loss would be {found:.9g} instead of {value:.9g}")
    report = check(net, parameters, named, X, Y, **options)
    names = ", ".join(f"W{n} and b{n} are {layer.name or 'the'}'s" if layer.name else f"W{n} and b{n} are the module's"
                      for n, layer in enumerate(layers, 1))
    return report.noted(f"Engine response: exact differences of {net!r}, in double precision; {names}.")


def _by_differences(case: Case, gradients: dict[str, Array], reason: str, options: dict[str, Any]) -> Report:
    """By differences of the loss, in double precision where the module can."""
    names, given = tuple(case.parameters), dict(case.parameters)
    notes = []
    for widen in (_double, _detached_tensor):
        state = (*case.module.named_parameters(), *case.module.named_buffers())
        rest = {name: widen(tensor) for name, tensor in state if name not in given}
        inputs, targets = _mapped(case.inputs, widen), _mapped(case.targets, widen)

        def cost(*values: torch.Tensor, rest: Any = rest, inputs: Any = inputs, targets: Any = targets) -> torch.Tensor:
            moved = {**dict(zip(names, values, strict=True)), **rest}
            return case.cost(lambda *args: functional_call(case.module, moved, args), inputs, targets)

        function = TorchFunction(cost, tuple(widen(p).clone() for p in given.values()), tuple(range(len(names))), names)
        try:
            with torch.autocast("cpu", enabled=False):
                function.value()
                break
        except Exception as error:
            if widen is _detached_tensor:
                raise
            notes.append(f"The module cannot run in double precision ({in_short(error)}).")
    slow = ", ".join(name for number, name in enumerate(names) if not function.stacks(number))
    how = f"one call each for {slow} ({next(iter(function.reasons.values()))})" if slow else "vmap"
    plain = {name: _array(p) for name, p in case.parameters.items()}
    with torch.no_grad():
        report = check_function(TorchCost(function), plain, gradients, **options)
    return report.noted(f"Differences of the loss by functional_call and {how}, no engine response: {reason}.", *notes)


def _require_still(module: nn.Module) -> None:
    """Refuse what makes a loss random or moves its buffers, with the remedy."""
    for name, part in module.named_modules():
        if not part.training:
            continue
        shown = f"{name or 'module'} ({type(part).__name__})"
        p = part.p if isinstance(part, nn.modules.dropout._DropoutNd) else getattr(part, "dropout", 0.0)
        if isinstance(p, (int, float)) and p > 0.0:
            raise ValueError(f"{shown}: dropout {p} is active, which makes the loss random; {REMEDY}")
        if isinstance(part, nn.modules.batchnorm._NormBase) and part.track_running_stats:
            raise ValueError(f"{shown}: updates its running statistics with each call, so that no two losses belong "
                             f"together; {REMEDY}")


@contextlib.contextmanager
def _preserved(module: nn.Module) -> Iterator[None]:
    """Put back parameters, buffers, gradients, random state and training mode."""
    tensors = [(t, t.detach().clone()) for t in (*module.parameters(), *module.buffers())]
    gradients = [(p, p.grad, None if p.grad is None else p.grad.detach().clone()) for p in module.parameters()]
    training = [(part, part.training) for part in module.modules()]
    with torch.random.fork_rng():
        try:
            yield
        finally:
            with torch.no_grad():
                for tensor, kept in tensors:
                    if not _equal(tensor, kept):
                        tensor.data.copy_(kept)
                for parameter, gradient, kept_gradient in gradients:
                    parameter.grad = gradient
                    if gradient is not None and kept_gradient is not None and not _equal(gradient, kept_gradient):
                        gradient.copy_(kept_gradient)
            for part, mode in training:
                part.training = mode


def _columns(inputs: tuple[Any, ...], targets: Any, width: int, outputs: int) -> tuple[Array, Array]:
    """X (n_x, m) and Y as a Network has them."""
    if len(inputs) != 1 or not floating(inputs[0]) or not isinstance(targets, torch.Tensor) or inputs[0].ndim < 2:
        raise chain.NotAChainError("its inputs and targets are not one tensor each, samples in rows")
    X = inputs[0].detach().flatten(1)
    if X.shape[1] != width:
        raise chain.NotAChainError(f"it acts on an axis of its inputs {tuple(inputs[0].shape)} other than the second")
    Y = targets.detach().cpu().numpy()
    if Y.shape == (X.shape[0],) and (Y.dtype.kind in "iu" or outputs == 1):
        return X.T.cpu().numpy(), Y
    if Y.shape != (X.shape[0], outputs):
        raise chain.NotAChainError(f"its targets have shape {Y.shape}, not {(X.shape[0], outputs)}")
    return X.T.cpu().numpy(), Y.T


def _equal(first: torch.Tensor, second: torch.Tensor) -> bool:
    """Bit for bit, NaN included."""
    return first.shape == second.shape and bool(((first == second) | ((first != first) & (second != second))).all())


def _numpy_dtype(tensor: torch.Tensor) -> Any:
    return np.float64 if tensor.dtype == torch.float64 else np.float32 if tensor.dtype == torch.float32 else np.float16


def _array(tensor: torch.Tensor) -> Array:
    """A copy as a NumPy array of the same precision, or the nearest that NumPy has."""
    dense = (tensor.to_dense() if tensor.layout != torch.strided else tensor).detach().cpu()
    if dense.dtype == torch.bfloat16:
        return dense.to(torch.float32).numpy().astype(np.float16)
    return np.array(dense.numpy())


def _detached(values: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(_detached_tensor(value) for value in values)


def _detached_tensor(value: Any) -> Any:
    return value.detach() if isinstance(value, torch.Tensor) else value


def _double(value: Any) -> Any:
    return value.detach().to(torch.float64) if floating(value) and not value.is_complex() else _detached_tensor(value)


def _mapped(value: Any, change: Callable[[Any], Any]) -> Any:
    """The same structure with every tensor changed."""
    if isinstance(value, (tuple, list)):
        return type(value)(_mapped(item, change) for item in value)
    if isinstance(value, dict):
        return {key: _mapped(item, change) for key, item in value.items()}
    return change(value)
