"""Grouped-query attention, several query heads to a key head, which two cases make mistakes in."""

from typing import Any

import torch


def forward(q: Any, k: Any, v: Any) -> Any:
    """The outputs of all query heads."""
    keys, values = _repeated(q, k, v)
    return torch.softmax(q @ keys.mT, -1) @ values


def per_head(upstream: Any, q: Any, k: Any, v: Any) -> tuple[Any, Any, Any]:
    """Gradients of queries, keys and values, the latter two for each query head."""
    keys, values = _repeated(q, k, v)
    p, dp = torch.softmax(q @ keys.mT, -1), upstream @ values.mT
    ds = p * (dp - (dp * p).sum(-1, keepdim=True))
    return ds @ keys, ds.mT @ q, p.mT @ upstream


def right(upstream: Any, q: Any, k: Any, v: Any) -> tuple[Any, Any, Any]:
    """The gradients, summed over the query heads of each key head."""
    dq, dk, dv = per_head(upstream, q, k, v)
    return dq, dk.unflatten(0, (len(k), -1)).sum(1), dv.unflatten(0, (len(v), -1)).sum(1)


def _repeated(q: Any, k: Any, v: Any) -> tuple[Any, Any]:
    group = len(q) // len(k)
    return k.repeat_interleave(group, 0), v.repeat_interleave(group, 0)
