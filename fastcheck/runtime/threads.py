"""Work on several cores: Python threads running kernels that hold no lock, BLAS held at one thread each."""

import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from queue import Empty, SimpleQueue
from typing import Any, TypeVar
from weakref import WeakSet

Result = TypeVar("Result")
# Seconds between two looks at whether helpers still run; that they have ended is told at once.
PATIENCE = 0.05


def _blas() -> Any:
    """Return the BLAS libraries: NumPy's, and SciPy's where kernels, which call it, or others have been loaded."""
    kernels = f"{__package__}.jit" in sys.modules
    return _listed(kernels or "scipy.linalg" in sys.modules)


@cache
def _listed(with_scipy: bool) -> Any:
    if with_scipy:
        import scipy.linalg  # noqa: F401 - it must be loaded when the libraries are listed
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas")


def _set_threads(library: Any, count: int) -> None:
    """Set a library's number of threads, from whichever thread.

    threadpoolctl 3.8 leaves OpenBLAS to the thread that was the first to set it, and ignores all others without a word.
    A limit that many threads hold belongs to none of them: it is set by the one at hand, which gives up its claim.
    """
    release = getattr(library, "clear_controlling_thread", lambda *, force: None)
    release(force=True)
    library.set_num_threads(count)
    release(force=True)


class _Limit:
    """BLAS at one thread while at least one check runs: the first sets it, the last puts back what was there.

    BLAS keeps its number of threads per process; overlapping checks that each restored it would leave it wrong.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.holders: WeakSet[object] = WeakSet()
        self.before: list[tuple[Any, int]] = []
        self.process = os.getpid()

    def hold(self, holder: object) -> None:
        """Set it, unless another holder has."""
        if os.getpid() != self.process:
            self._forked()
        with self.lock:
            if not self.before:
                self.before = [(library, library.get_num_threads()) for library in _blas().lib_controllers]
            self.holders.add(holder)
            for library, _ in self.before:
                _set_threads(library, 1)

    def let_go(self, holder: object) -> None:
        """Put back what was there, unless others hold it; no harm if done before, or half done."""
        with self.lock:
            self.holders.discard(holder)
            if not self.holders:
                self._restore()

    def _restore(self) -> None:
        for library, count in self.before:
            _set_threads(library, count)
        self.before = []

    def _forked(self) -> None:
        """A forked child starts afresh: the threads that held the lock or the limit were not forked with it."""
        if self.holders:
            self._restore()
        self.lock, self.holders, self.process = threading.RLock(), WeakSet(), os.getpid()


_limit = _Limit()


class one_blas_thread:
    """Hold NumPy's and SciPy's BLAS at one thread, in a with statement.

    Ctrl-C may come at any moment, these included: what is half done is undone (a generator made into a context could
    be left between its two halves), at the latest when the object goes, where it came before the first line.
    """

    held = False

    def __enter__(self) -> None:
        try:
            self.held = True
            _limit.hold(self)
        except BaseException:
            _limit.let_go(self)
            raise

    def __exit__(self, *_: object) -> None:
        try:
            _limit.let_go(self)
            self.held = False
        except BaseException:
            _limit.let_go(self)
            raise

    def __del__(self) -> None:
        if self.held:
            _limit.let_go(self)


class _Helpers:
    """The threads next to the caller's, and the tasks that wait for one.

    Ctrl-C may come at any moment, also while the caller waits for them.  That they are busy is therefore kept in a set
    of their own: ``Thread.join`` forgets a running thread when it is interrupted, and ``Thread.start`` may start
    one and not return.  A thread that starts after ``end`` finds nothing to do.
    """

    def __init__(self, items: Sequence[Any]) -> None:
        self.waiting = deque(enumerate(items))
        self.failures: list[BaseException] = []
        self.busy: set[int] = set()
        self.ended: SimpleQueue[int] = SimpleQueue()
        self.threads: list[threading.Thread] = []

    def begin(self, work: Callable[[], None], count: int) -> None:
        """Let ``count`` more threads work; fewer where the system allows no more."""

        def help_out() -> None:
            number = threading.get_ident()
            self.busy.add(number)
            try:
                work()
            except BaseException as error:
                self.failures.append(error)
                self.waiting.clear()
            self.busy.discard(number)
            self.ended.put(number)

        for number in range(count):
            helper = threading.Thread(target=help_out, name=f"fastcheck-{number + 1}")
            try:
                helper.start()
            except RuntimeError:  # no more threads: the caller's own does it all
                return
            self.threads.append(helper)

    def end(self) -> None:
        """Wait for the running tasks; an interrupt meanwhile is raised when they have ended."""
        try:
            self.waiting.clear()
            while self.busy:
                with suppress(Empty):
                    self.ended.get(timeout=PATIENCE)
            for helper in self.threads:
                helper.join()
        except BaseException:
            self.end()
            raise


def run_all(
    task: Callable[[Any], Result], items: Sequence[Any], threads: int, done: Callable[[int], None] = lambda count: None
) -> list[Result]:
    """``[task(item) for item in items]`` on ``threads`` threads, the caller's among them.

    Parameters
    ----------
    done : called in the caller's thread with the number of finished tasks; may raise to stop.

    Raises
    ------
    Whatever a task or ``done`` raises, and KeyboardInterrupt, once the running tasks have ended.
    """
    results: dict[int, Result] = {}
    helpers = _Helpers(items)

    def work(told: Callable[[int], None] = lambda count: None) -> None:
        while True:
            try:
                index, item = helpers.waiting.popleft()
            except IndexError:
                return
            results[index] = task(item)
            told(len(results))

    # The caller's thread takes part: where there is little to do, it is done before another has started.
    try:
        helpers.begin(work, min(threads, len(items)) - 1)
        work(done)
        helpers.end()
    except BaseException:
        helpers.end()
        raise
    if helpers.failures:
        raise helpers.failures[0]
    if helpers.threads:
        done(len(results))
    return [results[index] for index in range(len(items))]
