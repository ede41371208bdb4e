"""Entries at kinks: which derivatives are right there, and whether the gradient is one of them exactly."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from .._types import Array, Indices, Mask

# Noise that is this part of a jump at a kink is none beside it.
NOTHING = 1e-9


@dataclass(frozen=True)
class Settled:
    """What the gradient is held against at kinks, (k,) each.

    nearest : the derivative nearest to the gradient that is right there; the gradient itself inside the interval.
    loose : whether the gradient is right by the interval alone: it does not follow the convention that the others do.
    """

    nearest: Array
    loose: Mask


@dataclass(frozen=True)
class TensorKinks:
    """The kinks of one tensor.

    where : (k,) positions among its checked entries, ascending.
    low, high : (k,) bounds of the one-sided derivatives.
    conventions : (k,) derivatives by convention (see ``problems.gradients.Kinks``).
    of_line : whether the bounds are those of each entry's own line.
    single : (k,) where one kink alone is met on that line; None where nobody knows.
    """

    where: Indices
    low: Array
    high: Array
    conventions: Mapping[str, Array] = field(default_factory=dict)
    of_line: bool = False
    single: Mask | None = None

    def settle(self, gradient: Array, tolerance: float, noise: Array) -> Settled:
        """Compare a gradient with the derivatives that are right at the kinks.

        Parameters
        ----------
        gradient : (k,) at the kinks.
        tolerance : relative difference within which it equals one.
        noise : (k,) or (1,) difference that noise can make.

        Notes
        -----
        What a convention gives at all entries together is the gradient of a branch: the limit of gradients at points
        nearby.  So are the ends of the interval, each by itself; but ends of several entries need not belong to one
        branch (where two are largest, that neither moves the maximum).  So where conventions are known, entries count
        as exact that follow the one which most of them follow.  A value in between is right only if the gradient was
        meant to be a subgradient, and any value in between would pass: it proves less.
        """
        middle = () if self.conventions else (0.5 * (self.low + self.high),)  # slope 1/2, or equal shares of two
        candidates = (self.low, self.high, *middle, *self.conventions.values())
        nearest, distance = np.clip(gradient, self.low, self.high), np.full(gradient.shape, np.inf)
        with np.errstate(invalid="ignore"):
            outside = np.abs(gradient - nearest)
            for values in candidates:
                off, equal = _equal(gradient, values, tolerance, noise)
                closer = (off < distance) & (equal | (off < outside))
                nearest[closer], distance[closer] = values[closer], off[closer]
            # By noise alone off a derivative that is right, and itself between the sides: nothing is apart.  Nor is it
            # where it lies beside them by what is nothing next to the jump: a side's zero may be off by rounding.
            within = ((outside == 0.0) | (noise <= NOTHING * (self.high - self.low))) & (distance <= noise)
            nearest[within] = gradient[within]
            size = np.abs(gradient) + np.abs(nearest)
            exact = distance <= tolerance * size + noise
            if self.conventions:
                follow = (_equal(gradient, values, tolerance, noise)[1] for values in self.conventions.values())
                exact = max(follow, key=np.count_nonzero)
            narrow = self.high - self.low <= 2.0 * (tolerance * size + noise)
            # Which is wrong, or explained by other lines than its own; what is no number lies nowhere.
            beside = (outside > tolerance * size + noise) | ~np.isfinite(gradient)
        return Settled(nearest, ~exact & ~narrow & ~beside)


def _equal(gradient: Array, values: Array, tolerance: float, noise: Array) -> tuple[Array, Mask]:
    """Return how far a gradient is from some values, and whether it equals them; what is unknown is infinitely far."""
    off = np.abs(gradient - values)
    off[np.isnan(off)] = np.inf
    return off, off <= tolerance * (np.abs(gradient) + np.abs(values)) + noise
