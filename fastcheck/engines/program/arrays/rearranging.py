"""NumPy functions that move entries around and calculate nothing.

There are two cases. What gives a view of an array's values gives a view of its changes. What copies is applied to the
entries' numbers, 1, 2, ..., and the numbers that come out say which changes to copy; a zero is an entry that no operand
had, such as padding. That holds for every such function, whatever its arguments mean, so none of them needs code of its
own; those that programs call often are applied to the changes directly, behind the batch axis.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...._errors import NoRule
from .array import DifferenceArray
from .run import Handler, Run
from .storage import zeros_beside


def still_value(operand: Any) -> Any:
    """What a parameter of an operation is, such as an axis or an index: it must not differ between perturbations."""
    if type(operand) is DifferenceArray:
        change = operand.change
        if change is not None and change.any():
            raise NoRule(
                "an index, a mask or a size that differs between perturbations",
                "check at inputs where all of them agree",
            )
        return operand.value
    if type(operand) is tuple:
        return tuple([part if type(part) is int else still_value(part) for part in operand])
    if type(operand) is list:
        return [still_value(part) for part in operand]
    if type(operand) is dict:
        return {key: still_value(part) for key, part in operand.items()}
    return operand


def value_of(operand: Any) -> Any:
    """Return the operand with plain arrays in the place of those that carry changes, in nested lists and tuples too."""
    if type(operand) is DifferenceArray:
        return operand.value
    if type(operand) is list:
        return [value_of(part) for part in operand]
    if type(operand) is tuple:
        return tuple([value_of(part) for part in operand])
    if type(operand) is dict:
        return {key: value_of(part) for key, part in operand.items()}
    return operand


def arrays_in(operand: Any) -> list[DifferenceArray]:
    """Return the arrays that carry changes, in nested lists and tuples too."""
    if type(operand) is DifferenceArray:
        return [operand]
    if type(operand) in (list, tuple):
        return [array for part in operand for array in arrays_in(part)]
    if type(operand) is dict:
        return [array for part in operand.values() for array in arrays_in(part)]
    return []


def rearrangement(*content: str | int) -> Handler:
    """Return the handler of a function that rearranges the entries of the parameters named in `content`.

    Parameters
    ----------
    content : the names and the positions of the parameters whose entries move; all others must stand still.
    """
    chosen = frozenset(content)

    def handler(run: Run, function: Callable[..., Any], args: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
        positional = [value_of(arg) if place in chosen else still_value(arg) for place, arg in enumerate(args)]
        named = {key: value_of(arg) if key in chosen else still_value(arg) for key, arg in options.items()}
        out = function(*positional, **named)
        sources = [arg for place, arg in enumerate(args) if place in chosen]
        sources += [arg for key, arg in options.items() if key in chosen]
        arrays = [array for source in sources for array in arrays_in(source)]
        if type(out) in (list, tuple) or isinstance(out, tuple):
            results = tuple(out)
        else:
            results = (out,)
        views = [_view_of_one(arrays, result) for result in results]
        missing = [place for place, view in enumerate(views) if view is None]
        if missing:
            copied = _copied(
                run, function, args, options, chosen, [results[place] for place in missing], missing, arrays
            )
            for place, array in zip(missing, copied, strict=True):
                views[place] = array
        if type(out) is list:
            return views
        if isinstance(out, tuple):
            return tuple(views)
        return views[0]

    return handler


def _view_of_one(arrays: list[DifferenceArray], result: Any) -> DifferenceArray | None:
    """`result` as a view of the array whose memory it shares, or None."""
    if type(result) is np.ndarray and result.base is not None:
        for array in arrays:
            if result is array.value:
                return array
            if type(array.value) is np.ndarray and np.may_share_memory(result, array.value):
                return array.cut(result)
    elif type(result) is np.ndarray:
        for array in arrays:
            if result is array.value:
                return array
    return None


class _Numbers:
    """The numbers of the entries of one or several arrays: 1, 2, ... across all of them."""

    def __init__(self) -> None:
        self.count = 1
        self.changes: list[tuple[int, NDArray[Any]]] = []

    def of(self, operand: Any) -> Any:
        """`operand` with numbers in the place of entries that move, and zeros in the place of all others."""
        if type(operand) is list:
            return [self.of(part) for part in operand]
        if type(operand) is tuple:
            return tuple([self.of(part) for part in operand])
        value, change = (operand.value, operand.change) if type(operand) is DifferenceArray else (operand, None)
        if change is None:
            return np.zeros(np.shape(value), np.intp)
        numbers: Any = np.zeros((), np.intp)
        if type(value) is np.ndarray:
            numbers = zeros_beside(value, 1, np.intp).changes[0]  # laid out as the values are: order="K" looks at that
        numbers[...] = np.arange(self.count, self.count + value.size).reshape(value.shape)
        self.changes.append((self.count, change))
        self.count += value.size
        return numbers

    def gather(self, batch: int, numbers: NDArray[Any]) -> NDArray[Any]:
        """Return the changes of the entries with these numbers."""
        dtype = np.result_type(*(change for _, change in self.changes))
        pool = np.zeros((batch, self.count), dtype)
        for start, change in self.changes:
            flat = change.reshape(batch, -1)
            pool[:, start : start + flat.shape[1]] = flat
        return pool[:, numbers]


def _copied(
    run: Run,
    function: Callable[..., Any],
    args: tuple[Any, ...],
    options: Mapping[str, Any],
    chosen: frozenset[str | int],
    results: list[Any],
    places: list[int],
    arrays: list[DifferenceArray],
) -> list[DifferenceArray]:
    moving = [array for array in arrays if array.change is not None]
    if not moving:
        return [run.rearranged(result, None, False) for result in results]
    computed = any(array.owner.computed for array in moving)
    numbers = _Numbers()
    positional = [numbers.of(arg) if place in chosen else still_value(arg) for place, arg in enumerate(args)]
    named = {
        key: numbers.of(arg) if key in chosen else still_value(arg) for key, arg in options.items() if key != "dtype"
    }
    out = function(*positional, **named)
    found = tuple(out) if isinstance(out, (list, tuple)) else (out,)
    made = []
    for place, result in zip(places, results, strict=True):
        run.check_precision(result)
        made.append(run.rearranged(result, numbers.gather(run.batch, np.asarray(found[place])), computed))
    return made


def reshaped(array: DifferenceArray, out: NDArray[Any]) -> DifferenceArray:
    """`out`, which is the array's value in another shape in C order, with the changes."""
    value, base = array.value, out.base
    run: Run = array.run
    if out is value:
        return array
    change = array.change
    if base is not None and (base is value or base is value.base):
        if change is not None and value.flags.c_contiguous and change[0].flags.c_contiguous:
            return array.cut(out, change.reshape((len(change), *out.shape)))  # a view, as that of the values is
        return array.cut(out)
    if change is None:
        return run.rearranged(out, None, False)
    moved = change.reshape((run.batch, *out.shape))
    if moved.base is not None and np.may_share_memory(moved, change):
        moved = moved.copy()
    return run.rearranged(out, moved, array.owner.computed)
