"""Products: matrices and convolutions.  A product's change is da b + (a + da) db."""

from functools import partial
from typing import Any

import torch

from ...rules.base import plus
from ...rules.contractions import bilinear
from .call import Call, lifted, matrix_product, zeros


def matmul(call: Call) -> Any:
    """a @ b for matrices and stacks of them.

    A stack that repeats one matrix, as a linear layer without a bias makes it of its weight, is multiplied as that one.
    """
    (a, b), (da, db) = call.args[:2], call.changes[:2]
    if b.ndim < 3 or not call.batch or not _repeats(b, 0) or not (db is None or _repeats(db, 1)):
        return matrix_product(a, b, da, db)
    rows, moved = a.flatten(0, 1), None if da is None else da.flatten(1, 2)
    change = matrix_product(rows, b[0], moved, None if db is None else db[:, 0])
    return change.reshape(call.batch + tuple(call.out.shape))


def _repeats(stack: torch.Tensor, axis: int) -> bool:
    """Tell whether all entries along an axis are the same memory."""
    return stack.ndim - axis == 3 and stack.stride(axis) == 0


def vector(call: Call) -> Any:
    """Return a matrix times a vector."""
    (a, x), (da, dx) = call.args[:2], call.changes[:2]
    change = matrix_product(a, x[:, None], da, None if dx is None else dx[..., None])
    return change[..., 0]


def dot(call: Call) -> Any:
    """Return the sum of products of two vectors."""
    return bilinear(lambda a, b: (a * b).sum(-1), *call.args[:2], *call.changes[:2])


def outer(call: Call) -> Any:
    """Return all products of two vectors' entries."""
    return bilinear(lambda a, b: a[..., :, None] * b[..., None, :], *call.args[:2], *call.changes[:2])


def addmm(call: Call) -> Any:
    """beta c + alpha a @ b."""
    (c, a, b), (dc, da, db) = call.args[:3], call.changes[:3]
    beta, alpha = call.option(3, "beta", 1), call.option(4, "alpha", 1)
    change = None
    if da is not None or db is not None:
        change = matrix_product(a, b, da, db)
        change = change if alpha == 1 else change * alpha
    if dc is not None:
        change = plus(change, beta * lifted(dc, c, call.out.ndim, call.batch))
    return torch.broadcast_to(change, call.batch + tuple(call.out.shape))


def trilinear(call: Call) -> Any:
    """sum of a * b * c over some axes, each operand with new axes first: nn.Bilinear's product."""
    axes, summed = call.args[3:6], call.args[6]
    values = [_expanded(v, e, ()) for v, e in zip(call.args[:3], axes, strict=True)]
    changes = [None if d is None else _expanded(d, e, call.batch)
               for d, e in zip(call.changes[:3], axes, strict=True)]
    product = partial(bilinear, torch.mul)
    both, d_both = values[0] * values[1], None
    if changes[0] is not None or changes[1] is not None:
        d_both = product(values[0], values[1], changes[0], changes[1])
    change = product(both, values[2], d_both, changes[2])
    return change.sum([k - both.ndim for k in summed]) if summed else change


def _expanded(value: torch.Tensor, axes: list[int], batch: tuple[int, ...]) -> torch.Tensor:
    for axis in axes:
        value = value.unsqueeze(axis + len(batch))
    return value


def convolution(call: Call) -> Any:
    """Convolutions of one to three dimensions, transposed and grouped: bilinear in input and kernel."""
    x, w, _, stride, padding, dilation, transposed, extra, groups = call.args
    dx, dw, db = call.changes[:3]
    how = (stride, padding, dilation, transposed, extra)
    change = None
    if dx is not None:
        change = _over_inputs(call, dx, w, how, groups)
    if dw is not None and dx is None:
        change = _over_kernels(call, x, dw, how, groups)
    elif dw is not None:
        change = plus(change, _over_both(call, x + dx, dw, how, groups))
    if db is not None:
        change = plus(change, db.reshape(call.batch + (1, -1) + (1,) * (x.ndim - 2)))
    return torch.broadcast_to(change, call.batch + tuple(call.out.shape))


def _over_inputs(call: Call, x: torch.Tensor, w: torch.Tensor, how: Any, groups: int) -> torch.Tensor:
    """Moved inputs (*batch, N, C, ...) and one kernel: the batch joins the samples."""
    if not call.batch:
        found: torch.Tensor = call.operator(x, w, None, *how, groups)
        return found
    flat = call.operator(x.flatten(0, 1), w, None, *how, groups)
    unfolded: torch.Tensor = flat.unflatten(0, x.shape[:2])
    return unfolded


def _over_kernels(call: Call, x: torch.Tensor, w: torch.Tensor, how: Any, groups: int) -> torch.Tensor:
    """Return one input and moved kernels (*batch, ...): the batch joins each group's output channels."""
    if not call.batch:
        found: torch.Tensor = call.operator(x, w, None, *how, groups)
        return found
    count, transposed = w.shape[0], how[3]
    if transposed:  # (B, C, O/g, ...) -> (C, B O/g, ...)
        kernels = w.movedim(0, 1).flatten(1, 2)
    else:  # (B, g O/g, C/g, ...) -> (g B O/g, C/g, ...)
        kernels = w.unflatten(1, (groups, -1)).movedim(0, 1).flatten(0, 2)
    flat = call.operator(x, kernels, None, *how, groups)  # (N, g B O/g, ...)
    apart = flat.unflatten(1, (groups, count, -1)).movedim(2, 0)  # (B, N, g, O/g, ...)
    joined: torch.Tensor = apart.flatten(2, 3)
    return joined


def _over_both(call: Call, x: torch.Tensor, w: torch.Tensor, how: Any, groups: int) -> torch.Tensor:
    """Moved inputs and moved kernels, both (*batch, ...): each perturbation is a group of its own."""
    if not call.batch:
        found: torch.Tensor = call.operator(x, w, None, *how, groups)
        return found
    count = w.shape[0]
    flat = call.operator(x.movedim(0, 1).flatten(1, 2), w.flatten(0, 1), None, *how, groups * count)
    apart: torch.Tensor = flat.unflatten(1, (count, -1)).movedim(1, 0)
    return apart


def convolution_backward(call: Call) -> Any:
    """Gradients of a convolution by its input, kernel and bias: bilinear in the output's gradient and another."""
    (g, x, w), (dg, dx, dw) = call.args[:3], call.changes[:3]
    asked, moved = call.args[-1], g if dg is None else g + dg
    found: list[Any] = [None, None, None] if dg is None else _passed_back(call, (dg, x, w), asked)
    if dw is not None and asked[0]:
        found[0] = plus(found[0], _passed_back(call, (moved, x, dw), [True, False, False])[0])
    if dx is not None and asked[1]:
        found[1] = plus(found[1], _passed_back(call, (moved, dx, w), [False, True, False])[1])
    return [zeros(call, out) if on and f is None else f for f, on, out in zip(found, asked, call.outputs, strict=True)]


def _passed_back(call: Call, tensors: tuple[torch.Tensor, ...], asked: list[bool]) -> list[Any]:
    """Return those of the gradients that are asked for, of tensors of which some have a batch axis."""

    def gradients(*given: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(g for g, on in zip(call.operator(*given, *call.args[3:-1], asked), asked, strict=True) if on)

    axes = tuple(0 if t.ndim > v.ndim else None for t, v in zip(tensors, call.args, strict=False))
    found = iter(torch.vmap(gradients, axes)(*tensors) if call.batch else gradients(*tensors))
    return [next(found) if on else None for on in asked]
