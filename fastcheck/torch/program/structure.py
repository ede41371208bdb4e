"""Operators that only move entries about and need more than being applied to the change."""

from dataclasses import replace
from typing import Any

import torch

from ..._errors import NoRule
from .call import Call, Handler, axes_of, lifted, linear, zeros


def copy(call: Call) -> Any:
    """Return the second operand in the first one's shape."""
    change = call.changes[1]
    if change is None:
        return None
    missing = call.args[0].ndim - call.args[1].ndim
    change = change.reshape(call.batch + (1,) * missing + tuple(call.args[1].shape))
    return torch.broadcast_to(change, call.batch + tuple(call.args[0].shape))


def reshape(call: Call) -> Any:
    """Return the same entries in the same order in another shape."""
    call.only(0)
    return call.changes[0].reshape(call.batch + tuple(call.out.shape))


def pairs(call: Call) -> Any:
    """Complex numbers as pairs of real ones."""
    return torch.view_as_real(call.changes[0].resolve_conj())


def along(place: int, name: str = "dim", default: int = 0, *, new: bool = False) -> Handler:
    """An operator along one axis, whose number is an argument: counted from the end, it is the same behind the batch.

    new : the axis is one of the output's.
    """

    def handler(call: Call) -> Any:
        call.only(0)
        change, value = call.changes[0], call.args[0]
        if isinstance(value, (list, tuple)):
            change = [zeros(call, v) if c is None else c for v, c in zip(value, change, strict=True)]
            value = value[0]
        count = call.out.ndim if new else value.ndim
        dim = call.option(place, name, default)
        args, kwargs = list(call.args[1:]), dict(call.kwargs)
        if count and place <= len(args):
            args[place - 1] = dim % count - count
        elif count:
            kwargs[name] = dim % count - count
        return call.operator(change, *args, **kwargs)

    return handler


def of_numbers(handler: Handler) -> Handler:
    """Return an operator along axes that leaves a tensor without any as it is; further outputs stand still."""

    def itself(call: Call) -> Any:
        value = call.args[0]
        if not isinstance(value, torch.Tensor) or value.ndim or any(c is not None for c in call.changes[1:]):
            return handler(call)
        return [call.changes[0], *(None for _ in call.outputs[1:])]

    return itself


def labelled(call: Call) -> Any:
    """Return the sum of the labelled entries; the sum of their weights, beside it, stands still."""
    return [linear(0)(call)[0], zeros(call, call.outputs[1])]


def reduced(call: Call) -> Any:
    """Return a sum or mean over some axes or all."""
    call.only(0)
    value, kwargs = call.args[0], dict(call.kwargs)
    dims = axes_of(call.option(1, "dim"), value.ndim)
    keep = bool(call.option(2, "keepdim", False))
    kwargs.pop("dim", None), kwargs.pop("keepdim", None), kwargs.pop("dtype", None)
    reduce = torch.mean if "mean" in call.operator.__name__ else torch.sum
    return reduce(call.changes[0], dims, keep) if dims else call.changes[0]


def transposed(call: Call) -> Any:
    """Two axes exchanged."""
    call.only(0)
    count = call.args[0].ndim
    if count < 2:
        return call.changes[0]
    first, second = (call.args[1], call.args[2]) if len(call.args) > 2 else (0, 1)
    return call.changes[0].transpose(first % count - count, second % count - count)


def permuted(call: Call) -> Any:
    """Axes in another order."""
    call.only(0)
    lead, count = len(call.batch), call.args[0].ndim
    return call.changes[0].permute(*range(lead), *(d % count + lead for d in call.args[1]))


def flipped(call: Call) -> Any:
    """Axes in reverse; without any, nothing is."""
    call.only(0)
    change, dims = call.changes[0], call.args[1]
    return torch.flip(change, axes_of(dims, call.args[0].ndim)) if dims else change


def expanded(call: Call) -> Any:
    """Axes of length one repeated."""
    call.only(0)
    return lifted(call.changes[0], call.args[0], call.out.ndim, call.batch).expand(call.batch + tuple(call.out.shape))


def broadcast(call: Call) -> Any:
    """Return axes put in their places among new ones, and repeated."""
    call.only(0)
    shape, places = call.args[1:3]
    lengths = dict(zip(places, call.args[0].shape, strict=True))
    change = call.changes[0].reshape(call.batch + tuple(lengths.get(axis, 1) for axis in range(len(shape))))
    return change.expand(call.batch + tuple(shape))


def embedded(call: Call) -> Any:
    """Return rows of a table."""
    call.only(0)
    rows = call.changes[0].index_select(-2, call.args[1].flatten())
    return rows.reshape(call.batch + tuple(call.out.shape))


def padded(call: Call) -> Any:
    """Padding by a constant: the change is padded by zeros."""
    call.only(0)
    return call.operator(call.changes[0], call.args[1], 0.0)


def by_samples(count: int) -> Handler:
    """An operator on (N, C, ...) or (C, ...) with ``count`` axes behind the channels: the batch joins the samples."""

    def handler(call: Call) -> Any:
        call.only(0)
        change = call.changes[0]
        if not call.batch or call.args[0].ndim == count + 1:
            return call.operator(change, *call.args[1:], **call.kwargs)
        found = call.operator(change.flatten(0, 1), *call.args[1:], **call.kwargs)
        return found.unflatten(0, change.shape[:2])

    return handler


def as_strided(call: Call) -> Any:
    """Return a view of a tensor's memory: of the change's memory, row by row."""
    if not call.args[0].is_contiguous() or call.args[0].storage_offset():
        raise NoRule("as_strided of a tensor that is not contiguous", "use indexing, unfold or reshape")
    flat = call.changes[0].reshape((*call.batch, -1))
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


def overwritten(call: Call) -> Any:
    """Return entries or slices overwritten by a tensor's, or by one number, which stands still."""
    if isinstance(call.args[3], torch.Tensor):
        return linear(0, 3)(call)
    return linear(0, fixed={3: 0.0})(call)


def index_copy(call: Call) -> Any:
    """Slices overwritten by those of a tensor; a single index is a list of one."""
    return linear(0, 3)(replace(call, args=(*call.args[:2], call.args[2].reshape(-1), *call.args[3:])))
