"""Codes: multiples by which entries are moved together, so that an output's change tells whose it is."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..._types import Array, Indices

if TYPE_CHECKING:
    from numpy.random import Generator

# Codes lie between these, evenly but for a random part of their distance.
LEAST, MOST = 0.5, 1.5
# A ratio is a code if it is nearer to it than this: what rounding leaves where terms cancel a little.  Of outputs that
# move less than others, because much cancels in them, it may be as much farther, up to a limit.
NEAR, NEAR_LIGHT, LIMIT = 1e-12, 1e-14, 1e-7
# What an entry may add unseen to another's output, as a multiple of how far the ratio is from the code: the inverse of
# how far apart two codes usually are.
UNSEEN = 4.0
# Outputs that weigh less than this share of the heaviest need not tell: their changes may be all rounding.
NEGLIGIBLE = 1e-11


@dataclass(frozen=True)
class Codes:
    """Codes of some things in a random order: the thing with rank j has one between (j + 1/4) and (j + 3/4) parts."""

    value: Array
    by_rank: Indices

    @classmethod
    def draw(cls, count: int, generator: "Generator") -> "Codes":
        """Draw codes for this many things."""
        by_rank = generator.permutation(count)
        value = np.empty(count)
        value[by_rank] = LEAST + (MOST - LEAST) * (np.arange(count) + generator.uniform(0.25, 0.75, count)) / count
        return cls(value, by_rank)

    def decoded(self, ratio: Array, share: Array) -> tuple[Indices, Array]:
        """Return the things whose codes are nearest to ratios, and how far off these are (see ``distance``)."""
        count = self.value.size
        with np.errstate(invalid="ignore"):
            rank = np.clip((ratio - LEAST) * (count / (MOST - LEAST)), 0, count - 1)
        thing = self.by_rank[np.where(np.isfinite(rank), rank, 0).astype(np.int64)]
        return thing, distance(self.value[thing], ratio, share)


def distance(code: Array, ratio: Array, share: Array) -> Array:
    """Return how far ratios are from codes; infinite where that is not near.

    Parameters
    ----------
    code, ratio : (k,).
    share : (k,) how much the outputs move, as a share of the one that moves most.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        apart = np.abs(code - ratio)
        return np.where(apart <= np.clip(NEAR_LIGHT / share, NEAR, LIMIT), apart, np.inf)


def ratio_of(odd: Array, even: Array, coded: Array) -> Array:
    """Return the code r of a change f(r h) = r odd + r^2 even, to the third order in h.

    Parameters
    ----------
    odd, even : (f(h) - f(-h)) / 2 and (f(h) + f(-h)) / 2.
    coded : f(r h).
    """
    with np.errstate(all="ignore"):
        first = coded / odd
        return np.asarray((coded - first * first * even) / odd)
