"""Calls made while a module has other tensors than its own: forward, and a backward that runs forward again."""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

import torch
from torch import nn
from torch.func import functional_call
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from .kept import in_places

# What a parameter is asked by somebody who looks for those that are trained.
OF_THEMSELVES = (torch.Tensor.requires_grad.__get__, torch.Tensor.is_leaf.__get__)
# Arguments that may have tensors in them.
CONTAINERS = (tuple, list, dict)


class _Holder(nn.Module):
    """Holds a module, and calls something else: what runs meanwhile finds the module with the tensors it was given."""

    def __init__(self, module: nn.Module, call: Callable[[], Any]) -> None:
        super().__init__()
        self.held, self._call = module, call

    def forward(self) -> Any:
        """Return what the call returns."""
        return self._call()


def inside(module: nn.Module, tensors: Mapping[str, torch.Tensor], call: Callable[[], Any]) -> Any:
    """Return ``call()`` while the module has these tensors, by name, in place of its own.

    They also stand for its own where a closure or a plain list holds these (see ``StandIns``).
    """
    own = tensors_of(module)
    stand_ins = StandIns((own[name], tensor) for name, tensor in tensors.items() if name in own)

    def calling() -> Any:
        with stand_ins:
            return call()

    given = {f"held.{name}": tensor for name, tensor in tensors.items()}
    with in_places(module.modules()):
        return functional_call(_Holder(module, calling), given, ())


def tensors_of(module: nn.Module) -> dict[str, torch.Tensor]:
    """Return a module's parameters and buffers, by name."""
    return {**dict(module.named_parameters()), **dict(module.named_buffers())}


def as_twin(module: nn.Module | None, twin: nn.Module) -> "StandIns":
    """Return the mode in which a copy's tensors stand for those of the module; one that does nothing for None."""
    own = {} if module is None else tensors_of(module)
    copies = tensors_of(twin) if own else {}
    return StandIns((tensor, copies[name]) for name, tensor in own.items() if name in copies)


def widened_loss(loss: Any, widen: Callable[[Any], Any], others: Collection[torch.Tensor]) -> Any:
    """Return a loss whose own tensors, as the weights of classes, are widened; one that has none as it is.

    Parameters
    ----------
    loss : a module or any function.
    widen : changes one tensor.
    others : tensors of the module that the loss is of, which are not the loss's own although it may have them.
    """
    if not isinstance(loss, nn.Module):
        return loss
    known = {id(tensor) for tensor in others}
    own = {name: widen(tensor) for name, tensor in tensors_of(loss).items() if id(tensor) not in known}

    def widened(*args: Any) -> Any:
        with in_places(loss.modules()):
            return functional_call(loss, {name: tensor.clone() for name, tensor in own.items()}, args)

    return widened if own else loss


class StandIns(TorchFunctionMode):
    """Calls functions with other tensors in place of some, wherever these come from.

    A closure, a list or an optimizer may hold parameters themselves, which other names in a module do not reach.

    Parameters
    ----------
    pairs : tensors, each with what stands for it.
    """

    def __init__(self, pairs: Iterable[tuple[torch.Tensor, torch.Tensor]]) -> None:
        super().__init__()
        self._pairs = {id(own): (own, other) for own, other in pairs if own is not other}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run the function with what stands for its arguments; whether they want gradients is asked of themselves."""
        kwargs = kwargs or {}
        if not self._may_hold((*args, *kwargs.values())) or func in OF_THEMSELVES:
            return func(*args, **kwargs)
        return func(*self._in_place_of(args), **self._in_place_of(kwargs))

    def _may_hold(self, values: Iterable[Any]) -> bool:
        """Tell at little cost whether some argument may have something that stands for it: most have none."""
        return any(id(value) in self._pairs or type(value) in CONTAINERS for value in values)

    def _in_place_of(self, value: Any) -> Any:
        if id(value) in self._pairs:
            return self._pairs[id(value)][1]
        if type(value) is dict:
            return {key: self._in_place_of(item) for key, item in value.items()}
        return type(value)(map(self._in_place_of, value)) if type(value) in CONTAINERS else value


class StillPadding(TorchFunctionMode):
    """Lets rows of embeddings at their padding index stand still where they are looked up.

    PyTorch defines their gradient as zero there.  The same table may be used elsewhere, as a head's weight.

    Parameters
    ----------
    tables : tensors that move, with where they were before; by the tensor's id.
    """

    def __init__(self, tables: Mapping[int, torch.Tensor]) -> None:
        super().__init__()
        self._tables = tables

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run the function; an embedding with a table whose padding row stands still."""
        kwargs = kwargs or {}
        if func is not F.embedding:
            return func(*args, **kwargs)
        weight = args[1] if len(args) > 1 else kwargs["weight"]
        row = args[2] if len(args) > 2 else kwargs.get("padding_idx")
        before = self._tables.get(id(weight))
        if row is None or before is None:
            return func(*args, **kwargs)
        padding = torch.zeros(len(weight), 1, dtype=torch.bool, device=weight.device)
        padding[row] = True
        still = torch.where(padding, before, weight)
        if len(args) > 1:
            return func(args[0], still, *args[2:], **kwargs)
        return func(*args, **{**kwargs, "weight": still})
