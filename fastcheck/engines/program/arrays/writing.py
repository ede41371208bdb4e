"""Functions that write into arrays, and the iterator over the entries of an array."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from ...._errors import NoRule
from .array import DifferenceArray
from .elementwise import write
from .joining import array_of
from .rearranging import arrays_in, still_value, value_of
from .run import Run


class Flat:
    """``array.flat``: the entries in C order, to read, to write and to walk through.

    Parameters
    ----------
    array : the array.
    """

    __slots__ = ("_array",)

    def __init__(self, array: DifferenceArray) -> None:
        self._array = array

    def __getitem__(self, index: Any) -> Any:
        found = self._array.ravel()[index]
        return found if found.base is None else found.copy()

    def __setitem__(self, index: Any, content: Any) -> None:
        flat = self._array.ravel()
        if type(index) is int or np.ndim(content) == 0:
            flat[index] = content
        else:
            flat[index] = np.resize(content, np.shape(value_of(flat[index])))  # NumPy repeats what is too short
        if flat.owner is not self._array.owner:
            self._array[...] = flat.reshape(self._array.shape)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._array.ravel())

    def __len__(self) -> int:
        return self._array.size  # type: ignore[no-any-return]  # an int


def _receiver(function: Callable[..., Any], target: Any, args: tuple[Any, ...]) -> DifferenceArray | None:
    """Return the array to write to; None where it is a plain one that receives nothing that moves."""
    if type(target) is DifferenceArray:
        return target
    if any(array.change is not None for array in arrays_in(args)):
        raise NoRule(
            f"numpy.{function.__name__} of what moves into a plain array",
            "make that array inside the function with numpy.zeros, numpy.empty or the like",
        )
    return None


def copyto(run: Run, function: Callable[..., Any], args: tuple[Any, ...], options: Mapping[str, Any]) -> None:
    """numpy.copyto."""
    target, content = args[0], args[1] if len(args) > 1 else options["src"]
    where = still_value(options.get("where", args[3] if len(args) > 3 else True))
    receiver = _receiver(function, target, (content,))
    if receiver is None:
        function(target, value_of(content), where=where)
        return
    write(receiver, array_of(run, content), where)


def put(run: Run, function: Callable[..., Any], args: tuple[Any, ...], options: Mapping[str, Any]) -> None:
    """numpy.put and ndarray.put."""
    target, index, content = (*args, *options.values())[:3]
    receiver = _receiver(function, target, (content,))
    if receiver is None:
        function(target, still_value(index), value_of(content))
    else:
        receiver.flat[np.asarray(still_value(index))] = content


def place(run: Run, function: Callable[..., Any], args: tuple[Any, ...], options: Mapping[str, Any]) -> None:
    """numpy.place: entries of the content, repeated, one after the other where the mask holds."""
    target, mask, content = (*args, *options.values())[:3]
    receiver = _receiver(function, target, (content,))
    if receiver is None:
        function(target, still_value(mask), value_of(content))
        return
    chosen = np.asarray(still_value(mask)).astype(bool)
    receiver[chosen] = np.resize(np.ravel(run.tables.gathered_in(run, content)), int(np.count_nonzero(chosen)))


def putmask(run: Run, function: Callable[..., Any], args: tuple[Any, ...], options: Mapping[str, Any]) -> None:
    """numpy.putmask: entries of the content at the places where the mask holds."""
    target, mask, content = (*args, *options.values())[:3]
    receiver = _receiver(function, target, (content,))
    if receiver is None:
        function(target, still_value(mask), value_of(content))
        return
    resized: Any = np.resize(array_of(run, content), receiver.shape)
    write(receiver, resized, np.asarray(still_value(mask)).astype(bool))


def fill_diagonal(run: Run, function: Callable[..., Any], args: tuple[Any, ...], options: Mapping[str, Any]) -> None:
    """numpy.fill_diagonal, without its option wrap."""
    target, content, *rest = (*args, *options.values())
    receiver = _receiver(function, target, (content,))
    if receiver is None:
        function(target, value_of(content), *rest)
        return
    if any(rest):
        raise NoRule("numpy.fill_diagonal with wrap=True", "fill the diagonal by indexing")
    count = min(receiver.shape)
    where = tuple(np.arange(count) for _ in receiver.shape)
    content = run.tables.gathered_in(run, content)
    receiver[where] = content if np.ndim(content) == 0 else np.resize(content, count)


def put_along_axis(run: Run, function: Callable[..., Any], args: tuple[Any, ...], options: Mapping[str, Any]) -> None:
    """numpy.put_along_axis."""
    target, index, content, axis = (*args, *options.values())[:4]
    receiver = _receiver(function, target, (content,))
    if receiver is None:
        function(target, still_value(index), value_of(content), axis)
        return
    index = np.asarray(still_value(index))
    if axis is None:
        receiver.flat[index] = content
        return
    places = list(np.ogrid[tuple(slice(size) for size in index.shape)])
    places[axis] = index
    receiver[tuple(places)] = content
