"""Arrays that share memory: which entries they have in common, and copies that share memory likewise."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._types import Indices


def addresses(array: NDArray[Any]) -> Indices:
    """Return where in memory each entry of an array stands."""
    found = np.full(array.shape, array.__array_interface__["data"][0], np.int64)
    for axis, (size, stride) in enumerate(zip(array.shape, array.strides, strict=True)):
        found += (np.arange(size) * stride).reshape(-1, *[1] * (array.ndim - axis - 1))
    return found


def overlap(one: Any, other: Any) -> bool:
    """Tell whether two arrays have entries in common."""
    if not isinstance(one, np.ndarray) or not isinstance(other, np.ndarray) or not np.may_share_memory(one, other):
        return False
    return one is other or bool(np.isin(addresses(one), addresses(other)).any())


def positions_in(whole: NDArray[Any], part: NDArray[Any]) -> Indices | None:
    """Return the position in an array, made flat, of each entry of another one; None unless it has them all."""
    known, wanted = addresses(whole).reshape(-1), addresses(part)
    order = np.argsort(known, kind="stable")
    if not known.size or not np.isin(wanted, known).all():
        return None
    return np.asarray(order[np.searchsorted(known[order], wanted)], np.int64)


def copies_of(arrays: Iterable[NDArray[Any]], dtype: type | None = None, *, alone: bool = True) -> dict[int, Any]:
    """Return copies of arrays, by the ids of the arrays: those that shared memory do so again.

    Parameters
    ----------
    dtype : of the copies; None for that of each array.
    alone : whether arrays that share memory with no other one are copied, too.
    """
    groups: dict[int, dict[int, NDArray[Any]]] = {}
    for array in arrays:
        groups.setdefault(id(_root(array)), {})[id(array)] = array
    found: dict[int, Any] = {}
    for group in groups.values():
        members = list(group.values())
        if len(members) > 1 and _is_plain(_root(members[0]), members):
            found |= zip(group, _copies_in_one(members, dtype), strict=True)
        elif alone:
            found |= {key: array.astype(dtype or array.dtype) for key, array in group.items()}
    return found


def _root(array: Any) -> Any:
    """Return the array that a view is taken of."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def _is_plain(root: Any, members: Sequence[Any]) -> bool:
    """Tell whether the memory of an array is its own, and holds numbers of one kind."""
    return bool(root.flags.owndata) and not root.dtype.hasobject and all(one.dtype == root.dtype for one in members)


def _copies_in_one(members: Sequence[Any], dtype: type | None) -> list[Any]:
    """Return copies of views of one array, in one piece of memory as long as what they span."""
    root = _root(members[0])
    size, start = root.dtype.itemsize, root.__array_interface__["data"][0]
    spans = [_span(one) for one in members if one.size]
    low, high = min((a for a, _ in spans), default=start), max((b for _, b in spans), default=start)
    memory = root.ravel("K")[(low - start) // size : (high - start) // size].astype(dtype or root.dtype)
    scale = memory.dtype.itemsize // size
    made = [
        np.ndarray(one.shape, memory.dtype, memory, scale * (one.__array_interface__["data"][0] - low),
                   [scale * stride for stride in one.strides])
        if one.size else one.astype(memory.dtype)
        for one in members
    ]
    for copy, one in zip(made, members, strict=True):
        copy.flags.writeable = one.flags.writeable
    return made


def _span(array: Any) -> tuple[int, int]:
    """Return where the memory of an array begins and ends."""
    start = array.__array_interface__["data"][0]
    steps = [(size - 1) * stride for size, stride in zip(array.shape, array.strides, strict=True)]
    return start + sum(min(step, 0) for step in steps), start + sum(max(step, 0) for step in steps) + array.itemsize
