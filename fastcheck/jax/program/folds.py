"""Reductions, of axes or of windows, by an operation of the caller's own: folded entry by entry."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.core import ClosedJaxpr

from ..._errors import NoRule
from .flags import TracedBranches
from .interpreter import MOVES, Interpreter, Moving, Structure


def reduce(self: Interpreter, equation: Any, operands: Sequence[Moving], branches: TracedBranches) -> list[Moving]:
    """Return arrays whose entries along some axes are combined."""
    count, axes = len(operands) // 2, equation.params["dimensions"]
    kept = [axis for axis in range(operands[0][0].ndim) if axis not in axes]

    def lined_up(part: Any) -> Any:
        """(...) -> (kept axes, combined entries)."""
        moved = jnp.transpose(part, (*kept, *axes))
        return moved.reshape((*moved.shape[: len(kept)], -1))

    rows = [_mapped(self, lined_up, one) for one in operands[:count]]
    return _folded(self, equation.params["jaxpr"], rows, operands[count:], branches)


def reduce_window(
    self: Interpreter, equation: Any, operands: Sequence[Moving], branches: TracedBranches
) -> list[Moving]:
    """Return arrays whose entries are combined window by window; what lies outside counts as the initial value."""
    params, count = equation.params, len(operands) // 2
    if params.get("consts"):
        raise NoRule("lax.reduce_window of an operation that closes over arrays")
    shape, sizes = operands[0][0].shape, params["window_dimensions"]
    out = equation.outvars[0].aval.shape
    index, inside = np.zeros((*out, *sizes), np.int64), np.ones((*out, *sizes), bool)
    for axis, length in enumerate(shape):
        start = np.arange(out[axis]) * params["window_strides"][axis] - params["padding"][axis][0]
        place = start[:, None] + np.arange(sizes[axis]) * params["window_dilation"][axis]
        apart = params["base_dilation"][axis]
        there = (place >= 0) & (place % apart == 0) & (place < length * apart)
        place, there = (np.expand_dims(one, [k for k in range(index.ndim) if k not in (axis, len(shape) + axis)])
                        for one in (np.clip(place // apart, 0, max(length - 1, 0)), there))
        inside &= there
        index = index * length + place
    index, inside = index.reshape(*out, -1), inside.reshape(*out, -1)

    def windows(one: Moving, first: Moving) -> Moving:
        """(...) -> (..., entries of a window)."""
        (value, change), (outside, moved) = self.as_moving(one), self.as_moving(first)
        taken = jnp.where(inside, value.reshape(-1)[index], outside)
        return taken, jnp.where(inside, change.reshape(-1)[index], moved) if self.exact else MOVES

    rows = [windows(*pair) for pair in zip(operands[:count], operands[count:], strict=True)]
    jaxpr = params["jaxpr"]
    closed = jaxpr if isinstance(jaxpr, ClosedJaxpr) else ClosedJaxpr(jaxpr, ())
    return _folded(self, closed, rows, operands[count:], branches)


def _mapped(self: Interpreter, function: Any, operand: Moving) -> Moving:
    """Return a linear function of an operand that moves."""
    value, change = self.as_moving(operand)
    return function(value), function(change) if self.exact else MOVES


def _folded(
    self: Interpreter, combine: ClosedJaxpr, rows: Sequence[Moving], first: Sequence[Moving], branches: TracedBranches
) -> list[Moving]:
    """Return the last axis (..., n) of arrays combined, from a first value on."""
    shape = rows[0][0].shape
    start = [self.as_moving(one) for one in first]

    def apart(operands: Sequence[Moving]) -> tuple[list[Any], list[Any]]:
        return [value for value, _ in operands], [change for _, change in operands if self.exact]

    def paired(values: Sequence[Any], changes: Sequence[Any]) -> list[Moving]:
        return list(zip(values, changes if self.exact else [MOVES] * len(values), strict=True))

    def step(state: Any, row: Any) -> Any:
        values, changes, flags = state
        inner = branches.inside(flags)
        found = self.run(combine, [*paired(values, changes), *paired(*row)], inner)
        return (*apart([self.as_moving(one) for one in found]), inner.flags), None

    def fold(values: Any, changes: Any) -> Any:
        return lax.scan(step, (*apart(start), TracedBranches().flags), (values, changes))[0]

    flat = [[part.reshape(-1, shape[-1]) for part in parts] for parts in apart(rows)]
    values, changes, (crossed, by_kind) = jax.vmap(fold)(*flat)
    branches.join((jnp.any(crossed), jnp.sum(by_kind, axis=0)))
    return paired(*([part.reshape(shape[:-1]) for part in parts] for parts in (values, changes)))


FOLDS: dict[str, Structure] = {"reduce": reduce, "reduce_window": reduce_window}
