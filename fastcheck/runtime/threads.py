"""Work on several cores: Python threads running kernels that hold no lock, BLAS held at one thread each."""

import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from functools import cache
from queue import Empty, SimpleQueue
from typing import Any, TypeVar
from weakref import WeakSet

Result = TypeVar("Result")
# Seconds between two looks at whether helpers still run; that they have ended is told at once.
PATIENCE = 0.05
# Products of up to this many multiply-adds are done by one thread of BLAS anyway.
ONE_THREAD = 1 << 17


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


class _Helper:
    """A thread beside the caller's, which does what it is given, one after the other, until it is told to end."""

    def __init__(self, name: str) -> None:
        self.given: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self.thread = threading.Thread(target=self._serve, name=name, daemon=True)

    def _serve(self) -> None:
        while True:
            work = self.given.get()
            if work is None:
                return
            work()
            del work  # it holds what it worked on

    def end(self) -> None:
        """Let it end when it is done with what it has; it may have been interrupted before it began."""
        self.given.put(None)


class _Crew:
    """Helpers that are kept from one piece of work to the next."""

    def __init__(self) -> None:
        self.helpers: list[_Helper] = []

    def give(self, work: Callable[[], None], count: int) -> bool:
        """Let ``count`` helpers work; fewer where the system allows no more, and whether there are any."""
        for helper in self.helpers[:count]:
            helper.given.put(work)
        while len(self.helpers) < count:
            helper = _Helper(f"fastcheck-{len(self.helpers) + 1}")
            helper.given.put(work)
            self.helpers.append(helper)  # before it starts: Ctrl-C may come in the middle of that
            try:
                helper.thread.start()
            except RuntimeError:  # no more threads: the caller's own does it all
                self.helpers.pop()
                break
        return bool(self.helpers)

    def end(self) -> None:
        """End the helpers; an interrupt meanwhile is raised when they have ended."""
        try:
            for helper in self.helpers:
                helper.end()
            for helper in self.helpers:
                if helper.thread.is_alive():
                    helper.thread.join()
        except BaseException:
            self.end()
            raise


class _Own(threading.local):
    """The crew that this thread keeps."""

    crew: _Crew | None = None


_own = _Own()


class helpers_at_hand:
    """Keep helpers between calls of ``run_all`` by this thread, in a with statement.

    They are started when they are first needed.  To wake one takes the caller a few microseconds, to start it some
    ninety, so that work of a few milliseconds in several steps is worth sharing.
    """

    crew: _Crew | None = None

    def __enter__(self) -> None:
        if _own.crew is None:
            self.crew = _own.crew = _Crew()

    def __exit__(self, *_: object) -> None:
        if self.crew is not None:
            if _own.crew is self.crew:
                _own.crew = None
            self.crew.end()
            self.crew = None

    def __del__(self) -> None:  # Ctrl-C may come between its two halves, as above
        self.__exit__()


class _Sharing:
    """Tasks that wait for a thread, and the threads that are at them.

    Ctrl-C may come at any moment, also while the caller waits for them.  That they are busy is therefore kept in a set
    of their own: ``Thread.join`` forgets a running thread when it is interrupted.  A helper that comes after ``end``
    finds nothing to do.
    """

    def __init__(self, items: Sequence[Any]) -> None:
        self.waiting = deque(enumerate(items))
        self.failures: list[BaseException] = []
        self.busy: set[int] = set()
        self.ended: SimpleQueue[int] = SimpleQueue()

    def help_with(self, work: Callable[[], None]) -> None:
        """Work in a helper's thread."""
        number = threading.get_ident()
        self.busy.add(number)
        try:
            work()
        except BaseException as error:
            self.failures.append(error)
            self.waiting.clear()
        self.busy.discard(number)
        self.ended.put(number)

    def end(self) -> None:
        """Wait for the running tasks; an interrupt meanwhile is raised when they have ended."""
        try:
            self.waiting.clear()
            while self.busy:
                with suppress(Empty):
                    self.ended.get(timeout=PATIENCE)
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
    sharing = _Sharing(items)

    def work(told: Callable[[int], None] = lambda count: None) -> None:
        while True:
            try:
                index, item = sharing.waiting.popleft()
            except IndexError:
                return
            results[index] = task(item)
            told(len(results))

    # The caller's thread takes part: where there is little to do, it is done before another has begun.
    shared, others = False, min(threads, len(items)) - 1
    with helpers_at_hand() if others > 0 else nullcontext():
        try:
            if others > 0 and _own.crew is not None:
                shared = _own.crew.give(lambda: sharing.help_with(work), others)
            work(done)
            sharing.end()
        except BaseException:
            sharing.end()
            raise
    if sharing.failures:
        raise sharing.failures[0]
    if shared:
        done(len(results))
    return [results[index] for index in range(len(items))]
