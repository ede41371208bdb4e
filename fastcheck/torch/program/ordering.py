"""Largest, smallest and sorted entries, windows of them, and products over axes."""

import itertools
import math
from typing import Any

import torch

from ..._errors import NoRule
from .call import Call, Handler, axes_of, ruled


def extreme(name: str) -> Handler:
    """Return the largest or smallest entries over some axes; with one axis their places as well."""

    def handler(call: Call) -> Any:
        dims = call.option(1, "dim")
        if isinstance(dims, torch.Tensor):  # max(a, b) under an older name
            return ruled("maximum" if name == "max" else "minimum", call.args[:2], call.changes[:2], call.out, call)
        options = {"axes": axes_of(dims, call.args[0].ndim), "keepdims": bool(call.option(2, "keepdim", False))}
        change = ruled(name, call.args[:1], call.changes[:1], call.out, call, **options)
        return [change, *(None for _ in call.outputs[1:])]

    return handler


def sort(call: Call) -> Any:
    """Return entries in ascending or descending order along an axis."""
    names = {argument.name: place for place, argument in enumerate(call.operator._schema.arguments)}
    dim = call.option(names["dim"], "dim", -1)
    sign = -1.0 if call.option(names["descending"], "descending", False) else 1.0
    axis = axes_of(dim, call.args[0].ndim)
    change = ruled("sort", (sign * call.args[0],), (sign * call.changes[0],), sign * call.out, call, axes=axis)
    return [sign * change, None]


