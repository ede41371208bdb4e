"""Changes of both signs, as odd and even part."""

from dataclasses import dataclass

import numpy as np

from ..._types import Array, Mask
from ...rules.namespaces import largest


def larger(one: float, other: float) -> float:
    """Return the larger of two sizes; one that is not a number counts as the largest."""
    return one if not one <= other else other


@dataclass
class Pair:
    """Odd and even parts of changes, (rows, columns, m), or of responses, (columns, m).

    met : (columns, m) which columns have met a kink; None for none of them.
    reach : the largest change that a curved function has seen.
    """

    odd: Array
    even: Array | None = None
    met: Mask | None = None
    reach: float = 0.0

    @property
    def size(self) -> float:
        """A bound of the largest change."""
        return largest(np, self.odd) + (0.0 if self.even is None else largest(np, self.even))

    def sees(self, size: float) -> None:
        """Note a change that a curved function sees; NaN counts as the largest."""
        self.reach = larger(size, self.reach)

    def signs(self) -> Array:
        """(rows, 2, columns, m): plus and minus."""
        even = 0.0 if self.even is None else self.even
        return np.stack([even + self.odd, even - self.odd], axis=1)

    def meets(self, where: Mask) -> None:
        """Note which columns have met a kink."""
        if self.met is None:
            self.met = where
        else:
            self.met |= where
