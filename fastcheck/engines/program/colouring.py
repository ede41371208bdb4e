"""Which entries can be moved together: those that never meet in an output (Curtis, Powell and Reid, 1974).

An array is cut along its axes.  Move all entries with index i on an axis, a *slab*, and see which outputs change: that
is the slab's footprint, the union of its entries' footprints, because changes that are exactly zero stay exactly zero.
Two indices of an axis *conflict* where their slabs' footprints meet.  Colour each axis so that conflicting indices
differ in colour, and give an entry the tuple of its indices' colours.  Two entries of one colour differ on some axis;
on it their indices have the same colour, so they do not conflict, so the two entries share no output.  Then one run
moves all entries of a colour, and each output tells which of them moved it: on every axis, the one index of that
colour whose footprint holds the output.

Reference: A. R. Curtis, M. J. D. Powell and J. K. Reid, "On the estimation of sparse Jacobian matrices",
J. Inst. Maths Applics 13 (1974), 117-119.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..._types import Array, Indices, Mask
from .runner import Place, Runner, ranges

if TYPE_CHECKING:
    from numpy.random import Generator

# An axis longer than this is cut like a number into digits, so that slabs stay few.
LONG = 64
# Slabs of an axis that are looked at first: where all of them conflict, the others are taken to.
PILOTS = 6
# Random amounts of a slab's entries, times their steps: entries of a slab must not cancel.
LEAST, MOST = 0.5, 1.5

Footprint = NDArray[np.uint8]


@dataclass(frozen=True)
class Digit:
    """A part of an index: ``index // stride % extent`` along one axis.

    Along an axis that is not cut the stride is 1 and the extent the axis' own.
    """

    axis: int
    stride: int
    extent: int

    def of(self, index: Indices) -> Indices:
        """The digit of indices along its axis."""
        return index // self.stride % self.extent


def digits_of(shape: tuple[int, ...], hints: Iterable[tuple[int, ...]] = ()) -> list[Digit]:
    """The digits of an array's indices, axis by axis; axes of one index have none.

    Parameters
    ----------
    shape : of the array.
    hints : shapes of other arrays: an axis that holds several of theirs (all pixels of all samples) is cut there.
    """
    found = []
    for axis, extent in enumerate(shape):
        stride = extent_left = 1
        for part in reversed(_parts(extent, hints)):
            found.append(Digit(axis, stride, part))
            stride *= part
            extent_left *= part
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


class Colouring:
    """A partition of a place's entries into colours that are moved together.

    Parameters
    ----------
    place : whose entries.
    digits : of its indices.
    classes : for each digit, the colour of each of its values.
    owners : for each digit (colours, outputs) the value that moves an output, -1 for none; None where each value has a
        colour of its own.

    Attributes
    ----------
    count : number of colours.
    colour : (n,) of each entry.
    """

    def __init__(
        self, place: Place, digits: Sequence[Digit] = (), classes: Sequence[Indices] = (),
        owners: Sequence[NDArray[np.int32] | None] = (),
    ) -> None:
        self.place, self.digits, self.classes, self.owners = place, digits, classes, owners
        self.single = all(owner is None for owner in owners)
        if self.single:
            self.count = place.size
            return
        index = np.indices(place.shape, sparse=True)
        combined: Any = np.zeros((1,) * len(place.shape), dtype=np.int64)
        extents = [int(chosen.max()) + 1 for chosen in classes]
        for digit, chosen, extent in zip(digits, classes, extents, strict=True):
            combined = combined * extent + chosen[digit.of(index[digit.axis])]
        flat = np.broadcast_to(combined, place.shape).reshape(-1)
        used, self._colour = np.unique(flat, return_inverse=True)
        self.count = int(used.size)
        self._tuples = np.stack(np.unravel_index(used, extents), axis=1)

    @property
    def colour(self) -> Indices:
        """(n,) the colour of each entry."""
        return np.arange(self.place.size) if self.single else self._colour

    @cached_property
    def _sorted(self) -> tuple[Indices, Indices]:
        """Entries colour by colour, and where each colour begins."""
        order = np.argsort(self._colour, kind="stable")
        return order, np.searchsorted(self._colour[order], np.arange(self.count + 1))

    @cached_property
    def _strides(self) -> Indices:
        """How far apart in the flat place two entries are whose digit differs by one."""
        shape = self.place.shape
        return np.array([digit.stride * math.prod(shape[digit.axis + 1 :]) for digit in self.digits], dtype=np.int64)

    @cached_property
    def _first_values(self) -> list[Indices]:
        """For each digit, the first of its values of each colour."""
        return [np.unique(chosen, return_index=True)[1] for chosen in self.classes]

    def members(self, colours: Indices) -> tuple[Indices, Indices]:
        """Rows and entries: the entries of ``colours[row]``, for all rows."""
        if self.single:
            return np.arange(colours.size), colours
        order, starts = self._sorted
        counts = starts[colours + 1] - starts[colours]
        rows = np.repeat(np.arange(colours.size), counts)
        within = np.arange(rows.size) - np.repeat(np.cumsum(counts) - counts, counts)
        return rows, order[starts[colours][rows] + within]

    def owner(self, colours: Indices, outputs: slice) -> tuple[Indices, Mask]:
        """The entry that moves each output, and whether there is one, both (rows, outputs), for colours (rows,).

        Parameters
        ----------
        outputs : which, of all outputs laid end to end.
        """
        chosen = self._tuples[colours]
        flat: Any = np.zeros((colours.size, 1), dtype=np.int64)
        known: Any = np.ones((1, 1), dtype=bool)
        for place, owner in enumerate(self.owners):
            if owner is None:
                flat = flat + (self._first_values[place][chosen[:, place]] * self._strides[place])[:, None]
            else:
                value = owner[chosen[:, place], outputs]
                known = known & (value >= 0)
                flat = flat + value * self._strides[place]
        return flat, np.broadcast_to(known, flat.shape)


def discover(places: Sequence[Place], runner: Runner, generator: "Generator") -> list[Colouring]:
    """Colourings of several places, found by moving slabs.

    Parameters
    ----------
    places : whose entries are to be coloured.
    runner : runs the program.
    generator : draws the slabs' amounts.

    Returns
    -------
    list of Colouring : in the order of the places.
    """
    hints = {np.shape(value) for value in runner.outputs} | {place.shape for place in places if not place.inside}
    digits = [(place, digit) for place in places for digit in digits_of(place.shape, hints)]
    pilots = [_pilots(digit.extent) for _, digit in digits]
    prints = _footprints([(p, d, v) for (p, d), values in zip(digits, pilots, strict=True) for v in values],
                         runner, generator)
    found, rest, at = {}, [], 0
    for (place, digit), values in zip(digits, pilots, strict=True):
        here = prints[at : at + len(values)]
        at += len(values)
        found[place, digit] = here
        if len(values) < digit.extent and not _all_conflict(here):
            rest += [(place, digit, v) for v in range(digit.extent) if v not in values]
    more = dict(zip(((p, d, v) for p, d, v in rest), _footprints(rest, runner, generator), strict=True))
    colourings = []
    for place in places:
        mine = [digit for owner, digit in digits if owner is place]
        classes, owners = [], []
        for digit in mine:
            known = found[place, digit]
            whole: list[Footprint] | None = known
            if len(known) < digit.extent:
                looked_at = iter(known)
                pilot = set(_pilots(digit.extent))
                whole = None if (place, digit, _other(digit.extent)) not in more else [
                    next(looked_at) if v in pilot else more[place, digit, v] for v in range(digit.extent)
                ]
            chosen, owner = _coloured(digit.extent, whole, runner.size)
            classes.append(chosen)
            owners.append(owner)
        colourings.append(Colouring(place, mine, classes, owners))
    return colourings


def _pilots(extent: int) -> list[int]:
    """The values of a digit that are looked at first, ascending: neighbours and far ones."""
    if extent <= PILOTS + 2:
        return list(range(extent))
    middle = extent // 2
    return [0, 1, 2, middle, middle + 1, extent - 1]


def _other(extent: int) -> int:
    """A value that is no pilot."""
    return next(value for value in range(extent) if value not in set(_pilots(extent)))


def slab_columns(shapes: Iterable[tuple[int, ...]]) -> int:
    """Columns that discovery takes at most for places of these shapes."""
    return sum(digit.extent for shape in shapes for digit in digits_of(shape))


def _footprints(
    slabs: Sequence[tuple[Place, Digit, int]], runner: Runner, generator: "Generator"
) -> list[Footprint]:
    """Which outputs each slab changes, as bits."""
    found: list[Footprint] = []
    places = sorted({place.size for place, _, _ in slabs})
    for block in ranges(len(slabs), min(64, runner.most_columns(places))):
        chosen = slabs[block]
        changes: dict[Place, Array] = {}
        for row, (place, digit, value) in enumerate(chosen):
            if place not in changes:
                changes[place] = np.zeros((len(chosen), place.size))
            extent = place.shape[digit.axis]
            index = np.flatnonzero(digit.of(np.arange(extent)) == value)
            where = (slice(None),) * digit.axis + (index,)
            step = place.step.reshape(place.shape)[where]
            amount = generator.uniform(LEAST, MOST, step.shape)
            changes[place][row].reshape(place.shape)[where] = amount * step
        moved = runner.run(list(changes.items()))
        touched = np.zeros((len(chosen), runner.size), dtype=bool)
        start = 0
        for change, weight in zip(moved.changes, runner.weights, strict=True):
            if change is not None:
                touched[:, start : start + weight.size] = change != 0.0
            start += weight.size
        found += list(np.packbits(touched, axis=1))
    return found


def _all_conflict(prints: Sequence[Footprint]) -> bool:
    return all((one & other).any() for one, other in combinations(prints, 2))


def _coloured(
    extent: int, prints: Sequence[Footprint] | None, outputs: int
) -> tuple[Indices, NDArray[np.int32] | None]:
    """Colours of a digit's values, and the owner of each output for each colour (None: each value its own colour)."""
    if prints is None:
        return np.arange(extent), None
    stack = np.stack(prints)
    colours = np.full(extent, -1, dtype=np.int64)
    for value in range(extent):
        conflicts = (stack[:value] & stack[value]).any(axis=1)
        taken = set(colours[:value][conflicts].tolist())
        colours[value] = next(colour for colour in range(extent) if colour not in taken)
    count = int(colours.max()) + 1
    if count == extent:
        return np.arange(extent), None
    owner = np.full((count, outputs), -1, dtype=np.int32)
    for value in range(extent):
        owner[colours[value], np.unpackbits(stack[value], count=outputs).view(bool)] = value
    return colours, owner


def alone(place: Place) -> Colouring:
    """Every entry by itself."""
    return Colouring(place)
