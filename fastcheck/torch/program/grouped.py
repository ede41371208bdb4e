"""Reductions of entries that an index sends to the same place: scatter_reduce and index_reduce."""

import math
from typing import Any

import torch

from .call import Call, ruled, zeros

# By the reduction's name: its rule, None for one that is linear, and the entry that changes nothing.
REDUCTIONS = {"sum": (None, 0.0), "mean": (None, 0.0), "prod": ("prod", 1.0), "amax": ("max", -math.inf),
              "amin": ("min", math.inf)}


def scatter_reduce(call: Call) -> Any:
    """Return entries that are reduced with those of a source that are sent to them, one index for each."""
    dim, index, source = call.args[1:4]
    parts = tuple(slice(0, length) for length in index.shape)
    return _reduced(call, dim, index, source[parts], _part(call, parts))


def index_reduce(call: Call) -> Any:
    """Return slices that are reduced with those of a source that are sent to them."""
    dim, index, source = call.args[1:4]
    shape = [1] * max(source.ndim, 1)
    shape[dim] = -1
    return _reduced(call, dim, index.reshape(shape).expand(torch.atleast_1d(source).shape), source, call.changes[3])


def _part(call: Call, parts: tuple[slice, ...]) -> Any:
    change = call.changes[3]
    return None if change is None else change[(slice(None),) * len(call.batch) + parts]


def _reduced(call: Call, dim: int, index: torch.Tensor, source: torch.Tensor, moved: Any) -> Any:
    """Return each place's reduction, as a row of a table that holds what is sent there, filled up to equal lengths."""
    call.only(0, 3)
    own, name, included = call.args[0], call.args[4], bool(call.option(5, "include_self", True))
    own, index = torch.atleast_1d(own), torch.atleast_1d(index)
    rule, neutral = REDUCTIONS[name]
    places, counts = _table(own, dim, index, included=included)
    values = torch.cat((source.flatten(), own.flatten(), own.new_full((1,), neutral)))[places]
    changes = torch.cat([(zeros(call, v) if d is None else d).reshape((*call.batch, -1))
                         for v, d in ((source, moved), (own, call.changes[0]))], dim=-1)
    changes = torch.nn.functional.pad(changes, (0, 1))[..., places]
    if rule is None:
        change = changes.sum(-1) / (counts if name == "mean" else 1.0)
    else:
        change = ruled(rule, (values,), (changes,), call.out.flatten(), call, axes=(-1,))
    return change.reshape(call.batch + tuple(call.out.shape))


def _table(own: torch.Tensor, dim: int, index: torch.Tensor, *, included: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Return, for each place of ``own``, the numbers of the entries that are reduced there, and how many they are.

    Entries of the source are numbered from 0, the place's own ones follow, and a last number stands for none.  A place
    that nothing is sent to keeps its own entry.
    """
    where = torch.arange(own.numel(), device=own.device).reshape(own.shape)
    parts = tuple(slice(0, length if axis != dim % own.ndim else None) for axis, length in enumerate(index.shape))
    sent_to = where[parts].gather(dim, index).flatten()
    sent = torch.bincount(sent_to, minlength=own.numel())
    order = torch.argsort(sent_to, stable=True)
    first = torch.cumsum(sent, 0) - sent
    rank = torch.arange(order.numel(), device=own.device) - first[sent_to[order]]
    table = torch.full((own.numel(), int(sent.max()) + 1), order.numel() + own.numel(), device=own.device)
    table[sent_to[order], rank] = order
    keeps = (sent == 0) | included
    table[:, -1] = torch.where(keeps, order.numel() + where.flatten(), table[:, -1])
    return table, sent + keeps
