"""Which entries can be moved together: those that never meet in an output (Curtis, Powell and Reid, 1974).

Differences do not round, and at the engine's step they are linear to many digits.  So entries can be *coded*: move all
of them, and again each by its own multiple of that; where one entry alone moves an output, the ratio of the output's
two changes is that entry's code, and where several do it is a blend, which is no code but by a chance of one in a
million.  A few columns tell whether all entries can be moved together, and which one each output belongs to.  What an
entry might add unseen to another's output is no more than the ratio's distance from the code, and counts as noise.

Where they cannot, the same is done for each axis, with one code for each index: if every output's ratio is a code, then
every output is moved by one index of that axis alone, and entries that differ on it never meet.  Such an axis is *free*
(samples, often).  On others entries may still be far enough apart to be moved together, each p-th of them: periods are
tried in the same way, several at once in different parts of a free axis.  What is left has a column for each index.

What was guessed in a part is verified where it is used: columns of periods are coded, and each tells by itself whether
entries met.

Reference: A. R. Curtis, M. J. D. Powell and J. K. Reid, "On the estimation of sparse Jacobian matrices",
J. Inst. Maths Applics 13 (1974), 117-119.
"""

import math
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from ..._errors import NoRule
from ..._types import Array, Indices, Mask
from ...rules.branches import ANY_SIDE
from ...runtime.cached_property import cached_property
from .runner import Place, Runner, ranges

if TYPE_CHECKING:
    from numpy.random import Generator

# An axis longer than this is cut like a number into digits, so that codes and periods are told for each.
LONG = 64
# Codes lie between these, evenly but for a random part of their distance.
LEAST, MOST = 0.5, 1.5
# A ratio is a code if it is nearer to it than this: what rounding leaves where terms cancel a little.  Of outputs that
# move less than others, because much cancels in them, it may be as much farther, up to a limit.
NEAR, NEAR_LIGHT, LIMIT = 1e-12, 1e-14, 1e-7
# What an entry may add unseen to another's output, as a multiple of how far the ratio is from the code: the inverse of
# how far apart two codes usually are.
UNSEEN = 4.0
# Entries from which codes would be too close together to be told apart.
MOST_CODES = 1 << 20
# Outputs that weigh less than this share of the heaviest need not tell: their changes may be all rounding.
NEGLIGIBLE = 1e-11
# What the opposite of comparisons at equality is weighed with, where both are added up: no two slopes cancel so.
OTHERWISE = 0.37
# Periods that are tried along an axis that is not free.
PERIODS = (2, 3, 4, 5, 6, 7, 8, 9, 11, 13, 16, 24, 32)


@dataclass(frozen=True)
class Digit:
    """A part of an index: ``index // stride % extent`` along one axis.

    Along an axis that is not cut the stride is 1 and the extent the axis' own.
    """

    axis: int
    stride: int
    extent: int

    def of(self, place: Place) -> Indices:
        """The digit of every entry of a place, flat."""
        values = np.arange(place.shape[self.axis]) // self.stride % self.extent
        shape = [1] * len(place.shape)
        shape[self.axis] = values.size
        return np.broadcast_to(values.reshape(shape), place.shape).reshape(-1)

    def apart(self, shape: tuple[int, ...]) -> int:
        """How far apart in the flat place two entries are whose digit differs by one."""
        return self.stride * math.prod(shape[self.axis + 1 :])


