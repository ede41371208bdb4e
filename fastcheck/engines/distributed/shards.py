"""A check in pieces: ranges of units or of parameters that can be sent away, saved and put together again."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..._errors import EngineError
from ..._types import Indices
from ...problems.gradients import Kinks, NumericalGradient
from ...problems.networks.cost_model import RATES, evaluation_seconds
from ...problems.networks.operations import unit_operations
from ...problems.networks.problem import Problem
from ...problems.parameters.sampling import stratified_order
from ...problems.parameters.tensor import Tensor

# Seconds of an ordinary machine that a piece takes: this much work is lost if a process is killed.
SECONDS = 1.0
# Under a time limit pieces take this long, and are drawn at random.
SHORT = 0.01
# Workers that add up in another order find another J(theta), but not by more than this share.
COSTS_AGREE = 1e-9


@dataclass(frozen=True)
class Shard:
    """A piece of a check.

    number : its place in the plan.
    ranges : (k, 2) first and last of ranges of the checked positions, ascending.
    """

    number: int
    ranges: Any

    @property
    def places(self) -> Indices:
        """Its places among the checked positions."""
        return np.concatenate([np.arange(first, last) for first, last in self.ranges])

    def positions(self, indices: Indices | None) -> Indices:
        """Its positions in theta, of the checked ``indices`` (None: all)."""
        if indices is None:
            return self.places
        return np.concatenate([indices[first:last] for first, last in self.ranges])


def plan(problem: Problem, indices: Indices | None, engine: str, seed: int | None = None) -> list[Shard]:
    """The pieces of a check: the same for the same arguments, on any machine.

    Parameters
    ----------
    indices : the checked positions of theta, ascending; None for all.
    seed : for shorter pieces in random order, so that every tensor is represented wherever it is cut off; None for the
        order from the first parameter to the last.
    """
    seconds = SECONDS if seed is None else SHORT
    if engine == "response":
        return _by_units(problem, indices, seconds, seed)
    return _by_parameters(problem, indices, engine, seconds, seed)


def _by_parameters(
    problem: Problem, indices: Indices | None, engine: str, seconds: float, seed: int | None
) -> list[Shard]:
    """For engines that take one parameter after the other."""
    net = problem.network
    count = net.size if indices is None else indices.size
    both = 2.0 * evaluation_seconds(net, problem.m, engine)
    size = max(1 if seed is None else len(net.tensors), int(seconds / both))
    if seed is None:
        edges = np.append(np.arange(0, count, size), count)
        return [Shard(k, edges[None, k : k + 2]) for k in range(edges.size - 1)]
    checked = np.arange(count) if indices is None else indices
    order = stratified_order(net.tensors, checked, np.random.default_rng(seed))
    return [Shard(k, _ranges(np.sort(order[first : first + size])))
            for k, first in enumerate(range(0, count, size))]


def _ranges(places: Indices) -> Any:
    """Ascending places as (k, 2) ranges without gaps."""
    firsts = np.flatnonzero(np.diff(places, prepend=-2) > 1)
    return np.stack([places[firsts], places[np.append(firsts[1:], places.size) - 1] + 1], axis=1)


def _by_units(problem: Problem, indices: Indices | None, seconds: float, seed: int | None) -> list[Shard]:
    """For the response engine: neighbouring units of one layer, a whole number of the groups that it takes together."""
    from ..response.engine import together  # compiled: brings Numba with it

    net, m = problem.network, problem.m
    found, layers = [], []
    for layer in range(len(net.layers)):
        each = unit_operations(net.widths, layer, m)
        group = together(net) if seed is None else 1
        size = group * max(1, int(seconds * RATES["response"] / (each * group)))
        own = net.places[layer].tensors
        found += list(_cut_units(own["W"], own["b"], indices, size))
        layers.append(len(found))
    if seed is not None:
        edges = [0, *layers]
        tensors = [Tensor(f"layer {k}", (b - a,), a, b) for k, (a, b) in enumerate(zip(edges, layers, strict=False), 1)]
        order = stratified_order(tensors, np.arange(len(found)), np.random.default_rng(seed))
        found = [found[k] for k in order]
    return [Shard(k, ranges) for k, ranges in enumerate(found)]


def _cut_units(weights: Tensor, bias: Tensor, indices: Indices | None, size: int) -> Iterator[Any]:
    """Ranges of weights and biases of ``size`` units at a time, of those that have positions to check."""
    outputs, inputs = weights.shape
    units = np.arange(outputs)
    if indices is not None:
        first, middle, last = np.searchsorted(indices, [weights.start, bias.start, bias.stop])
        rows = (indices[first:middle] - weights.start) // inputs
        units = np.union1d(rows, indices[middle:last] - bias.start)
    for start in range(0, units.size, size):
        low, high = int(units[start]), int(units[min(start + size, units.size) - 1]) + 1
        edges = np.array([[weights.start + low * inputs, weights.start + high * inputs],
                          [bias.start + low, bias.start + high]])
        ranges = edges if indices is None else np.searchsorted(indices, edges)
        yield ranges[ranges[:, 0] < ranges[:, 1]]


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
        """All that was found, as one engine would have found it, and the positions it is of."""
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
    """Differences with one noise for each tensor, 0 where none of its entries are among the positions."""
    noise = np.zeros(len(problem.network.tensors))
    np.maximum.at(noise, problem.network.layout.tensor_of(positions), found.noise)
    return replace(found, noise=noise)
