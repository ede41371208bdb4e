"""Functions that do not ask their arguments who should answer, replaced in NumPy's namespaces while a program runs.

Every replacement asks at each call whether its own thread is inside a run, and whether it was not NumPy or SciPy
themselves that called; otherwise the call goes straight to the original. The originals are put back when the last run
ends.
"""

import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from .run import AtWork, Run

Handler = Callable[..., Any]
_OWN = ("numpy.", "scipy.", "fastcheck.engines.", "fastcheck.rules.")


class Wrapping:
    """Replacements of functions in namespaces, installed while runs last.

    Parameters
    ----------
    handlers : by namespace and name: what stands in for the function, called with (run, function, args, options).
    """

    def __init__(self, handlers: Callable[[], Mapping[tuple[Any, str], Handler]]) -> None:
        self._handlers = handlers
        self._lock = threading.Lock()
        self._running = 0
        self._originals: dict[tuple[Any, str], Any] = {}
        self._at_work = AtWork()
        self._outside: dict[str, bool] = {}

    @contextmanager
    def around(self, run: Run) -> Iterator[None]:
        """Replaces the functions for this thread while `run` lasts."""
        self._enter()
        outer, self._at_work.run = self._at_work.run, run
        try:
            yield
        finally:
            self._at_work.run = outer
            self._leave()

    def _enter(self) -> None:
        with self._lock:
            self._running += 1
            if self._running > 1:
                return
            for place, handler in self._handlers().items():
                namespace, name = place
                original = getattr(namespace, name, None)
                if original is not None:
                    self._originals[place] = original
                    setattr(namespace, name, self._replacement(original, handler))

    def _leave(self) -> None:
        with self._lock:
            self._running -= 1
            if self._running:
                return
            for (namespace, name), original in self._originals.items():
                setattr(namespace, name, original)
            self._originals.clear()

    def _replacement(self, original: Callable[..., Any], handler: Handler) -> Callable[..., Any]:
        at_work, outside = self._at_work, self._outside

        def replacement(*args: Any, **options: Any) -> Any:
            run = at_work.run
            if run is None:
                return original(*args, **options)
            caller = sys._getframe(1).f_globals.get("__name__", "")
            own = outside.get(caller)
            if own is None:
                own = outside[caller] = _is_own(caller)
            if own:
                return original(*args, **options)
            return handler(run, original, args, options)

        replacement.__name__ = getattr(original, "__name__", "replacement")
        replacement.__doc__ = original.__doc__
        replacement.__wrapped__ = original  # type: ignore[attr-defined]  # as functools.wraps leaves it
        return replacement


def _is_own(module: str) -> bool:
    """Whether a module belongs to NumPy, SciPy or this checker, whose calls are not the user's."""
    return f"{module}.".startswith(_OWN)