def digits_of(shape: tuple[int, ...], hints: Iterable[tuple[int, ...]] = ()) -> list[Digit]:
    """The digits of an array's indices, axis by axis; axes of one index have none.

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


@dataclass(frozen=True)
class Codes:
    """Codes of some things in a random order: the thing with rank j has one between (j + 1/4) and (j + 3/4) parts."""

    value: Array
    by_rank: Indices

    @classmethod
    def draw(cls, count: int, generator: "Generator") -> "Codes":
        """Codes of so many things."""
        by_rank = generator.permutation(count)
        value = np.empty(count)
        value[by_rank] = LEAST + (MOST - LEAST) * (np.arange(count) + generator.uniform(0.25, 0.75, count)) / count
        return cls(value, by_rank)

    def decoded(self, ratio: Array, share: Array) -> tuple[Indices, Array]:
        """The things whose codes are nearest to ratios, and how far off these are (see ``distance``)."""
        count = self.value.size
        with np.errstate(invalid="ignore"):
            rank = np.clip((ratio - LEAST) * (count / (MOST - LEAST)), 0, count - 1)
        thing = self.by_rank[np.where(np.isfinite(rank), rank, 0).astype(np.int64)]
        return thing, distance(self.value[thing], ratio, share)


def distance(code: Array, ratio: Array, share: Array) -> Array:
    """How far ratios are from codes; infinite where that is not near.

    Parameters
    ----------
    code, ratio : (k,).
    share : (k,) how much the outputs move, as a share of the one that moves most.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        apart = np.abs(code - ratio)
        return np.where(apart <= np.clip(NEAR_LIGHT / share, NEAR, LIMIT), apart, np.inf)


def ratio_of(odd: Array, even: Array, coded: Array) -> Array:
    """The code r of a change f(r h) = r odd + r^2 even, to the third order in h.

    Parameters
    ----------
    odd, even : (f(h) - f(-h)) / 2 and (f(h) + f(-h)) / 2.
    coded : f(r h).
    """
    with np.errstate(all="ignore"):
        first = coded / odd
        return np.asarray((coded - first * first * even) / odd)


@dataclass(frozen=True)
class Groups:
    """Entries of an output that belong together.

    value : what they share; starts : where each group starts; order : of the entries, None where they lie in order.
    """

    value: Indices
    starts: Indices
    order: Indices | None

    @classmethod
    def of(cls, labels: Indices) -> "Groups":
        """Those with the same label."""
        order = None if (np.diff(labels) >= 0).all() else np.argsort(labels, kind="stable")
        ordered = labels if order is None else labels[order]
        starts = np.flatnonzero(np.concatenate([[True], np.diff(ordered) > 0]))
        return cls(ordered[starts], starts, order)

    def sums(self, terms: Array) -> Array:
        """Sums over each group, (rows, groups), of terms (rows, entries)."""
        return np.asarray(np.add.reduceat(terms if self.order is None else terms[:, self.order], self.starts, axis=1))


