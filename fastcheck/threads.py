"""Work on several cores: Python threads running kernels that hold no lock, BLAS held at one thread each."""

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any, TypeVar

Result = TypeVar("Result")


@cache
def _blas() -> Any:
    import scipy.linalg  # noqa: F401 - kernels call its BLAS: it must be loaded when the libraries are listed
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas")


class _OneThread:
    """BLAS at one thread while at least one check runs: the first sets it, the last puts back what was there.

    BLAS keeps its number of threads per process; overlapping checks that each restored it would leave it wrong.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.users = 0
        self.limiter: Any = None
        self.process = os.getpid()

    def _forked(self) -> None:
        """A forked child starts afresh: the threads that held the lock or the limit were not forked with it."""
        if self.users:
            self.limiter.restore_original_limits()
        self.lock, self.users, self.process = threading.Lock(), 0, os.getpid()

    def enter(self) -> None:
        if os.getpid() != self.process:
            self._forked()
        with self.lock:
            if self.users == 0:
                self.limiter = _blas().limit(limits=1)
            self.users += 1

    def leave(self) -> None:
        with self.lock:
            self.users -= 1
            if self.users == 0:
                self.limiter.restore_original_limits()


_one_thread = _OneThread()


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Hold NumPy's and SciPy's BLAS at one thread."""
    _one_thread.enter()
    try:
        yield
    finally:
        _one_thread.leave()


def run_all(
    task: Callable[[Any], Result], items: Sequence[Any], threads: int, done: Callable[[int], None] = lambda count: None
) -> list[Result]:
    """``[task(item) for item in items]`` on so many threads, the caller's among them.

    Parameters
    ----------
    done : called in the caller's thread with the number of finished tasks; may raise to stop.

    Raises
    ------
    Whatever a task or ``done`` raises, and KeyboardInterrupt, once the running tasks have ended.
    """
    results: dict[int, Result] = {}
    waiting = deque(enumerate(items))
    failures: list[BaseException] = []

    def work(told: Callable[[int], None]) -> None:
        while True:
            try:
                index, item = waiting.popleft()
            except IndexError:
                return
            results[index] = task(item)
            told(len(results))

    def help_out() -> None:
        try:
            work(lambda count: None)
        except BaseException as error:
            failures.append(error)
            waiting.clear()

    # The caller's thread takes part: where there is little to do, it is done before another has begun.
    started: list[threading.Thread] = []
    try:
        for number in range(1, min(threads, len(items))):
            helper = threading.Thread(target=help_out, name=f"fastcheck-{number}")
            helper.start()
            started.append(helper)
        work(done)
    finally:
        waiting.clear()
        for helper in started:
            helper.join()
    if failures:
        raise failures[0]
    if started:
        done(len(results))
    return [results[index] for index in range(len(items))]
