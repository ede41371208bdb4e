"""Functions that are linear in an array, or in each of two: applied to the changes.

Changes are tiny, and some functions are only linear in what is not: scipy.ndimage leaves weights below 2^-52 out.  So
changes are brought to about one by a power of two before such a function sees them, and back afterwards.

Some are linear but for a constant, such as what a filter puts beyond the edge (cval) or begins with (zi, initial): it
is what they make of zeros, and is taken off.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...._errors import NoRule
from .array import DifferenceArray
from .elementwise import moves
from .rearranging import still_value, value_of
from .reductions import into, negative_axes
from .run import Handler, Run

# Powers of two that changes are scaled by: neither these nor their inverses overflow.
MOST = 1000


def along_axes(parameter: str, place: int, default: Any) -> Handler:
    """The handler of a function that is linear in its first argument and acts along the axes that `parameter` names.

    Parameters
    ----------
    parameter : the name of the parameter, "axis" or "axes".
    place : its position.
    default : what it is where nobody gives it; None for all axes.
    """

    def handler(run: Run, function: Callable[..., Any], args: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
        named = {key: still_value(option) for key, option in options.items() if key != "out"}
        array, *rest = args
        rest = [still_value(one) for one in rest]
        result = function(value_of(array), *rest, **named)
        change = array.change if type(array) is DifferenceArray else None
        if change is None:
            return into(run.fresh(result), options.get("out"))
        if len(rest) >= place:
            named[parameter] = rest.pop(place - 1) if len(rest) == place else _refuse(function)
        axes = named.pop(parameter, default)
        if axes is not None:
            found = negative_axes(tuple(axes) if isinstance(axes, list) else axes, array.ndim)
            named[parameter] = found if isinstance(axes, (tuple, list)) else found[0]
        else:
            named[parameter] = negative_axes(None, array.ndim)
        return into(run.fresh(result, function(change, *rest, **named)), options.get("out"))

    return handler


def _refuse(function: Callable[..., Any]) -> Any:
    raise NoRule(f"numpy.{function.__name__} with this many positional arguments", "name the arguments behind the axis")


def each(*content: str | int) -> Handler:
    """The handler of a function that is linear in the parameters named in `content` together: for each perturbation.

    Parameters
    ----------
    content : the names and the positions of these parameters; all others must stand still.
    """
    chosen = frozenset(content)

    def handler(run: Run, function: Callable[..., Any], args: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
        args = tuple(run.tables.gathered_in(run, arg) if place in chosen else arg for place, arg in enumerate(args))

        def at(content_of: Callable[[Any], Any]) -> Any:
            """Return what the function makes of these contents."""
            here = [content_of(arg) if place in chosen else still_value(arg) for place, arg in enumerate(args)]
            there = {key: content_of(arg) if key in chosen else still_value(arg) for key, arg in options.items()}
            return function(*here, **there)

        result = at(value_of)
        moving = [arg for place, arg in enumerate(args) if place in chosen and moves(arg)]
        moving += [arg for key, arg in options.items() if key in chosen and moves(arg)]
        if not moving:
            return _fresh_all(run, result, None)
        size, constant = _size([arg.change for arg in moving]), at(_zeros)
        found = [_less(at(partial(_change_at, place=place, size=size)), constant) for place in range(run.batch)]
        return _fresh_all(run, result, found, size)

    return handler


def _size(changes: Sequence[NDArray[Any]]) -> float:
    """Return the power of two that is about as large as the largest change; 1 where that is 0 or no number."""
    largest = max((float(np.max(np.abs(change), initial=0.0)) for change in changes), default=0.0)
    if not 0.0 < largest < math.inf:
        return 1.0
    return math.ldexp(1.0, max(-MOST, min(math.frexp(largest)[1], MOST)))


def _change_at(arg: Any, place: int, size: float) -> Any:
    """Return the change of one perturbation, in units of ``size``."""
    if type(arg) is DifferenceArray and arg.change is not None:
        return arg.change[place] / size
    return _zeros(arg)


def _zeros(arg: Any) -> NDArray[Any]:
    return np.zeros(np.shape(value_of(arg)))


def _less(found: Any, constant: Any) -> Any:
    """Return one result, or list of results, less another."""
    if isinstance(found, (list, tuple)):
        return [_less(one, other) for one, other in zip(found, constant, strict=True)]
    return found - constant


def _fresh_all(run: Run, result: Any, found: list[Any] | None, size: float = 1.0) -> Any:
    """Return the result, or list of results, with the changes of each perturbation, which are in units of ``size``."""
    if isinstance(result, (list, tuple)):
        return type(result)(
            run.fresh(one, None if found is None else size * np.stack([each[place] for each in found]))
            for place, one in enumerate(result)
        )
    return run.fresh(result, None if found is None else size * np.stack(found))


def bilinear_each(run: Run, function: Callable[..., Any], args: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
    """numpy.convolve and others that are linear in the first argument, but for a constant, and in the second: for each
    perturbation.
    """
    a, b, *rest = (run.tables.gathered_in(run, arg) for arg in args)
    rest = [still_value(one) for one in rest]
    named = {key: still_value(option) for key, option in options.items()}
    first, second = np.asarray(value_of(a)), np.asarray(value_of(b))
    result = function(value_of(a), value_of(b), *rest, **named)
    da, db = (one.change if type(one) is DifferenceArray else None for one in (a, b))
    if da is None and db is None:
        return run.fresh(result)
    size = _size([change for change in (da, db) if change is not None])
    found: NDArray[Any] = np.zeros((run.batch, *result.shape), result.dtype)
    constant = function(np.zeros(first.shape), second, *rest, **named)
    for place in range(run.batch):
        if da is not None:
            found[place] += function(da[place] / size, second, *rest, **named) - constant
        if db is not None:
            found[place] += function(first if da is None else first + da[place], db[place] / size, *rest, **named)
    return run.fresh(result, size * found)
