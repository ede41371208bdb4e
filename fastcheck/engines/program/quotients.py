"""Difference quotients of a program's cost by the entries of one place."""

from dataclasses import dataclass

import numpy as np

from ..._types import Array, Mask


@dataclass
class Quotients:
    """One-sided difference quotients of the cost by each entry of a place, (n,) each.

    Parameters
    ----------
    right, left : (J(x + h) - J) / h and (J - J(x - h)) / h.
    terms : sum of |terms| that make up the one to the right: what its rounding is relative to.
    flagged : which entries moved in a column that crossed a kink at every step, or moved a tie.
    lone : of those, which moved one value in all that stands on a kink, and crossed none at any step: with any slope
        between its two, a right gradient lies between right and left.
    done : which entries were moved at all.
    unseen : what an entry may have added to outputs of others that were moved together with it.
    """

    right: Array
    left: Array
    terms: Array
    flagged: Mask
    lone: Mask
    done: Mask
    unseen: Array

    @classmethod
    def of(cls, size: int, only: Mask | None = None) -> "Quotients":
        """Nothing yet; where ``only`` some entries are moved, the others are done and do nothing."""
        right, left, terms, unseen = (np.zeros(size) for _ in range(4))
        done = np.zeros(size, bool) if only is None else ~only
        return cls(right, left, terms, np.zeros(size, bool), np.zeros(size, bool), done, unseen)

    def take(self, other: "Quotients") -> None:
        """Take over what another has done."""
        for name in ("right", "left", "terms", "flagged", "lone", "done", "unseen"):
            getattr(self, name)[other.done] = getattr(other, name)[other.done]

    def part(self, row: int, size: int) -> "Quotients":
        """Return those of the entries of one of several places, all of one size, that were moved as one."""
        some = slice(row * size, (row + 1) * size)
        return Quotients(
            self.right[some], self.left[some], self.terms[some], self.flagged[some], self.lone[some], self.done[some],
            self.unseen[some],
        )

    def plus(self, other: "Quotients") -> "Quotients":
        """Return those of a sum."""
        return Quotients(
            self.right + other.right, self.left + other.left, self.terms + other.terms, self.flagged | other.flagged,
            (self.lone & ~other.flagged) | (other.lone & ~self.flagged), self.done & other.done,
            self.unseen + other.unseen,
        )

    @property
    def slope(self) -> Array:
        """The central difference."""
        with np.errstate(invalid="ignore"):  # infinities of two signs
            return 0.5 * (self.right + self.left)

    @property
    def settled(self) -> Array:
        """The central difference; where one side has no finite one, the other side's."""
        right, left = np.isfinite(self.right), np.isfinite(self.left)
        return np.where(right == left, self.slope, np.where(right, self.right, self.left))

    @property
    def bend(self) -> Array:
        """Half the jump from the left to the right: of the order of the step, but at kinks."""
        with np.errstate(invalid="ignore"):
            return 0.5 * (self.right - self.left)