@dataclass(frozen=True, eq=False)
class Colouring:
    """A partition of a place's entries into colours that are moved together.

    Parameters
    ----------
    place : whose entries.
    free : the flat index, or the part of it that free digits make up, of the entry that moves each output; None where
        no digit is free.
    unique : digits that make colours by all their values.
    periods : digits with the period of theirs by which entries of one colour are apart.
    alone : whether each entry has a colour of its own.
    unseen : share of the largest change that an entry may have made unseen where free digits tell the entries.
    """

    place: Place
    free: Indices | None = None
    unique: tuple[Digit, ...] = ()
    periods: tuple[tuple[Digit, int], ...] = ()
    alone: bool = True
    unseen: float = 0.0

    @property
    def single(self) -> bool:
        """Whether each entry has a colour of its own."""
        return self.alone

    def without_periods(self) -> "Colouring":
        """The same with a colour for each value of the digits that have periods."""
        unique = (*self.unique, *(digit for digit, _ in self.periods))
        return Colouring(self.place, self.free, unique, (), self.free is None, self.unseen)

    @property
    def coded(self) -> bool:
        """Whether outputs have to be told their entry by codes."""
        return bool(self.periods)

    @property
    def count(self) -> int:
        """Number of colours."""
        return self.place.size if self.alone else int(self._used.size)

    @cached_property
    def _combined(self) -> tuple[Indices, Indices]:
        combined = np.zeros(self.place.size, dtype=np.int64)
        for digit, period in (*((digit, digit.extent) for digit in self.unique), *self.periods):
            combined = combined * period + digit.of(self.place) % period
        used, colour = np.unique(combined, return_inverse=True)
        return used, colour.reshape(-1)

    @property
    def _used(self) -> Indices:
        return self._combined[0]

    @property
    def colour(self) -> Indices:
        """(n,) the colour of each entry."""
        return np.arange(self.place.size) if self.alone else self._combined[1]

    @cached_property
    def sorted(self) -> tuple[Indices, Indices]:
        """Entries colour by colour, at random within each, and where each colour begins."""
        shuffled = np.random.default_rng(self.place.size).permutation(self.place.size)
        order = shuffled[np.argsort(self.colour[shuffled], kind="stable")]
        return order, np.searchsorted(self.colour[order], np.arange(self.count + 1))

    @cached_property
    def codes(self) -> Array:
        """(n,) a code for each entry, told apart from the others of its colour."""
        order, starts = self.sorted
        counts = np.diff(starts)
        rank = np.arange(order.size) - np.repeat(starts[:-1], counts)
        part = np.random.default_rng(order.size).uniform(0.25, 0.75, order.size)
        codes = np.empty(order.size)
        codes[order] = LEAST + (MOST - LEAST) * (rank + part) / np.repeat(counts, counts)
        return codes

    @cached_property
    def first(self) -> Indices:
        """For each colour, the part of its entries' flat indices that unique digits make up."""
        if self.alone:
            return np.arange(self.place.size)
        order, starts = self.sorted
        some = order[starts[:-1]]
        return np.asarray(sum(digit.of(self.place)[some] * digit.apart(self.place.shape) for digit in self.unique)
                          + np.zeros(some.size, dtype=np.int64))

    @cached_property
    def _grouped(self) -> dict[int, "Groups"]:
        return {}

    def groups(self, output: int, sizes: Sequence[int]) -> "Groups":
        """The entries of an output by the free part of the entry that moves them.

        Parameters
        ----------
        sizes : of all outputs.
        """
        if output not in self._grouped:
            start = sum(sizes[:output])
            assert self.free is not None  # noqa: S101  # asked only of colourings with free digits
            self._grouped[output] = Groups.of(self.free[start : start + sizes[output]])
        return self._grouped[output]

    def members(self, colours: Indices) -> tuple[Indices, Indices]:
        """Rows and entries: the entries of ``colours[row]``, for all rows."""
        if self.alone:
            return np.arange(colours.size), colours
        order, starts = self.sorted
        counts = starts[colours + 1] - starts[colours]
        rows = np.repeat(np.arange(colours.size), counts)
        within = np.arange(rows.size) - np.repeat(np.cumsum(counts) - counts, counts)
        return rows, order[starts[colours][rows] + within]

    def decoded(self, colours: Indices, ratio: Array, share: Array) -> tuple[Indices, Array]:
        """The entries of the colours (k,) whose codes are nearest to ratios (k,), and how far off they are."""
        order, starts = self.sorted
        counts = starts[colours + 1] - starts[colours]
        with np.errstate(invalid="ignore"):
            rank = np.clip((ratio - LEAST) * (counts / (MOST - LEAST)), 0, counts - 1)
        entry = order[starts[colours] + np.where(np.isfinite(rank), rank, 0).astype(np.int64)]
        return entry, distance(self.codes[entry], ratio, share)


def discover(places: Sequence[Place], runner: Runner, generator: "Generator") -> list[Colouring]:
    """Colourings of several places, found with codes.

    Parameters
    ----------
    places : whose entries are to be coloured.
    runner : runs the program.
    generator : draws amounts and codes.

    Returns
    -------
    list of Colouring : in the order of the places.
    """
    hints = set(runner.shapes) | {place.shape for place in places if not place.inside}
    trials = [_Trial(place, digits_of(place.shape, hints), generator) for place in places]
    wanted = [(trial.place, change) for trial in trials for change in trial.changes()]
    rows = iter(_outputs_of(wanted, runner))
    for trial in trials:
        trial.read([next(rows) for _ in range(trial.columns)], runner)
    for longest in (True, False):
        tests = [test for trial in trials for test in trial.tests(longest=longest, generator=generator)]
        rows = iter(_outputs_of([(test.place, change) for test in tests for change in test.changes()], runner))
        for test in tests:
            test.read(Told.of(next(rows), next(rows), runner), next(rows))
    return [trial.colouring() for trial in trials]


