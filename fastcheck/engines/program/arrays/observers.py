"""What looks at all results of a run: to have them off by a rounding, and to count their numbers."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from ...._types import Array
from ....rules.branches import Branches
from ....rules.table import RULES
from ..rounded import UNIT, Roundings

# Roundings that are drawn at once for results that are numbers: a long program has thousands of them.
BLOCK = 256


class Rounded:
    """An observer that has every moving result, and its change, be off by a rounding in some rows.

    Results that are whole numbers by what their operation is, as those of numpy.floor, are exact.

    Attributes
    ----------
    branches : those of the run, which know the operation that was entered last.
    """

    def __init__(self, roundings: Roundings) -> None:
        self.branches: Branches | None = None
        self._roundings = roundings
        self._generators = [np.random.default_rng(seed) for seed in roundings.seeds]
        self._of_numbers = self._single()

    def result(self, count: int, value: Any, change: Any) -> Any:
        """Return the change to go on with, of the result of operation number ``count``."""
        name = ""
        if self.branches is not None:
            name, self.branches.operation = self.branches.operation, ""
        if change is None or value.dtype.kind not in "fc" or (name in RULES and RULES[name].discrete):
            return change
        draws = self._drawn(value.size).reshape(2, -1, *value.shape) if value.ndim else next(self._of_numbers)
        return self._roundings.off(np, value, change, draws)

    def _single(self) -> Iterator[Array]:
        """Yield draws (2, rows) for results that are numbers."""
        while True:
            yield from np.moveaxis(self._drawn(BLOCK), 2, 0).copy()

    def _drawn(self, size: int) -> Array:
        """Return by how much this many numbers are off in each row, (2, rows, size)."""
        found = np.zeros((2, len(self._generators) + 1, size))
        for place, generator in enumerate(self._generators):
            found[:, place] = UNIT * generator.standard_normal((2, size))
        return np.asarray(found[:, self._roundings.rows])


class Sized:
    """An observer that counts the numbers in all moving results."""

    numbers = 0

    def result(self, count: int, value: Any, change: Any) -> Any:
        """Return the change to go on with, of the result of operation number ``count``."""
        self.numbers += 0 if change is None else int(np.size(value))
        return change