def median(call: Call) -> Any:
    """Return the middle of the sorted entries, the lower of two; of all entries, or along one axis with its place."""
    if len(call.args) < 2:
        value, change = call.args[0].flatten(), call.changes[0].reshape((*call.batch, -1))
        return [_ranked(call, value, change, (value.shape[0] - 1) // 2, dim=-1, keep=False)]
    dim, keep = call.args[1], bool(call.option(2, "keepdim", False))
    middle = (call.args[0].shape[dim] - 1) // 2
    return [_ranked(call, call.args[0], call.changes[0], middle, dim=dim, keep=keep), None]


def nanmedian(call: Call) -> Any:
    """Return the middle of the sorted entries that are numbers."""
    value, change = call.args[0], call.changes[0]
    number = ~value.isnan()
    change = torch.where(number, change, 0.0)
    far = 1.0 + 2.0 * (torch.where(number, value, 0.0).abs().max() + change.abs().max())  # nothing gets behind it
    value = torch.where(number, value, far)
    whole = len(call.args) < 2
    if whole:
        value, change, number = value.flatten(), change.reshape((*call.batch, -1)), number.flatten()
    dim = -1 if whole else call.args[1]
    axis = axes_of(dim, value.ndim)
    found = ruled("sort", (value,), (change,), torch.sort(value, dim=axis[0]).values, call, axes=axis)
    middle = ((number.sum(axis[0], keepdim=True) - 1) // 2).clamp(min=0)
    found = found.gather(axis[0], middle.expand(call.batch + tuple(middle.shape)))
    found = found if not whole and call.option(2, "keepdim", False) else found.squeeze(axis[0])
    return [found] if whole else [found, None]


def kth_value(call: Call) -> Any:
    """Return the k-th smallest entry along an axis, with its place."""
    dim, keep = call.option(2, "dim", -1), bool(call.option(3, "keepdim", False))
    return [_ranked(call, call.args[0], call.changes[0], call.args[1] - 1, dim=dim, keep=keep), None]


def _ranked(call: Call, value: Any, change: Any, rank: int, *, dim: int, keep: bool) -> Any:
    """Return the entry of a rank, from 0, among those sorted along an axis."""
    axis = axes_of(dim, value.ndim)
    found = ruled("sort", (value,), (change,), torch.sort(value, dim=axis[0]).values, call, axes=axis)
    ranked = found.narrow(axis[0], rank, 1)
    return ranked if keep else ranked.squeeze(axis[0])


def topk(call: Call) -> Any:
    """Return the first of the sorted entries."""
    count, dim = call.args[1], call.option(2, "dim", -1)
    sign = -1.0 if call.option(3, "largest", True) else 1.0
    axis = axes_of(dim, call.args[0].ndim)
    ordered = torch.sort(sign * call.args[0], dim=dim).values
    change = ruled("sort", (sign * call.args[0],), (sign * call.changes[0],), ordered, call, axes=axis)
    return [sign * change.narrow(axis[0], 0, count), None]


def discrete(call: Call) -> Any:
    """What takes separate values is evaluated at both ends."""
    moved = [a if d is None else a + d for a, d in zip(call.args, call.changes, strict=True)]
    if call.batch:
        rows = zip(*(itertools.repeat(a) if d is None else a for a, d in zip(moved, call.changes, strict=True)),
                   strict=False)
        new = torch.stack([call.operator(*row, **call.kwargs) for row in rows])
    else:
        new = call.operator(*moved, **call.kwargs)
    change = new.to(torch.float64) - call.out.to(torch.float64)
    call.branches.note(change != 0.0)
    return change


def running(name: str) -> Handler:
    """Return the largest or smallest entry so far along an axis, with its place."""
    outside = -math.inf if name == "max" else math.inf

    def handler(call: Call) -> Any:
        call.only(0)
        axis = axes_of(call.args[1], call.args[0].ndim)[0]
        values, changes = _prefixes(call, axis, outside)
        found = ruled(name, (values,), (changes,), call.out.movedim(axis, -1), call, axes=(-1,))
        return [found.movedim(-1, axis), None]

    return handler


def _prefixes(call: Call, axis: int, outside: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Return, for each entry, a row that ends with it along an axis, which becomes the last, and the row's change."""
    value, change = call.args[0].movedim(axis, -1), call.changes[0].movedim(axis, -1)
    count = value.shape[-1]
    so_far = torch.ones(count, count, dtype=torch.bool, device=value.device).tril()
    return torch.where(so_far, value[..., None, :], outside), torch.where(so_far, change[..., None, :], 0.0)


def cumulative_logsumexp(call: Call) -> Any:
    """log(sum(exp(x))) of the entries so far along an axis."""
    call.only(0)
    axis = axes_of(call.args[1], call.args[0].ndim)[0]
    values, changes = _prefixes(call, axis, -math.inf)
    return ruled("logsumexp", (values,), (changes,), call.out.movedim(axis, -1), call, axes=(-1,)).movedim(-1, axis)


def product(call: Call) -> Any:
    """Return the product over one axis or all."""
    dims = call.args[1] if len(call.args) > 1 and call.args[1] is not None else None
    options = {"axes": axes_of(dims, call.args[0].ndim), "keepdims": bool(call.option(2, "keepdim", False))}
    return ruled("prod", call.args[:1], call.changes[:1], call.out, call, **options)


def cumulative_product(call: Call) -> Any:
    """Products of the entries so far."""
    axis = axes_of(call.args[1], call.args[0].ndim)
    return ruled("cumprod", call.args[:1], call.changes[:1], call.out, call, axes=axis)


def max_pool(call: Call) -> Any:
    """Return the largest entry of each window."""
    size = list(call.args[1])
    count = len(size)
    stride = list(call.option(2, "stride", [])) or size
    padding, dilation = (_each(call.option(place, name, value), count)
                         for place, name, value in ((3, "padding", 0), (4, "dilation", 1)))
    places = [
        torch.arange(length, device=call.out.device)[:, None] * stride[k]
        + torch.arange(size[k], device=call.out.device) * dilation[k] - padding[k]
        for k, length in enumerate(call.out.shape[-count:])
    ]
    return _windows(call, places)


def adaptive_max_pool(call: Call) -> Any:
    """Return the largest entry of each window, windows that share the length evenly."""
    lengths, device = call.args[0].shape[-len(call.args[1]):], call.out.device
    places = []
    for length, parts in zip(lengths, call.args[1], strict=True):
        starts = torch.arange(parts, device=device) * length // parts
        stops = -(-(torch.arange(1, parts + 1, device=device) * length) // parts)
        reach = torch.arange(int((stops - starts).max()), device=device)
        places.append(torch.where(starts[:, None] + reach < stops[:, None], starts[:, None] + reach, -1))
    return _windows(call, places)


def fractional_max_pool(call: Call) -> Any:
    """Return the largest entry of each window, windows that numbers between 0 and 1 have placed, for each plane."""
    call.only(0)
    index = _placed(call)
    planes = (v.reshape(*lead, len(index), -1) for v, lead in ((call.args[0], ()), (call.changes[0], call.batch)))
    value, change = (p.gather(-1, index.flatten(1).expand(*p.shape[:-1], -1)).unflatten(-1, index.shape[1:])
                     for p in planes)
    out = call.out.reshape(value.shape[:-1])
    if not torch.equal(value.amax(-1), out):
        raise NoRule(f"{call.operator} with windows in other places")
    found = ruled("max", (value,), (change,), out, call, axes=(-1,))
    return [found.reshape(call.batch + tuple(call.out.shape)), None]


def _placed(call: Call) -> torch.Tensor:
    """Return the places (planes, windows, size) of the windows' entries in their planes."""
    samples, device = call.args[3], call.out.device
    count = samples.shape[-1]
    samples = samples.reshape(-1, count)
    if count == 2:  # that of the columns comes first
        samples = samples.flip(-1)
    index: Any = 0
    axes = zip(_each(call.args[1], count), call.out.shape[-count:], call.args[0].shape[-count:], strict=True)
    for axis, (size, windows, length) in enumerate(axes):
        apart, shift = (length - size) / max(windows - 1, 1), samples[:, axis : axis + 1]
        starts = ((torch.arange(windows, device=device) + shift) * apart).trunc() - (shift * apart).trunc()
        starts[:, -1] = length - size
        places = starts.long()[..., None] + torch.arange(size, device=device)
        shape = [len(places), *([1] * 2 * count)]
        shape[1 + axis], shape[1 + axis + count] = windows, size
        index = index * length + places.reshape(shape)
    found: torch.Tensor = index.flatten(1 + count).flatten(1, count)
    return found


def _each(value: Any, count: int) -> list[int]:
    values = list(value) if isinstance(value, (list, tuple)) else [value]
    return values * count if len(values) == 1 else values


def _windows(call: Call, places: list[torch.Tensor]) -> Any:
    """Return the largest entry per window, the windows given by entries' places along each axis (outputs, size)."""
    value, change = call.args[0], call.changes[0]
    count = len(places)
    for index in places:
        value, change = _gathered(value, index, count, -math.inf), _gathered(change, index, count, 0.0)
    value, change = value.flatten(-count), change.flatten(-count)
    found = ruled("max", (value,), (change,), call.out, call, axes=(-1,), keepdims=False)
    return [found, None]


def _gathered(tensor: torch.Tensor, index: torch.Tensor, count: int, outside: float) -> torch.Tensor:
    """(..., length, *rest) -> (..., windows, *rest, size) for the first of the last ``count`` axes.

    What it leaves at the end makes the next axis the first of the last ``count``.
    """
    length = tensor.shape[-count]
    valid = (index >= 0) & (index < length)
    taken = tensor.index_select(-count, index.clamp(0, length - 1).flatten())
    apart = taken.unflatten(-count, tuple(index.shape)).movedim(-count, -1)
    if bool(valid.all()):
        return apart
    shape = [index.shape[0]] + [1] * (count - 1) + [index.shape[1]]
    return torch.where(valid.reshape(shape), apart, outside)