def trial_columns(shapes: Iterable[tuple[int, ...]]) -> int:
    """Columns that discovery takes for places of these shapes, but for periods."""
    return sum(3 + len(digits_of(shape)) for shape in shapes)


class _Trial:
    """What is known of one place: which of its digits are free, which have periods."""

    def __init__(self, place: Place, digits: list[Digit], generator: "Generator") -> None:
        self.place, self.digits = place, digits
        size = place.size
        self.amount = place.step * generator.uniform(LEAST, MOST, size) * generator.choice((-1.0, 1.0), size)
        self.whole = Codes.draw(size, generator) if size <= MOST_CODES else None
        self.codes = [Codes.draw(digit.extent, generator) for digit in digits]
        self.free: Indices | None = None
        self.owners: dict[Digit, Indices] = {}
        self.bound = list(digits)
        self.periods: dict[Digit, int] = {}
        self.unseen = 0.0

    @property
    def columns(self) -> int:
        """Columns that are run at first."""
        return 2 + (self.whole is not None) + len(self.digits)

    def changes(self) -> Iterable[Array]:
        """All entries up and down, all by their codes, and all by the codes of one digit."""
        yield self.amount
        yield -self.amount
        if self.whole is not None:
            yield self.amount * self.whole.value
        for digit, codes in zip(self.digits, self.codes, strict=True):
            yield self.amount * codes.value[digit.of(self.place)]

    def read(self, rows: list[Array], runner: Runner) -> None:
        """Learn from what the columns moved."""
        up, down, *coded = rows
        told = Told.of(up, down, runner)
        if self.whole is not None:
            owner, unseen = told.owners(self.whole, coded.pop(0))
            if owner is not None:
                self.free, self.bound, self.unseen = owner, [], unseen
                return
        for digit, codes, row in zip(self.digits, self.codes, coded, strict=True):
            owner, unseen = told.owners(codes, row)
            if owner is not None:
                self.owners[digit] = owner
                self.unseen = max(self.unseen, unseen)
                self.bound.remove(digit)

    def tests(self, *, longest: bool, generator: "Generator") -> list["_Test"]:
        """Tests of periods: several to a test in the values of the longest free digit.

        Where there is none, ``longest`` periods are tried first, and shorter ones where those have proved right.
        """
        within = max(self.owners, key=lambda digit: digit.extent, default=None)
        waiting = [(digit, period) for digit in self.bound for period in PERIODS if 2 * period < digit.extent]
        if longest == (within is not None):
            return []
        if within is None:
            last = dict(waiting)
            waiting = list(last.items()) if longest else [
                (digit, period) for digit, period in waiting if period < self.periods.get(digit, 0)
            ]
        drawn = [(digit, period, Codes.draw(digit.extent, generator)) for digit, period in waiting]
        parts = 1 if within is None else within.extent
        return [_Test(self, drawn[first : first + parts], within) for first in range(0, len(drawn), parts)]

    def colouring(self) -> Colouring:
        """What came of it."""
        if self.free is None and self.owners:
            shape = self.place.shape
            self.free = np.asarray(sum(owner * digit.apart(shape) for digit, owner in self.owners.items()))
        unique = tuple(digit for digit in self.bound if digit not in self.periods)
        periods = tuple(self.periods.items())
        return Colouring(self.place, self.free, unique, periods, self.free is None and not periods, self.unseen)


