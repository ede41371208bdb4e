"""The one policy of second looks: which entries that disagree are asked again, and when there is nothing left to ask.

A first look alone fails no gradient where its step could be the reason.  What disagrees waits in groups, each of which
fails or passes as a whole: a tensor, an output's Jacobian, a network.  Of each group a few are asked first.  Where the
answers settle the group (one entry is wrong beyond doubt, or another step changes nothing), the others need no second
look, and are counted as the first look had them.  Else more of the group are asked, in growing batches, until all are.

How an entry is looked at is for each check to say: ordinary differences (``finite.recheck``) and Jacobians
(``checks.jacobian.judge``) find another step, networks (``verdict.recheck``) take exact differences with a far smaller
one.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from .._types import Indices


class SecondLooks:
    """Rows that wait for a second look, batch by batch.

    Parameters
    ----------
    groups : the rows of each group, in the order in which they are to be asked.
    first : rows of each group in the first batch.
    growth : how much larger each next batch is, as long as some group is not settled.
    most : rows of a group in one batch at most; None for no limit.
    together : groups that are asked at a time; None for all of them.

    Attributes
    ----------
    waiting : the rows without an answer, those of the batch that is out included.
    """

    def __init__(
        self, groups: Sequence[Indices], first: int, growth: int, *, most: int | None = None,
        together: int | None = None,
    ) -> None:
        self._groups = list(groups)
        self._size, self._growth, self._most, self._together = first, growth, most, together
        self._settled: Indices = np.empty(0, np.int64)

    @property
    def waiting(self) -> Indices:
        """The rows without an answer."""
        return np.concatenate([np.empty(0, np.int64), *self._groups])

    def settle(self, rows: Indices) -> None:
        """Say that the groups of these rows, which are of the batch that is out, need no further look."""
        self._settled = rows

    def __iter__(self) -> Iterator[Indices]:
        """Batches, ascending, until nobody waits."""
        while self._groups:
            size, asked = self._size, self._groups[: self._together]
            later = self._groups[len(asked) :]
            yield np.sort(np.concatenate([rows[:size] for rows in asked]))
            open_ones = [rows[size:] for rows in asked
                         if rows.size > size and not np.isin(rows[:size], self._settled).any()]
            self._settled = np.empty(0, np.int64)
            if open_ones:
                self._size = min(size * self._growth, self._most or size * self._growth)
            self._groups = open_ones + later
