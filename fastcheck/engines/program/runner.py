"""Runs of a program with many changes at once, and what they change in the weighted sum of its outputs."""

import math
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import numpy as np

from ..._errors import NoRule
from ..._types import Array, Indices, Mask
from ...rules.branches import Convention, Held, Kind, Mixture
from ...runtime.threads import run_all
from .places import Place
from .protocols import DifferencedProgram, ObservedProgram, Response

# What rounding below the smallest normal number makes of a change, at the usual length of a computation.
FLUSHED = 2.0**-1064
# The first block, and the bytes of changes beside its inputs and outputs that a column is taken to need, as a multiple
# of theirs, until memory has been seen.
FIRST_COLUMNS, INTERMEDIATE = 64, 8
# Numbers of a place's changes in a block of a NumPy program, or as many for each operation where that is more: memory
# of larger ones is given back, and fetched anew, by each operation.  Columns of it at least, and at first at most.
CACHED, CACHED_EACH, LEAST_COLUMNS, MOST_FIRST = 1 << 16, 1 << 11, 8, 256
# Bytes of changes that a block begins with, of programs that know what a column takes: in larger ones memory is waited
# for, which can take twice the time.
FIRST_BYTES = 1 << 25


@dataclass(frozen=True)
class Term:
    """The result of an operation that the cost is linear in, and what it weighs there.

    site : the operation's number; weight : of the result's shape.
    """

    site: int
    weight: Array


@dataclass
class Moved:
    """What a block of columns changed.

    Parameters
    ----------
    changes : one for each output: (columns, size of the output), or None where it stands still.
    crossed, ties, lone : (columns,), as in ``Response``.
    outputs : the same as ``changes``, of the program's own outputs where terms stand for them.
    """

    changes: tuple[Array | None, ...]
    crossed: Mask
    ties: Mask
    lone: Mask
    outputs: tuple[Array | None, ...]

    def rows(self, chosen: Indices | slice) -> "Moved":
        """Return some of the columns."""
        changes, outputs = (tuple(None if change is None else change[chosen] for change in each)
                            for each in (self.changes, self.outputs))
        return Moved(changes, self.crossed[chosen], self.ties[chosen], self.lone[chosen], outputs)

    def moving(self) -> Iterator[tuple[int, Array]]:
        """Yield the outputs that moved, with their places."""
        return ((place, change) for place, change in enumerate(self.changes) if change is not None)


class Later:
    """Columns that are needed later: they are run with others of the same places, or all together when one is needed.

    Parameters
    ----------
    runner : that runs them.
    columns : changes of inputs, (columns, size of the place) each.
    far : whether they are long, so that rules would take longer for short ones beside them.
    """

    def __init__(self, runner: "Runner", columns: Mapping[Place, Array], *, far: bool) -> None:
        self._runner, self.columns, self.far = runner, columns, far
        self.response: Moved | None = None

    @property
    def found(self) -> Moved:
        """What they change."""
        if self.response is None:
            self._runner.run_waiting()
        if self.response is None:  # all together cannot be followed, or these cannot
            self.response = self._runner.run(list(self.columns.items()))
        return self.response


