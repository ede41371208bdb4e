"""Quotients of all entries of some places: blocks of columns, each of which moves the entries of one colour.

Each colour is moved up in one column and down in another; where codes have to tell which entry an output belongs to,
up again in a third, by each entry's step times its code.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..._types import Array, Indices, Mask
from ...rules.branches import Held
from ...runtime.pace import Pace
from .codes import NEGLIGIBLE, UNSEEN, ratio_of
from .colouring import Colouring
from .limits import Limits
from .places import Place
from .quotients import Quotients
from .runner import Moved, Runner

# A column that crosses a kink, or leaves the function's domain, is taken again with a step this much smaller, at most
# twice.  Nothing rounds, so the step may be tiny; and it must be, where the cost is not smooth at the edge of its
# domain: the quotient of t**1.5 at 0 is the square root of the step.
SHRINK, SHRINKS = 2.0**-20, 2
TINY = float(np.finfo(np.float64).tiny)


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
class _Queue:
    """Columns that wait: which job, which of its colours."""

    job: Indices
    colour: Indices


def measure(
    jobs: Sequence[Job], runner: Runner, limits: Limits, convention: Held | None = None,
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
    alike = list(dict.fromkeys(job.place.without for job in jobs))
    if len(alike) > 1:
        found: dict[int, Quotients] = {}
        for without in alike:
            numbers = [number for number, job in enumerate(jobs) if job.place.without == without]
            part = measure([jobs[number] for number in numbers], runner, limits, convention)
            found.update(zip(numbers, part, strict=True))
        return [found[number] for number in range(len(jobs))]
    return _measure(jobs, runner, limits, convention, order)


def _measure(
    jobs: Sequence[Job], runner: Runner, limits: Limits, convention: Held | None, order: Indices | None
) -> list[Quotients]:
    """Return the same for places that all stand without the same operations."""
    found = [Quotients.of(job.place.size, job.place.only) for job in jobs]
    which = np.repeat(np.arange(len(jobs)), [job.colours.size for job in jobs])
    colours = np.concatenate([np.empty(0, np.int64), *(job.colours for job in jobs)])
    work = _Work(jobs, found, runner, convention, [[] for _ in jobs])
    queue = _Queue(which, colours) if order is None else _Queue(which[order], colours[order])
    usual, most = runner.block_of([job.place.size for job in jobs])
    pace = Pace(limits.first(runner, usual), most)
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
    """Take the entries of colours in which some met after all with as many colours as it needs."""
    for job, quotients, met in zip(work.jobs, work.found, work.met, strict=True):
        if met and not limits.over:
            colouring = job.colouring.without_periods()
            entries = job.colouring.members(np.array(met))[1]
            again = Job(colouring, np.unique(colouring.colour[entries]))
            quotients.take(measure([again], work.runner, limits, work.convention)[0])


def _blocks(count: int, pace: Pace, limits: Limits) -> Iterator[slice]:
    done = 0
    paces: list[float] = []
    while done < count:
        block = slice(done, min(done + pace.rows, count))
        rows = block.stop - block.start
        started, spent = time.perf_counter(), time.process_time()
        yield block
        pace.took(rows, time.perf_counter() - started)
        paces.append((time.process_time() - spent) / rows)
        done = block.stop
        if limits.over:
            return
        # The first may have waited for memory, and larger blocks may take less time for each column.
        if len(paces) > 1 and pace.rows <= rows:
            limits.require_patience(count - done, min(paces))


@dataclass
class _Work:
    """What blocks are run with, and what they fill; ``met``: for each job the colours in which entries met."""

    jobs: Sequence[Job]
    found: list[Quotients]
    runner: Runner
    convention: Held | None
    met: list[list[int]]

    def block(self, which: Indices, colours: Indices, level: int) -> Mask:
        """Run one block, both signs, and tell which of its columns are to be taken again with a smaller step."""
        count, shrink = which.size, SHRINK**level
        rows = {int(number): np.flatnonzero(which == number) for number in np.unique(which)}
        response = self._run(rows, colours, shrink)
        lost = response.crossed | _not_finite(response)
        crossed = lost[:count] | lost[count : 2 * count]
        ties = response.ties[:count] | response.ties[count : 2 * count]
        redo: Mask = crossed if level < SHRINKS else np.zeros(count, dtype=bool)
        lone = response.lone[:count] & response.lone[count : 2 * count] & (level == 0)
        coded = self._coded_rows(rows, count)
        for number, here in rows.items():
            keep = here[~redo[here]]
            if not keep.size:
                continue
            job, found = self.jobs[number], self.found[number]
            step = shrink * job.place.step
            sides = response.rows(keep), response.rows(count + keep)
            if job.colouring.coded:
                third = response.rows(coded[number][~redo[here]])
                keep = self._coded(number, colours, keep, (*sides, third), ties[keep], step)
            elif job.colouring.single:
                _single(colours[keep], sides, found, self.runner, step)
            else:
                _free(job.colouring, colours[keep], sides, found, self.runner, step)
            _mark(job, colours[keep], (crossed | ties)[keep], lone[keep], found)
        return redo

    def _coded_rows(self, rows: dict[int, Indices], count: int) -> dict[int, Indices]:
        """Return the third column of each colour of coded jobs: they follow those of all colours up and down."""
        found, start = {}, 2 * count
        for number, here in rows.items():
            if self.jobs[number].colouring.coded:
                found[number] = np.arange(start, start + here.size)
                start += here.size
        return found

    def _run(self, rows: dict[int, Indices], colours: Indices, shrink: float) -> Moved:
        """Move the entries of colours up, down, and in coded jobs up by their codes."""
        count = colours.size
        coded = self._coded_rows(rows, count)
        total = 2 * count + sum(third.size for third in coded.values())
        moved: dict[tuple[bool, int], tuple[Place, Array]] = {}
        for number, here in rows.items():
            job = self.jobs[number]
            key = job.place.inside, job.place.number
            _, change = moved.setdefault(key, (job.place, np.zeros((total, job.place.size))))
            within, entries = job.colouring.members(colours[here])
            step = shrink * job.place.step[entries]
            change[here[within], entries] = step
            change[count + here[within], entries] = -step
            if number in coded:
                change[coded[number][within], entries] = step * job.colouring.codes[entries]
        return self.runner.run(list(moved.values()), self.convention)

    def _coded(
        self, number: int, colours: Indices, keep: Indices, sides: tuple[Moved, Moved, Moved], ties: Mask, step: Array
    ) -> Indices:
        """Attribute columns in which codes tell the entries; those in which entries met are put aside."""
        job, found, weight = self.jobs[number], self.found[number], self.runner.weight
        up, down, coded = (self.runner.laid_out(side) for side in sides)
        told = decoded(job.colouring, colours[keep], 0.5 * (up - down), 0.5 * (up + down), coded, weight)
        owner, met, unseen = [told.entry, told.entry], told.met, told.unseen
        if (met & ties).any():
            # At a tie both sides have slopes of their own: each is told by a code on the same side.
            mirrored = self._mirrored(job, colours[keep], step)
            still = np.zeros_like(up)
            right = decoded(job.colouring, colours[keep], up, still, coded, weight)
            left = decoded(job.colouring, colours[keep], down, still, self.runner.laid_out(mirrored), weight)
            owner, met, unseen = [right.entry, left.entry], right.met | left.met, right.unseen + left.unseen
        self.met[number] += colours[keep][met].tolist()
        clear = ~met
        for side, (total, change) in enumerate(((found.right, up), (found.left, -down))):
            terms = change[clear] * weight
            total += np.bincount(owner[side][clear].reshape(-1), terms.reshape(-1), step.size) / step
            if side == 0:
                found.terms += np.bincount(owner[0][clear].reshape(-1), np.abs(terms).reshape(-1), step.size) / step
        rows, entries = job.colouring.members(colours[keep][clear])
        found.unseen[entries] = unseen[clear][rows] / step[entries]
        return keep[clear]

    def _mirrored(self, job: Job, colours: Indices, step: Array) -> Moved:
        """Move the entries of colours down by their codes."""
        change = np.zeros((colours.size, job.place.size))
        rows, entries = job.colouring.members(colours)
        change[rows, entries] = -step[entries] * job.colouring.codes[entries]
        return self.runner.run([(job.place, change)], self.convention)


@dataclass(frozen=True)
class Decoded:
    """Which entry moved each output of each column, in which columns some met, and what they may have added unseen."""

    entry: Indices
    met: Mask
    unseen: Array


def decoded(
    colouring: Colouring, colours: Indices, odd: Array, even: Array, coded: Array, weight: Array
) -> Decoded:
    """Tell outputs' entries by the ratio of two changes, the second with every entry's step times its code.

    Parameters
    ----------
    colouring : with codes.
    colours : (k,) of the columns.
    odd, even, coded : (k, outputs) as in ``ratio_of``.
    weight : (outputs,) what the changes weigh in the cost.
    """
    entry, unseen, met = np.zeros(odd.shape, dtype=np.int64), np.zeros(len(odd)), np.zeros(len(odd), dtype=bool)
    size = np.maximum(np.abs(odd), np.abs(coded)) * np.abs(weight)
    rows, outputs = np.nonzero(size)
    share = size[rows, outputs] / np.maximum(size.max(axis=1, initial=0.0), TINY)[rows]
    ratio = ratio_of(odd[rows, outputs], even[rows, outputs], coded[rows, outputs])
    found, apart = colouring.decoded(colours[rows], ratio, share)
    entry[rows, outputs] = found
    lost = ~np.isfinite(apart)
    met[rows[lost & (share > NEGLIGIBLE)]] = True
    np.maximum.at(unseen, rows, np.where(lost, 1.0, UNSEEN * apart) * size[rows, outputs])
    return Decoded(entry, met, unseen)


def _not_finite(response: Moved) -> Mask:
    lost = np.zeros(response.crossed.size, dtype=bool)
    for _, change in response.moving():
        lost |= ~np.isfinite(change).all(axis=1)
    return lost


def _single(entries: Indices, sides: tuple[Moved, Moved], found: Quotients, runner: Runner, step: Array) -> None:
    """Attribute columns of one entry each."""
    scale = step[entries]
    for (output, up), (_, down) in zip(sides[0].moving(), sides[1].moving(), strict=True):
        weight = runner.weights[output]
        found.right[entries] += up @ weight / scale
        found.left[entries] -= down @ weight / scale
        found.terms[entries] += np.abs(up) @ np.abs(weight) / scale


def _free(
    colouring: Colouring, colours: Indices, sides: tuple[Moved, Moved], found: Quotients, runner: Runner, step: Array
) -> None:
    """Attribute columns in which free digits tell the entries."""
    largest = 0.0
    for (output, up), (_, down) in zip(sides[0].moving(), sides[1].moving(), strict=True):
        groups = colouring.groups(output, [weight.size for weight in runner.weights])
        entries = np.minimum(colouring.first[colours][:, None] + groups.value, step.size - 1).reshape(-1)
        right, left = up * runner.weights[output], -down * runner.weights[output]
        terms = np.abs(right)
        for total, part in ((found.right, right), (found.left, left), (found.terms, terms)):
            total += np.bincount(entries, groups.sums(part).reshape(-1), step.size) / step
        largest = max(largest, float(terms.max(initial=0.0)))
    _, moved = colouring.members(colours)
    found.unseen[moved] = colouring.unseen * largest / step[moved]


def _mark(job: Job, colours: Indices, flagged: Mask, lone: Mask, found: Quotients) -> None:
    rows, entries = job.colouring.members(colours)
    found.done[entries] = True
    found.flagged[entries] = flagged[rows]
    found.lone[entries] = lone[rows]
