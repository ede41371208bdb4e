"""Which entries can be moved together, found out by a few columns of codes (see ``colouring``)."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..._errors import NoRule
from ..._types import Array, Indices, Mask
from ...rules.branches import ANY_SIDE
from .codes import LEAST, MOST, NEGLIGIBLE, UNSEEN, Codes, ratio_of
from .colouring import Colouring
from .digits import Digit, digits_of
from .places import Place
from .runner import Runner, ranges

if TYPE_CHECKING:
    from numpy.random import Generator

# Entries from which codes would be too close together to be told apart.
MOST_CODES = 1 << 20
# What the opposite of comparisons at equality is weighed with, where both are added up: no two slopes cancel so.
OTHERWISE = 0.37
# Periods that are tried along an axis that is not free.
PERIODS = (2, 3, 4, 5, 6, 7, 8, 9, 11, 13, 16, 24, 32)


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
        if place.only is not None:
            self.amount[~place.only] = 0.0
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
        """Yield all entries up and down, all by their codes, and all by the codes of one digit."""
        yield self.amount
        yield -self.amount
        if self.whole is not None:
            yield self.amount * self.whole.value
        for digit, codes in zip(self.digits, self.codes, strict=True):
            yield self.amount * codes.value[digit.of(self.place.shape)]

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
        """Return what came of it."""
        if self.free is None and self.owners:
            shape = self.place.shape
            self.free = np.asarray(sum(owner * digit.apart(shape) for digit, owner in self.owners.items()))
        unique = tuple(digit for digit in self.bound if digit not in self.periods)
        periods = tuple(self.periods.items())
        found = Colouring(self.place, self.free, unique, periods, self.free is None and not periods, self.unseen)
        # A colour with codes takes three columns, an entry by itself two.
        return Colouring(self.place) if found.coded and 3 * found.count >= 2 * self.place.size else found


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
        """Tell which coded thing moves each output, and what others may add unseen, as a share of the largest change.

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
            value = digit.of(self.place.shape)
            chosen = value % period == 0
            if self.within is not None:
                chosen &= self.within.of(self.place.shape) == part
            # other bound digits stand still at one value: this one alone is in question
            for other in self.trial.bound:
                if other is not digit:
                    chosen &= other.of(self.place.shape) == other.extent // 2
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
    """Return what each change of a place does to all outputs, laid end to end."""
    found: dict[int, Array] = {}
    for without in dict.fromkeys(place.without for place, _ in wanted):
        mine = [number for number, (place, _) in enumerate(wanted) if place.without == without]
        sizes = [place.size for place in {wanted[number][0] for number in mine}]
        first, most = runner.block_of(sizes)
        for block in ranges(len(mine), 2 * min(first, most)):
            numbers = mine[block]
            changes: dict[Place, Array] = {}
            for row, number in enumerate(numbers):
                place, change = wanted[number]
                changes.setdefault(place, np.zeros((len(numbers), place.size)))[row] = change
            found.update(zip(numbers, _on_any_side(list(changes.items()), runner), strict=True))
    return [found[number] for number in range(len(wanted))]


def _on_any_side(moved: Sequence[tuple[Place, Array]], runner: Runner) -> Array:
    """Return what changes do to all outputs, linear in them, where ties let whatever can move an output move it.

    A mask that is false at equality hides what it multiplies, and its opposite shows it: both are added up.
    """
    found = runner.laid_out(runner.run(moved, ANY_SIDE))
    if any(kind == "comparison" for _, kind in runner.met):
        with suppress(NoRule):
            found += OTHERWISE * runner.laid_out(runner.run(moved, ANY_SIDE._replace(comparison=1.0)))
    return found
