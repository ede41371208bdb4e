"""Ufuncs with options, and their methods: reduce, accumulate, reduceat, outer, at."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...._errors import NoRule
from . import composed, elementwise
from .array import DifferenceArray
from .indexing import ALL, plain_key
from .joining import array_of
from .rearranging import arrays_in, still_value, value_of
from .reductions import into, negative_axes
from .run import Run

_REDUCTIONS = {
    np.add: np.sum, np.multiply: np.prod, np.maximum: np.max, np.minimum: np.min,
    np.logical_or: np.any, np.logical_and: np.all,
}  # fmt: skip


def call_method(run: Run, ufunc: Any, method: str, inputs: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
    """Return a ufunc called with options, or one of its methods."""
    if method == "__call__":
        return _call(run, ufunc, inputs, dict(options))
    if method == "at":
        return _at(run, ufunc, inputs)
    arrays = arrays_in(inputs) + arrays_in(dict(options))
    if not any(array.change is not None for array in arrays):
        named = dict(options)
        out = _single(named.pop("out", None))
        return into(run.fresh(getattr(ufunc, method)(*value_of(inputs), **value_of(named))), out)
    if method == "reduce" and ufunc in _REDUCTIONS:
        return _reduce(run, ufunc, inputs, dict(options))
    if method == "accumulate" and ufunc in (np.add, np.multiply):
        return _accumulate(run, ufunc, inputs, dict(options))
    if method in ("accumulate", "reduce") and ufunc.nin == 2:
        make = composed.running if method == "accumulate" else composed.folded
        return composed.composed(make(ufunc))(run, getattr(ufunc, method), inputs, options)
    if method == "outer" and len(inputs) == 2 and not options:
        return _outer(run, ufunc, inputs)
    if method == "reduceat" and ufunc is np.add:
        return _reduceat(run, ufunc, inputs, dict(options))
    raise NoRule(f"numpy.{ufunc.__name__}.{method}")


def _single(out: Any) -> Any:
    return out[0] if type(out) is tuple else out


def _call(run: Run, ufunc: Any, inputs: tuple[Any, ...], options: dict[str, Any]) -> Any:
    out, where = options.pop("out", None), options.pop("where", True)
    arrays = arrays_in(inputs)
    moving = any(array.change is not None for array in arrays)
    if where is not True:
        where = still_value(where)
    if options and moving and options.get("dtype") not in (None, float, np.float64):
        raise NoRule(f"numpy.{ufunc.__name__} with {', '.join(options)}=", "compute in float64 throughout")
    if ufunc.nout > 1:
        if moving:
            raise NoRule(f"numpy.{ufunc.__name__} with out=, where= or dtype=", "call it without")
        return tuple(run.fresh(one) for one in ufunc(*value_of(inputs), **options, where=where))
    if where is True and not options:
        return into(elementwise.call(run, ufunc, inputs), _single(out))
    target = _single(out)
    if target is None and where is not True:
        shape = np.broadcast_shapes(*(np.shape(value_of(one)) for one in inputs), np.shape(where))
        value = ufunc(*value_of(inputs), **options, where=where, out=np.zeros(shape))
        if not moving:
            return run.fresh(value)
        change = elementwise.call(run, ufunc, inputs).change
        return run.fresh(value, None if change is None else np.where(where, change, 0.0))
    result = (
        elementwise.call(run, ufunc, inputs)
        if moving or not options
        else run.fresh(ufunc(*value_of(inputs), **options))
    )
    if target is None:
        return result
    elementwise.write(target, result, where)
    return target


def _reduce(run: Run, ufunc: Any, inputs: tuple[Any, ...], options: dict[str, Any]) -> Any:
    array, *rest = inputs
    named = dict(zip(("axis", "dtype", "out", "keepdims", "initial", "where"), rest, strict=False)) | options
    named.setdefault("axis", 0)
    if "out" in named:
        named["out"] = _single(named["out"])
    function = _REDUCTIONS[ufunc]
    if ufunc is not np.add and ufunc is not np.multiply and named.pop("dtype", None) is not None:
        raise NoRule(f"numpy.{ufunc.__name__}.reduce with dtype=", "compute in float64 throughout")
    return run.tables.functions[function](run, function, (array,), named)


def _accumulate(run: Run, ufunc: Any, inputs: tuple[Any, ...], options: dict[str, Any]) -> Any:
    array, *rest = inputs
    named = dict(zip(("axis", "dtype", "out"), rest, strict=False)) | options
    named.setdefault("axis", 0)
    if "out" in named:
        named["out"] = _single(named["out"])
    function = np.cumsum if ufunc is np.add else np.cumprod
    return run.tables.functions[function](run, function, (array,), named)


def _outer(run: Run, ufunc: Any, inputs: tuple[Any, ...]) -> Any:
    left, right = (run.tables.gathered_in(run, one) for one in inputs)
    shape = np.shape(value_of(left)) + (1,) * np.ndim(value_of(right))
    return ufunc(np.reshape(left, shape), right)


def _reduceat(run: Run, ufunc: Any, inputs: tuple[Any, ...], options: dict[str, Any]) -> Any:
    array, indices, *rest = inputs
    named = dict(zip(("axis", "dtype", "out"), rest, strict=False)) | options
    out, axis = _single(named.pop("out", None)), named.pop("axis", 0)
    indices = still_value(indices)
    value = np.add.reduceat(array.value, indices, axis=axis, **named)
    change = np.add.reduceat(array.change, indices, axis=negative_axes(axis, array.ndim)[0])
    return into(run.fresh(value, change), out)


def _at(run: Run, ufunc: Any, inputs: tuple[Any, ...]) -> None:
    """``ufunc.at(target, index, operand)``: repeated indices are taken one after the other."""
    run.count += 1
    target, index, *operand = inputs
    key = plain_key(run, index)
    if type(target) is not DifferenceArray:
        if any(array.change is not None for array in arrays_in(operand)):
            raise NoRule(
                f"numpy.{ufunc.__name__}.at into a plain array", "make that array inside the function with numpy.zeros"
            )
        ufunc.at(target, key, *value_of(operand))
        return
    moving = any(array.change is not None for array in arrays_in(operand))
    if target.change is None and not moving:
        ufunc.at(target.value, key, *value_of(operand))
        return
    if ufunc not in (np.add, np.subtract):
        _at_by_rounds(run, ufunc, target, key, operand)
        return
    content = run.tables.gathered_in(run, operand[0])
    value = target.value
    positions = np.arange(value.size).reshape(value.shape)[key]
    if moving:
        run.check_receives(value.dtype, content.value.dtype)
        whole = target.writable_change()
        change = content.change
        change = change.reshape(change.shape[:1] + (1,) * (np.ndim(positions) + 1 - change.ndim) + change.shape[1:])
        ufunc.at(whole, (ALL, *np.unravel_index(positions, value.shape)), change)
        target.owner.computed = True
    ufunc.at(value, key, value_of(content))


def _at_by_rounds(run: Run, ufunc: Any, target: DifferenceArray, key: Any, operand: list[Any]) -> None:
    """``ufunc.at`` where the order counts: every entry's first occurrence among the indices, then the second ones."""
    value = target.value
    positions = np.asarray(np.arange(value.size).reshape(value.shape)[key])
    with run.inside():
        contents = [np.ravel(np.broadcast_to(array_of(run, one), positions.shape)) for one in operand]
        work: Any = target.flatten()
        flat = positions.ravel()
        for chosen in rounds(flat):
            work[flat[chosen]] = ufunc(work[flat[chosen]], *(content[chosen] for content in contents))
    ufunc.at(value, key, *value_of(operand))
    if work.change is not None:
        target.writable_change()[...] = work.change.reshape((run.batch, *value.shape))
        target.owner.computed = True


def rounds(positions: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Yield where each position occurs for the first time, then where for the second, and so on.

    Parameters
    ----------
    positions : (n,) integers.
    """
    order = np.argsort(positions, kind="stable")
    ranked = positions[order]
    starts = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]]) if ranked.size else np.zeros(0, np.intp)
    lengths = np.diff(np.r_[starts, ranked.size])
    occurrence = np.empty(positions.size, np.intp)
    occurrence[order] = np.arange(positions.size) - np.repeat(starts, lengths)
    for number in range(int(lengths.max(initial=0))):
        yield np.flatnonzero(occurrence == number)
