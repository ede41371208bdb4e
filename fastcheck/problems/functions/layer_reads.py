"""What forward reads: arrays of the layer that no gradient was found of, and arrays that are not the layer's own."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from .layer_object import a_little_off, disturbed, installed, vars_of, widened
from .layer_slots import Path, Slot, follow, inner_layers, of_class, spread
from .shared_memory import overlap

Passed = Callable[[Any], Any]


def constants_read(new: Callable[[], Any], slots: Sequence[Slot], forward: Passed) -> list[str]:
    """Return the names of the arrays that are no parameters, and that what forward returns depends on.

    Parameters
    ----------
    new : gives layers that are alike.
    slots : the parameters.
    forward : passes the inputs through a layer.
    """
    layer = new()
    parameters = [slot.array(layer) for slot in slots]
    found = [(name, path) for name, path, array in _arrays_of(layer)
             if not any(overlap(array, parameter) for parameter in parameters)]
    if not found:
        return []
    output = forward(new())
    if not _same(output, forward(new())) or not _depends(output, new, [path for _, path in found], forward):
        return []
    return [name for name, path in found if _depends(output, new, [path], forward)]


def is_read_elsewhere(layer: Any, new: Callable[[], Any], slot: Slot, forward: Passed) -> bool:
    """Tell whether copies of a layer read a parameter of the layer itself, and not their own.

    Parameters
    ----------
    layer : the layer.
    new : gives copies of it.
    slot : the parameter.
    forward : passes the inputs through a layer.
    """
    output = forward(new())
    with disturbed(layer, [slot.array(layer)]):
        moved = forward(new())
    return not _same(output, moved) and not _depends(output, new, [slot.places[0].path], forward)


def is_missed_in_double(new: Callable[[], Any], slot: Slot, forward: Passed) -> bool:
    """Tell whether forward reads a parameter of less than double precision, but not a double array in its place.

    Parameters
    ----------
    new : gives layers that are alike.
    slot : the parameter.
    forward : passes the inputs through a layer.
    """
    low = slot.array(new())
    if low.dtype == np.float64 or not low.flags.writeable:
        return False
    if not _depends(forward(new()), new, [slot.places[0].path], forward):
        return False
    outputs = []
    for values in (low, a_little_off(low)):
        layer = new()
        with widened(layer, [low.dtype.name]), installed(layer, [slot.array(layer)], [values.astype(np.float64)]):
            outputs.append(forward(layer))
    return _same(*outputs)


def _arrays_of(layer: Any) -> Iterator[tuple[str, Path, Any]]:
    """Yield the floating arrays in the attributes of a layer and of those inside it, once each."""
    seen = set()
    for owner, path, prefix in inner_layers(layer):
        for attribute, value in {**of_class(owner), **vars_of(owner)}.items():
            for item, steps, name in spread(value, (*path, ("attribute", attribute)), prefix + str(attribute)):
                if isinstance(item, np.ndarray) and item.dtype.kind == "f" and id(item) not in seen:
                    seen.add(id(item))
                    yield name, steps, item


def _depends(output: Any, new: Callable[[], Any], paths: Sequence[Path], forward: Passed) -> bool:
    """Tell whether another output comes where arrays of a new layer are a little off."""
    layer = new()
    try:
        with disturbed(layer, [follow(layer, path) for path in paths]):
            return not _same(output, forward(layer))
    except Exception:  # the user's code may hold its numbers to a condition, and raise what it likes
        return True


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, (tuple, list)) and isinstance(other, (tuple, list)):
        return len(one) == len(other) and all(map(_same, one, other))
    return np.array_equal(np.asarray(one), np.asarray(other), equal_nan=True)
