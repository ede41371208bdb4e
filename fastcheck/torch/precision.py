"""Functions of low precision run in double precision, where they can."""

from collections.abc import Callable
from typing import Any

import torch

from .tensors import Tensors, floating, real_outputs, unit_of
from .widened import Widened

WIDE = {torch.float16: torch.float64, torch.bfloat16: torch.float64, torch.float32: torch.float64,
        torch.complex32: torch.complex128, torch.complex64: torch.complex128}
# How far the outputs in double precision may be from those in low precision, in unit roundoffs of the largest, and at
# most: beyond that it is another function.
ROUNDINGS, MOST = 1e3, 0.25


def widened(tensor: Any) -> Any:
    """Return a tensor in double precision, detached, requiring gradients where it did; anything else as it is."""
    if not floating(tensor):
        return tensor
    wide = tensor.detach().to(WIDE.get(tensor.dtype, tensor.dtype))
    return (wide.clone() if wide is tensor else wide).requires_grad_(tensor.requires_grad)


def twin(call: Callable[..., Any], inputs: tuple[Any, ...], value: Tensors) -> tuple[Any, ...] | None:
    """The inputs in double precision, or None where the function cannot run with them and give what it gives else.

    Parameters
    ----------
    value : its real outputs at the inputs.
    """
    try:
        wide = tuple(widened(i) for i in inputs)
        with torch.enable_grad(), Widened():
            found = real_outputs(call(*wide))
    except Exception:
        # Kernels of one precision, devices without double, operands that the function keeps in its own precision.
        return None
    if [(o.shape, o.requires_grad) for o in found] != [(o.shape, o.requires_grad) for o in value]:
        return None
    if any(o.dtype != torch.float64 for o in found):
        return None
    for low, high in zip(value, found, strict=True):
        if low.numel():
            scale = float(high.detach().abs().max())
            off = float((low.detach().to(torch.float64) - high.detach()).abs().max())
            if not off <= min(ROUNDINGS * unit_of(low), MOST) * scale:
                return None
    return wide
