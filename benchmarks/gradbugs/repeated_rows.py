"""A table of rows, read again and again, whose gradient is added up in low precision: three reports of one mistake."""

from collections.abc import Callable
from typing import Any

import torch

from .making import custom, module_of
from .subjects import TorchModule


def loss(output: Any, targets: Any) -> Any:
    """A weighted sum of the outputs, in double precision."""
    return (output.double() * torch.linspace(0.5, 1.5, output.numel()).double().reshape(output.shape)).sum()


def repeated_rows(reads: int, dtype: str, seed: int) -> TorchModule:
    """Make the module that reads a row of eight most of the time, and its gradient in this precision or in double.

    Parameters
    ----------
    reads : how often rows are read in all.
    dtype : "bfloat16" or "float16".
    seed : of the table and the inputs.
    """
    ids = torch.where(torch.arange(reads) % 7 == 0, torch.arange(reads) % 8, 3)
    versions = {"right": _lookup(ids, False), "wrong": _lookup(ids, True)}

    def data() -> tuple[Any, Any]:
        inputs = torch.randn(reads, 4, generator=torch.Generator().manual_seed(seed))
        return inputs.to(getattr(torch, dtype)), torch.zeros(reads, 4)

    return TorchModule(lambda version: module_of(versions[version], {"table": (8, 4)}, dtype, seed=seed), loss, data)


def _lookup(ids: Any, low: bool) -> Callable[..., Any]:
    def forward(x: Any, table: Any) -> Any:
        return table[ids] * x

    def backward(upstream: Any, x: Any, table: Any) -> tuple[Any, Any]:
        terms = upstream * x
        if low and x.dtype != torch.float64:
            total = torch.zeros_like(table)
            for place, row in zip(ids.tolist(), terms, strict=True):
                total[place] = total[place] + row
        else:
            total = torch.zeros(table.shape, dtype=torch.float64).index_add(0, ids, terms.double()).to(table.dtype)
        return upstream * table[ids], total

    return custom(forward, backward)
