"""Quotients of all entries of some places: blocks of columns, each of which moves the entries of one colour.

Each colour is moved up in one column and down in another.  Where codes have to tell which entry an output belongs to,
the step down is each entry's step times its code.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..._types import Array, Indices, Mask
from ...problems.functions.evaluators import Pace
from .colouring import NEGLIGIBLE, Colouring
from .runner import FIRST_COLUMNS, Moved, Place, Runner

# A column that crosses a kink, or leaves the function's domain, is taken again with a step this much smaller, at most
# so often.
SHRINK, SHRINKS = 2.0**-10, 2


@dataclass(frozen=True)
class Job:
    """Colours of a place that are to be moved, one column and sign each."""

    colouring: Colouring
    colours: Indices

    @property
    def place(self) -> Place:
        """Where they are."""
        return self.colouring.place


@dataclass
class Quotients:
    """One-sided difference quotients of the cost by each entry of a place, (n,) each.

    Parameters
    ----------
    right, left : (J(x + h) - J) / h and (J - J(x - h)) / h.
    terms : sum of |terms| that make up the one to the right: what its rounding is relative to.
    flagged : which entries moved in a column that crossed a kink at every step, or moved a tie.
    done : which entries were moved at all.
    """

    right: Array
    left: Array
    terms: Array
    flagged: Mask
    done: Mask

    @classmethod
    def of(cls, size: int) -> "Quotients":
        """Nothing yet."""
        return cls(np.zeros(size), np.zeros(size), np.zeros(size), np.zeros(size, bool), np.zeros(size, bool))

    def take(self, other: "Quotients") -> None:
        """Take over what another has done."""
        for name in ("right", "left", "terms", "flagged", "done"):
            getattr(self, name)[other.done] = getattr(other, name)[other.done]

    @property
    def slope(self) -> Array:
        """The central difference."""
        return 0.5 * (self.right + self.left)

    @property
    def settled(self) -> Array:
        """The central difference; where one side has no finite one, the other side's."""
        right, left = np.isfinite(self.right), np.isfinite(self.left)
        return np.where(right == left, self.slope, np.where(right, self.right, self.left))

    @property
    def bend(self) -> Array:
        """Half the jump from the left to the right: of the order of the step, but at kinks."""
        return 0.5 * (self.right - self.left)


@dataclass
class Limits:
    """How far blocks may go.

    Parameters
    ----------
    deadline : of ``time.perf_counter``.
    progress : called after each block with the number of entries done in it; may raise to stop.
    """

    deadline: float = math.inf
    progress: Callable[[int], None] = lambda done: None

    @property
    def over(self) -> bool:
        """Whether no further block is to be begun."""
        return time.perf_counter() >= self.deadline


@dataclass
class _Queue:
    """Columns that wait: which job, which of its colours."""

    job: Indices
    colour: Indices