class Runner:
    """Runs a program and keeps count.

    Parameters
    ----------
    program : the program.
    weights : one array for each output, of its shape: the cost is the sum of their products.
    memory_limit : bytes that a block of columns may take.
    terms : results of operations that are taken for the outputs instead (see ``cut``).

    Attributes
    ----------
    weights, weight : the same, flat, and all of them laid end to end.
    shapes : of the outputs.
    threads : how many share the columns of a run, of programs that may run side by side.
    deadline : of ``time.perf_counter``, after which no run should be started.
    columns, runs, seconds : perturbations so far, calls of the program, and the time they took.
    paid : perturbations that could have been had in that time.
    met : operations, by name, and kinds of the kinks on which their values stood that were moved.
    """

    def __init__(
        self, program: DifferencedProgram, weights: Sequence[Any], memory_limit: int, terms: Sequence[Term] = ()
    ) -> None:
        self.program, self.terms = program, tuple(terms)
        chosen = [np.asarray(weight, dtype=np.float64) for weight in weights]
        if terms:
            chosen = [term.weight * chosen[0].reshape(-1)[0] for term in terms]
        self.shapes = tuple(weight.shape for weight in chosen)
        self.weights = tuple(weight.reshape(-1) for weight in chosen)
        self.weight = np.concatenate([np.empty(0), *self.weights])
        self.memory_limit = memory_limit
        self.threads, self.deadline = 1, math.inf
        self.columns = self.runs = self.paid = 0
        self.seconds = 0.0
        self.met: set[tuple[str, Kind]] = set()
        self._waiting: list[Later] = []

    def at(self, program: DifferencedProgram) -> "Runner":
        """Return the same of the program at other inputs."""
        found = Runner(program, (), self.memory_limit)
        found.threads = self.threads
        found.terms, found.shapes, found.weights, found.weight = self.terms, self.shapes, self.weights, self.weight
        return found

    @property
    def kinds(self) -> set[Kind]:
        """Of the kinks on which values stood that were moved."""
        return {kind for _, kind in self.met}

    @property
    def program_holds(self) -> Sequence[Convention | Mixture]:
        """What a program whose every convention costs a compilation would have tried in place of mixtures."""
        return getattr(self.program, "holds", ())

    @property
    def outputs(self) -> tuple[Any, ...]:
        """Values of the outputs."""
        return self.program.outputs

    @property
    def size(self) -> int:
        """Number of entries of all outputs."""
        return self.weight.size

    def run(self, moved: Sequence[tuple[Place, Array]], convention: Held | None = None) -> Moved:
        """Move some places, (columns, size of the place) each, and see what changes.

        All of them stand ``without`` the same operations.
        """
        near = [one for one in self._waiting if not one.far]
        if near and convention is None and dict(moved).keys() == near[0].columns.keys():
            self._waiting = [one for one in self._waiting if one.far]
            with suppress(NoRule):  # those that wait may lead to where another branch is taken
                mine, *others = self._run_together([dict(moved), *(one.columns for one in near)])
                for one, found in zip(near, others, strict=True):
                    one.response = found
                return mine
        return self._run(moved, convention)

    def later(self, columns: Mapping[Place, Array], *, far: bool = False) -> Later:
        """Have columns run together with others; all of those that wait move the same inputs."""
        found = Later(self, columns, far=far)
        self._waiting.append(found)
        return found

    def run_waiting(self) -> None:
        """Run the columns that wait; those that cannot be followed together are left to be run alone."""
        waiting, self._waiting = self._waiting, []
        if len(waiting) > 1:
            with suppress(NoRule):
                for one, found in zip(waiting, self._run_together([one.columns for one in waiting]), strict=True):
                    one.response = found

    def _run_together(self, blocks: Sequence[Mapping[Place, Array]]) -> list[Moved]:
        """Run blocks of columns of the same places, one behind the other."""
        found = self._run([(place, np.concatenate([block[place] for block in blocks])) for place in blocks[0]], None)
        stops = np.cumsum([len(next(iter(block.values()))) for block in blocks]).tolist()
        return [found.rows(slice(start, stop)) for start, stop in zip([0, *stops], stops, strict=False)]

    def _run(self, moved: Sequence[tuple[Place, Array]], convention: Held | None) -> Moved:
        """Do what ``run`` does, of these columns alone."""
        count = len(moved[0][1])
        started = time.perf_counter() - self._compiling
        threads = max(1, min(self.threads, count // FIRST_COLUMNS))
        pieces = max(threads, -(-count // self.fitting))
        if pieces < 2:
            found = self._called(moved, convention)
        else:
            parts = np.array_split(np.arange(count), pieces)
            share = partial(self._share, moved, convention)
            found = _joined(run_all(share, parts, threads), [part.size for part in parts])
        self.seconds += time.perf_counter() - self._compiling - started
        self.columns += count
        self.paid += self._paid(count)
        self.runs += 1
        return found

    def _paid(self, count: int) -> int:
        """Columns that the time of a run of ``count`` is for: compiled programs have room for a fixed number."""
        rows: int = self.program.rows_for(count) if hasattr(self.program, "rows_for") else 1
        return -(-count // rows) * rows

    @property
    def _compiling(self) -> float:
        """Seconds that the program, where it is compiled, has spent on that: no later run pays for it again."""
        return float(getattr(self.program, "compiling", 0.0))

    @property
    def fitting(self) -> int:
        """Columns that fit into the memory limit at once, of programs that know what one takes."""
        each: int = getattr(self.program, "column_bytes", 0)
        return max(1, self.memory_limit // each) if each else sys.maxsize

    def block_of(self, sizes: Sequence[int]) -> tuple[int, int]:
        """Return how many columns of both signs a block begins with, and has at most, where places of sizes move."""
        most = max(1, self.most_columns(sizes) // 2)
        if not getattr(self.program, "observes", False):
            return self.first, most
        numbers = max(CACHED, CACHED_EACH * cast(ObservedProgram, self.program).operations)
        fitting = max(LEAST_COLUMNS, numbers // (2 * max(1, *sizes)))
        return min(fitting, MOST_FIRST), most if fitting > self.first else min(most, fitting)

    @property
    def first(self) -> int:
        """Columns that a block begins with."""
        each: int = getattr(self.program, "column_bytes", 0)
        return max(1, min(FIRST_COLUMNS, FIRST_BYTES // each)) if each else FIRST_COLUMNS

    def _share(self, moved: Sequence[tuple[Place, Array]], convention: Held | None, part: Indices) -> Moved:
        """Return some of the columns, by a call of their own."""
        return self._called([(place, change[part]) for place, change in moved], convention)

    def _called(self, moved: Sequence[tuple[Place, Array]], convention: Held | None) -> Moved:
        """Return one call of the program."""
        count, without = len(moved[0][1]), moved[0][0].without
        at: list[dict[int, Array]] = [{}, {}]
        for place, block in moved:
            shaped = block.reshape(count, *place.shape)
            parts = {number: shaped[:, row] for row, number in enumerate(place.several)} or {place.number: shaped}
            at[place.inside].update(parts)
        with np.errstate(all="ignore"):
            if not self.terms and not without:
                found = self.program.run(at[False], at[True] or None, convention)
                outputs = found.changes
            else:
                sites = [term.site for term in self.terms]
                observing = cast(ObservedProgram, self.program)
                found = observing.run(at[False], at[True] or None, convention, observe=sites, suppress=without)
                outputs = tuple(map(found.observed.get, sites)) if self.terms else found.changes
        self.met.update(found.met)
        changes = tuple(
            None if change is None or not weight.size else change.reshape(count, -1)
            for change, weight in zip(outputs, self.weights, strict=True)
        )
        whole = changes if not self.terms else tuple(
            None if change is None else change.reshape(count, -1) for change in found.changes
        )
        crossed, ties, lone = (_flags(flags, count) for flags in (found.crossed, found.ties, found.lone))
        return Moved(changes, crossed, ties, lone, whole)

    def run_outputs(self, perturbations: Sequence[Mapping[Place, Array]]) -> tuple[Array | None, ...]:
        """Changes of the outputs themselves, in their shapes with a leading axis, for several perturbations."""
        changes: dict[int, Array] = {}
        for row, perturbation in enumerate(perturbations):
            for place, change in perturbation.items():
                shape = (len(perturbations), *place.shape)
                changes.setdefault(place.number, np.zeros(shape))[row] = change.reshape(place.shape)
        with np.errstate(all="ignore"):
            return self.program.run(changes).changes

    def laid_out(self, moved: Moved) -> Array:
        """Changes of all outputs laid end to end, (columns, size)."""
        found, start = np.zeros((moved.crossed.size, self.size)), 0
        for weight, change in zip(self.weights, moved.changes, strict=True):
            if change is not None:
                found[:, start : start + weight.size] = change
            start += weight.size
        return found

    def weighted(self, moved: Moved) -> Array:
        """Change of the cost, one for each column."""
        total = np.zeros(moved.crossed.size)
        for output, change in moved.moving():
            total += change @ self.weights[output]
        return total

    def most_columns(self, sizes: Sequence[int]) -> int:
        """Columns that fit into the memory limit, where places of these sizes move."""
        bytes_each = 8 * INTERMEDIATE * max(1, self.size + sum(sizes))
        return max(2, min(self.fitting, self.memory_limit // bytes_each))


def _flags(found: Any, count: int) -> Mask:
    return np.broadcast_to(np.asarray(found, dtype=bool), (count,))


def scale_of(values: Sequence[Any]) -> float:
    """Return the largest size of an entry."""
    return max((float(np.max(np.abs(value), initial=0.0)) for value in values), default=0.0)


def ranges(count: int, size: int) -> Iterator[slice]:
    """Slices of at most ``size`` of ``count`` things."""
    for first in range(0, count, size):
        yield slice(first, min(first + size, count))


def _joined(parts: Sequence[Moved], counts: Sequence[int]) -> Moved:
    """Columns that were run in parts, one behind the other."""
    changes = _joined_rows([part.changes for part in parts], counts)
    outputs = _joined_rows([part.outputs for part in parts], counts)
    crossed, ties, lone = (np.concatenate([getattr(part, flags) for part in parts])
                           for flags in ("crossed", "ties", "lone"))
    return Moved(changes, crossed, ties, lone, outputs)


def _joined_rows(parts: Sequence[tuple[Array | None, ...]], counts: Sequence[int]) -> tuple[Array | None, ...]:
    found: list[Array | None] = []
    for rows in zip(*parts, strict=True):
        size = next((change.shape[1] for change in rows if change is not None), None)
        found.append(None if size is None else np.concatenate([
            np.zeros((count, size)) if change is None else change for change, count in zip(rows, counts, strict=True)
        ]))
    return tuple(found)


def costs_of(response: Response, weights: Sequence[Any], columns: int) -> Array:
    """Return the changes (columns,) of the cost, that takes each output by its weight."""
    found = np.zeros(columns)
    for weight, change in zip(weights, response.changes, strict=True):
        if change is not None:
            found += np.reshape(change, (columns, -1)) @ np.reshape(weight, -1)
    return found
