"""Who looks at a program's operations while it runs: one keeps what moves, one puts other slopes in."""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from ...._types import Array
from .sources import Source, source_here

# Numbers that are kept of one run; a program that moves more is not looked into.
MOST_KEPT = 1 << 22


class Recorder:
    """Keeps every result that moves: its value, its change, and the expression that it stands for.

    Parameters
    ----------
    still : whether nothing moves on from there, so that only those are kept that the inputs move themselves.
    only : numbers of operations to keep; None for all that move.

    Attributes
    ----------
    values, changes, sources : by the operation's number; changes are (batch, *shape).
    full : whether there was more than is kept.
    """

    def __init__(self, still: bool = False, only: Collection[int] | None = None) -> None:
        self._still, self._only, self._numbers = still, only, 0
        self.values: dict[int, Array] = {}
        self.changes: dict[int, Array] = {}
        self.sources: dict[int, Source] = {}
        self.full = False

    def result(self, count: int, value: Any, change: Any) -> Any:
        """Return the change to go on with, of the result of operation number ``count``."""
        if change is None or np.asarray(value).dtype.kind not in "fc":
            return change
        if self._only is not None and count not in self._only:
            return change
        shape = (change.shape[0], *np.shape(value))
        self._numbers += int(np.prod(shape))
        self.full = self.full or self._numbers > MOST_KEPT
        if not self.full:
            self.values[count] = np.array(value)
            self.changes[count] = np.array(np.broadcast_to(change, shape))
            self.sources[count] = source_here(2)
        return None if self._still else change


class OtherSlopes:
    """Has results move by a slope times what another result, or an input, moves by.

    Parameters
    ----------
    slopes : by the operation's number, the number of that other result, and the slope, of the result's shape.
    given : changes of inputs, by the number that they have there in the place of an operation's.
    """

    def __init__(self, slopes: Mapping[int, tuple[int, Array]], given: Mapping[int, Array]) -> None:
        self._slopes, self._wanted = slopes, {at for at, _ in slopes.values()}
        self._seen = dict(given)

    def result(self, count: int, value: Any, change: Any) -> Any:
        """Return the change to go on with, of the result of operation number ``count``."""
        if count in self._slopes:
            at, slope = self._slopes[count]
            moved = self._seen.get(at)
            change = None if moved is None else slope * moved
        if change is not None and count in self._wanted:
            self._seen[count] = np.array(change)
        return change
