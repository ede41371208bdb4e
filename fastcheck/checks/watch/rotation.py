"""Taking turns: the units of a network in random order, a share at a time, until all have been checked."""

from typing import TYPE_CHECKING

import numpy as np

from ..._types import Indices
from ...problems.networks.network import Network

if TYPE_CHECKING:
    from numpy.random import Generator


class Rotation:
    """Shares of a network's units, in random order until every one has had its turn, then in a new order.

    A unit stands for its row of weights and its bias: together the units hold every parameter of every tensor.

    Parameters
    ----------
    net : the network.
    generator : draws the orders.

    Attributes
    ----------
    units : how many there are.
    finished : how many times all of them have had their turn.
    """

    def __init__(self, net: Network, generator: "Generator") -> None:
        self.generator = generator
        self.pairs = [(place.tensors["W"], place.tensors["b"]) for place in net.places]
        self.first = np.cumsum([0, *net.widths[1:]])
        self.units = int(self.first[-1])
        self.finished = 0
        self._size = np.repeat([w.shape[1] + 1 for w, _ in self.pairs], [w.shape[0] for w, _ in self.pairs])
        self._covered = np.zeros(self.units, np.bool_)
        self._order = generator.permutation(self.units)
        self._turn = 0

    @property
    def coverage(self) -> float:
        """Share of the parameters that have been checked at least once."""
        return float(self._size[self._covered].sum() / self._size.sum())

    @property
    def left(self) -> int:
        """Units that have not yet had their turn this time."""
        return self.units - self._turn

    def ahead(self, count: int) -> Indices | None:
        """Positions in theta, ascending, of all parameters of the next ``count`` units (fewer at the end of a turn);
        None for all of theta.  They have had their turn only when ``done`` says so.
        """
        chosen = np.sort(self._order[self._turn : self._turn + count])
        return None if chosen.size == self.units else self._positions(chosen)

    def done(self, count: int) -> None:
        """The next ``count`` units have been checked."""
        self._covered[self._order[self._turn : self._turn + count]] = True
        self._turn = min(self._turn + count, self.units)
        if self._turn == self.units:
            self.finished += 1
            self._order, self._turn = self.generator.permutation(self.units), 0

    def _positions(self, chosen: Indices) -> Indices:
        found = []
        for (weights, bias), start, stop in zip(self.pairs, self.first, self.first[1:], strict=False):
            units = chosen[np.searchsorted(chosen, start) : np.searchsorted(chosen, stop)] - start
            inputs = weights.shape[1]
            found.append((weights.start + units[:, None] * inputs + np.arange(inputs)).reshape(-1))
            found.append(bias.start + units)
        return np.concatenate(found)