def measure(
    jobs: Sequence[Job], runner: Runner, limits: Limits, convention: float | None = None,
    order: Indices | None = None,
) -> list[Quotients]:
    """Quotients of the entries of all jobs, in blocks that may hold columns of several places.

    Parameters
    ----------
    jobs : what to move.
    runner : runs the program.
    limits : when to stop; the first block is done in any case.
    convention : freezes branches at ties, as in ``Program.run``.
    order : in which the columns are run, all jobs' laid end to end; None for that order.

    Returns
    -------
    list of Quotients : of the places of the jobs, whole; ``done`` tells which entries were moved.
    """
    found = [Quotients.of(job.place.size) for job in jobs]
    which = np.repeat(np.arange(len(jobs)), [job.colours.size for job in jobs])
    colours = np.concatenate([np.empty(0, np.int64), *(job.colours for job in jobs)])
    work = _Work(jobs, found, runner, convention, [[] for _ in jobs])
    queue = _Queue(which, colours) if order is None else _Queue(which[order], colours[order])
    pace = Pace(FIRST_COLUMNS, max(1, runner.most_columns([job.place.size for job in jobs]) // 2))
    for level in range(SHRINKS + 1):
        again = []
        for block in _blocks(queue.job.size, pace, limits):
            redo = work.block(queue.job[block], queue.colour[block], level)
            again.append(np.arange(block.start, block.stop)[redo])
            limits.progress(block.stop - block.start - int(np.count_nonzero(redo)))
        waiting = np.concatenate([np.empty(0, np.int64), *again])
        queue = _Queue(queue.job[waiting], queue.colour[waiting])
        if not waiting.size:
            break
    _take_apart(work, limits)
    return found


def _take_apart(work: "_Work", limits: Limits) -> None:
    """Move by themselves the entries of colours in which some met after all."""
    for job, quotients, met in zip(work.jobs, work.found, work.met, strict=True):
        if met and not limits.over:
            entries = job.colouring.members(np.array(met))[1]
            quotients.take(measure([Job(Colouring(job.place), entries)], work.runner, limits, work.convention)[0])


def _blocks(count: int, pace: Pace, limits: Limits) -> Iterator[slice]:
    done = 0
    while done < count:
        block = slice(done, min(done + pace.rows, count))
        started = time.perf_counter()
        yield block
        pace.took(block.stop - block.start, time.perf_counter() - started)
        done = block.stop
        if limits.over:
            return


@dataclass
class _Work:
    """What blocks are run with, and what they fill; ``met``: for each job the colours in which entries met."""

    jobs: Sequence[Job]
    found: list[Quotients]
    runner: Runner
    convention: float | None
    met: list[list[int]]

    def block(self, which: Indices, colours: Indices, level: int) -> Mask:
        """Run one block, both signs, and tell which of its columns are to be taken again with a smaller step."""
        count, shrink = which.size, SHRINK**level
        rows = {int(number): np.flatnonzero(which == number) for number in np.unique(which)}
        response = self._run(rows, colours, shrink, (False, True))
        crossed = response.crossed[:count] | response.crossed[count:] | _not_finite(response, count)
        ties = response.ties[:count] | response.ties[count:]
        redo = crossed if level < SHRINKS else np.zeros(count, dtype=bool)
        for number, here in rows.items():
            keep = here[~redo[here]]
            if not keep.size:
                continue
            job, found = self.jobs[number], self.found[number]
            step = shrink * job.place.step
            if job.colouring.coded:
                keep = self._coded(number, colours, keep, response, step, shrink)
            elif job.colouring.single:
                _single(colours[keep], keep, response, found, self.runner, step)
            else:
                _free(job.colouring, colours[keep], keep, response, found, self.runner, step)
            _mark(job, colours[keep], (crossed | ties)[keep], found)
        return redo

    def _run(
        self, rows: dict[int, Indices], colours: Indices, shrink: float, coded: tuple[bool, bool]
    ) -> Moved:
        """Move the entries of colours up, then down, in coded jobs by their codes where that is said."""
        count = colours.size
        moved: dict[tuple[bool, int], tuple[Place, Array]] = {}
        for number, here in rows.items():
            job = self.jobs[number]
            key = job.place.inside, job.place.number
            _, change = moved.setdefault(key, (job.place, np.zeros((2 * count, job.place.size))))
            within, entries = job.colouring.members(colours[here])
            step = shrink * job.place.step[entries]
            codes = job.colouring.codes[entries] if job.colouring.coded else 1.0
            change[here[within], entries] = step * (codes if coded[0] else 1.0)
            change[count + here[within], entries] = -step * (codes if coded[1] else 1.0)
        return self.runner.run(list(moved.values()), self.convention)

    def _coded(
        self, number: int, colours: Indices, keep: Indices, response: Moved, step: Array, shrink: float
    ) -> Indices:
        """Attribute columns in which codes tell the entries; those in which entries met are put aside."""
        job, found, count = self.jobs[number], self.found[number], colours.size
        above, below = (self.runner.laid_out(_some(response, rows)) for rows in (keep, count + keep))
        told = decoded(job.colouring, colours[keep], above, -below, self.runner.weight)
        owner = [told.entry, told.entry]
        if told.met.any() and (response.ties[keep] | response.ties[count + keep]).any():
            # At a tie both sides have slopes of their own: each is told by a code on the same side.
            other = self._run({number: np.arange(keep.size)}, colours[keep], shrink, (True, False))
            right, left = (self.runner.laid_out(_some(other, rows))
                           for rows in (np.arange(keep.size), keep.size + np.arange(keep.size)))
            sides = [decoded(job.colouring, colours[keep], above, right, self.runner.weight),
                     decoded(job.colouring, colours[keep], left, below, self.runner.weight)]
            owner, met = [side.entry for side in sides], sides[0].met | sides[1].met
        else:
            met = told.met
        self.met[number] += colours[keep][met].tolist()
        clear = ~met
        for side, (change, sign) in enumerate(((above, 1.0), (below, -1.0))):
            entries = owner[side][clear].reshape(-1)
            terms = (sign * change[clear] * self.runner.weight).reshape(-1)
            scale = step if side == 0 else step * job.colouring.codes
            total = np.bincount(entries, terms, step.size) / scale
            (found.right if side == 0 else found.left)[:] += total
            if side == 0:
                found.terms += np.bincount(entries, np.abs(terms), step.size) / scale
        _extrapolate(job, colours[keep[clear]], ~(response.ties[keep] | response.ties[count + keep])[clear], found)
        return keep[clear]


@dataclass(frozen=True)
class Decoded:
    """Which entry moved each output of each column, and in which columns some met."""

    entry: Indices
    met: Mask


def decoded(colouring: Colouring, colours: Indices, base: Array, coded: Array, weight: Array) -> Decoded:
    """Tell outputs' entries by the ratio of two changes, the second with every entry's step times its code.

    Parameters
    ----------
    colouring : with codes.
    colours : (k,) of the columns.
    base, coded : (k, outputs) changes.
    weight : (outputs,) what the changes weigh in the cost.
    """
    entry, met = np.zeros(base.shape, dtype=np.int64), np.zeros(len(base), dtype=bool)
    rows, outputs = np.nonzero((base != 0.0) | (coded != 0.0))
    with np.errstate(all="ignore"):
        ratio = coded[rows, outputs] / base[rows, outputs]
    found, near = colouring.decoded(colours[rows], ratio)
    entry[rows, outputs] = found
    size = np.abs(coded * weight)
    heavy = size[rows, outputs] > NEGLIGIBLE * size.max(axis=1, initial=0.0)[rows]
    met[rows[heavy & ~near]] = True
    return Decoded(entry, met)


def _extrapolate(job: Job, colours: Indices, smooth: Mask, found: Quotients) -> None:
    """Centre the slopes of entries whose steps up and down differ: the first order of curvature drops out."""
    rows, entries = job.colouring.members(colours)
    entries = entries[smooth[rows]]
    code, right, left = job.colouring.codes[entries], found.right[entries], found.left[entries]
    slope, bend = (code * right + left) / (1.0 + code), 0.5 * (right - left)
    found.right[entries], found.left[entries] = slope + bend, slope - bend


def _some(moved: Moved, rows: Indices) -> Moved:
    return Moved(tuple(None if change is None else change[rows] for change in moved.changes), moved.crossed[rows],
                 moved.ties[rows])


def _not_finite(response: Moved, count: int) -> Mask:
    lost = np.zeros(2 * count, dtype=bool)
    for _, change in response.moving():
        lost |= ~np.isfinite(change).all(axis=1)
    return lost[:count] | lost[count:]


def _single(
    entries: Indices, rows: Indices, response: Moved, found: Quotients, runner: Runner, step: Array
) -> None:
    """Attribute columns of one entry each."""
    count, scale = response.crossed.size // 2, step[entries]
    for output, change in response.moving():
        weight, above = runner.weights[output], change[rows]
        found.right[entries] += above @ weight / scale
        found.left[entries] -= change[count + rows] @ weight / scale
        found.terms[entries] += np.abs(above) @ np.abs(weight) / scale


def _free(
    colouring: Colouring, colours: Indices, rows: Indices, response: Moved, found: Quotients, runner: Runner,
    step: Array,
) -> None:
    """Attribute columns in which free digits tell the entries."""
    count = response.crossed.size // 2
    for output, change in response.moving():
        groups = colouring.groups(output, [weight.size for weight in runner.weights])
        entries = np.minimum(colouring.first[colours][:, None] + groups.value, step.size - 1).reshape(-1)
        weight, above = runner.weights[output], change[rows]
        for total, terms in (
            (found.right, above * weight), (found.left, -change[count + rows] * weight),
            (found.terms, np.abs(above * weight)),
        ):
            total += np.bincount(entries, groups.sums(terms).reshape(-1), step.size) / step


def _mark(job: Job, colours: Indices, flagged: Mask, found: Quotients) -> None:
    rows, entries = job.colouring.members(colours)
    found.done[entries] = True
    found.flagged[entries] = flagged[rows]
