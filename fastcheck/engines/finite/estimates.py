"""What is known about the derivatives at the checked entries; values, never written to."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Self

import numpy as np

from ..._types import Array, Indices, Mask
from .difference_table import SlopeEstimates


@dataclass(frozen=True)
class Estimates:
    """Derivatives of some entries, (k,) each.

    slope : the derivative.
    error : its standard error.
    step : the step it was taken with.
    noise : standard deviation of the cost, as it seemed to be where the slope was taken.
    below, above : costs at -step and step.
    """

    slope: Array
    error: Array
    step: Array
    noise: Array
    below: Array
    above: Array

    @classmethod
    def unknown(cls, count: int) -> Self:
        """Nothing known about this many entries."""
        return cls(*np.full((len(NAMES), count), np.nan))

    @classmethod
    def from_slopes(cls, slopes: SlopeEstimates) -> Self:
        """Return the slopes of difference tables, with their own steps."""
        return cls(slopes.slope, slopes.error, slopes.step, slopes.noise, slopes.below, slopes.above)

    @classmethod
    def joined(cls, parts: "Sequence[tuple[Indices, Estimates]]", count: int) -> Self:
        """Parts put together, each with the places of its entries among ``count``; unknown where there is no part.

        Places are ascending within a part.
        """
        if len(parts) == 1 and parts[0][0].size == count:
            return cls(*(getattr(parts[0][1], name) for name in NAMES))
        whole = cls.unknown(count)
        for where, part in parts:
            for name in NAMES:
                getattr(whole, name)[where] = getattr(part, name)
        return whole

    def at(self, where: Indices | Mask | slice) -> Self:
        """Return some of the entries."""
        return type(self)(*(getattr(self, name)[where] for name in NAMES))

    def with_entries(self, where: Indices | Mask | slice, others: "Estimates") -> Self:
        """Return the same with some entries replaced by others."""
        return type(self)(*(_with(getattr(self, name), where, getattr(others, name)) for name in NAMES))

    def assuming(self, where: Indices, slope: Array) -> Self:
        """Return the same with slopes that are assumed at some entries: nothing is known about them."""
        slopes, errors = _with(self.slope, where, slope), _with(self.error, where, np.full(where.size, np.inf))
        return replace(self, slope=slopes, error=errors)

    def with_errors(self, where: Indices | Mask, errors: Array) -> Self:
        """Return the same with other errors at some entries."""
        return replace(self, error=_with(self.error, where, errors))


NAMES = tuple(field.name for field in fields(Estimates))


def _with(values: Array, where: Indices | Mask | slice, others: Array) -> Array:
    changed = values.copy()
    changed[where] = others
    return changed
