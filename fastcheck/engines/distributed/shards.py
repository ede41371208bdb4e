"""Pieces of a check, which can be sent away, saved and put together again."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..._errors import EngineError
from ..._types import Indices
from ...problems.gradients import Kinks, NumericalGradient
from ...problems.networks.problem import Problem

# Workers that add up in another order find another J(theta), but not by more than this share.
COSTS_AGREE = 1e-9


@dataclass(frozen=True)
class Shard:
    """A piece of a check.

    number : its place in the plan.
    ranges : (k, 2) first and last of ranges of the checked positions, ascending.
    """

    number: int
    ranges: Indices

    @property
    def places(self) -> Indices:
        """Its places among the checked positions."""
        return np.concatenate([np.arange(first, last) for first, last in self.ranges])

    def positions(self, indices: Indices | None) -> Indices:
        """Its positions in theta, of the checked ``indices`` (None: all)."""
        if indices is None:
            return self.places
        return np.concatenate([indices[first:last] for first, last in self.ranges])


class Merged:
    """What was found of the pieces so far.

    Parameters
    ----------
    problem, indices : of the whole check.
    """

    def __init__(self, problem: Problem, indices: Indices | None) -> None:
        self.problem, self.indices = problem, indices
        self.size = problem.theta.size if indices is None else indices.size
        self.J_plus, self.J_minus, self.gradapprox = (np.empty(self.size) for _ in range(3))
        self.shards: list[Shard] = []
        self.noise = np.zeros(len(problem.network.tensors))
        self.kinks: list[Kinks] = []
        self.cost = np.nan
        self.notes: dict[str, None] = {}
        self.facts: dict[str, Any] = {}
        self.done = 0

    def put(self, shard: Shard, found: NumericalGradient) -> None:
        """Keep what was found of one piece, its noise by tensor (see ``brief``).

        Raises
        ------
        EngineError : where it comes from another J(theta).
        """
        if not self.shards:
            self.cost = found.cost
        elif abs(found.cost - self.cost) > COSTS_AGREE * abs(self.cost):
            raise EngineError(
                f"J(theta) is {self.cost!r} in one piece and {found.cost!r} in another: workers disagree; "
                "are their versions of fastcheck and NumPy the same?"
            )
        start = 0
        for first, last in shard.ranges:
            part = slice(start, start + last - first)
            for mine, theirs in ((self.J_plus, found.J_plus), (self.J_minus, found.J_minus),
                                 (self.gradapprox, found.gradapprox)):
                mine[first:last] = theirs[part]
            start = part.stop
        self.noise = np.maximum(self.noise, found.noise)
        if found.kinks is not None:
            self.kinks.append(replace(found.kinks, where=shard.places[found.kinks.where]))
        self.notes.update(dict.fromkeys(found.notes))
        for name, value in found.facts.items():  # counts add up; of sizes of errors the largest counts
            before = self.facts.get(name, 0)
            self.facts[name] = max(before, value) if isinstance(value, float) else before + value
        self.shards.append(shard)
        self.done += start

    def differences(self) -> tuple[NumericalGradient, Indices | None]:
        """Return all that was found, as one engine would have found it, and the positions it is of."""
        checked, places = self.indices, None
        if self.done < self.size:
            places = np.sort(np.concatenate([s.places for s in self.shards] or [np.empty(0, np.int64)]))
            checked = places if self.indices is None else self.indices[places]
        J_plus, J_minus, gradapprox = (
            whole if places is None else whole[places] for whole in (self.J_plus, self.J_minus, self.gradapprox))
        noise = self.problem.network.layout.spread(self.noise, checked)
        return NumericalGradient(float(self.cost), J_plus, J_minus, gradapprox, noise, self._kinks(places),
                           tuple(self.notes), self.facts), checked

    def _kinks(self, places: Indices | None) -> Kinks | None:
        if not self.kinks:
            return None
        where, low, high = (np.concatenate([getattr(k, name) for k in self.kinks]) for name in ("where", "low", "high"))
        order = np.argsort(where)
        where = where[order]
        return Kinks(where if places is None else np.searchsorted(places, where), low[order], high[order])


def brief(problem: Problem, positions: Indices, found: NumericalGradient) -> NumericalGradient:
    """Return differences with one noise for each tensor, 0 where none of its entries are among the positions."""
    noise = np.zeros(len(problem.network.tensors))
    np.maximum.at(noise, problem.network.layout.tensor_of(positions), found.noise)
    return replace(found, noise=noise)
