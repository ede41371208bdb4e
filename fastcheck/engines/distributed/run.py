"""An engine in pieces: on an executor's workers, saved as it goes on, or for as long as there is time."""

import math
import time
import uuid
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Executor
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass, replace
from itertools import takewhile
from os import PathLike

import numpy as np

from ..._types import Indices
from ...problems.gradients import NumericalGradient
from ...problems.networks.problem import Problem
from ...problems.parameters.sampling import power
from ...runtime.run import Run
from ..protocol import Engine
from .checkpoint import Checkpoint, digest_of
from .plan import plan
from .shards import Merged, Shard, brief


@dataclass(frozen=True)
class Shared:
    """How an engine's work is shared out.

    Parameters
    ----------
    engine : its name.
    find : the engine itself.
    executor : whose workers do it; None for this process.
    checkpoint : file that keeps finished pieces; None for none.
    deadline : of ``time.perf_counter``; no piece is started after it.
    seed : of the order in which pieces are taken where there is a deadline.
    is_small : whether a check is one piece, done in this process, for parts of it would have other last digits; None
        for an engine whose parts never do.
    """

    engine: str
    find: Engine
    executor: Executor | None
    checkpoint: str | PathLike[str] | None
    deadline: float
    seed: int
    is_small: Callable[[Problem, float, Run], bool] | None

    def __call__(self, problem: Problem, indices: Indices | None, epsilon: float, run: Run) -> NumericalGradient:
        """Return all of the differences, as the engine itself gives them, whatever file or deadline there is."""
        return replace(self, checkpoint=None, deadline=math.inf).as_far_as(problem, indices, epsilon, run)[0]

    def as_far_as(
        self, problem: Problem, indices: Indices | None, epsilon: float, run: Run
    ) -> tuple[NumericalGradient, Indices | None]:
        """Return the differences that can be had before the deadline, and the positions of theta that they are of.

        Raises
        ------
        ValueError, OSError : for a checkpoint that cannot be used.
        Whatever the engine or the executor raises.
        """
        seed = None if self.deadline == math.inf else self.seed
        whole = seed is None and ((self.executor is None and self.checkpoint is None) or (
            self.is_small is not None and self.is_small(problem, epsilon, run)))
        if whole and self.checkpoint is None:
            return self.find(problem, indices, epsilon, run), indices
        collected = Merged(problem, indices)
        shards = [_all_of(collected)] if whole else plan(problem, indices, self.engine, seed)
        with self._saved(problem, indices, epsilon, seed, whole=whole) as saved:
            for number, found in saved.finished() if saved else ():
                collected.put(shards[number], found)
            have = {shard.number for shard in collected.shards}
            left = (shard for shard in shards if shard.number not in have)
            with closing(
                self._at_once(problem, indices, epsilon, run, left) if whole else
                self._pieces(problem, indices, epsilon, run, collected, left)
            ) as pieces:
                for shard, found in pieces:
                    collected.put(shard, found)
                    if saved:
                        saved.put(shard, found)
                    run.progress(collected.done, collected.size)
        return _with_power(*collected.differences(), collected)

    def _saved(
        self, problem: Problem, indices: Indices | None, epsilon: float, seed: int | None, *, whole: bool
    ) -> AbstractContextManager[Checkpoint | None]:
        if self.checkpoint is None:
            return nullcontext()
        engine = f"{self.engine}, in one piece" if whole else self.engine
        return Checkpoint(self.checkpoint, digest_of(problem, indices, engine, epsilon, seed))

    def _at_once(
        self, problem: Problem, indices: Indices | None, epsilon: float, run: Run, shards: Iterable[Shard]
    ) -> Generator[tuple[Shard, NumericalGradient]]:
        """Yield the differences of the one piece that is everything, as the engine gives them."""
        for shard in shards:
            found = self.find(problem, indices, epsilon, run)
            # of all of theta, the noise is by tensor already
            yield shard, found if indices is None else brief(problem, indices, found)

    def _pieces(
        self, problem: Problem, indices: Indices | None, epsilon: float, run: Run, collected: Merged,
        shards: Iterable[Shard],
    ) -> Generator[tuple[Shard, NumericalGradient]]:
        """Yield the differences of each piece, as they come."""
        # a copy: what is kept lives as long as the pieces are worked on, and what was cached is not sent
        problem = Problem(problem.network, problem.theta, problem.X, problem.Y, {})
        # The pieces that represent every tensor come first: one of each layer's units, or one with some of each tensor.
        least = len(problem.network.layers) if self.engine == "response" else 1
        timely = takewhile(lambda s: s.number < least or time.perf_counter() < self.deadline, shards)
        if self.executor is not None:
            from .workers import Job, results

            job = Job(uuid.uuid4().hex, problem, indices, self.find, epsilon, run.memory_limit)
            yield from results(self.executor, job, timely)
            return
        for shard in timely:
            positions, before = shard.positions(indices), collected.done

            def advance(done: int, total: int, before: int = before, size: int = positions.size) -> None:
                run.progress(before + int(size * done / total), collected.size)

            found = self.find(problem, positions, epsilon, replace(run, progress=advance, deadline=self.deadline))
            yield shard, brief(problem, positions, found)


def _all_of(collected: Merged) -> Shard:
    """Return the one piece of a check that is not cut."""
    return Shard(0, np.array([[0, collected.size]]))


def _with_power(
    found: NumericalGradient, checked: Indices | None, collected: Merged
) -> tuple[NumericalGradient, Indices | None]:
    """Say what a part of the entries proves."""
    if checked is None or checked.size == collected.size:
        return found, checked
    note = f"The time limit let {checked.size:,} of {collected.size:,} entries be checked, at random."
    return replace(found, notes=(note, power(collected.problem.network.tensors, checked), *found.notes)), checked
