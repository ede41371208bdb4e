"""Which arrays with gradients beside them are parameters: those that are there before forward, and that it leaves.

Others are intermediate results, as x and dx; or parameters that forward makes once, which are asked for.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .layer_gradients import gradients_of
from .layer_object import arrays_in
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
    """

    slots: list[Slot]
    values: list[Any]
    notes: list[str]


@dataclass(frozen=True)
class _Candidate:
    """A place, what stands there in a new layer, a copy of it, and what stands there after one pass and after two."""

    place: Place
    first: Any
    value: Any
    second: Any
    third: Any

    @property
    def is_left(self) -> bool:
        """Whether forward leaves what is there."""
        return self.second is not None and np.array_equal(self.second, self.value, equal_nan=True)

    @property
    def is_made_once(self) -> bool:
        """Whether the first pass makes it, and the next one keeps it; lists may only have grown."""
        kept = self.third is self.second is not None and self.place.is_named
        return self.first is None and (kept or self.place.listed)


def parameters_of(
    layer: Any, left: Sequence[Any], fresh: Any, forward: Callable[[Any], Any], params: "str | Sequence[str] | None"
) -> Parameters:
    """Return the parameters of a layer.

    Parameters
    ----------
    layer : after a forward and a backward pass.
    left : its arrays that were there before, and that forward left as they were.
    fresh : a new one.
    forward : passes the inputs through a layer.
    params : as for ``places_of``.

    Raises
    ------
    ValueError : for a parameter that is not there from the beginning.
    """
    known = list(arrays_in(fresh))
    places = places_of(layer, params)
    plain = {id(array) for array in left}
    certain = all(place.listed or id(place.array(layer)) in plain for place in places)
    candidates = _candidates(places, fresh, forward, certain=certain)
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
    if params is None:
        notes += _not_checked(_with_gradients(layer, unlisted), "not listed with the parameters")
    changed = [one.place.name for one in candidates if one.first is not None and one.place not in standing
               and one.second is not None]
    notes += _not_checked(changed, "changed by forward")
    return Parameters(slots, [values[slot.places[0].number] for slot in slots], notes)


def _candidates(
    places: Sequence[Place], fresh: Any, forward: Callable[[Any], Any], *, certain: bool
) -> list[_Candidate]:
    """Return what stands in the places of a new layer; no pass is taken that tells nothing, as passes may be slow.

    Parameters
    ----------
    certain : whether forward is known to leave what is there.
    """
    first = [place.array_or_none(fresh) for place in places]
    values = [None if array is None else array.copy() for array in first]
    new = any(array is None for array in first)
    if new or not certain:
        forward(fresh)
    second = [place.array_or_none(fresh) for place in places]
    if new:
        forward(fresh)
    third = [place.array_or_none(fresh) for place in places]
    return [_Candidate(*one) for one in zip(places, first, values, second, third, strict=True)]


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
