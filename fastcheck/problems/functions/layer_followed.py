"""A layer in runs that follow changes: a copy of one that never ran, in which what forward writes into carries them.

Whatever makes layers is not called in such a run, where numpy.zeros and the like make arrays of another kind.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from types import FunctionType, MethodType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .layer_object import arrays_in, containers_of, copied, vars_of


@dataclass(frozen=True)
class Followed:
    """A layer that is copied for each run that follows changes.

    Parameters
    ----------
    layer : a new one, which never runs.
    written : the numbers, in the order of ``arrays_in``, of the arrays that forward writes into.
    """

    layer: Any
    written: tuple[int, ...]

    def copy(self) -> Any:
        """Return a new layer."""
        return copied(self.layer)

    def receivers(self, layer: Any, carrier: Any) -> list[tuple[NDArray[Any], Any]]:
        """Return the arrays of a copy that forward writes into, each with one that can receive what moves.

        Parameters
        ----------
        layer : the copy.
        carrier : an array that carries changes.
        """
        arrays = list(arrays_in(layer))
        found = {id(arrays[number]): arrays[number] for number in self.written if number < len(arrays)}
        return [(array, _receiver(array, carrier)) for array in found.values()]

    @property
    def user_code(self) -> tuple[Any, ...]:
        """The classes of the layer and of those inside it, and the functions that they keep."""
        return tuple(code_of(self.layer))


def carrier_among(values: Sequence[Any]) -> Any:
    """Return an array that carries changes; None where all are plain."""
    return next((value for value in values
                 if hasattr(type(value), "__array_function__") and not issubclass(type(value), np.ndarray)), None)


def written_among(arrays: Sequence[NDArray[Any]], before: Sequence[NDArray[Any]]) -> tuple[int, ...]:
    """Return the numbers of the floating arrays that changed, but for those that share memory with another array."""
    changed = [number for number, (array, kept) in enumerate(zip(arrays, before, strict=True))
               if array.dtype.kind == "f" and not np.array_equal(array, kept, equal_nan=True)]
    return tuple(number for number in changed if not _shares(arrays[number], arrays))


def _shares(array: NDArray[Any], others: Sequence[NDArray[Any]]) -> bool:
    return any(other is not array and np.may_share_memory(array, other) for other in others)


def _receiver(array: NDArray[Any], carrier: Any) -> Any:
    """Return an array like one of the carrier's kind, with the values of a plain one."""
    found = np.zeros_like(carrier, dtype=array.dtype, shape=array.shape)
    found[...] = array
    return found


def code_of(layer: Any) -> Iterator[Any]:
    """Yield the classes of a layer and of those inside it, and the functions that they keep."""
    yield type(layer)
    for container in containers_of(layer):
        for value in container.values() if isinstance(container, dict) else container:
            if isinstance(value, MethodType):
                yield value.__func__
            elif isinstance(value, (FunctionType, partial)):
                yield value
            elif vars_of(value):
                yield type(value)
