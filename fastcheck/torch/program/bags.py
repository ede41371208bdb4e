"""Reductions of rows that stand in groups one after another: bags of an embedding, segments."""

import math
from typing import Any

import torch

from ...rules.base import product_change
from .call import Call, ruled, zeros

LINEAR = ("sum", "mean")
# By the name of a reduction that is not: its rule, and the entry that changes nothing.
REDUCTIONS = {"prod": ("prod", 1.0), "max": ("max", -math.inf), "min": ("min", math.inf)}


def embedding_bag(call: Call) -> Any:
    """Return sums, means or the largest entries of rows of a table; rows of a sum may be weighted."""
    call.only(0, 6)
    table, indices, offsets = call.args[:3]
    mode = ("sum", "mean", "max")[call.option(4, "mode", 0)]
    count, kept = call.out.shape[0], torch.nonzero(indices != call.option(8, "padding_idx", -1)).flatten()
    bags = torch.searchsorted(offsets[:count].contiguous(), kept.to(offsets.dtype), right=True) - 1
    weights, moved = ((None if v is None else v[..., kept, None]) for v in
                      (call.option(6, "per_sample_weights"), (*call.changes, *[None] * 7)[6]))
    rows, change = ((None if v is None else v.index_select(-2, indices[kept])) for v in (table, call.changes[0]))
    if weights is not None:
        rows, change = rows * weights, product_change(rows, weights, change, moved)
    lengths = torch.bincount(bags, minlength=count)
    found = _reduced(call, mode, rows, change, torch.cumsum(lengths, 0) - lengths, lengths)
    return [found, *(zeros(call, v) if v.is_floating_point() else None for v in call.outputs[1:])]


def segment_reduce(call: Call) -> Any:
    """Return sums, means, products or the largest or smallest entries of segments along an axis."""
    call.only(0)
    data, name = call.args[:2]
    axis, initial, offsets = (call.kwargs.get(option) for option in ("axis", "initial", "offsets"))
    axis = axis or 0
    lengths = call.kwargs["lengths"] if offsets is None else offsets.diff(dim=-1)
    starts = torch.cumsum(lengths, -1) - lengths if offsets is None else offsets[..., :-1]
    before, length = math.prod(data.shape[:axis]), data.shape[axis]
    starts = starts.reshape(before, -1) + length * torch.arange(before, device=starts.device)[:, None]
    rows, change = data.reshape(before * length, -1), call.changes[0].reshape((*call.batch, before * length, -1))
    return _reduced(call, name, rows, change, starts.flatten(), lengths.flatten(), initial)


def _reduced(call: Call, name: str, rows: Any, change: Any, starts: Any, lengths: Any, initial: Any = None) -> Any:
    """Return the change of each group's reduction; a group without rows stands still.

    Parameters
    ----------
    name : of the reduction.
    rows, change : (n, k), and with batch axes.
    starts, lengths : the groups' first rows, and how many they have.
    initial : a number that takes part in each reduction, beside the rows.
    """
    if not lengths.any():
        return zeros(call, call.out)
    if name in LINEAR:
        found = _sums(call, change, starts, lengths)
        found = found / lengths[:, None].clamp(min=1) if name == "mean" else found
    else:
        reach = torch.arange(int(lengths.max()), device=rows.device)
        inside, some = (reach < lengths[:, None])[..., None], (lengths > 0)[:, None]
        places = torch.where(inside[..., 0], starts[:, None] + reach, 0)
        rule, neutral = REDUCTIONS[name]
        values = torch.where(inside, rows[places], torch.where(some, neutral, 0.0)[..., None])
        changes = torch.where(inside, change[..., places, :], 0.0)
        if initial is not None:
            values = torch.cat((values, torch.full_like(values[:, :1], initial)), 1)
            changes = torch.cat((changes, torch.zeros_like(changes[..., :1, :])), -2)
        out = call.out.reshape(len(values), -1)
        found = torch.where(some, ruled(rule, (values,), (changes,), out, call, axes=(-2,)), 0.0)
    return found.reshape(call.batch + tuple(call.out.shape))


def _sums(call: Call, change: Any, starts: Any, lengths: Any) -> Any:
    """Return the sums (groups, k) of the groups' rows, without filling groups up to equal lengths."""
    groups = torch.repeat_interleave(torch.arange(len(lengths), device=lengths.device), lengths)
    ranks = torch.arange(len(groups), device=lengths.device) - (torch.cumsum(lengths, 0) - lengths)[groups]
    sums = change.new_zeros((*call.batch, len(lengths), change.shape[-1]))
    return sums.index_add(len(call.batch), groups, change[..., starts[groups] + ranks, :])
