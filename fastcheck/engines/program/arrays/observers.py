"""What looks at all results of a run: to have them off by a rounding, and to count their numbers."""

from typing import Any

import numpy as np

from ..rounded import Roundings, off_by_rounding


class Rounded:
    """An observer that has every moving result, and its change, be off by a rounding in some rows."""

    def __init__(self, roundings: Roundings) -> None:
        self._roundings = roundings

    def result(self, count: int, value: Any, change: Any) -> Any:
        """Return the change to go on with, of the result of operation number ``count``."""
        value = np.asarray(value)
        if change is None or value.dtype.kind not in "fc":
            return change
        draws = self._roundings.draws(count, value.shape)[:, self._roundings.rows]
        return off_by_rounding(np, value, change, draws, self._roundings.far)


class Sized:
    """An observer that counts the numbers in all moving results."""

    numbers = 0

    def result(self, count: int, value: Any, change: Any) -> Any:
        """Return the change to go on with, of the result of operation number ``count``."""
        self.numbers += 0 if change is None else int(np.size(value))
        return change
