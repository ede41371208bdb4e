"""Custom Functions whose forward pass PyTorch's autograd differentiates, in place of their own backward.

What that leaves of rounding, in the same precision, is the measure of what their own backward pass may leave.
"""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch.utils._pytree import tree_leaves

from .calls import replaced
from .tensors import floating, requires_gradient

# Where the context of a call keeps its inputs.
KEPT = "_inputs_for_autograd"


class _NoContext:
    """Takes what a forward pass tells its context, and forgets it."""

    def __init__(self, needs_input_grad: tuple[bool, ...]) -> None:
        self.needs_input_grad = needs_input_grad

    def save_for_backward(self, *tensors: torch.Tensor) -> None: ...

    def save_for_forward(self, *tensors: torch.Tensor) -> None: ...

    def mark_dirty(self, *tensors: torch.Tensor) -> None: ...

    def mark_non_differentiable(self, *tensors: torch.Tensor) -> None: ...

    def set_materialize_grads(self, value: bool) -> None: ...


@contextlib.contextmanager
def by_autograd(kinds: Sequence[Any]) -> Iterator[None]:
    """Let autograd differentiate the forward pass of these classes; everything is as before afterwards."""
    with contextlib.ExitStack() as stack:
        for kind in kinds:
            stack.enter_context(_by_autograd(kind))
        yield


@contextlib.contextmanager
def _by_autograd(kind: Any) -> Iterator[None]:
    apart = kind.setup_context is not torch.autograd.Function.setup_context
    forward, setup = kind.forward, kind.setup_context

    def keeping(ctx: Any, *args: Any) -> Any:
        setattr(ctx, KEPT, [_own(value) for value in args])  # before forward may change them
        return forward(ctx, *args)

    def setting_up(ctx: Any, inputs: Any, output: Any) -> None:
        setattr(ctx, KEPT, [_own(value) for value in inputs])
        setup(ctx, inputs, output)

    def handing_back(ctx: Any, *upstream: Any) -> Any:
        args = [value.requires_grad_(needs) if floating(value) else value
                for value, needs in zip(getattr(ctx, KEPT), ctx.needs_input_grad, strict=True)]
        lead = () if apart else (_NoContext(ctx.needs_input_grad),)
        with torch.enable_grad():
            # Forward may work in place, which a leaf does not allow.
            out = tree_leaves(forward(*lead, *(value.clone() if floating(value) else value for value in args)))
        pairs = [(one, d) for one, d in zip(out, upstream, strict=True) if d is not None and requires_gradient(one)]
        moving = [value for value in args if requires_gradient(value)]
        found = torch.autograd.grad([one for one, _ in pairs], moving, [d for _, d in pairs], allow_unused=True)
        gradients = dict(zip(map(id, moving), found, strict=True))
        return tuple(gradients.get(id(value)) for value in args)

    first = replaced(kind, "setup_context", setting_up) if apart else replaced(kind, "forward", keeping)
    with first, replaced(kind, "backward", handing_back):
        yield


def _own(value: Any) -> Any:
    return value.detach().clone() if floating(value) else value
