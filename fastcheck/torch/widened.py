"""Double precision kept up: casts to less, which modules make where they want float32, keep what is double double."""

from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

LOWER = (torch.float32, torch.float16, torch.bfloat16)
# Tensors made from nothing, in which modules collect results.
aten = torch.ops.aten
MADE = (
    aten.zeros.default, aten.ones.default, aten.empty.memory_format, aten.full.default, aten.scalar_tensor.default,
    aten.zeros_like.default, aten.ones_like.default, aten.empty_like.default, aten.full_like.default,
    aten.new_zeros.default, aten.new_ones.default, aten.new_empty.default, aten.new_full.default,
)


class Widened(TorchDispatchMode):
    """Runs what is under it in double precision where a tensor of it is double or made from nothing.

    ``x.float()``, ``x.to(torch.float16)``, ``softmax(x, dtype=torch.float32)`` then leave a double x as it is, and
    ``torch.zeros(n)`` makes a double tensor.
    """

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run one operator, in double precision where it was asked for less."""
        kwargs = dict(kwargs or {})
        if func in MADE:
            out = func(*args, **kwargs)
            return out.to(torch.float64) if out.dtype in LOWER else out
        if kwargs.get("dtype") in LOWER and any(
            isinstance(one, torch.Tensor) and (one.dtype == torch.float64 or not one.is_floating_point())
            for one in args
        ):
            kwargs["dtype"] = torch.float64
        return func(*args, **kwargs)
