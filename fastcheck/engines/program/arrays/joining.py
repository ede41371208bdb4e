"""Arrays put together from others: concatenation, stacks, nested lists, padding."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...._errors import NoRule
from .array import DifferenceArray
from .rearranging import arrays_in, rearrangement, still_value, value_of
from .run import Run

_JOINED = rearrangement(0, "arrays", "tup")


def concatenate(run: Run, function: Callable[..., Any], args: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
    """numpy.concatenate along one axis, applied to the changes; anything else about it through the entries' numbers."""
    axis = args[1] if len(args) > 1 else options.get("axis", 0)
    if not args or len(args) > 2 or axis is None or set(options) - {"axis"}:
        return _through_numbers(run, function, args, options)
    parts = args[0]
    if type(parts) not in (list, tuple):
        parts = list(parts)
    values = [value_of(part) for part in parts]
    out = function(values, axis=axis)
    moving = [part for part in arrays_in(list(parts)) if part.change is not None]
    if not moving:
        return run.rearranged(out, None, False)
    run.check_precision(out)
    place = axis + 1 if axis >= 0 else axis
    changes = [_whole_change(run, part, value) for part, value in zip(parts, values, strict=True)]
    moved = np.concatenate(changes, axis=place)
    return run.rearranged(out, moved, any(part.owner.computed for part in moving))


def _in_a_row(run: Run, function: Callable[..., Any], args: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
    """numpy.r_[...] of arrays and numbers."""
    return np.concatenate([np.atleast_1d(part) for part in _parts(run, args[0])])


def _in_columns(run: Run, function: Callable[..., Any], args: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
    """numpy.c_[...] of arrays and numbers."""
    columns = [part if np.ndim(part) > 1 else np.reshape(part, (-1, 1)) for part in _parts(run, args[0])]
    return np.concatenate(columns, axis=-1)


def _parts(run: Run, key: Any) -> list[Any]:
    parts = [gathered_in(run, part) for part in (key if type(key) is tuple else (key,))]
    if any(isinstance(part, (slice, str)) for part in parts):
        raise NoRule("numpy.r_ or numpy.c_ with slices or texts beside what moves", "use numpy.concatenate")
    return parts


# What is indexed with arrays.
INDEXED = {"r_": _in_a_row, "c_": _in_columns}


def _whole_change(run: Run, part: Any, value: Any) -> NDArray[Any]:
    change = part.change if type(part) is DifferenceArray else None
    return np.zeros((run.batch, *np.shape(value))) if change is None else change


def _through_numbers(run: Run, function: Callable[..., Any], args: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
    options = dict(options)
    out = options.pop("out", None)
    result = _JOINED(run, function, args, options)
    if out is None:
        return result
    out[...] = result
    return out


def pad(run: Run, function: Callable[..., Any], args: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
    """numpy.pad with constants or with the array's own entries."""
    array, width, *rest = (*args, *([options["pad_width"]] if "pad_width" in options else []))
    mode = rest[0] if rest else options.get("mode", "constant")
    extra = {key: option for key, option in options.items() if key not in ("mode", "pad_width", "array")}
    out = function(value_of(array), still_value(width), mode=mode, **{key: value_of(one) for key, one in extra.items()})
    change = array.change if type(array) is DifferenceArray else None
    if mode == "constant":
        filler = [run.tables.gathered_in(run, one) for one in extra.values()]
        if any(type(one) is DifferenceArray and one.change is not None for one in filler):
            return run.tables.unknown(run, function, args, options)
        if change is None:
            return run.rearranged(out, None, False)
        moved = np.zeros((run.batch, *out.shape), change.dtype)
        if isinstance(width, dict):
            sides = [width.get(axis, width.get(axis - array.ndim, 0)) for axis in range(array.ndim)]
            before = [int(np.broadcast_to(np.asarray(side), (2,))[0]) for side in sides]
        else:
            before = [int(one) for one in np.broadcast_to(np.asarray(still_value(width)), (array.ndim, 2))[:, 0]]
        inside = tuple(slice(start, start + length) for start, length in zip(before, array.shape, strict=True))
        moved[(slice(None), *inside)] = change
        return run.rearranged(out, moved, array.owner.computed)
    if mode in ("edge", "reflect", "symmetric", "wrap") and options.get("reflect_type", "even") == "even":
        return rearrangement(0, "array")(run, function, args, options)
    return run.tables.unknown(run, function, args, options)


def gathered_in(run: Run, content: Any) -> Any:
    """Return one array of a nested list that holds arrays which carry changes; anything else as it is."""
    if type(content) not in (list, tuple) or not arrays_in(content):
        return content
    value = np.array(value_of(content))
    return run.rearranged(value, nested_change(run, content), any(one.owner.computed for one in arrays_in(content)))


def array_of(run: Run, content: Any) -> DifferenceArray:
    """Return the same as an array of this run, whatever it is."""
    found = gathered_in(run, content)
    return found if type(found) is DifferenceArray else DifferenceArray(np.asarray(found), run)


def nested_change(run: Run, content: Any) -> NDArray[Any] | None:
    """Return the change of numpy.array(content), (batch, *shape); None where nothing in it moves."""
    if type(content) is DifferenceArray:
        return content.change
    if type(content) not in (list, tuple):
        return None
    changes = [nested_change(run, part) for part in content]
    if all(change is None for change in changes):
        return None
    whole = [
        np.zeros((run.batch, *np.shape(value_of(part)))) if change is None else change
        for part, change in zip(content, changes, strict=True)
    ]
    return np.stack(whole, axis=1)
