"""What a check leaves as it was: tensors, gradients and modes of a module, and of what its loss holds."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from .tensors import dense

# Attributes in which a module registers what is its own.
REGISTERED = frozenset(("_parameters", "_buffers", "_modules"))


@contextlib.contextmanager
def preserved(module: nn.Module, loss: Callable[..., Any]) -> Iterator[None]:
    """Put back parameters, buffers, gradients, training mode and the random state.

    Parameters
    ----------
    module : the module.
    loss : a function; of what it holds, parameters are nowhere written to and need no copies.
    """
    others, leaves = beside(module, loss)
    modules = list(dict.fromkeys(part for one in (module, *others) for part in one.modules()))
    moved = (*module.parameters(), *(buffer for part in modules for buffer in part.buffers(recurse=False)))
    tensors = [(tensor, tensor.detach().clone()) for tensor in moved]
    trained = (*leaves, *(p for part in modules for p in part.parameters(recurse=False)))
    gradients = [(p, p.grad, None if p.grad is None else p.grad.detach().clone()) for p in trained]
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())), in_places(modules):
        try:
            yield
        finally:
            with torch.no_grad():
                _put_back_gradients(gradients)
                for tensor, kept in tensors:
                    if not equal(tensor, kept):
                        tensor.data.copy_(kept)


def beside(module: nn.Module, loss: Callable[..., Any]) -> tuple[list[nn.Module], list[torch.Tensor]]:
    """Return the modules and the leaves of autograd that a loss holds, or a module in plain lists and dictionaries."""
    found = (*_held_by(loss), *(one for part in module.modules() for one in _aside(part)))
    each = {id(one): one for one in found if isinstance(one, (nn.Module, torch.Tensor))}.values()
    leaves = [one for one in each if isinstance(one, torch.Tensor) and one.is_leaf and one.requires_grad]
    return [one for one in each if isinstance(one, nn.Module) and one is not module], leaves


def _held_by(function: Callable[..., Any]) -> Iterator[Any]:
    """Yield what a function is, is a method of, or holds."""
    from ..engines.program.arrays.reachable import Reachable  # imported where used, as the engines are

    bound = (*getattr(function, "args", ()), *getattr(function, "keywords", {}).values())  # of functools.partial
    yield from (function, getattr(function, "__self__", None), *bound)
    yield from (place.value for place in Reachable(function).holders())


def _aside(part: nn.Module) -> Iterator[Any]:
    """Yield what a module has in attributes that do not register it."""
    for name, value in vars(part).items():
        if name not in REGISTERED and isinstance(value, (list, tuple, dict)):
            yield from value.values() if isinstance(value, dict) else value


def _put_back_gradients(gradients: Sequence[tuple[torch.Tensor, torch.Tensor | None, torch.Tensor | None]]) -> None:
    """Give tensors the gradients that they had, with what these held."""
    for tensor, gradient, kept in gradients:
        tensor.grad = gradient
        if gradient is not None and kept is not None and not equal(gradient, kept):
            gradient.copy_(kept)


@contextlib.contextmanager
def untouched(module: nn.Module, buffers: Mapping[str, torch.Tensor]) -> Iterator[None]:
    """Give a module other buffers, by name, for a while; its parameters, buffers and modes are afterwards as before."""
    with in_places(module.modules()):
        for name, buffer in buffers.items():
            owner, _, own = name.rpartition(".")
            module.get_submodule(owner)._buffers[own] = buffer
        yield


@contextlib.contextmanager
def afresh(modules: Sequence[nn.Module]) -> Iterator[None]:
    """Let modules write to copies of their buffers for a while."""
    with contextlib.ExitStack() as stack:
        for module in modules:
            stack.enter_context(untouched(module, copied_buffers(module)))
        yield


@contextlib.contextmanager
def in_places(modules: Iterable[nn.Module]) -> Iterator[None]:
    """Put modules' parameters and buffers back into their places, and their modes, whatever was put there meanwhile.

    Notes
    -----
    ``torch.func.functional_call`` leaves what it was given behind in a part that a module has under two names.
    """
    places = [(part, dict(part._parameters), dict(part._buffers), part.training) for part in modules]
    try:
        yield
    finally:
        for part, parameters, buffers, mode in places:
            _put_back(part._parameters, parameters)
            _put_back(part._buffers, buffers)
            part.training = mode


def _put_back(places: Any, kept: Mapping[str, torch.Tensor | None]) -> None:
    """Put tensors where they were before; a scripted module's places are no dictionary and only take single ones."""
    for name, tensor in kept.items():
        if name not in places or places[name] is not tensor:
            places[name] = tensor


def copied_buffers(module: nn.Module) -> dict[str, torch.Tensor]:
    """Return copies of a module's buffers, by name."""
    return {name: buffer.detach().clone() for name, buffer in module.named_buffers()}


def equal(first: torch.Tensor, second: torch.Tensor) -> bool:
    """Bit for bit, NaN included."""
    first, second = dense(first), dense(second)
    if torch.equal(first, second):
        return True
    return first.shape == second.shape and bool(((first == second) | ((first != first) & (second != second))).all())
