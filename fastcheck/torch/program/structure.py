"""Operators that only move entries about and need more than being applied to the change."""

from typing import Any

import torch

from ..._errors import NoRule
from .call import Call, linear, zeros


def copy(call: Call) -> Any:
    """The second operand in the first one's shape."""
    change = call.changes[1]
    if change is None:
        return None
    missing = call.args[0].ndim - call.args[1].ndim
    change = change.reshape(call.batch + (1,) * missing + tuple(call.args[1].shape))
    return torch.broadcast_to(change, call.batch + tuple(call.args[0].shape))


def reshape(call: Call) -> Any:
    """The same entries in the same order in another shape."""
    call.only(0)
    return call.changes[0].reshape(call.batch + tuple(call.out.shape))


def as_strided(call: Call) -> Any:
    """A view of flat memory: of the change's memory, row by row."""
    flat = call.changes[0]
    if call.args[0].ndim != 1:
        raise NoRule("as_strided of a tensor that is not flat", "use indexing, unfold or reshape")
    size, strides, offset = call.args[1], call.args[2], call.option(3, "storage_offset", 0) or 0
    flat = flat.contiguous()
    lead = (flat.shape[-1],) if call.batch else ()
    return torch.as_strided(flat, call.batch + tuple(size), lead + tuple(strides), offset)


def as_strided_scatter(call: Call) -> Any:
    """Flat memory with a view of it overwritten."""
    flat, source = call.changes[:2]
    size, strides, offset = call.args[2], call.args[3], call.option(4, "storage_offset", 0) or 0
    flat = zeros(call, call.args[0]) if flat is None else flat.contiguous().clone()
    lead = (flat.shape[-1],) if call.batch else ()
    view = torch.as_strided(flat, call.batch + tuple(size), lead + tuple(strides), offset)
    if source is None:
        view.zero_()
    else:
        view.copy_(source)
    return flat


def scatter(call: Call) -> Any:
    """Entries overwritten by a tensor's, or by one number, which stands still."""
    if isinstance(call.args[3], torch.Tensor):
        return linear(0, 3)(call)
    return linear(0, fixed={3: 0.0})(call)


def index_fill(call: Call) -> Any:
    """Slices overwritten by one number."""
    if isinstance(call.args[3], torch.Tensor):
        return linear(0, 3)(call)
    return linear(0, fixed={3: 0.0})(call)


def embedding_bag(call: Call) -> Any:
    """Sums or means of rows of a table; the largest entries have no rule."""
    if call.option(4, "mode", 0) == 2:
        raise NoRule("EmbeddingBag with mode='max'", "use mode='mean' or 'sum'")
    return linear(0)(call)
