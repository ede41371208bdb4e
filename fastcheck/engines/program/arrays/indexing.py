"""Indexing and assignment of arrays that carry changes.

A basic index cuts a view, and the same index behind the batch axis cuts the same view of the changes. An index with
arrays copies. Where its arrays stand side by side the same index serves the changes; where a slice stands between them
NumPy puts their axes first, before the batch axis too, and the index is applied to the entries' numbers instead.
Where whole numbers of an index change (places between grid points, rounded down), a perturbation takes what stands
where it leads to.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...._errors import NoRule

ALL = slice(None)
_BASIC = frozenset((int, slice, type(None), type(Ellipsis)))
_PLAIN = frozenset((int, float, np.ndarray, np.float64))
_STILL_INDEX = (
    "indices that differ between perturbations",
    "which entries are taken depends on the inputs: check at inputs further from the boundary",
)


def get(array: Any, index: Any) -> Any:
    """``array[index]``."""
    value, run = array.value, array.run
    if type(index) in _BASIC:
        key = index
    elif _leads_elsewhere(run, index):
        return _taken_elsewhere(array, index)
    else:
        key = plain_key(run, index)
    found = value[key]
    owner = array if array.base is None else array.base
    change = array._change if array.base is None else array.change
    if type(found) is np.ndarray:
        base = found.base
        if base is not None and (base is value or base is value.base):
            if change is None:
                return run.array_type(found, run, None, owner)
            cut = change[(ALL, *key) if type(key) is tuple else (ALL, key)]
            return run.array_type(found, run, cut, owner, owner._change)
    return run.rearranged(found, None if change is None else gathered(value, change, key), owner.computed)


def _leads_elsewhere(run: Any, index: Any) -> bool:
    """Tell whether whole numbers of an index differ between perturbations."""
    parts = index if type(index) is tuple else (index,)
    return any(_moves(part) and part.value.dtype.kind in "iu" for part in parts if type(part) is run.array_type)


def _moves(part: Any) -> bool:
    change = part.change
    return change is not None and bool(change.any())


def _taken_elsewhere(array: Any, index: Any) -> Any:
    """``array[index]``, of which each perturbation takes the entries that its own index leads to."""
    value, run, change = array.value, array.run, array.change
    parts = index if type(index) is tuple else (index,)
    steps = [np.rint(part.change).astype(np.intp) if type(part) is run.array_type and _moves(part) else None
             for part in parts]
    here = [plain_key(run, part) if step is None else part.value for part, step in zip(parts, steps, strict=True)]
    numbers = np.arange(value.size).reshape(value.shape)
    found = value[tuple(here)]
    flat, flat_change = value.reshape(-1), None if change is None else change.reshape(run.batch, -1)
    moved = np.empty((run.batch, *found.shape), np.result_type(found, np.float64))
    for row in range(run.batch):
        there = [part if step is None else part + step[row] for part, step in zip(here, steps, strict=True)]
        try:
            places = numbers[tuple(there)]
        except IndexError:
            raise NoRule(*_STILL_INDEX) from None
        moved[row] = flat[places] - found
        if flat_change is not None:
            moved[row] += flat_change[row, places]
    return run.rearranged(found, moved, True)  # which counts as no operation, as where it leads nowhere else


def put(array: Any, index: Any, content: Any) -> None:
    """``array[index] = content``."""
    value, run = array.value, array.run
    if type(index) in _BASIC:
        key = index
    else:
        mask = moving_mask(run, index)
        if mask is not None:
            run.tables.put_where(array, mask, content)
            return
        key = plain_key(run, index)
    if type(content) not in _PLAIN:
        content = run.tables.gathered_in(run, content)
    if type(content) is run.array_type and content.run is not run:
        content = run.foreign(content)
    if type(content) is not run.array_type:
        value[key] = content
        if array.change is not None:
            array.writable_change()[change_key(value, key)] = 0.0
        return
    change = content.change
    if change is None:
        value[key] = content.value
        if array.change is not None:
            array.writable_change()[change_key(value, key)] = 0.0
        return
    run.check_receives(value.dtype, content.value.dtype)
    if content.owner.computed:
        array.owner.computed = True
    value[key] = content.value
    whole = array.writable_change()
    if type(index) in _BASIC or (type(index) is tuple and key is index):  # no arrays in it: a view
        part = whole[(ALL, *key) if type(key) is tuple else (ALL, key)]
        part[...] = change if part.ndim == change.ndim else aligned(change, part.ndim - 1)
    else:
        behind = change_key(value, key)
        whole[behind] = aligned(change, whole[behind].ndim - 1)


def aligned(change: NDArray[Any], ndim: int) -> NDArray[Any]:
    """(batch, *shape) with axes of length one put in, or taken out, so that it broadcasts under `ndim` axes."""
    extra = ndim + 1 - change.ndim
    if extra > 0:
        return change.reshape(change.shape[:1] + (1,) * extra + change.shape[1:])
    if extra < 0:
        return change.reshape(change.shape[:1] + change.shape[1 - extra :])
    return change


def moving_mask(run: Any, index: Any) -> Any:
    """Return the index itself, where it is a mask that differs between perturbations; else None."""
    if type(index) is run.array_type and index.value.dtype == bool:
        change = index.change
        if change is not None and change.any():
            return index
    return None


def plain_key(run: Any, index: Any) -> Any:
    """The index with plain arrays in the place of those that carry changes; they must agree between perturbations."""
    if type(index) is not tuple:
        return _plain_part(run, index)
    for part in index:
        if type(part) not in _BASIC:
            return tuple([part if type(part) in _BASIC else _plain_part(run, part) for part in index])
    return index


def _plain_part(run: Any, part: Any) -> Any:
    if type(part) is run.array_type:
        change = part.change
        if change is not None and change.any():
            raise NoRule(*_STILL_INDEX)
        return part.value
    if type(part) is list:
        return [_plain_part(run, entry) for entry in part]
    return part


def change_key(value: NDArray[Any], key: Any) -> Any:
    """The index of the changes' entries that belong to ``value[key]``, in the axis order (batch, *value[key].shape)."""
    parts = key if type(key) is tuple else (key,)
    if _batch_stays_first(parts):
        return (ALL, *parts)
    positions = np.arange(value.size).reshape(value.shape)[key]
    return (ALL, *np.unravel_index(positions, value.shape))


def gathered(value: NDArray[Any], change: NDArray[Any], key: Any) -> NDArray[Any]:
    """Return a copy of the changes of ``value[key]``."""
    found: NDArray[Any] = change[change_key(value, key)]
    return found if found.base is None else found.copy()


def _batch_stays_first(parts: tuple[Any, ...]) -> bool:
    """Tell whether the index's arrays stand side by side, so that their axes stay where the first of them stands."""
    last, separated, arrays = -1, False, False
    for place, part in enumerate(parts):
        kind = type(part)
        if kind is slice or part is None or part is Ellipsis:
            continue
        if kind is bool or kind is np.bool_ or (kind is np.ndarray and part.dtype == bool and part.ndim == 0):
            return False
        arrays = arrays or not (kind is int or isinstance(part, np.integer))
        separated = separated or (last >= 0 and last != place - 1)
        last = place
    return not (arrays and separated)
