"""Which arrays with gradients beside them are parameters: those that are there before forward, and that it leaves.

Others are intermediate results, as x and dx; or parameters that forward makes once, which are asked for.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .layer_gradients import gradients_of
from .layer_object import arrays_in, disturbed
from .layer_slots import Place, Slot, places_of, slots_among
from .shared_memory import overlap


@dataclass(frozen=True)
class Parameters:
    """A layer's parameters.

    Parameters
    ----------
    slots : where they are.
    values : what they are in a new layer.
    notes : sentences on what else looks like one.
    told : the names in them.
    """

    slots: list[Slot]
    values: list[Any]
    notes: list[str]
    told: frozenset[str]


@dataclass(frozen=True)
class _Candidate:
    """A place, what stands there in a new layer and after one pass and two, a copy of the first, and whether it stays.

    The passes find it a little off: what forward writes may be what stood there.
    """

    place: Place
    first: Any
    second: Any
    third: Any
    value: Any
    is_left: bool

    @property
    def is_made_once(self) -> bool:
        """Whether the first pass makes it, and the next one keeps it; lists may only have grown."""
        kept = self.third is self.second is not None and self.place.is_named
        return self.first is None and (kept or self.place.listed)


def parameters_of(
    layer: Any, fresh: Any, forward: Callable[[Any], Any], params: str | Sequence[str] | None,
    returned: Collection[str] = (),
) -> Parameters:
    """Return the parameters of a layer.

    Parameters
    ----------
    layer : after a forward and a backward pass.
    fresh : a new one.
    forward : passes the inputs through a layer.
    params, returned : as for ``places_of``.

    Raises
    ------
    ValueError : for a parameter that is not there from the beginning.
    """
    known = list(arrays_in(fresh))
    places = places_of(layer, params, returned)
    candidates = _candidates(places, fresh, forward)
    standing = [one.place for one in candidates if one.first is not None and (one.place.listed or one.is_left)]
    made = [one for one in candidates if one.first is None and one.second is not None]
    lent = [one.place.name for one in made if any(overlap(one.second, array) for array in known)]
    late = [one.place.name for one in candidates if one.is_made_once and one.place.name not in lent]
    if late:
        raise ValueError(f"make: expected a layer with {late[0]} from the beginning, got one that makes it in forward; "
                         "call forward once in make")
    slots, unlisted = _asked_for(slots_among(standing, fresh))
    values = {one.place.number: one.value for one in candidates}
    notes = []
    if lent and not slots:
        notes.append(f"{', '.join(lent)}: the layers that hold the gradients are made in forward; none is kept by the "
                     "layer that has the array from the beginning, so that they were not checked.")
    beside = _with_gradients(layer, unlisted) if params is None else []
    notes += _not_checked(beside, "not listed with the parameters")
    changed = [one.place.name for one in candidates if one.first is not None and one.place not in standing
               and one.second is not None]
    notes += _not_checked(changed, "changed by forward")
    told = frozenset((*beside, *changed))
    return Parameters(slots, [values[slot.places[0].number] for slot in slots], notes, told)


def _candidates(places: Sequence[Place], fresh: Any, forward: Callable[[Any], Any]) -> list[_Candidate]:
    """Return what stands in the places of a new layer; no pass is taken that tells nothing, as passes may be slow."""
    first = [place.array_or_none(fresh) for place in places]
    values = [None if array is None else array.copy() for array in first]
    new = any(array is None for array in first)
    if not new and all(place.listed for place in places):
        return [_Candidate(*one, True) for one in zip(places, first, first, first, values, strict=True)]
    try:
        with disturbed(fresh):
            second, left = _left(places, fresh, forward)
    except Exception:  # the user's code may hold its numbers to a condition, and raise what it likes
        second, left = _left(places, fresh, forward)
    if new:
        forward(fresh)
    third = [place.array_or_none(fresh) for place in places]
    return [_Candidate(*one) for one in zip(places, first, second, third, values, left, strict=True)]


def _left(
    places: Sequence[Place], fresh: Any, forward: Callable[[Any], Any]
) -> tuple[list[Any], list[bool]]:
    """Return what stands in the places after a pass, and whether that is what stood there before it."""
    before = [None if found is None else found.copy() for found in (place.array_or_none(fresh) for place in places)]
    forward(fresh)
    after = [place.array_or_none(fresh) for place in places]
    return after, [found is not None and kept is not None and np.array_equal(found, kept, equal_nan=True)
                   for found, kept in zip(after, before, strict=True)]


def _asked_for(slots: Sequence[Slot]) -> tuple[list[Slot], list[Slot]]:
    """Return those that the layer itself lists, and the others; all, and none, where it lists none."""
    chosen = [slot for slot in slots if slot.is_listed] or list(slots)
    return chosen, [slot for slot in slots if slot not in chosen]


def _with_gradients(layer: Any, slots: Sequence[Slot]) -> list[str]:
    """Return the names of those that the layer keeps a gradient of; nothing of gradients that fit none."""
    try:
        return [slot.name for slot, gradient in zip(slots, gradients_of(layer, slots), strict=True)
                if gradient is not None]
    except ValueError:
        return []


def _not_checked(names: Sequence[str], why: str) -> list[str]:
    """Return a sentence on arrays that are no parameters although a gradient stands beside them."""
    if not names:
        return []
    verb = "is" if len(names) == 1 else "are"
    return [f"{', '.join(names)} {verb} {why}, and {'was' if verb == 'is' else 'were'} not checked although there is "
            "a gradient beside; params=(...) names what to check."]
