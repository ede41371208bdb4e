"""A module's backward pass in double precision again and again, beside the caller's point: what it rounds."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.utils._pytree import tree_flatten, tree_unflatten

from .._types import Array
from ..problems.functions.repeats import Repeats
from .case import Case, as_array, detached
from .low_precision import Point, end_to_end, moves, put


def repeats(case: Case, seed: int, end: float, run: Callable[[Case, Point], Array] = end_to_end) -> Repeats | None:
    """Return what runs a module's backward pass again; None where it is not in double precision throughout.

    Parameters
    ----------
    case : the module as the caller has it; its parameters are afterwards as before.
    seed : of the points.
    end : of ``time.perf_counter``; nothing runs after it.
    run : gives the gradients (n,) at a point.
    """
    if not case.is_double or any(parameter.is_complex() for parameter in case.parameters.values()):
        return None
    leaves, structure = tree_flatten((case.args, case.kwargs))
    own = [parameter.detach().clone() for parameter in case.parameters.values()]
    given = [*own, *leaves]

    def gradient_at(values: tuple[Any, ...]) -> Array:
        there = [_like(before, value) for before, value in zip(given, values, strict=True)]
        args, kwargs = tree_unflatten(there[len(own) :], structure)
        try:
            with torch.enable_grad():
                return run(case, Point(there[: len(own)], args, kwargs, case.targets))
        finally:
            put(case, own)

    return Repeats(gradient_at, tuple(as_array(value) if moves(value) else value for value in given), seed, end,
                   sharpens=False)


def _like(before: Any, value: Any) -> Any:
    """Return a moved value as what it was moved from."""
    if not isinstance(value, np.ndarray) or not isinstance(before, torch.Tensor):
        return detached(value)
    return torch.as_tensor(value, dtype=before.dtype, device=before.device).clone()
