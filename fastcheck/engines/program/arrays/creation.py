"""Arrays that the user's function makes: they must be able to carry changes, for it may fill them with what moves.

numpy.zeros and the like do not ask their arguments who should answer, so these functions are replaced in NumPy's
namespaces while a program runs, for the thread that runs it (``wrapping``).
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from ...._errors import NoRule
from .array import DifferenceArray
from .joining import gathered_in, nested_change
from .rearranging import arrays_in, value_of
from .run import Run

Maker = Callable[..., Any]


def made(run: Run, function: Maker, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """numpy.zeros, empty, ones, arange, eye, zeros_like, ...: an array that stands still until it is filled."""
    value = function(*map(_shape_value, args), **{key: _shape_value(option) for key, option in options.items()})
    return DifferenceArray(value, run) if type(value) is np.ndarray else value


def made_of_still(run: Run, function: Maker, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """Return the same for numpy.arange, geomspace, ..., whose entries depend on their arguments.

    Raises
    ------
    NoRule : where an argument moves.
    """
    if any(one.change is not None for one in (*arrays_in(args), *arrays_in(tuple(options.values())))):
        raise NoRule(f"numpy.{function.__name__} of arguments that move", "write its entries with NumPy's arithmetic")
    return made(run, function, args, options)


def _shape_value(operand: Any) -> Any:
    if type(operand) is DifferenceArray:
        return operand.value  # zeros_like and the like look at shape and type alone
    return value_of(operand) if type(operand) in (list, tuple) else operand


def filled(run: Run, function: Maker, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """numpy.full and full_like."""
    content = args[1] if len(args) > 1 else options["fill_value"]
    array = made(run, function, args, options)
    if type(array) is DifferenceArray and any(one.change is not None for one in arrays_in(content)):
        array[...] = content
    return array


def converted(run: Run, function: Maker, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """numpy.array, asarray, asanyarray, ascontiguousarray, asfortranarray, copy, require, asarray_chkfinite."""
    if not args:
        options = dict(options)
        args = (options.pop("object" if "object" in options else "a"),)
    content = args[0]
    value = function(value_of(content), *args[1:], **options)
    if type(content) is np.ndarray and (value is content or value.base is not None):
        return value  # the caller's own memory
    if type(value) is not np.ndarray:
        return value
    if type(content) is not DifferenceArray:
        change = nested_change(run, content)
        if change is None:
            return DifferenceArray(value, run)
        array = gathered_in(run, content)
    elif value is content.value:
        return content
    elif type(content.value) is np.ndarray and np.may_share_memory(value, content.value):
        return content.cut(value)
    else:
        array = content
    moved = array.astype(value.dtype)
    change = moved.change
    if change is not None and change.ndim < value.ndim + 1:
        change = change.reshape((run.batch, *value.shape))
    return run.rearranged(value, change, array.owner.computed)


def strided(run: Run, function: Maker, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """numpy.lib.stride_tricks.as_strided: any view of the values is one of the changes."""
    array = args[0] if args else options["x"]
    value = function(*map(_shape_value, args), **{key: _shape_value(option) for key, option in options.items()})
    return array.cut(value) if type(array) is DifferenceArray else value


def of_list(run: Run, function: Maker, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """numpy.sum and others of a list of arrays, which NumPy makes one array of before it asks anyone."""
    gathered = tuple([arg if type(arg) is DifferenceArray else gathered_in(run, arg) for arg in args])
    handler = run.tables.functions.get(function)
    if handler is None or not any(type(arg) is DifferenceArray for arg in gathered):
        return function(*gathered, **options)
    return handler(run, function, gathered, options)


def enumerated(run: Run, function: Maker, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """numpy.ndenumerate: the indices and entries in C order."""
    (array,) = args
    return ((index, array[index]) for index in np.ndindex(array.shape))
