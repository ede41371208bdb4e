"""Sorted, largest and smallest entries: of axes, of windows, and so far."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ..._errors import NoRule
from .call import Call, Handler, ruled
from .evaluation import how_to_scatter, zeros

# The convention at ties with which all share alike.
EQUAL = 0.5


def negative(axes: Any, count: int) -> tuple[int, ...]:
    """Axes counted from the last."""
    return tuple(axis % count - count for axis in axes)


def reduction(name: str) -> Handler:
    """Return a primitive with the parameter ``axes``."""

    def handler(call: Call) -> Any:
        if not call.params["axes"]:
            return call.changes[0]
        value = call.values[0]
        if value.dtype == bool and name.startswith("arg"):
            value = 1.0 * value
        return ruled(name, (value,), call.changes, call.out, call, axes=negative(call.params["axes"], value.ndim))

    return handler


def along(name: str) -> Handler:
    """Return a primitive along one axis, forwards or in reverse."""

    def handler(call: Call) -> Any:
        axis = call.params["axis"]

        def turn(x: Any) -> Any:
            return jnp.flip(x, axis) if call.params["reverse"] else x

        values, changes = (turn(call.values[0]),), (turn(call.changes[0]),)
        found = ruled(name, values, changes, turn(call.out), call, axes=negative([axis], call.out.ndim))
        return turn(found)

    return handler


def so_far(name: str) -> Handler:
    """Return the largest or smallest entry so far, or the logarithm of a sum of exponentials so far."""
    outside = math.inf if name == "min" else -math.inf

    def handler(call: Call) -> Any:
        axis, count = call.params["axis"], call.out.shape[call.params["axis"]]
        value, change, out = (jnp.moveaxis(a, axis, -1) for a in (call.values[0], call.changes[0], call.out))
        seen = np.tril(np.ones((count, count), dtype=bool))
        seen = seen.T if call.params["reverse"] else seen
        prefixes = jnp.where(seen, value[..., None, :], outside)
        changes = jnp.where(seen, change[..., None, :], 0.0)
        found = ruled(name, (prefixes,), (changes,), out, call, axes=(-1,))
        if name != "logsumexp" and call.branches.convention is not None and call.branches.convention.tie == EQUAL:
            found = _pair_by_pair(name, value, change, reverse=call.params["reverse"])
        return jnp.moveaxis(found, -1, axis)

    return handler


def _pair_by_pair(name: str, value: Any, change: Any, *, reverse: bool) -> Any:
    """Return changes where ties share alike pair by pair, in the order in which JAX combines them."""
    sign = -1.0 if name == "min" else 1.0

    def larger(one: Any, other: Any) -> Any:
        (x, dx), (y, dy) = one, other
        first, tied = sign * x > sign * y, x == y
        return jnp.where(first, x, y), jnp.where(tied, EQUAL * (dx + dy), jnp.where(first, dx, dy))

    return lax.associative_scan(larger, (value, change), reverse=reverse, axis=value.ndim - 1)[1]


def sort(call: Call) -> Any:
    """Operands in the order of the first ones; where a perturbation changes the order, the others are taken anew."""
    axis, keys = call.params["dimension"], call.params["num_keys"]
    count = call.out.ndim
    if len(call.values) == 1:
        return [ruled("sort", call.values, call.changes, call.out, call, axes=negative([axis], count))]
    if any(change is not None for change in call.changes[1:keys]):
        raise NoRule("lax.sort by several keys that move")
    values = [jnp.moveaxis(value, axis, -1) for value in call.values]
    changes = [None if change is None else jnp.moveaxis(change, axis, -1) for change in call.changes]
    places = jnp.broadcast_to(jnp.arange(values[0].shape[-1]), values[0].shape)
    old = lax.sort((*values, places), num_keys=keys, is_stable=True)[-1]
    new = old
    if changes[0] is not None:
        new = lax.sort((values[0] + changes[0], *values[1:], places), num_keys=keys, is_stable=True)[-1]
        ranked = jnp.take_along_axis(values[0], old, -1)
        # Equal keys that move apart change their order; equal keys that move alike keep it.
        call.branches.note((new != old) & (jnp.take_along_axis(values[0], new, -1) != ranked))
        call.branches.note_tie((new != old) & (jnp.take_along_axis(values[0], new, -1) == ranked), "tie")
    return [jnp.moveaxis(_reordered(value, change, old, new), -1, axis)
            for value, change in zip(values, changes, strict=True)]


def _reordered(value: Any, change: Any, old: Any, new: Any) -> Any:
    gap = 1.0 * (jnp.take_along_axis(value, new, -1) - jnp.take_along_axis(value, old, -1))
    return gap if change is None else gap + jnp.take_along_axis(change, new, -1)


def top_k(call: Call) -> Any:
    """Return the largest entries of the last axis, in descending order; their places stand still between crossings."""
    return _first(call, call.params.get("axis", -1), -1.0)


def approximate_top_k(call: Call) -> Any:
    """Return the largest or smallest entries as they are found on processors: the true ones."""
    return _first(call, call.params["reduction_dimension"], -1.0 if call.params["is_max_k"] else 1.0)


def _first(call: Call, axis: int, sign: float) -> Any:
    """Return the first entries, and their places, in the ascending order of ``sign`` times them."""
    if axis % call.values[0].ndim != call.values[0].ndim - 1:
        raise NoRule(f"lax.{call.primitive.name} along another axis than the last")
    x, d, k = sign * call.values[0], sign * call.changes[0], call.params["k"]
    found = ruled("sort", (x,), (d,), lax.sort(x), call, axes=(-1,))
    order = ruled("argsort", (x,), (d,), jnp.argsort(x, axis=-1, stable=True), call, axes=(-1,))
    return [sign * found[..., :k], order[..., :k]]


def scattered(name: str) -> Handler:
    """Return the largest or smallest of an entry and of what is put at its place.

    As for a maximum: of what everything is below the largest, and of its change, the largest is taken.
    """
    sign = -1.0 if name == "min" else 1.0

    def handler(call: Call) -> Any:
        call.only(0, 2)
        places, how = call.values[1], how_to_scatter(call.params)
        given = [sign * call.values[k] for k in (0, 2)]
        moves = [zeros(call.values[k]) if call.changes[k] is None else sign * call.changes[k] for k in (0, 2)]
        put = partial(lax.scatter_add, jnp.zeros_like(given[0]), places, **how)
        tops = [sign * call.out, jax.vjp(put, given[1])[1](sign * call.out)[0]]
        below = [jnp.where(v == top, 0.0, v - top) for v, top in zip(given, tops, strict=True)]

        def among_largest(scatter: Callable[..., Any], parts: Sequence[Any], others: float) -> Any:
            first, second = (jnp.where(b == 0.0, part, others) for b, part in zip(below, parts, strict=True))
            return scatter(first, places, second, **how)

        lead = [b + d for b, d in zip(below, moves, strict=True)]
        change = lax.scatter_max(lead[0], places, lead[1], **how)
        most = among_largest(lax.scatter_max, moves, -math.inf)
        call.branches.note(change > most)
        ties = most > among_largest(lax.scatter_min, moves, math.inf)
        call.branches.note_tie(ties, "tie")
        if call.branches.convention is not None and call.branches.convention.tie == EQUAL:
            count = among_largest(lax.scatter_add, [jnp.ones_like(d) for d in moves], 0.0)
            change = jnp.where(ties, among_largest(lax.scatter_add, moves, 0.0) / count, change)
        return sign * change

    return handler


def window(name: str) -> Handler:
    """Return the largest or smallest entry of each window."""
    outside = math.inf if name == "min" else -math.inf

    def handler(call: Call) -> Any:
        params = call.params
        if any(dilation != 1 for dilation in params["base_dilation"]):
            raise NoRule("lax.reduce_window with base_dilation")
        value, change = call.values[0], call.changes[0]
        for axis, size in enumerate(params["window_dimensions"]):
            stride, dilation = params["window_strides"][axis], params["window_dilation"][axis]
            low, _ = params["padding"][axis]
            index = (np.arange(call.out.shape[axis])[:, None] * stride - low) + np.arange(size) * dilation
            value, change = _gathered(value, index, axis, outside), _gathered(change, index, axis, 0.0)
        flat = [x.reshape((*call.out.shape, -1)) for x in (value, change)]
        return ruled(name, flat[:1], flat[1:], call.out, call, axes=(-1,))

    return handler


def _gathered(x: Any, index: Any, axis: int, outside: float) -> Any:
    """(..., length, ...) -> (..., windows, ..., size): the window's entries go to the last axis."""
    inside = (index >= 0) & (index < x.shape[axis])
    taken = jnp.take(x, jnp.asarray(np.clip(index, 0, x.shape[axis] - 1)).reshape(-1), axis=axis)
    apart = taken.reshape((*x.shape[:axis], *index.shape, *x.shape[axis + 1 :]))
    apart = jnp.moveaxis(apart, axis + 1, -1)
    if inside.all():
        return apart
    shape = [1] * apart.ndim
    shape[axis], shape[-1] = index.shape
    return jnp.where(inside.reshape(shape), apart, outside)


def chosen_by_second(call: Call) -> Any:
    """Return a primitive that is linear in its first operand, from which the second one chooses."""
    (first, second), (d_first, d_second) = call.values[:2], call.changes[:2]
    if d_second is None:
        return call.again(d_first, second)
    moved = second + d_second
    switched = call.again(first, moved) - call.again(first, second)
    call.branches.note(switched != 0.0)
    return switched if d_first is None else switched + call.again(d_first, moved)


def unless_moved(count: int) -> Handler:
    """Return a primitive that is linear in its operands but for ``count`` last ones, which choose places."""

    def handler(call: Call) -> Any:
        values, moving = list(call.values), call.changes[: len(call.values) - count]
        switched = [change != 0.0 for change in call.changes[len(values) - count :] if change is not None]
        if all(change is None for change in moving):
            found = zeros(call.out)
        else:
            places = [zeros(v) if c is None else c for v, c in zip(values, moving, strict=False)]
            found = call.again(*places, *values[len(places) :])
        for where in switched:
            found = call.lost(where, found)
        return found

    return handler
