"""numpy.vectorize: the user's function is called entry by entry, with numbers that carry changes."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...._errors import NoRule
from .array import DifferenceArray
from .joining import gathered_in
from .run import Run


def called(run: Run, function: Any, args: tuple[Any, ...], named: Mapping[str, Any]) -> Any:
    """Return what a function that numpy.vectorize has made gives.

    Parameters
    ----------
    run : the run.
    function : what numpy.vectorize has made; where it still waits for the user's function, as a decorator with
        arguments does, that is what it is called with.
    args, named : what it is called with.
    """
    if not callable(function.pyfunc):
        return np.vectorize.__call__(function, *args, **named)
    excluded = function.excluded
    if function.signature is not None:
        raise NoRule("numpy.vectorize with a signature", "write the loop out")
    if set(named) - set(excluded):
        raise NoRule("numpy.vectorize of arguments by their names", "hand them over by their places")
    spread = [place for place in range(len(args)) if place not in excluded]
    entries = dict(zip(spread, np.broadcast_arrays(*(_array(run, args[place]) for place in spread)), strict=True))
    shape = np.shape(entries[spread[0]]) if spread else ()
    found = [function.pyfunc(*(entries[k][index] if k in entries else arg for k, arg in enumerate(args)), **named)
             for index in np.ndindex(shape)]
    if not found:
        raise NoRule("numpy.vectorize of no entries", "leave it out where there are none")
    otypes = function.otypes
    if type(found[0]) is not tuple:
        return _gathered(run, found, shape, otypes[0] if otypes else None)
    return tuple(_gathered(run, list(column), shape, otypes[place] if otypes else None)
                 for place, column in enumerate(zip(*found, strict=True)))


def _array(run: Run, content: Any) -> DifferenceArray:
    found = gathered_in(run, content)
    return found if type(found) is DifferenceArray else DifferenceArray(np.asarray(found), run)


def _gathered(run: Run, entries: list[Any], shape: tuple[int, ...], dtype: Any) -> Any:
    """Return entries as an array of a type: that of the first of them, unless one was asked for."""
    dtype = np.dtype(np.asarray(entries[0].value if type(entries[0]) is DifferenceArray else entries[0]).dtype
                     if dtype is None else dtype)
    array = _array(run, entries)
    if array.dtype.kind == "f" and dtype.kind in "iub":
        raise NoRule("numpy.vectorize of a function whose first result is a whole number", "return 0.0, not 0")
    found = array.astype(dtype).reshape(shape)
    return found if shape else found[()]
