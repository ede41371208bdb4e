"""A part for the whole: which entries to check when not all can be, and what that proves."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..._types import Array, Indices
from .tensor import Tensor

if TYPE_CHECKING:
    from numpy.random import Generator

# Entries checked of each tensor unless the caller says how many in all.
PER_TENSOR = 1000
# The share of wrong entries that statements of power speak of.
SHARE = 0.01
# Sizes of a random direction's entries.
LEAST_SIZE, MOST_SIZE = 0.5, 1.5


def choose(tensors: Sequence[Tensor], samples: int | None, generator: "Generator") -> Indices:
    """Return positions of a stratified random sample: every tensor represented, small ones wholly, large ones alike.

    Parameters
    ----------
    tensors : names and places in theta.
    samples : how many entries in all (None: 1,000 of each tensor); at least one of each tensor is taken.
    generator : draws them.

    Returns
    -------
    (k,) positions in theta, ascending.
    """
    counts = shares([t.stop - t.start for t in tensors], samples)
    chosen = [
        t.start + generator.choice(t.stop - t.start, count, replace=False, shuffle=False)
        for t, count in zip(tensors, counts, strict=True)
    ]
    return np.sort(np.concatenate(chosen)).astype(np.int64)


def shares(sizes: Sequence[int], samples: int | None) -> list[int]:
    """Return how many entries to check of tensors of these sizes: the same number of each, or all of a smaller one."""
    if samples is None:
        return [min(size, PER_TENSOR) for size in sizes]
    counts = [0] * len(sizes)
    left = max(samples, sum(size > 0 for size in sizes))
    waiting = sorted((size, place) for place, size in enumerate(sizes))
    for already, (size, place) in enumerate(waiting):
        counts[place] = min(size, max(left // (len(waiting) - already), min(size, 1)))
        left -= counts[place]
    return counts


def stratified_order(tensors: Sequence[Tensor], positions: Indices, generator: "Generator") -> Indices:
    """Return an order in which to check positions: wherever it is cut off, every tensor is represented.

    Parameters
    ----------
    tensors : names and places in theta.
    positions : (k,) ascending positions.
    generator : shuffles the entries of each tensor.

    Returns
    -------
    (k,) indices into ``positions``: one entry of each tensor first, then each tensor at a pace that ends with it.
    """
    rank, size = np.empty(positions.size), np.empty(positions.size)
    for tensor in tensors:
        first, last = np.searchsorted(positions, (tensor.start, tensor.stop))
        rank[first:last] = generator.permutation(last - first)
        size[first:last] = last - first
    return np.lexsort((rank / np.maximum(size, 1.0), rank > 0.0)).astype(np.int64)


def random_direction(generator: "Generator", shape: "int | tuple[int, ...]") -> Array:
    """Return a direction in which every entry takes part: random signs, sizes at random from LEAST_SIZE to MOST_SIZE.

    Errors of continuous random sizes cancel only by the rarest chance, and no entry is left out.
    """
    return generator.choice((-1.0, 1.0), shape) * generator.uniform(LEAST_SIZE, MOST_SIZE, shape)


def miss_probability(size: int, checked: int, wrong: int) -> float:
    """Probability that ``checked`` of ``size`` entries, drawn without replacement, miss all ``wrong`` ones."""
    if wrong <= 0:
        return 1.0
    if checked + wrong > size:
        return 0.0
    return math.exp(sum(
        sign * math.lgamma(count + 1)
        for sign, count in ((1, size - wrong), (-1, size - wrong - checked), (1, size - checked), (-1, size))
    ))


def power(tensors: Sequence[Tensor], positions: Indices) -> str:
    """Return what a random sample proves, in a sentence: about the tensor of which it proves least.

    Parameters
    ----------
    tensors : names and places in theta.
    positions : (k,) the checked positions, ascending.
    """
    weakest, probability, count, words = None, -1.0, 0, ""
    for tensor in tensors:
        size = tensor.stop - tensor.start
        first, last = (int(i) for i in np.searchsorted(positions, (tensor.start, tensor.stop)))
        wrong = max(1, math.ceil(SHARE * size))
        missed = miss_probability(size, last - first, wrong) if size else 0.0
        if missed > probability:
            weakest, probability, count = tensor, missed, last - first
            words = f"{SHARE:.0%} of {tensor.name}" if wrong > 1 else f"one entry of {tensor.name}"
    if weakest is None or probability == 0.0:
        return "Every entry of every tensor was checked."
    return (f"An error in {words} ({count:,} of {weakest.stop - weakest.start:,} entries checked at random) would have "
            f"been missed with probability {probability:.1g}; every other tensor is checked at least as closely.")
