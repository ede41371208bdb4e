"""Arrays that a function reaches without being handed them: in closures, globals, objects, dictionaries and lists.

Such an array is replaced where it stands, by identity, while the function runs. Views of it, kept beside it, become
views of its replacement, so that what is written through one is seen through the other.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .array import DifferenceArray
from .reachable import Place, Reachable, assign
from .run import Run

Substitute = Callable[[NDArray[Any]], Any]
# Kinds of dtype of what is replaced; integers and booleans because their methods do not ask their arguments either.
CARRYING = "fciub"


@contextmanager
def swapped(user: Reachable, substitute: Substitute) -> Iterator[None]:
    """Replaces arrays that the user's code can reach, and puts them back whatever happens.

    Parameters
    ----------
    user : what the code can reach.
    substitute : what to put in the place of an array; the array itself to leave it alone.
    """
    replaced: list[Place] = []
    try:
        for place in user.holders():
            content = _substituted(place.value, substitute)
            if content is not place.value:
                assign(place.holder, place.name, content)
                replaced.append(place)
        yield
    finally:
        for place in reversed(replaced):
            assign(place.holder, place.name, place.value)


def _substituted(value: Any, substitute: Substitute) -> Any:
    """Return the array's substitute; a tuple with substitutes in it; anything else as it is."""
    if type(value) is np.ndarray:
        return substitute(value)
    if type(value) is tuple:
        parts = tuple(_substituted(part, substitute) for part in value)
        return parts if any(part is not old for part, old in zip(parts, value, strict=True)) else value
    return value


def holds_array(value: Any) -> bool:
    """Tell whether a value is an array that could be replaced, or has one in nested tuples, lists and dictionaries."""
    if type(value) in (tuple, list):
        return any(holds_array(part) for part in value)
    if type(value) is dict:
        return any(holds_array(part) for part in value.values())
    return type(value) is np.ndarray and value.dtype.kind in CARRYING


class Carriers:
    """Substitutes of plain arrays in one run: one for each array, and views of it for its views.

    Parameters
    ----------
    run : the run.
    held : substitutes that are given, by the identity of the array.
    everything : whether arrays that are not held, nor views of held ones, are replaced as well.
    """

    def __init__(self, run: Run, held: Mapping[int, DifferenceArray], everything: bool) -> None:
        self._run = run
        self._found: dict[int, DifferenceArray] = dict(held)
        self._held = held
        self._everything = everything

    def __call__(self, array: NDArray[Any]) -> Any:
        """Return the substitute of an array."""
        found = self._found.get(id(array))
        if found is None:
            owner = _owner(array)
            if owner is not array and (self._everything or id(owner) in self._held):
                found = self._view(owner, array)
            elif self._everything and array.dtype.kind in CARRYING:
                found = DifferenceArray(array, self._run)
            if found is None:
                return array
            self._found[id(array)] = found
        return found

    def _view(self, owner: NDArray[Any], array: NDArray[Any]) -> DifferenceArray | None:
        whole = self(owner)
        if type(whole) is not DifferenceArray or array.dtype != owner.dtype:
            return None
        if whole.value is owner:
            return whole.cut(array)
        # the substitute of a held array has memory of its own: the same view of that
        offset = array.__array_interface__["data"][0] - owner.__array_interface__["data"][0]
        if not owner.flags.c_contiguous or not whole.value.flags.c_contiguous:
            return None
        return whole.cut(np.ndarray(array.shape, array.dtype, whole.value, offset, array.strides))


def _owner(array: NDArray[Any]) -> NDArray[Any]:
    """Return the array that owns the memory, as far as NumPy says."""
    while type(array.base) is np.ndarray:
        array = array.base
    return array
