"""What backward returns, told apart: gradients of the inputs, and those of parameters that the layer does not keep."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from .gradient_names import by_name
from .layer_gradients import named
from .layer_slots import Slot


@dataclass(frozen=True)
class Wanted:
    """What gradients are wanted of.

    Parameters
    ----------
    count : of the inputs.
    floating : names of those that are floating numbers, by their places.
    slots : the parameters.
    """

    count: int
    floating: Mapping[int, str]
    slots: Sequence[Slot]

    def told_apart(self, returned: Any, kept: Sequence[Any]) -> tuple[list[Any], list[Any]]:
        """Return the gradients of the inputs, and those of the parameters.

        Backward may return one for each input, or for each floating one alone; those of the parameters come after, in
        order, as one tuple, or by name; or it returns all by name.

        Parameters
        ----------
        returned : by backward.
        kept : gradients of the parameters that the layer keeps; None of those that it does not.

        Raises
        ------
        ValueError : for anything else.
        """
        names = list(self.floating.values())
        if isinstance(returned, Mapping):
            values: list[Any] = list(by_name(returned, names).values()) if names else []
            return self._for_each(values), self._completed(kept, self._in_mapping(returned))
        values = list(returned) if isinstance(returned, (tuple, list)) else [returned]
        counts = (self.count, len(names))
        for count in counts:
            rest = self._of_parameters(values[count:])
            for_inputs = len(values) == self.count and any(one is None for one in rest)
            if self.slots and len(rest) == len(self.slots) and not for_inputs:
                return self._for_each(values[:count]), self._completed(kept, rest)
        if names and len(values) not in counts:
            remedy = ("" if len(values) < len(names) or self.slots else
                      "; params=(...) names the parameters whose gradients come after those of the inputs")
            raise ValueError(f"backward: expected a gradient for each of {', '.join(names)}, got {len(values)}{remedy}")
        return self._for_each(values if names else []), self._completed(kept, [None] * len(self.slots))

    def _of_parameters(self, rest: Sequence[Any]) -> Sequence[Any]:
        """Return what comes after the gradients of the inputs, one for each parameter where it is one dictionary."""
        if len(rest) == 1 and isinstance(rest[0], Mapping):
            return self._in_mapping(rest[0])
        alone = len(rest) == 1 and isinstance(rest[0], (tuple, list)) and len(rest[0]) == len(self.slots)
        return list(rest[0]) if alone else rest

    def _in_mapping(self, given: Mapping[Any, Any]) -> list[Any]:
        """Return the gradients of the parameters in a dictionary; None of those that are not there."""
        found: list[Any] = []
        for slot in self.slots:
            found.append(None)
            with suppress(ValueError):
                found[-1] = named(given, slot.places[0], "backward")
        return found

    def _completed(self, kept: Sequence[Any], returned: Sequence[Any]) -> list[Any]:
        """Return the gradients that the layer keeps; where one is missing, all that were returned, else that one."""
        if any(one is None for one in kept) and all(one is not None for one in returned):
            return list(returned)
        found = [other if one is None else one for one, other in zip(kept, returned, strict=True)]
        missing = [slot.name for slot, one in zip(self.slots, found, strict=True) if one is None]
        if missing:
            raise ValueError(f"grads: expected gradients of {', '.join(missing)} in the layer after backward, got "
                             "none; name the attribute that holds them (grads=...)")
        return found

    def _for_each(self, gradients: Sequence[Any]) -> list[Any]:
        """Return a gradient for each input: None for those that are no floating numbers, where none was given."""
        if len(gradients) == self.count:
            return list(gradients)
        given = dict(zip(self.floating, gradients, strict=False))
        return [given.get(place) for place in range(self.count)]


def names_in(returned: Any) -> Collection[str]:
    """Return the names by which backward gives gradients in a dictionary, by itself or after those of the inputs."""
    last = returned[-1] if isinstance(returned, (tuple, list)) and returned else returned
    return {str(name) for name in last} if isinstance(last, Mapping) else ()
