"""Means, variances, softmax and what is normalised by them."""

import math
from typing import Any

import torch

from ...rules.base import plus
from ...rules.contractions import bilinear
from ...rules.normalisation import normalise
from .call import Call, axes_of, ruled, zeros


def softmax(call: Call) -> Any:
    """exp(x) divided by its sum along an axis; of a single number that is one."""
    if not call.out.ndim:
        return zeros(call, call.out)
    return ruled("softmax", call.args[:1], call.changes[:1], call.out, call, axes=axes_of(call.args[1], call.out.ndim))


def safe_softmax(call: Call) -> Any:
    """Return softmax, and zeros where all of x is -inf: what attends to nothing."""
    axes = axes_of(call.args[1], call.out.ndim)
    some = (call.args[0] > -math.inf).any(axes, keepdim=True)
    x, dx = (torch.where(some, v, 0.0) for v in (call.args[0], call.changes[0]))
    return torch.where(some, ruled("softmax", (x,), (dx,), call.out, call, axes=axes), 0.0)


def log_softmax(call: Call) -> Any:
    """Return the logarithm of softmax."""
    if not call.out.ndim:
        return zeros(call, call.out)
    axis = axes_of(call.args[1], call.out.ndim)
    return ruled("log_softmax", call.args[:1], call.changes[:1], call.out, call, axes=axis)


def logsumexp(call: Call) -> Any:
    """log(sum(exp(x))) over some axes."""
    options = {"axes": axes_of(call.args[1], call.args[0].ndim), "keepdims": bool(call.option(2, "keepdim", False))}
    return ruled("logsumexp", call.args[:1], call.changes[:1], call.out, call, **options)


def _spread(name: str, call: Call, dims: Any, correction: Any, keepdim: bool) -> Any:
    options = {"axes": axes_of(dims, call.args[0].ndim), "keepdims": keepdim}
    ddof = 1 if correction is None else correction
    return ruled(name, call.args[:1], call.changes[:1], call.out, call, ddof=ddof, **options)


def variance(call: Call) -> Any:
    """Variance over some axes."""
    return _spread("var", call, *_spread_options(call))


def deviation(call: Call) -> Any:
    """Return the standard deviation over some axes."""
    return _spread("std", call, *_spread_options(call))


def _spread_options(call: Call) -> tuple[Any, Any, bool]:
    name = call.operator._overloadname
    if name == "correction":
        return call.option(1, "dim"), call.kwargs.get("correction"), bool(call.kwargs.get("keepdim", False))
    if name == "dim":
        return call.args[1], int(call.option(2, "unbiased", True)), bool(call.option(3, "keepdim", False))
    return None, int(call.option(1, "unbiased", True)), False


def variance_prim(call: Call) -> Any:
    """Variance as PyTorch's primitive has it."""
    return _spread("var", call, call.args[1], call.option(2, "correction", 1), False)


def _scaled(call: Call, n: Any, dn: Any, w: Any, dw: Any, b: Any, db: Any, shape: tuple[int, ...]) -> Any:
    """n w + b, with weight and bias in a shape that broadcasts."""
    w, b = (None if v is None else v.reshape(shape) for v in (w, b))
    dw, db = (None if d is None else d.reshape(call.batch + shape) for d in (dw, db))
    change: Any = 0.0 if dn is None else dn
    if w is not None and (dn is not None or dw is not None):
        change = bilinear(torch.mul, n, w, dn, dw)
    if db is not None:
        change = change + db
    full = torch.broadcast_to(change, call.batch + tuple(n.shape))
    return full.reshape(call.batch + tuple(call.out.shape))


def _normalised(call: Call, change: Any, dx: Any, dr: Any, axes: tuple[int, ...]) -> list[Any]:
    """Return the change of what was normalised, and those of the mean and of 1 / s, which a backward pass reads."""
    _, mean, inverse = call.outputs
    if not any(call.read[1:]):
        return [change, None, None]
    if dx is None:
        return [change, zeros(call, mean), zeros(call, inverse)]
    return [change, *(d.reshape(call.batch + tuple(value.shape)) for d, value in
                      ((dx.mean(axes), mean), (dr, inverse)))]


