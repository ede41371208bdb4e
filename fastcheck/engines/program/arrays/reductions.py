"""Functions that reduce or accumulate along axes: linear ones are applied to the changes, the others have rules."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...._errors import NoRule
from .array import DifferenceArray
from .elementwise import owned, write
from .rearranging import still_value
from .run import Handler, Run

_USUAL = frozenset(("axis", "keepdims"))
_NO_VALUE: Any = np._NoValue  # NumPy's own sign for "not given"


def negative_axes(axis: Any, ndim: int) -> tuple[int, ...]:
    """Return the axes counted from the last one, all of them for None: the same with and without batch axes."""
    if axis is None:
        return tuple(range(-ndim, 0))
    if isinstance(axis, tuple):
        return tuple([one - ndim if one >= 0 else one for one in axis])
    axis = axis.__index__()
    return (axis - ndim if axis >= 0 else axis,)


def reduce_linearly(run: Run, function: Callable[..., Any], args: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
    """Return a sum or mean (axis, dtype, out, keepdims, initial, where)."""
    args, named = _by_name(args, options, ("axis", "dtype", "out", "keepdims", "initial", "where"))
    array, out = args[0], named.pop("out", None)
    value, change = array.value, array.change
    where = named.get("where", _NO_VALUE)
    if where is not _NO_VALUE:
        named["where"] = where = still_value(where)
    result = function(value, **named)
    if change is None:
        return into(run.fresh(result), out)
    dtype = named.get("dtype")
    if dtype is not None and np.dtype(dtype) not in (np.float64, np.complex128):
        raise NoRule(f"numpy.{function.__name__} in {np.dtype(dtype)}", "compute in float64 throughout")
    axes = negative_axes(named.get("axis"), value.ndim)
    keepdims = named.get("keepdims", False) is True or named.get("keepdims") == 1
    extra: dict[str, Any] = {} if where is _NO_VALUE else {"where": where}
    if run.notes is not None and where is _NO_VALUE:
        _note(run, function, array, axes, result)
    moved = np.add.reduce(change, axis=axes, keepdims=keepdims, **extra)
    if function.__name__ == "mean":
        count = value.size // max(result.size, 1) if where is _NO_VALUE else _count(where, value, axes, keepdims)
        moved = moved / count
    return into(run.fresh(result, moved), out)


def _note(run: Run, function: Callable[..., Any], array: DifferenceArray, axes: tuple[int, ...], result: Any) -> None:
    """Note a sum or mean along axes."""
    assert run.notes is not None  # noqa: S101  # asked where somebody takes notes
    slope = max(result.size, 1) / max(array.value.size, 1) if function.__name__ == "mean" else 1.0
    run.notes.reduction(run.count + 1, array, slope, axes, result.size)


def _count(where: Any, value: NDArray[Any], axes: tuple[int, ...], keepdims: bool) -> Any:
    return np.broadcast_to(where, value.shape).sum(axis=axes, keepdims=keepdims)


def into(result: DifferenceArray, out: Any) -> Any:
    """`result`, or `out` with its contents where that is given."""
    if out is None:
        return result
    write(out, result)
    return out


def sums(run: Run, function: Callable[..., Any], args: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
    """numpy.sum and ndarray.sum."""
    if len(args) in (1, 2) and type(args[0]) is DifferenceArray and options.keys() <= _USUAL:
        array = args[0]
        result = function(array.value, *args[1:], **options)
        change = array.change
        if change is None:
            return run.fresh(result)
        axis = args[1] if len(args) == 2 else options.get("axis")
        axes = negative_axes(axis, array.value.ndim)
        kept: dict[str, Any] = {"keepdims": bool(options.get("keepdims", False))}
        if run.notes is not None:
            _note(run, function, array, axes, result)
        moved = np.add.reduce(change, axis=axes, **kept)
        if function.__name__ == "mean":
            moved /= array.value.size // max(result.size, 1)
        return run.fresh(result, moved)
    if not args:
        options = dict(options)
        args = (options.pop("a"),)
    if type(args[0]) is not DifferenceArray:
        args = (run.tables.gathered_in(run, args[0]), *args[1:])
    return reduce_linearly(run, function, args, options)


def cumulative_sum(run: Run, function: Callable[..., Any], args: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
    """numpy.cumsum (axis, dtype, out)."""
    args, named = _by_name(args, options, ("axis", "dtype", "out"))
    array, out = args[0], named.pop("out", None)
    result = function(array.value, **named)
    change = array.change
    if change is None:
        return into(run.fresh(result), out)
    axis = named.get("axis")
    flat = change.reshape(run.batch, -1) if axis is None else change
    moved = np.add.accumulate(flat, axis=1 if axis is None else negative_axes(axis, array.ndim)[0])
    return into(run.fresh(result, moved), out)


def by_rule(*names: str) -> Handler:
    """Return the handler of a reduction with a rule of its own, with parameters of these names behind the array."""

    def handler(run: Run, function: Callable[..., Any], args: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
        args, named = _by_name(args, options, names)
        array, out = args[0], named.pop("out", None)
        if type(array) is not DifferenceArray:
            array = run.tables.gathered_in(run, array)
        named = {key: still_value(option) for key, option in named.items()}
        result = function(array.value, **named)
        change = array.change
        if change is None:
            return into(run.fresh(result), out)
        return into(run.fresh(result, _by_rule(run, function, array, change, result, named)), out)

    return handler


def cumulative_product(
    run: Run, function: Callable[..., Any], args: tuple[Any, ...], options: Mapping[str, Any]
) -> Any:
    """numpy.cumprod (axis, dtype, out): of all entries in a row where no axis is given."""
    names = ("axis", "dtype", "out")
    args, named = _by_name(args, options, names)
    array = run.tables.gathered_in(run, args[0])
    if named.get("axis") is None:
        array, named["axis"] = array.reshape(-1), 0
    return by_rule(*names)(run, function, (array,), named)


def _by_rule(
    run: Run,
    function: Callable[..., Any],
    array: DifferenceArray,
    change: NDArray[Any],
    result: Any,
    named: dict[str, Any],
) -> NDArray[Any] | None:
    name = function.__name__
    axes = negative_axes(named.pop("axis", None), array.ndim)
    for option, remedy in _UNSUPPORTED.items() if named.keys() - _USUAL else ():
        given = named.pop(option, _NO_VALUE)
        if given is not _NO_VALUE and not any(given is usual for usual in (None, True, False, float, np.float64)):
            raise NoRule(f"numpy.{name} with {option}=", remedy)
    named = {key: option for key, option in named.items() if option is not _NO_VALUE}
    if "keepdims" in named:
        named["keepdims"] = bool(named["keepdims"])
    return change_by_rule(run, name, (array.value,), (change,), result, axes=axes, **named)


_UNSUPPORTED = {
    "where": "select the entries first",
    "initial": "use numpy.maximum or numpy.minimum after it",
    "dtype": "compute in float64 throughout",
    "mean": "leave it out",
    "correction": "use ddof",
    "return_sign": "leave it out",
}


def change_by_rule(
    run: Run, name: str, values: tuple[Any, ...], changes: tuple[Any, ...], out: Any, **options: Any
) -> NDArray[Any] | None:
    """The change of an operation's result by the rule of that name, (batch, *out.shape), shared with no operand."""
    rule = run.tables.rules.get(name)
    if rule is None:
        raise NoRule(f"numpy.{name}")
    moved = rule.change(np, values, changes, out, run.at(name), **options)
    if rule.discrete and not np.count_nonzero(moved):
        return None
    return owned(moved, list(changes), run.batch, out.shape)


def _by_name(
    args: tuple[Any, ...], options: Mapping[str, Any], names: tuple[str, ...]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the array alone, and all other arguments by name."""
    named = dict(options)
    for name, arg in zip(names, args[1:], strict=False):
        named[name] = arg
    if not args:
        args = (named.pop("a"),)
    return args[:1], named
