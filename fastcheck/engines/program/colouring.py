"""Which entries can be moved together: those that never meet in an output (Curtis, Powell and Reid, 1974).

Differences do not round, and at the engine's step they are linear to many digits.  So entries can be *coded*: move all
of them, and again each by its own multiple of that; where one entry alone moves an output, the ratio of the output's
two changes is that entry's code, and where several do it is a blend, which equals a code by a chance of one in a
million.  A few columns tell whether all entries can be moved together, and which one each output belongs to.  What an
entry might add unseen to another's output is no more than the ratio's distance from the code, and counts as noise.

Where they cannot, the same is done for each axis, with one code for each index: if every output's ratio is a code, then
every output is moved by one index of that axis alone, and entries that differ on it never meet.  Such an axis is *free*
(samples, often).  On others entries may still be far enough apart to be moved together, each p-th of them: periods are
tried in the same way, several at once in different parts of a free axis.  What is left has a column for each index.

What was guessed in a part is verified where it is used: columns of periods are coded, and each tells by itself whether
entries met.

Reference: A. R. Curtis, M. J. D. Powell and J. K. Reid, "On the estimation of sparse Jacobian matrices",
J. Inst. Maths Applics 13 (1974), 117-119.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..._types import Array, Indices
from ...runtime.cached_property import cached_property
from .codes import LEAST, MOST, distance
from .digits import Digit
from .places import Place


@dataclass(frozen=True)
class Groups:
    """Entries of an output that belong together.

    value : what they share; starts : where each group starts; order : of the entries, None where they lie in order.
    """

    value: Indices
    starts: Indices
    order: Indices | None

    @classmethod
    def of(cls, labels: Indices) -> "Groups":
        """Return those with the same label."""
        order = None if (np.diff(labels) >= 0).all() else np.argsort(labels, kind="stable")
        ordered = labels if order is None else labels[order]
        starts = np.flatnonzero(np.concatenate([[True], np.diff(ordered) > 0]))
        return cls(ordered[starts], starts, order)

    def sums(self, terms: Array) -> Array:
        """Return sums over each group, (rows, groups), of terms (rows, entries)."""
        return np.asarray(np.add.reduceat(terms if self.order is None else terms[:, self.order], self.starts, axis=1))


@dataclass(frozen=True, eq=False)
class Colouring:
    """A partition of a place's entries into colours that are moved together.

    Parameters
    ----------
    place : whose entries.
    free : the flat index, or the part of it that free digits make up, of the entry that moves each output; None where
        no digit is free.
    unique : digits that make colours by all their values.
    periods : digits with the period of theirs by which entries of one colour are apart.
    alone : whether each entry has a colour of its own.
    unseen : share of the largest change that an entry may have made unseen where free digits tell the entries.
    """

    place: Place
    free: Indices | None = None
    unique: tuple[Digit, ...] = ()
    periods: tuple[tuple[Digit, int], ...] = ()
    alone: bool = True
    unseen: float = 0.0

    @property
    def single(self) -> bool:
        """Whether each entry has a colour of its own."""
        return self.alone

    def without_periods(self) -> "Colouring":
        """Return the same with a colour for each value of the digits that have periods."""
        unique = (*self.unique, *(digit for digit, _ in self.periods))
        return Colouring(self.place, self.free, unique, (), self.free is None, self.unseen)

    @property
    def coded(self) -> bool:
        """Whether outputs have to be told their entry by codes."""
        return bool(self.periods)

    @property
    def count(self) -> int:
        """Number of colours."""
        return self.place.size if self.alone else int(self._used.size)

    @cached_property
    def _combined(self) -> tuple[Indices, Indices]:
        combined = np.zeros(self.place.size, dtype=np.int64)
        for digit, period in (*((digit, digit.extent) for digit in self.unique), *self.periods):
            combined = combined * period + digit.of(self.place.shape) % period
        used, colour = np.unique(combined, return_inverse=True)
        return used, colour.reshape(-1)

    @property
    def _used(self) -> Indices:
        return self._combined[0]

    @property
    def colour(self) -> Indices:
        """(n,) the colour of each entry."""
        return np.arange(self.place.size) if self.alone else self._combined[1]

    @cached_property
    def sorted(self) -> tuple[Indices, Indices]:
        """Entries colour by colour, at random within each, and where each colour begins."""
        shuffled = np.random.default_rng(self.place.size).permutation(self.place.size)
        order = shuffled[np.argsort(self.colour[shuffled], kind="stable")]
        return order, np.searchsorted(self.colour[order], np.arange(self.count + 1))

    @cached_property
    def codes(self) -> Array:
        """(n,) a code for each entry, told apart from the others of its colour."""
        order, starts = self.sorted
        counts = np.diff(starts)
        rank = np.arange(order.size) - np.repeat(starts[:-1], counts)
        part = np.random.default_rng(order.size).uniform(0.25, 0.75, order.size)
        codes = np.empty(order.size)
        codes[order] = LEAST + (MOST - LEAST) * (rank + part) / np.repeat(counts, counts)
        return codes

    @cached_property
    def first(self) -> Indices:
        """For each colour, the part of its entries' flat indices that unique digits make up."""
        if self.alone:
            return np.arange(self.place.size)
        order, starts = self.sorted
        some = order[starts[:-1]]
        return np.asarray(sum(digit.of(self.place.shape)[some] * digit.apart(self.place.shape) for digit in self.unique)
                          + np.zeros(some.size, dtype=np.int64))

    @cached_property
    def _grouped(self) -> dict[int, "Groups"]:
        return {}

    def groups(self, output: int, sizes: Sequence[int]) -> "Groups":
        """Return the entries of an output by the free part of the entry that moves them.

        Parameters
        ----------
        sizes : of all outputs.
        """
        if output not in self._grouped:
            start = sum(sizes[:output])
            assert self.free is not None  # noqa: S101  # asked only of colourings with free digits
            self._grouped[output] = Groups.of(self.free[start : start + sizes[output]])
        return self._grouped[output]

    def members(self, colours: Indices) -> tuple[Indices, Indices]:
        """Return rows and entries: the entries of ``colours[row]``, for all rows."""
        if self.alone:
            return np.arange(colours.size), colours
        order, starts = self.sorted
        counts = starts[colours + 1] - starts[colours]
        rows = np.repeat(np.arange(colours.size), counts)
        within = np.arange(rows.size) - np.repeat(np.cumsum(counts) - counts, counts)
        entries = order[starts[colours][rows] + within]
        only = self.place.only
        return (rows, entries) if only is None else (rows[only[entries]], entries[only[entries]])

    def colours_of(self, entries: Indices) -> Indices:
        """Return the colours of those of some entries that the place moves."""
        return np.unique(self.colour[self.place.among(entries)])

    def decoded(self, colours: Indices, ratio: Array, share: Array) -> tuple[Indices, Array]:
        """Return the entries of the colours (k,) whose codes are nearest to ratios (k,), and how far off they are."""
        order, starts = self.sorted
        counts = starts[colours + 1] - starts[colours]
        with np.errstate(invalid="ignore"):
            rank = np.clip((ratio - LEAST) * (counts / (MOST - LEAST)), 0, counts - 1)
        entry = order[starts[colours] + np.where(np.isfinite(rank), rank, 0).astype(np.int64)]
        return entry, distance(self.codes[entry], ratio, share)


