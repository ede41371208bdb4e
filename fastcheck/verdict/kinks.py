"""Entries at kinks: which derivatives are right there, and whether the gradient is one of them exactly."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from .._types import Array, Indices, Mask


@dataclass(frozen=True)
class Settled:
    """What the gradient is held against at kinks, (k,) each.

    nearest : the derivative nearest to the gradient that is right there; the gradient itself inside the interval.
    loose : whether the gradient is right by the interval alone: it equals no convention and neither end.
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
    """

    where: Indices
    low: Array
    high: Array
    conventions: Mapping[str, Array] = field(default_factory=dict)
    of_line: bool = False

    def settle(self, gradient: Array, tolerance: float, noise: Array) -> Settled:
        """Compare a gradient with the derivatives that are right at the kinks.

        Parameters
        ----------
        gradient : (k,) at the kinks.
        tolerance : relative difference within which it equals one.
        noise : (k,) or (1,) difference that noise can make.

        Notes
        -----
        The ends of the interval are derivatives of branches as much as what a convention gives: each is the limit of
        derivatives at points nearby.  A value in between is right only if the gradient was meant to be a subgradient,
        and any value in between would pass: it proves less.
        """
        nearest, distance = np.clip(gradient, self.low, self.high), np.full(gradient.shape, np.inf)
        with np.errstate(invalid="ignore"):
            outside = np.abs(gradient - nearest)
            for values in (self.low, self.high, *self.conventions.values()):
                off = np.abs(gradient - values)
                off[np.isnan(off)] = np.inf
                equal = off <= tolerance * (np.abs(gradient) + np.abs(values)) + noise
                closer = (off < distance) & (equal | (off < outside))
                nearest[closer], distance[closer] = values[closer], off[closer]
            size = np.abs(gradient) + np.abs(nearest)
            exact = distance <= tolerance * size + noise
            narrow = self.high - self.low <= 2.0 * (tolerance * size + noise)
        return Settled(nearest, ~exact & ~narrow)