@dataclass(frozen=True)
class Told:
    """Changes of the outputs by which codes are told, up and down with one amount.

    Parameters
    ----------
    odd, even : parts of them.
    size : how much each weighs.
    where : outputs that weigh enough to have to tell.
    """

    odd: Array
    even: Array
    size: Array
    where: Mask

    @classmethod
    def of(cls, up: Array, down: Array, runner: Runner) -> "Told":
        """From the two changes."""
        odd = 0.5 * (up - down)
        size = np.abs(odd * runner.weight)
        return cls(odd, 0.5 * (up + down), size, size > NEGLIGIBLE * float(size.max(initial=0.0)))

    def owners(self, codes: Codes, coded: Array, within: Mask | None = None) -> tuple[Indices | None, float]:
        """Which coded thing moves each output, and what others may add unseen, as a share of the largest change.

        None where several things move one output.
        """
        where = self.size > 0.0 if within is None else (self.size > 0.0) & within
        largest = float(self.size.max(initial=0.0)) or 1.0
        ratio = ratio_of(self.odd[where], self.even[where], coded[where])
        thing, apart = codes.decoded(ratio, self.size[where] / largest)
        lost = ~np.isfinite(apart)
        if (lost & self.where[where]).any():
            return None, 0.0
        found = np.zeros(self.odd.size, dtype=np.int64)
        found[where] = thing
        unseen = np.where(lost, 1.0, UNSEEN * apart) * self.size[where]
        return found, float(unseen.max(initial=0.0)) / largest


@dataclass(frozen=True, eq=False)
class _Test:
    """Periods of digits of a place, each tried within one value of a free digit, where they do not meet.

    Parameters
    ----------
    trial : of the place.
    tried : digits and periods, with their codes.
    within : the free digit; None where there is none, for one period alone.
    """

    trial: _Trial
    tried: Sequence[tuple[Digit, int, Codes]]
    within: Digit | None

    @property
    def place(self) -> Place:
        """The place."""
        return self.trial.place

    def changes(self) -> tuple[Array, Array, Array]:
        """Up, down, and up by the codes."""
        moved, coded = np.zeros(self.place.size), np.zeros(self.place.size)
        for part, (digit, period, codes) in enumerate(self.tried):
            value = digit.of(self.place)
            chosen = value % period == 0
            if self.within is not None:
                chosen &= self.within.of(self.place) == part
            # other bound digits stand still at one value: this one alone is in question
            for other in self.trial.bound:
                if other is not digit:
                    chosen &= other.of(self.place) == other.extent // 2
            moved[chosen] = self.trial.amount[chosen]
            coded[chosen] = self.trial.amount[chosen] * codes.value[value[chosen]]
        return moved, -moved, coded

    def read(self, told: Told, coded: Array) -> None:
        """Note the shortest periods with which entries do not meet."""
        periods = self.trial.periods
        for part, (digit, period, codes) in enumerate(self.tried):
            here = told.where if self.within is None else told.where & (self.trial.owners[self.within] == part)
            if period < periods.get(digit, digit.extent) and here.any():
                owner, _ = told.owners(codes, coded, here)
                # One entry alone that moves anything, the others being dead, shows nothing.
                if owner is not None and 2 * np.unique(owner[here]).size > -(-digit.extent // period):
                    periods[digit] = period


def _outputs_of(wanted: Sequence[tuple[Place, Array]], runner: Runner) -> list[Array]:
    """What each change of a place does to all outputs, laid end to end."""
    found: dict[int, Array] = {}
    for without in dict.fromkeys(place.without for place, _ in wanted):
        mine = [number for number, (place, _) in enumerate(wanted) if place.without == without]
        sizes = [place.size for place in {wanted[number][0] for number in mine}]
        for block in ranges(len(mine), min(64, runner.most_columns(sizes))):
            numbers = mine[block]
            changes: dict[Place, Array] = {}
            for row, number in enumerate(numbers):
                place, change = wanted[number]
                changes.setdefault(place, np.zeros((len(numbers), place.size)))[row] = change
            found.update(zip(numbers, _on_any_side(list(changes.items()), runner), strict=True))
    return [found[number] for number in range(len(wanted))]


def _on_any_side(moved: Sequence[tuple[Place, Array]], runner: Runner) -> Array:
    """What changes do to all outputs, linear in them, where ties let whatever can move an output move it.

    A mask that is false at equality hides what it multiplies, and its opposite shows it: both are added up.
    """
    found = runner.laid_out(runner.run(moved, ANY_SIDE))
    if "comparison" in runner.kinds:
        with suppress(NoRule):
            found += OTHERWISE * runner.laid_out(runner.run(moved, ANY_SIDE._replace(comparison=1.0)))
    return found
