"""Jacobians by exact differences, on both sides of the point."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from ..._types import Array, Indices, Mask


@dataclass(frozen=True)
class ExactJacobian:
    """One-sided exact difference quotients (M, n).

    Parameters
    ----------
    right, left : NaN where a side is not known.
    flagged : (n,) entries that stand on a kink.
    under_conventions : gives the quotients of those entries, (M, number of flagged), with all ties frozen to one
        convention after the other.
    nearer : gives those of some entries (M, k), to the right and to the left, by far smaller steps.
    """

    right: Array
    left: Array
    flagged: Mask
    under_conventions: Callable[[], Iterator[Array]]
    nearer: Callable[[Indices], tuple[Array, Array]]

    @property
    def central(self) -> Array:
        """Means of both sides; the other one where a side is not known."""
        right, left = np.isfinite(self.right), np.isfinite(self.left)
        with np.errstate(invalid="ignore"):
            both = 0.5 * (self.right + self.left)
        return np.where(right == left, both, np.where(right, self.right, self.left))

    def looked_nearer(self, entries: Indices) -> "ExactJacobian":
        """Return the same with the quotients of some entries by far smaller steps."""
        right, left = self.right.copy(), self.left.copy()
        right[:, entries], left[:, entries] = self.nearer(entries)
        return replace(self, right=right, left=left)
