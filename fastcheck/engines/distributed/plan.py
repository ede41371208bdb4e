"""How a check is cut into pieces: ranges of units, or of parameters."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np

from ..._types import Indices
from ...problems.networks.cost_model import RATES, evaluation_seconds
from ...problems.networks.operations import unit_operations
from ...problems.networks.problem import Problem
from ...problems.parameters.sampling import stratified_order
from ...problems.parameters.tensor import Tensor
from ..response.groups import together
from .shards import Shard

# Seconds of an ordinary machine that a piece takes: this much work is lost if a process is killed.
SECONDS = 1.0
# Under a time limit pieces take this long, and are drawn at random.
SHORT = 0.01


@dataclass(frozen=True)
class RandomPieces(Sequence[Shard]):
    """Pieces of entries in random order, each made when it is asked for: under a time limit most never are.

    Parameters
    ----------
    order : (k,) all places among the checked positions.
    size : entries of a piece.
    """

    order: Indices
    size: int

    def __len__(self) -> int:
        return -(-self.order.size // self.size)

    @overload
    def __getitem__(self, number: int) -> Shard: ...

    @overload
    def __getitem__(self, number: slice) -> Sequence[Shard]: ...

    def __getitem__(self, number: int | slice) -> Shard | Sequence[Shard]:
        """Return the piece of that number."""
        if isinstance(number, slice):
            return [self[k] for k in range(*number.indices(len(self)))]
        if not 0 <= number < len(self):
            raise IndexError(number)
        return Shard(number, _ranges(np.sort(self.order[number * self.size : (number + 1) * self.size])))


def plan(problem: Problem, indices: Indices | None, engine: str, seed: int | None = None) -> Sequence[Shard]:
    """Return the pieces of a check: the same for the same arguments, on any machine.

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
) -> Sequence[Shard]:
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
    return RandomPieces(order, size)


def _ranges(places: Indices) -> Indices:
    """Ascending places as (k, 2) ranges without gaps."""
    firsts = np.flatnonzero(np.diff(places, prepend=-2) > 1)
    return np.stack([places[firsts], places[np.append(firsts[1:], places.size) - 1] + 1], axis=1)


def _by_units(problem: Problem, indices: Indices | None, seconds: float, seed: int | None) -> list[Shard]:
    """For the response engine: neighbouring units of one layer, a whole number of the groups that it takes together."""
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
    """Yield ranges of weights and biases of ``size`` units at a time, of those that have positions to check."""
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
