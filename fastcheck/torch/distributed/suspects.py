"""What commonly goes wrong between workers, each as the gradients that it would leave: the one that fits is named."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..._types import Array

# Two ways to one gradient agree to this share of its norm, or they are two gradients: single precision rounds to 1e-7
# of the largest terms.
SAME = 1e-4
# What is said where the parts do not make up the whole; and of what was not brought together.
APART = ("each worker's samples met only each other, in the module (batch normalisation: SyncBatchNorm takes all of "
         "them) or in the loss (contrastive), and the workers' gradients were averaged; where that is meant, they are "
         "right")
MISSING = "the all-reduce is missing"


@dataclass(frozen=True)
class Shares:
    """The truth, taken apart.

    Parameters
    ----------
    whole : the gradient of the loss over all samples.
    own : for each worker the gradient of the loss over its own samples.
    sizes : for each worker the number of its samples.
    """

    whole: Array
    own: Sequence[Array]
    sizes: Sequence[int]

    @property
    def workers(self) -> int:
        """Their number."""
        return len(self.own)

    @property
    def weights(self) -> Array:
        """Each worker's share of the samples."""
        return np.asarray(self.sizes) / sum(self.sizes)

    @property
    def add_up(self) -> bool:
        """Whether the workers' own gradients make up the whole: no sample's part depends on the others."""
        means, sums = sum(w * g for w, g in zip(self.weights, self.own, strict=True)), sum(self.own)
        return _same(np.asarray(means), self.whole) or _same(np.asarray(sums), self.whole)


def named(shares: Shares, found: Sequence[Array]) -> str:
    """Return what happened, as a sentence; "" where the gradients are right or nothing known explains them.

    Parameters
    ----------
    shares : the truth.
    found : the gradients that each worker was left with.
    """
    if all(_same(one, shares.whole) for one in found):
        return ""
    for sentence, wanted in _suspects(shares).items():
        if all(_same(one, wanted[rank]) for rank, one in enumerate(found)):
            return sentence
    if not all(_same(one, found[0]) for one in found):
        return "the workers are left with different gradients: a parameter is missing from the all-reduce"
    return ""


def _suspects(shares: Shares) -> Mapping[str, Sequence[Array]]:
    """Sentences, and the gradients of each worker that they would mean."""
    n, whole, own, weights = shares.workers, shares.whole, shares.own, shares.weights
    mean = _mean(own)

    def alike(gradient: Array) -> list[Array]:
        return [gradient] * n

    found: dict[str, Sequence[Array]] = {
        f"each worker keeps the gradient of its own samples: partial sum, {MISSING}": own,
        f"each worker keeps its own share of the gradient: partial sum, {MISSING}":
            [w * g for w, g in zip(weights, own, strict=True)],
        f"the gradients are divided by the {n} workers twice": alike(whole / n),
        f"the gradients are summed over the {n} workers where a mean should stand": alike(whole * n),
    }
    if not shares.add_up:
        return {**found, APART: alike(mean)}
    if not _same(mean, whole):
        found["the means of batches of unequal sizes are averaged: weight them by their samples"] = alike(mean)
        found[f"the means of unequal batches are averaged, and divided by the {n} workers again"] = alike(mean / n)
        found["the means of unequal batches are summed"] = alike(mean * n)
    for worker in range(n):
        others = [own[rank] for rank in range(n) if rank != worker]
        left = whole - weights[worker] * own[worker]
        sentence = f"the samples of worker {worker} are dropped"
        found[sentence] = alike(left)
        found[sentence + ", and the mean is taken over the others"] = alike(left / (1 - weights[worker]))
        found[sentence + ", and the means of the others are averaged"] = alike(_mean(others))
        found[sentence + f", and the others' means are divided by {n}"] = alike(_mean(others) * len(others) / n)
    return found


def _same(first: Array, second: Array) -> bool:
    return bool(np.linalg.norm(first - second) <= SAME * max(np.linalg.norm(first), np.linalg.norm(second)))


def _mean(gradients: Sequence[Array]) -> Array:
    return np.asarray(np.mean(np.stack(gradients), axis=0))
