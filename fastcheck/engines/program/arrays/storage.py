"""Where changes lie in memory: as the values do, once for every perturbation of the batch."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

# The changes of an array: (batch, *shape).
Change = NDArray[Any]


class Store(NamedTuple):
    """Changes of an array laid out as its values are.

    Parameters
    ----------
    changes : (batch, *shape), a view of `memory` with the strides of the values behind the batch axis.
    memory : contiguous, holding for each perturbation as many entries as the values' memory spans.
    start : address of the values' first byte in memory.
    """

    changes: NDArray[Any]
    memory: NDArray[Any]
    start: int


def address(value: NDArray[Any]) -> int:
    """Return where the first entry of an array lies in memory."""
    return value.__array_interface__["data"][0]  # type: ignore[no-any-return]  # an int by NumPy's array interface


def change_type(value: NDArray[Any]) -> np.dtype[Any]:
    """Return what the changes of an array are kept in: complex128 for complex arrays, float64 for all others."""
    return np.dtype(np.complex128 if value.dtype.kind == "c" else np.float64)


def zeros_beside(value: NDArray[Any], batch: int, dtype: Any = None) -> Store:
    """Changes of exactly zero for `value`, laid out as it is; or zeros of another type."""
    dtype = change_type(value) if dtype is None else np.dtype(dtype)
    if value.flags.c_contiguous:
        changes: NDArray[Any] = np.zeros((batch, *value.shape), dtype)
        return Store(changes, changes, address(value))
    spans = [stride * (size - 1) for stride, size in zip(value.strides, value.shape, strict=True)]
    below = sum(span for span in spans if span < 0)
    entries = (sum(abs(span) for span in spans)) // value.itemsize + 1 if value.size else 0
    memory = np.zeros((batch, entries), dtype)
    start = address(value) + below
    return Store(_cut(memory, start, value), memory, start)


def mirrored(value: NDArray[Any], changes: NDArray[Any]) -> Store:
    """`changes` laid out as `value` is: the same array where it is so already, else a copy."""
    if changes.flags.c_contiguous and value.flags.c_contiguous:
        return Store(changes, changes, address(value))
    store = zeros_beside(value, len(changes))
    store.changes[...] = changes
    return store


def cut_of(store: Store, value: NDArray[Any]) -> NDArray[Any]:
    """Return the changes of `value`, a view of the array that `store` was laid out for."""
    return _cut(store.memory, store.start, value)


def _cut(memory: NDArray[Any], start: int, value: NDArray[Any]) -> NDArray[Any]:
    ratio = memory.itemsize // value.itemsize
    strides = tuple(stride * ratio for stride in value.strides)
    offset = (address(value) - start) * ratio if value.size else 0
    each = memory.nbytes // len(memory) if len(memory) else 0
    return np.ndarray((len(memory), *value.shape), memory.dtype, memory, offset, (each, *strides))
