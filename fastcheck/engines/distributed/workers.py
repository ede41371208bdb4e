"""Pieces of a check in the workers of any executor: threads, processes, or other machines.

A worker keeps the problem it was sent, so that it is sent once to each and not once with each piece: pieces go out
without it, and a worker that does not have it says so.
"""

import os
import socket
import threading
import uuid
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass

from ..._types import Indices
from ...problems.gradients import NumericalGradient
from ...problems.networks.problem import Problem
from ...runtime.run import Run
from ..protocol import Engine
from .shards import Shard, brief

# Pieces that are out at a time, for each worker that has answered, and at least: enough to keep all of them busy.
AHEAD, LEAST = 3, 8
# The problem of the last check in a worker; in the caller's process those of all, for its threads and forked workers.
_held: dict[str, "Job"] = {}


@dataclass
class Job:
    """What every piece of a check needs.

    key : tells it apart from others.
    problem, indices, epsilon, memory_limit : as for an engine.
    engine : a function at the top of a module, so that it can be sent.
    over : set where the check has ended; seen by workers that are threads of the caller's process.
    """

    key: str
    problem: Problem
    indices: Indices | None
    engine: Engine
    epsilon: float
    memory_limit: int
    over: bool = False


class Cancelled(Exception):
    """A piece given up, for its check has ended."""


@dataclass(frozen=True)
class Answer:
    """What a worker says: who it is, as a process and a thread, and what it found; None if it lacks the job."""

    process: tuple[str, int]
    thread: int
    found: NumericalGradient | None


def work(key: str, shard: Shard, job: Job | None, ticket: str) -> Answer:
    """In a worker: the differences of one piece, on one thread.

    Parameters
    ----------
    key : of the job that it belongs to.
    job : that job, or None where the worker is thought to have it.
    ticket : another one each time: Dask answers a call that it has seen before from memory.
    """
    worker = (socket.gethostname(), os.getpid()), threading.get_ident()
    if job is not None and key not in _held:
        _held.clear()
        _held[key] = job
    given = _held.get(key)
    if given is None:
        return Answer(*worker, None)

    def progress(done: int, total: int) -> None:
        if given.over:
            raise Cancelled

    positions = shard.positions(given.indices)
    found = given.engine(given.problem, positions, given.epsilon, Run(1, given.memory_limit, progress))
    return Answer(*worker, brief(given.problem, positions, found))


def results(executor: Executor, job: Job, shards: Iterable[Shard]) -> Iterator[tuple[Shard, NumericalGradient]]:
    """Yield what workers find, piece by piece, as it comes.

    Raises
    ------
    Whatever an engine or the executor raises.  At the end, however it comes about, waiting pieces are cancelled.
    """
    dispatcher = Dispatcher(executor, job, shards)
    _held[job.key] = job
    try:
        dispatcher.refill()
        while dispatcher.out:
            yield from dispatcher.collect()
    finally:
        job.over = True
        del _held[job.key]
        for future in dispatcher.out:
            future.cancel()


class Dispatcher:
    """Pieces that wait, and those that are out."""

    def __init__(self, executor: Executor, job: Job, shards: Iterable[Shard]) -> None:
        self.executor, self.job, self.shards = executor, job, iter(shards)
        self.out: dict[Future[Answer], tuple[Shard, bool]] = {}  # and whether the job went with it
        self.returned: list[Shard] = []
        self.answered: set[tuple[tuple[str, int], int]] = set()
        self.lacking: set[tuple[str, int]] = set()

    def collect(self) -> Iterator[tuple[Shard, NumericalGradient]]:
        """Wait for answers, and send out more."""
        for future in wait(self.out, return_when=FIRST_COMPLETED).done:
            shard, _ = self.out.pop(future)
            answer = future.result()
            if answer.found is None:
                self.lacking.add(answer.process)
                self.returned.append(shard)
            else:
                self.lacking.discard(answer.process)
                self.answered.add((answer.process, answer.thread))
                self.refill()
                yield shard, answer.found
        # One job at a time goes to each worker that lacks it; whoever is idle takes it, which is most likely that one.
        for _ in range(len(self.lacking) - sum(whole for _, whole in self.out.values())):
            self._send(self._next(), whole=True)

    def refill(self) -> None:
        """As many pieces out as keep the workers busy."""
        for _ in range(max(LEAST, AHEAD * len(self.answered)) - len(self.out)):
            self._send(self._next(), whole=False)

    def _next(self) -> Shard | None:
        return self.returned.pop() if self.returned else next(self.shards, None)

    def _send(self, shard: Shard | None, *, whole: bool) -> None:
        if shard is not None:
            job = self.job if whole else None
            future = self.executor.submit(work, self.job.key, shard, job, uuid.uuid4().hex)
            self.out[future] = shard, whole
