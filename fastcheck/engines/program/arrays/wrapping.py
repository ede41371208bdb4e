"""Functions that do not ask their arguments who should answer, replaced where the user's code looks them up.

numpy.zeros, numpy.asarray, scipy.special.logsumexp and others know nothing of arrays that carry changes. While a
program runs, the user's own modules see other functions under these names: a global ``np`` is a copy of the module with
some functions replaced, and a global ``zeros`` is the replacement itself. NumPy, SciPy and all other modules keep what
they have, so nothing inside them is disturbed. Every replacement asks whether its own thread is inside a run, and calls
the original otherwise: other threads may call the user's functions meanwhile.
"""

import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import numpy as np

from ...._errors import NoRule
from .instances import OfMethods, WithMethods
from .reachable import Reachable, assign, content
from .run import AtWork, Handler, Run
from .sparse import factors_of, standing_in

# By module and name; of an object by its methods.
Handlers = Mapping[tuple[ModuleType, str], Handler | OfMethods]


class Wrapping:
    """Replacements of functions in the user's namespaces, installed while runs last.

    Parameters
    ----------
    handlers : gives, by module and name, what stands in for each function, called with (run, function, args, options);
        asked again where a module has been imported since.
    of_instance : gives the same of an object's methods, for objects that ``instances.original_of`` tells.
    """

    def __init__(self, handlers: Callable[[], Handlers], of_instance: Callable[[Any], OfMethods]) -> None:
        self._handlers, self._of_instance = handlers, of_instance
        self._lock = threading.Lock()
        self._at_work = AtWork()
        self._known = 0
        self._modules = 0
        self._replacements: dict[int, tuple[Any, Any]] = {}
        self._installed: dict[tuple[int, str], list[Any]] = {}

    @contextmanager
    def around(self, run: Run, user: Reachable) -> Iterator[None]:
        """Has this thread's calls from the user's code go to the handlers while `run` lasts.

        Parameters
        ----------
        run : the run that the handlers are called with.
        user : where the user's code looks up names.
        """
        places: list[tuple[int, str]] = []
        outer = self._at_work.run
        try:
            self._enter(user, places)
            self._at_work.run = run
            yield
        finally:
            self._at_work.run = outer
            self._leave(places)

    def _enter(self, user: Reachable, places: list[tuple[int, str]]) -> None:
        """Installs replacements, and notes where, so that they are put back whatever happens meanwhile."""
        with self._lock:
            self._update()
            wanted = [(place, *self._replacements[id(place.value)]) for place in user.places(self._replacements)]
            wanted += [(place, place.value, None) for place in user.instances]
            for place, original, replacement in wanted:
                key = (id(place.holder), place.name)
                if key in self._installed:
                    self._installed[key][0] += 1
                    places.append(key)
                elif content(place.holder, place.name) is original:  # the user's code may have put another there
                    self._installed[key] = [1, place.holder, place.name, original]
                    places.append(key)
                    assign(place.holder, place.name, replacement or self._standing_in(original))

    def _leave(self, places: list[tuple[int, str]]) -> None:
        with self._lock:
            for key in places:
                entry = self._installed[key]
                entry[0] -= 1
                if not entry[0]:
                    _, holder, name, original = self._installed.pop(key)
                    assign(holder, name, original)

    def _update(self) -> None:
        """Makes the replacements of functions in modules that have been imported since the last time."""
        if len(sys.modules) == self._modules:
            return
        self._modules = len(sys.modules)
        handlers = self._handlers()
        if len(handlers) == self._known:
            return
        self._known = len(handlers)
        copies: dict[int, tuple[ModuleType, ModuleType]] = {}
        for (module, name), handler in handlers.items():
            original = getattr(module, name)
            if id(original) not in self._replacements:
                self._note(original, self._replacement(original, handler))
            copy = copies.setdefault(id(module), (module, _copy_of(module)))[1]
            setattr(copy, name, self._replacements[id(original)][1])
        for original, copy in list(copies.values()):
            _put_into_parents(original, copy, copies)
        for module, copy in copies.values():
            self._note(module, copy)

    def _note(self, original: Any, replacement: Any) -> None:
        """Remembers a replacement, by the original's identity and, as another run may have installed it, by its own."""
        self._replacements[id(original)] = self._replacements[id(replacement)] = (original, replacement)

    def _standing_in(self, original: Any) -> Any:
        """Return what stands in for an instance, as long as a run lasts."""
        if factors_of(original) is not None:
            return standing_in(original, lambda: self._at_work.run)
        return self._replacement(original, self._of_instance(original))

    def _replacement(self, original: Any, handler: Handler | OfMethods) -> Any:
        if isinstance(handler, Mapping):
            return WithMethods(original, lambda name: self._method(original, name, handler))
        if not callable(original):  # numpy.r_ and numpy.c_ are indexed
            return Indexed(self._replacement(original.__getitem__, handler))
        if isinstance(original, np.ufunc):
            return OfLists(original, lambda function: self._replacement(function, handler))
        if original is np.vectorize:
            return self._of_vectorize(handler)
        at_work = self._at_work

        def replacement(*args: Any, **options: Any) -> Any:
            run = at_work.run
            if run is None:
                return original(*args, **options)
            try:
                return handler(run, original, args, options)
            except NoRule as refusal:
                run.refusal = refusal
                raise

        replacement.__name__ = getattr(original, "__name__", "replacement")
        replacement.__doc__ = original.__doc__
        replacement.__wrapped__ = original  # type: ignore[attr-defined]  # as functools.wraps leaves it
        return replacement

    def _method(self, original: Any, name: str, handlers: OfMethods) -> Any:
        """Return an object's attribute, or what stands in for it."""
        found = getattr(original, name)
        return self._replacement(found, handlers[name]) if name in handlers else found

    def _of_vectorize(self, handler: Handler) -> type[np.vectorize]:
        """Return the class of functions that numpy.vectorize has made, before the run too: these change their class."""
        at_work = self._at_work

        class Vectorized(np.vectorize):
            def __call__(self, *args: Any, **named: Any) -> Any:
                """Call the user's function with every entry."""
                run = at_work.run
                if run is None:
                    return super().__call__(*args, **named)
                try:
                    return handler(run, self, args, named)
                except NoRule as refusal:
                    run.refusal = refusal
                    raise

        return Vectorized


