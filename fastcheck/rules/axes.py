"""Axes: several of them as one last axis, and back."""

import math
from typing import Any

Axes = tuple[int, ...]


def flattened(xp: Any, x: Any, axes: Axes) -> Any:
    """x with ``axes`` (negative) joined into one last axis, in C order; axes in front stay in front."""
    axes = tuple(sorted(axes))
    if axes == (-1,):
        return x
    moved = xp.moveaxis(x, axes, tuple(range(-len(axes), 0)))
    return moved.reshape((*moved.shape[: len(moved.shape) - len(axes)], -1))


def restored(x: Any, axes: Axes, keepdims: bool) -> Any:
    """x, from which ``axes`` have been reduced, with axes of length one in their places if ``keepdims``."""
    if not keepdims:
        return x
    lengths = list(x.shape)
    total = len(lengths) + len(axes)
    for axis in sorted(axis + total for axis in axes):
        lengths.insert(axis, 1)
    return x.reshape(tuple(lengths))


def unflattened(xp: Any, x: Any, axes: Axes, lengths: tuple[int, ...]) -> Any:
    """Return the inverse of ``flattened``, for axes that had ``lengths`` (in the order of the sorted axes)."""
    axes = tuple(sorted(axes))
    if axes == (-1,):
        return x
    apart = x.reshape((*x.shape[:-1], *lengths))
    return xp.moveaxis(apart, tuple(range(-len(axes), 0)), axes)


def inserted(x: Any) -> Any:
    """x with a last axis of length one."""
    return x.reshape((*x.shape, 1))


def without(x: Any, axes: Axes) -> Any:
    """x without ``axes`` of length one."""
    gone = {axis + len(x.shape) for axis in axes}
    return x.reshape(tuple(length for axis, length in enumerate(x.shape) if axis not in gone))


def count_along(x: Any, axes: Axes) -> int:
    """Return the number of elements along axes."""
    return math.prod(x.shape[axis] for axis in axes)


def centred(xp: Any, x: Any, axes: Axes) -> Any:
    """x less its mean over axes."""
    return x - xp.sum(x, axis=axes, keepdims=True) / count_along(x, axes)
