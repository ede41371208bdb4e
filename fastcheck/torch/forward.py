"""What forward mode says: Jacobians column by column, and along random directions."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch

from .._types import Array, Indices
from . import _compat
from .tensors import Tensors


def forward_jacobian(
    call: Callable[..., Any], inputs: tuple[Any, ...], outputs: tuple[Any, ...], places: Sequence[int],
    kept: Sequence[int], dtypes: bool,
) -> Array:
    """Return the Jacobian (M, n) by forward mode, column by column (torch's own).

    Parameters
    ----------
    inputs, outputs : of a call of the function.
    places : which inputs are differentiated by.
    kept : which of the floating outputs are wanted.
    dtypes : whether complex tangents of real outputs, and real ones of complex outputs, are refused.

    Raises
    ------
    GradcheckError : for those, and NotImplementedError where an operation has no forward mode.
    """
    moved = [inputs[k] for k in places]
    rows = _rows_of(outputs, kept)
    if not any(i.is_complex() for i in moved):
        return np.concatenate(_real_columns(_compat.forward_jacobian(call, inputs, outputs, check_grad_dtypes=dtypes)),
                              axis=1)[rows]
    real, imaginary = (_real_columns(_compat.forward_jacobian(part, values, outputs, check_grad_dtypes=dtypes))
                       for part, values in halves(call, inputs))
    joined = [np.stack([r, i], axis=2).reshape(r.shape[0], -1) if given.is_complex() else r
              for r, i, given in zip(real, imaginary, moved, strict=True)]
    return np.concatenate(joined, axis=1)[rows]


def halves(call: Callable[..., Any], inputs: tuple[Any, ...]) -> Iterator[tuple[Callable[..., Any], tuple[Any, ...]]]:
    """Yield the function of the real parts of its complex inputs, and of the imaginary parts; with those parts."""
    where = [k for k, i in enumerate(inputs) if isinstance(i, torch.Tensor) and i.is_complex()]
    if not where:
        yield call, inputs
        return
    functions = _compat.real_and_imaginary_input(call, where, inputs)
    for function, name in zip(functions, ("real", "imag"), strict=True):
        yield function, tuple(
            getattr(i.resolve_conj(), name).detach().clone().requires_grad_(i.requires_grad) if k in where else i
            for k, i in enumerate(inputs))


def _real_columns(jacobians: Sequence[Tensors]) -> list[Array]:
    """Per input (M, n): outputs end to end, complex ones as pairs."""
    return [np.concatenate([_both(j) for j in of_outputs], axis=0) for of_outputs in jacobians]


def _both(jacobian: torch.Tensor) -> Array:
    """(n, m) of torch as (m, n) or, for complex outputs, (2 m, n)."""
    if not jacobian.is_complex():
        return jacobian.detach().to("cpu", torch.float64).numpy().T
    pairs = torch.view_as_real(jacobian.detach().resolve_conj()).to("cpu", torch.float64).numpy()
    return np.asarray(pairs.reshape(jacobian.shape[0], 2 * jacobian.shape[1]).T)


def _rows_of(outputs: tuple[Any, ...], kept: Sequence[int]) -> Indices:
    """Return the places of the outputs that have gradients among the numbers of all."""
    sizes = [o.numel() * (2 if o.is_complex() else 1) for o in outputs
             if isinstance(o, torch.Tensor) and (o.is_floating_point() or o.is_complex())]
    stops = np.cumsum([0, *sizes])
    return np.concatenate([np.arange(stops[k], stops[k + 1]) for k in kept])
