"""A table of rows, read again and again, whose gradient is added up in low precision: three reports of one mistake."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from .making import custom, module_of
from .subjects import TorchModule


def loss(output: Any, targets: Any) -> Any:
    """The sum of the outputs, in double precision: every read of a row adds to its gradient with the same sign."""
    return output.double().sum()


def repeated_rows(counts: list[int], scale: float, dtype: str, seed: int, columns: int = 4) -> TorchModule:
    """Make the module that reads rows many times, and its gradient in this precision or in double.

    Parameters
    ----------
    counts : how often each row is read.
    scale : what a read is multiplied by, and so about what each adds to the gradient.
    dtype : "bfloat16" or "float16".
    seed : of the table.
    columns : of the table.
    """
    ids = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
    versions = {"right": _lookup(ids, False), "wrong": _lookup(ids, True)}

    def data() -> tuple[Any, Any]:
        return torch.full((len(ids), columns), scale).to(getattr(torch, dtype)), torch.zeros(len(ids), columns)

    shapes = {"table": (len(counts), columns)}
    return TorchModule(lambda version: module_of(versions[version], shapes, dtype, seed=seed), loss, data)


def _lookup(ids: Any, low: bool) -> Callable[..., Any]:
    def forward(x: Any, table: Any) -> Any:
        return table[ids] * x

    def backward(upstream: Any, x: Any, table: Any) -> tuple[Any, Any]:
        terms = upstream * x
        if low and x.dtype != torch.float64:
            total = torch.stack([added_in_turn(terms[ids == place]) for place in range(len(table))])
        else:
            total = torch.zeros(table.shape, dtype=torch.float64).index_add(0, ids, terms.double()).to(table.dtype)
        return upstream * table[ids], total

    return custom(forward, backward)


def added_in_turn(terms: Any) -> Any:
    """The sum of rows, each added to the sum so far and rounded to the rows' precision."""
    if terms.dtype == torch.float16:  # NumPy has this precision, and rounds each step of an accumulation
        return torch.from_numpy(np.add.accumulate(terms.numpy(), axis=0)[-1])
    total = torch.zeros_like(terms[0])
    for row in terms:
        total = total + row
    return total