class Indexed:
    """Stands in for what is indexed instead of called, numpy.r_ and numpy.c_."""

    def __init__(self, of_key: Callable[[Any], Any]) -> None:
        self._of_key = of_key

    def __getitem__(self, key: Any) -> Any:
        return self._of_key(key)


class OfLists:
    """Stands in for a ufunc, which makes arrays of lists before it asks anyone; arrays go to the ufunc at once.

    Parameters
    ----------
    original : the ufunc.
    asked : makes what stands in for one function.
    """

    def __init__(self, original: np.ufunc, asked: Callable[[Any], Callable[..., Any]]) -> None:
        self._original = original
        self._of_lists = asked(original.__call__)
        for name in ("reduce", "accumulate", "reduceat", "outer"):  # "at" has a target to ask
            setattr(self, name, asked(getattr(original, name)))

    def __call__(self, *args: Any, **options: Any) -> Any:
        """Call the ufunc."""
        for one in args:
            if type(one) is list or type(one) is tuple:
                return self._of_lists(*args, **options)
        return self._original(*args, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._original, name)


def _copy_of(module: ModuleType) -> ModuleType:
    copy = ModuleType(module.__name__)
    vars(copy).update(vars(module))
    return copy


def _put_into_parents(original: ModuleType, copy: ModuleType, copies: dict[int, tuple[ModuleType, ModuleType]]) -> None:
    """Has ``np.lib.stride_tricks`` lead to the copy, from the copy of ``np`` on."""
    parent_name, _, name = original.__name__.rpartition(".")
    parent = sys.modules.get(parent_name)
    if parent is None or getattr(parent, name, None) is not original:
        return
    known = id(parent) in copies
    parent_copy = copies.setdefault(id(parent), (parent, _copy_of(parent)))[1]
    setattr(parent_copy, name, copy)
    if not known:
        _put_into_parents(parent, parent_copy, copies)
