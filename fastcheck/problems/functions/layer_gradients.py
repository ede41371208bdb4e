"""The gradients that a layer keeps of its parameters: listed in one attribute, or beside each of them."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from .gradient_names import by_name
from .layer_object import vars_of
from .layer_slots import GRADIENTS, SLOPES, Place, Slot, beside, fields_of, follow, given_by
from .shared_memory import overlap

Found = list[tuple[Place, Any]]


def gradients_of(layer: Any, slots: Sequence[Slot], grads: str | None = None) -> list[Any]:
    """Return the gradients that a layer keeps, one for each slot; None where there is none.

    Parameters
    ----------
    layer : after backward.
    slots : its parameters.
    grads : the attribute that holds them; None to look where layers keep them.

    Raises
    ------
    ValueError : where an attribute holds another number of gradients than there are parameters, or other names.
    """
    return [_total(slot, _counted(layer, slot, slots, grads)) for slot in slots]


def gradients_before(layer: Any, slots: Sequence[Slot], grads: str | None) -> list[Any]:
    """Return copies of the gradients that a layer keeps before backward, as ``gradients_of`` does.

    None stands also for one that has no place yet: dictionaries may be empty, and methods need what backward makes.
    """
    found: list[Any] = []
    for slot in slots:
        found.append(None)
        with suppress(Exception):  # the user's methods raise what they like
            gradient = _total(slot, _counted(layer, slot, slots, grads))
            found[-1] = None if gradient is None else np.array(gradient)
    return found


def readings_of(layer: Any, slots: Sequence[Slot], grads: str | None) -> list[str]:
    """Return sentences on the parameters of which several places keep a gradient: what was taken for the whole.

    Parameters
    ----------
    layer, slots, grads : as for ``gradients_of``.
    """
    notes = []
    for slot in slots:
        counted = _counted(layer, slot, slots, grads)
        names = [place.name for place, _ in counted]
        if len(counted) > 1:
            notes.append(f"{' and '.join(names)} are one array: its gradient was taken to be the sum of theirs.")
        others = [place.name for place in slot.places if counted and _is_apart(layer, place, slots, counted)]
        if others:
            notes.append(f"{slot.name} also stands in {', '.join(others)}, with other gradients: the gradient beside "
                         f"{' and '.join(names)} was taken for the whole, which should include them.")
    return notes


def _is_apart(layer: Any, place: Place, slots: Sequence[Slot], counted: Found) -> bool:
    """Tell whether a layer inside one whose gradient was taken keeps another gradient."""
    if all(place.home <= other.home for other, _ in counted):
        return False
    try:
        gradient = _gradient_at(layer, place, slots, None)
    except ValueError:
        return False
    return gradient is not None and not any(
        overlap(gradient, known) or _agrees(gradient, place, known, other) for other, known in counted
    )


def _agrees(gradient: Any, part: Place, known: Any, whole: Place) -> bool:
    """Tell whether the gradient of a part is what that of the whole has there."""
    if np.shape(known) != whole.positions.shape or np.shape(gradient) != part.positions.shape:
        return False
    values = dict(zip(whole.positions.flat, np.asarray(known).flat, strict=True))
    found = zip(part.positions.flat, np.asarray(gradient).flat, strict=True)
    return all(values.get(position) == value for position, value in found)


def _counted(layer: Any, slot: Slot, slots: Sequence[Slot], grads: str | None) -> Found:
    """Return the gradients whose sum is that of a parameter, with their places.

    A layer's gradient includes those of the layers inside it, that of a whole those of its parts, and that which is
    listed those beside.  Gradients in the same memory count once.
    """
    found: Found = []
    refused: list[ValueError] = []
    for place in sorted(slot.places, key=lambda one: (one.home, not one.listed, -one.positions.size)):
        if any(_includes(other, place) for other, _ in found):
            continue
        try:
            gradient = _gradient_at(layer, place, slots, grads)
        except ValueError as error:
            refused.append(error)
            continue
        if gradient is not None and not any(gradient is known or overlap(gradient, known) for _, known in found):
            found.append((place, gradient))
    if refused and not found:
        raise refused[0]
    return found


def _includes(one: Place, other: Place) -> bool:
    """Tell whether the gradient of one place includes that of another."""
    if other.home > one.home:
        return other.path[: one.home] == one.path[: one.home]
    same_layer = other.path[: other.home] == one.path[: one.home]
    return same_layer and (one.listed > other.listed or one.positions.size > other.positions.size)


def _total(slot: Slot, found: Found) -> Any:
    """Return the sum of gradients, each where its part of the parameter is; one alone as it is."""
    whole = slot.places[0].positions
    if not found:
        return None
    if len(found) == 1 and np.array_equal(found[0][0].positions, whole):
        return found[0][1]
    total = np.zeros(whole.size, np.result_type(*(gradient for _, gradient in found)))
    for place, gradient in found:
        if np.shape(gradient) != place.positions.shape:
            raise ValueError(f"grads: expected a gradient of {place.name} of shape {place.positions.shape}, "
                             f"got {np.shape(gradient)}")
        np.add.at(total, place.positions, gradient)
    return total.reshape(whole.shape)


def _gradient_at(layer: Any, place: Place, slots: Sequence[Slot], grads: str | None) -> Any:
    """Return the gradient that belongs to one place; None where there is none."""
    asked = grads is not None and not place.home
    if asked and not hasattr(layer, str(grads)):
        raise ValueError(f"grads: expected an attribute that holds the gradient of {place.name} after backward, got "
                         f"{grads!r}, which the layer does not have; leave it out to have them looked for")
    attributes = (grads,) if asked else GRADIENTS
    ways = [lambda: _in_one_attribute(layer, place, slots, attributes), lambda: _beside(layer, place)]
    for way in ways if asked or place.listed else reversed(ways):
        gradient = way()
        if gradient is not None:
            return gradient
    return None


def _in_one_attribute(layer: Any, place: Place, slots: Sequence[Slot], attributes: Sequence[Any]) -> Any:
    """Return a gradient from the attribute that holds all of one layer's."""
    home = follow(layer, place.path[: place.home])
    for attribute in attributes:
        held = getattr(home, attribute, None)
        if callable(held) and place.path[place.home][0] == "call":  # as the parameters are
            held = given_by(held)
        if isinstance(held, Mapping) and held:
            return named(held, place, attribute)
        if isinstance(held, (list, tuple)) and held:
            return _in_order(held, place, slots, attribute)
        if isinstance(held, np.ndarray) and len(place.path) == place.home + 1:
            return held
    return None


