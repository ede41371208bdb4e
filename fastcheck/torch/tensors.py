"""Tensors as vectors of real numbers, and back; what a function returned as a tuple of them."""

import contextlib
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from .._constants import UNIT_ROUNDOFF
from .._types import Array
from ..checks.jacobian.point import Part
from ..problems.parameters.tensor import Tensor

Tensors = tuple[torch.Tensor, ...]


def floating(tensor: Any) -> bool:
    """Tell whether it is a tensor of real or complex numbers."""
    return isinstance(tensor, torch.Tensor) and (tensor.is_floating_point() or tensor.is_complex())


def requires_gradient(value: Any) -> bool:
    """Tell whether a value is a tensor that requires gradients."""
    return isinstance(value, torch.Tensor) and value.requires_grad


def dense(tensor: torch.Tensor) -> torch.Tensor:
    """Return a sparse tensor with its zeros; any other as it is."""
    return tensor.to_dense() if tensor.layout != torch.strided else tensor


def as_tuple(value: Any) -> tuple[Any, ...]:
    """Return what a function returned, as a tuple."""
    return tuple(value) if isinstance(value, (tuple, list)) else (value,)


def real_outputs(value: Any) -> Tensors:
    """Return the floating outputs, complex ones as pairs of real numbers."""
    return tuple(torch.view_as_real(o.resolve_conj()) if o.is_complex() else o.resolve_neg()
                 for o in as_tuple(value) if floating(o))


def vector(tensor: torch.Tensor) -> Array:
    """Return a tensor as float64 numbers laid end to end; real and imaginary parts next to each other."""
    zero = tensor._is_zerotensor()
    if tensor.dtype is torch.float64 and tensor.is_cpu and not (zero or tensor.is_neg()):
        return tensor.detach().numpy().reshape(-1)
    if zero:
        return np.zeros(tensor.numel() * (2 if tensor.is_complex() else 1))
    plain = tensor.detach().resolve_conj().resolve_neg()
    flat = torch.view_as_real(plain) if plain.is_complex() else plain
    return flat.to("cpu", torch.float64).reshape(-1).numpy()


def random_numbers(seed: int, size: int) -> Array:
    """Return numbers of sizes from 0.5 to 1.5 of both signs; drawn by torch, whose generators are quicker to make."""
    generator = torch.Generator().manual_seed(seed)
    numbers = 2.0 * torch.rand(size, generator=generator, dtype=torch.float64, device="cpu").numpy() - 1.0
    return np.asarray(numbers + np.copysign(0.5, numbers))


def joined(tensors: Sequence[torch.Tensor]) -> Array:
    """Return a copy of tensors as real numbers laid end to end."""
    if len(tensors) == 1:
        return vector(tensors[0]).copy()
    return np.concatenate([np.empty(0), *(vector(t) for t in tensors)])


def unit_of(tensor: torch.Tensor) -> float:
    """Unit roundoff of a tensor's precision."""
    return torch.finfo(tensor.dtype).eps / 2.0


def numbers_in(tensor: torch.Tensor) -> int:
    """Return how many real numbers a tensor holds."""
    return tensor.numel() * (2 if tensor.is_complex() else 1)


def parts(names: Sequence[str], tensors: Sequence[torch.Tensor]) -> tuple[Part, ...]:
    """Where tensors lie in one vector of real numbers."""
    found, start = [], 0
    for name, tensor in zip(names, tensors, strict=True):
        shape = (*tensor.shape, 2) if tensor.is_complex() else tuple(tensor.shape)
        stop = start + numbers_in(tensor)
        unit = max(unit_of(tensor), UNIT_ROUNDOFF / 2.0)
        found.append(Part(Tensor(name, shape, start, stop), tensor.is_complex(), unit))
        start = stop
    return tuple(found)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """No advice from vmap about operations that it runs one by one."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="There is a performance drop")
        yield


NOTHING: contextlib.AbstractContextManager[None] = contextlib.nullcontext()


def recording() -> contextlib.AbstractContextManager[None]:
    """Autograd is on."""
    return NOTHING if torch.is_grad_enabled() else torch.enable_grad()


def put(tensor: torch.Tensor, position: int, value: float) -> float:
    """Write one of the real numbers that a tensor holds, without history; returns the one that was there."""
    data = tensor.data
    place, part = (position // 2, position % 2) if data.is_complex() else (position, 0)
    index = tuple(int(i) for i in np.unravel_index(place, tuple(data.shape)))
    before = data[index].item()
    if data.is_complex():
        data[index] = complex(before.real, value) if part else complex(value, before.imag)
        return float(before.imag if part else before.real)
    data[index] = value
    return float(before)


def fill(tensor: torch.Tensor, numbers: Array) -> None:
    """Write all of the real numbers that a tensor holds, without history."""
    new = torch.from_numpy(np.array(numbers, dtype=np.float64))
    new = torch.view_as_complex(new.reshape(-1, 2)) if tensor.is_complex() else new
    tensor.data.copy_(new.reshape(tensor.shape))


def rows_of(found: Tensors, rows: int) -> Array:
    """Return the outputs of a stack, (rows, M)."""
    flat = [o.detach().resolve_neg().reshape(rows, o.numel() // rows).to("cpu", torch.float64) for o in found]
    return (flat[0] if len(flat) == 1 else torch.cat(flat, dim=1)).numpy() if flat else np.empty((rows, 0))
