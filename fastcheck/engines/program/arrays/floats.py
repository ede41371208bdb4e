"""Python floats that were made of arrays which move."""

from __future__ import annotations

from typing import Any

from ...._errors import NoRule

_REMEDY = (
    "return the array itself, call float() on what is returned and on nothing else, and make arrays that receive "
    "entries inside the function with numpy.zeros or the like"
)


class Floats:
    """The floats that a run handed out, each with its array.

    A float carries no change. Nearly every cost ends in ``float(J)`` or ``J.item()``, though: where the function
    returns that very object, and calculates nothing more after it was made, the array it was made of is the cost.
    """

    __slots__ = ("_handed_out", "_last")

    def __init__(self) -> None:
        self._handed_out: dict[int, tuple[float, Any]] = {}
        self._last = 0

    def hand_out(self, array: Any, number: float) -> float:
        """Remembers that `number` was made of `array`, if that moves."""
        if array.change is not None:
            self._handed_out[id(number)] = (number, array)
            self._last = array.run.count
        return number

    def array_of(self, number: Any) -> Any:
        """Return the array that this very object was made of."""
        found = self._handed_out.get(id(number))
        return None if found is None else found[1]

    def check(self, outputs: list[Any], count: int) -> None:
        """Raises NoRule where one of these floats may have been used otherwise than as an output.

        Parameters
        ----------
        outputs : what the function returned, flattened.
        count : number of the run's last operation.
        """
        if not self._handed_out:
            return
        returned = {id(output) for output in outputs}
        if any(key not in returned for key in self._handed_out):
            raise NoRule("float() of an array that moves", _REMEDY)
        plain = [output for output in outputs if id(output) not in self._handed_out and not hasattr(output, "run")]
        if count > self._last or plain:
            raise NoRule("float() of an array that moves, before the function's end", _REMEDY)