def named(held: Mapping[Any, Any], place: Place, attribute: str) -> Any:
    """Return a gradient from a dictionary: by its key, its name, or as dictionaries of dictionaries have it."""
    for name in (place.key, place.local):
        if name in held:
            return by_name(held, [name], attribute)[name]
    if len(place.items) > 1 and place.items[0] in held:
        return _mirrored(held, place.items, attribute)
    return by_name(held, [str(place.key)], attribute)[str(place.key)]


def _mirrored(held: Any, items: Sequence[Any], attribute: str) -> Any:
    """Return what stands where the parameter does, in a structure like that of the parameters."""
    for key in items:
        if isinstance(held, Mapping) and isinstance(key, str):
            held = by_name(held, [key], attribute)[key]
        else:
            try:
                held = held[key]
            except (KeyError, IndexError, TypeError):
                raise ValueError(f"{attribute}: expected gradients in a structure like that of the parameters, got "
                                 f"nothing at {key!r}") from None
    return held


def _in_order(held: Sequence[Any], place: Place, slots: Sequence[Slot], attribute: str) -> Any:
    """Return a gradient from a list: one for each place, or one for each parameter."""
    if any(isinstance(one, (Mapping, list, tuple)) for one in held):
        return _mirrored(held, place.items, attribute)
    inside = place.path[: place.home]
    groups = [[one for one in slot.places if one.path[: one.home] == inside and one.listed == place.listed]
              for slot in slots]
    groups = [group for group in groups if group]
    places = [one for group in groups for one in group]
    if len(held) == len(places) and len(places) > len(groups):
        return held[sorted(places, key=lambda one: one.number).index(place)]
    if len(held) != len(groups):
        raise ValueError(f"{attribute}: expected {len(groups)} gradients, one for each parameter, got {len(held)}")
    return held[next(number for number, group in enumerate(groups) if place in group)]


def _beside(layer: Any, place: Place) -> Any:
    """Return the gradient beside one parameter."""
    if place.holder is not None:
        own = fields_of(follow(layer, place.path[: place.holder]))
        return next((own[form] for form in SLOPES if form in own), None)
    home = follow(layer, place.path[: place.home])
    for form in beside(place.path[place.home][1]):
        if form in vars_of(home) or isinstance(getattr(type(home), form, None), (property, np.ndarray)):
            gradient = getattr(home, form)
            return _mirrored(gradient, place.items, form) if gradient is not None and place.items else gradient
    return None