def layer_norm(call: Call) -> Any:
    """Each sample's last axes brought to mean 0 and variance 1, then scaled and shifted."""
    (x, shape, w, b, eps), (dx, _, dw, db, *_) = call.args, call.changes
    axes = tuple(range(-len(shape), 0))
    n, dn, dr = normalise(torch, x, dx, axes, eps)
    change = _scaled(call, n, dn, w, dw, b, db, (1,) * (x.ndim - len(shape)) + tuple(shape))
    return _normalised(call, change, dx, dr, axes)


def group_norm(call: Call) -> Any:
    """Groups of channels of each sample brought to mean 0 and variance 1."""
    x, w, b, samples, channels, _, groups, eps = call.args
    dx, dw, db = call.changes[:3]
    shape = (samples, groups, channels // groups, -1)
    grouped, moved = x.reshape(shape), None if dx is None else dx.reshape(call.batch + shape)
    n, dn, dr = normalise(torch, grouped, moved, (-2, -1), eps)
    change = _scaled(call, n, dn, w, dw, b, db, (1, groups, channels // groups, 1))
    return _normalised(call, change, moved, dr, (-2, -1))


def batch_norm(call: Call) -> Any:
    """Channels brought to mean 0 and variance 1 over samples and positions, or by running statistics."""
    x, w, b, mean, var, training, _, eps = call.args
    dx, dw, db = call.changes[:3]
    call.only(0, 1, 2)
    shape = (1, -1) + (1,) * (x.ndim - 2)
    if training:
        axes = (-x.ndim, *range(2 - x.ndim, 0))
        n, dn, dr = normalise(torch, x, dx, axes, eps)
        return _normalised(call, _scaled(call, n, dn, w, dw, b, db, shape), dx, dr, axes)
    scale = 1.0 / torch.sqrt(var + eps).reshape(shape)
    n, dn = (x - mean.reshape(shape)) * scale, None if dx is None else dx * scale
    return [_scaled(call, n, dn, w, dw, b, db, shape), *(zeros(call, output) for output in call.outputs[1:])]


def vector_norm(call: Call) -> Any:
    """Return the p-norm over some axes."""
    order, dims = call.option(1, "ord", 2), call.option(2, "dim")
    if not call.args[0].ndim and order != 0:
        return ruled("absolute", call.args[:1], call.changes[:1], call.out, call)
    options = {"axes": axes_of(dims, call.args[0].ndim), "keepdims": bool(call.option(3, "keepdim", False))}
    order = math.inf if order == float("inf") else order
    return ruled("norm", call.args[:1], call.changes[:1], call.out, call, ord=order, **options)


def distances(call: Call) -> Any:
    """Return the p-norms of the differences between all rows of one tensor and all rows of another."""
    (a, b), (da, db) = call.args[:2], call.changes[:2]
    moved = plus(None if da is None else da[..., :, None, :], None if db is None else -db[..., None, :, :])
    return _norm_of(call, a[..., :, None, :] - b[..., None, :, :], moved, call.args[2])


def distances_within(call: Call) -> Any:
    """Return the p-norms of the differences between the rows of one tensor, each pair once."""
    first, second = torch.triu_indices(*(call.args[0].shape[:1] * 2), offset=1, device=call.out.device)
    apart, moved = (rows[..., first, :] - rows[..., second, :] for rows in (call.args[0], call.changes[0]))
    return _norm_of(call, apart, moved, call.option(1, "p", 2.0))


def _norm_of(call: Call, value: Any, change: Any, order: float) -> Any:
    """Return the p-norm over the last axis; all rows of one tensor may have one that broadcasts."""
    change = torch.broadcast_to(change, call.batch + tuple(value.shape))
    return ruled("norm", (value,), (change,), call.out, call, ord=order, axes=(-1,))
