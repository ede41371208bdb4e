"""Calls made while a module has other tensors than its own: forward, and a backward that runs forward again."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn
from torch.func import functional_call
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode


class _Holder(nn.Module):
    """Holds a module, and calls something else: what runs meanwhile finds the module with the tensors it was given."""

    def __init__(self, module: nn.Module, call: Callable[[], Any]) -> None:
        super().__init__()
        self.held, self._call = module, call

    def forward(self) -> Any:
        """Return what the call returns."""
        return self._call()


def inside(module: nn.Module, tensors: Mapping[str, torch.Tensor], call: Callable[[], Any]) -> Any:
    """Return ``call()`` while the module has these tensors, by name, in place of its own."""
    return functional_call(_Holder(module, call), {f"held.{name}": tensor for name, tensor in tensors.items()}, ())


def widened_loss(loss: Any, widen: Callable[[Any], Any]) -> Any:
    """Return a loss whose own tensors, as the weights of classes, are widened; one that has none as it is."""
    if not isinstance(loss, nn.Module):
        return loss
    own = {name: widen(tensor) for name, tensor in (*loss.named_parameters(), *loss.named_buffers())}
    return (lambda *args: functional_call(loss, own, args)) if own else loss


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
