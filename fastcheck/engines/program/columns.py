"""Quotients of all entries of some places: blocks of columns, each of which moves the entries of one colour."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..._types import Array, Indices, Mask
from ...problems.functions.evaluators import Pace
from .colouring import Colouring
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
    broken : whether an output moved that no entry of the column was said to move.
    """

    right: Array
    left: Array
    terms: Array
    flagged: Mask
    done: Mask
    broken: bool = False

    @classmethod
    def of(cls, size: int) -> "Quotients":
        """Nothing yet."""
        return cls(np.zeros(size), np.zeros(size), np.zeros(size), np.zeros(size, bool), np.zeros(size, bool))

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
    level: int = 0


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
    queue = _Queue(which, colours) if order is None else _Queue(which[order], colours[order])
    pace = Pace(FIRST_COLUMNS, max(1, runner.most_columns([job.place.size for job in jobs]) // 2))
    for level in range(SHRINKS + 1):
        again = []
        for block in _blocks(queue.job.size, pace, limits):
            part = _Queue(queue.job[block], queue.colour[block], level)
            redo = _block(jobs, part, found, runner, convention)
            again.append(np.arange(block.start, block.stop)[redo])
            limits.progress(block.stop - block.start - int(np.count_nonzero(redo)))
        waiting = np.concatenate([np.empty(0, np.int64), *again])
        queue = _Queue(queue.job[waiting], queue.colour[waiting])
        if not waiting.size:
            break
    return found


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


def _block(
    jobs: Sequence[Job], part: _Queue, found: list[Quotients], runner: Runner, convention: float | None
) -> Mask:
    """Run one block, both signs, and tell which of its columns are to be taken again with a smaller step."""
    count, shrink = part.job.size, SHRINK**part.level
    moved, rows = [], {}
    for number in np.unique(part.job):
        here = np.flatnonzero(part.job == number)
        rows[int(number)] = here
        moved.append(_changes(jobs[number], part.colour[here], here, count, shrink))
    response = runner.run(_merged(moved), convention)
    crossed = response.crossed[:count] | response.crossed[count:] | _not_finite(response, count)
    redo = crossed if part.level < SHRINKS else np.zeros(count, dtype=bool)
    flagged = crossed | response.ties[:count] | response.ties[count:]
    for number, here in rows.items():
        keep = here[~redo[here]]
        if keep.size:
            _attribute(jobs[number], part.colour[keep], keep, response, found[number], runner, shrink)
            _mark(jobs[number], part.colour[keep], flagged[keep], found[number])
    return redo


def _changes(job: Job, colours: Indices, here: Indices, count: int, shrink: float) -> tuple[Place, Array]:
    place = job.place
    change = np.zeros((2 * count, place.size))
    rows, entries = job.colouring.members(colours)
    step = shrink * place.step[entries]
    change[here[rows], entries] = step
    change[count + here[rows], entries] = -step
    return place, change


def _merged(moved: Sequence[tuple[Place, Array]]) -> list[tuple[Place, Array]]:
    """One array for each place, where several jobs move the same one."""
    found: dict[tuple[bool, int], tuple[Place, Array]] = {}
    for place, change in moved:
        key = place.inside, place.number
        found[key] = (place, found[key][1] + change) if key in found else (place, change)
    return list(found.values())


def _not_finite(response: Moved, count: int) -> Mask:
    lost = np.zeros(2 * count, dtype=bool)
    for _, change in response.moving():
        lost |= ~np.isfinite(change).all(axis=1)
    return lost[:count] | lost[count:]


def _attribute(
    job: Job, colours: Indices, rows: Indices, response: Moved, found: Quotients, runner: Runner, shrink: float
) -> None:
    """Add what each entry changed to its quotients."""
    count, start = response.crossed.size // 2, 0
    for weight, change in zip(runner.weights, response.changes, strict=True):
        outputs = slice(start, start + weight.size)
        start = outputs.stop
        if change is None:
            continue
        above, below = change[rows], change[count + rows]
        if job.colouring.single:
            scale = shrink * job.place.step[colours]
            found.right[colours] += above @ weight / scale
            found.left[colours] -= below @ weight / scale
            found.terms[colours] += np.abs(above) @ np.abs(weight) / scale
            continue
        owner, known = job.colouring.owner(colours, outputs)
        if ((above != 0.0) & ~known).any():
            found.broken = True
        owner = np.where(known, owner, 0).reshape(-1)
        scale = shrink * job.place.step
        above, below = above * weight, below * weight
        found.right += np.bincount(owner, above.reshape(-1), job.place.size) / scale
        found.left -= np.bincount(owner, below.reshape(-1), job.place.size) / scale
        found.terms += np.bincount(owner, np.abs(above).reshape(-1), job.place.size) / scale


def _mark(job: Job, colours: Indices, flagged: Mask, found: Quotients) -> None:
    rows, entries = job.colouring.members(colours)
    found.done[entries] = True
    found.flagged[entries] = flagged[rows]
