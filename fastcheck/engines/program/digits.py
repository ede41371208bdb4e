"""Indices of a place cut into digits, like numbers: the axes by which entries are told apart."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from ..._types import Indices

# An axis longer than this is cut like a number into digits, so that codes and periods are told for each.
LONG = 64


@dataclass(frozen=True)
class Digit:
    """A part of an index: ``index // stride % extent`` along one axis.

    Along an axis that is not cut the stride is 1 and the extent the axis' own.
    """

    axis: int
    stride: int
    extent: int

    def of(self, shape: tuple[int, ...]) -> Indices:
        """Return the digit of every entry of a place of that shape, flat."""
        values = np.arange(shape[self.axis]) // self.stride % self.extent
        along = [1] * len(shape)
        along[self.axis] = values.size
        return np.broadcast_to(values.reshape(along), shape).reshape(-1)

    def apart(self, shape: tuple[int, ...]) -> int:
        """Return how far apart in the flat place two entries are whose digit differs by one."""
        return self.stride * math.prod(shape[self.axis + 1 :])


def digits_of(shape: tuple[int, ...], hints: Iterable[tuple[int, ...]] = ()) -> list[Digit]:
    """Return the digits of an array's indices, axis by axis; axes of one index have none.

    Parameters
    ----------
    shape : of the array.
    hints : shapes of other arrays: an axis that holds several of theirs (all pixels of all samples) is cut there.
    """
    found = []
    for axis, extent in enumerate(shape):
        stride = 1
        for part in reversed(_parts(extent, hints)):
            found.append(Digit(axis, stride, part))
            stride *= part
    return [digit for digit in found if digit.extent > 1]


def _parts(extent: int, hints: Iterable[tuple[int, ...]]) -> tuple[int, ...]:
    """Extents, whose product is at least ``extent``, that an axis is cut into, the slowest first."""
    if extent <= LONG:
        return (extent,)
    shapes = sorted({shape for shape in hints if shape}, key=len)
    for shape in shapes:
        for count in range(2, len(shape) + 1):
            for chosen in combinations(shape, count):
                if math.prod(chosen) == extent and max(chosen) <= LONG and min(chosen) > 1:
                    return chosen
    for first in (part for shape in shapes for part in shape[:1]):
        if 1 < first <= LONG and extent % first == 0:
            return (first, *_balanced(extent // first))
    return _balanced(extent)


def _balanced(extent: int) -> tuple[int, ...]:
    if extent <= LONG:
        return (extent,)
    count = math.ceil(math.log(extent) / math.log(LONG))
    base = math.ceil(extent ** (1.0 / count))
    return (-(-extent // base ** (count - 1)), *[base] * (count - 1))
