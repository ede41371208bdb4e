"""Double precision kept up: casts to less, which modules make where they want float32, keep what is double double."""

import contextlib
from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from ._compat import forwarded

LOWER = (torch.float32, torch.float16, torch.bfloat16)
# Tensors made from nothing, in which modules collect results.
aten = torch.ops.aten
MADE = (
    aten.zeros.default, aten.ones.default, aten.empty.memory_format, aten.full.default, aten.scalar_tensor.default,
    aten.zeros_like.default, aten.ones_like.default, aten.empty_like.default, aten.full_like.default,
    aten.new_zeros.default, aten.new_ones.default, aten.new_empty.default, aten.new_full.default,
)

# Arguments of rms_norm up to its epsilon.
EPSILON = 4


class SingleConstants(TorchFunctionMode):
    """Keeps constants that follow the precision as they are below double: the epsilon of RMS normalisation.

    ``nn.RMSNorm`` without one takes the machine epsilon of single precision for inputs of single precision and less.
    In double precision it would take another, and be another function.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run one function, with the epsilon of single precision where it was left to the precision."""
        kwargs = dict(kwargs or {})
        if func in (torch.rms_norm, torch.nn.functional.rms_norm) and len(args) < EPSILON:
            kwargs["eps"] = torch.finfo(torch.float32).eps if kwargs.get("eps") is None else kwargs["eps"]
        elif func is torch.rms_norm and args[EPSILON - 1] is None:
            args = (*args[: EPSILON - 1], torch.finfo(torch.float32).eps)
        return func(*args, **kwargs)


class Widened(TorchDispatchMode):
    """Runs what is under it in double precision where a tensor of it is double or made from nothing.

    ``x.float()``, ``x.to(torch.float16)``, ``softmax(x, dtype=torch.float32)`` then leave a double x as it is,
    ``torch.zeros(n)`` makes a double tensor, and ``x @ w`` takes a w of less.

    Parameters
    ----------
    narrow : whether what runs is for less than double precision, and keeps the constants that it has there.
    """

    def __init__(self, narrow: bool = True) -> None:
        super().__init__()
        self._constants = SingleConstants() if narrow else contextlib.nullcontext()

    def __enter__(self) -> "Widened":
        """Begin."""
        self._constants.__enter__()
        super().__enter__()
        return self

    def __exit__(self, *raised: Any) -> None:
        """End."""
        super().__exit__(*raised)
        self._constants.__exit__(*raised)

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
        if not func._schema.is_mutable:
            args = _alike(args)
        return forwarded(func, args, kwargs)


def _alike(args: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return arguments of an operator that all have double precision, where one has: products refuse to mix them.

    What a function keeps in its own precision, an input that it closes over, is a constant with these very numbers.
    """
    kinds = {one.dtype for one in args if isinstance(one, torch.Tensor)}
    if torch.float64 not in kinds or kinds.isdisjoint(LOWER):
        return args
    return tuple(one.to(torch.float64) if isinstance(one, torch.Tensor) and one.dtype in LOWER else one for one in args)
