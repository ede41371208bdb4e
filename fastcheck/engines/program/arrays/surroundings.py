"""What a function keeps between its calls: put back after each of ours, and hidden from other threads meanwhile."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from types import ModuleType
from typing import Any

import numpy as np

from ....problems.functions.random_numbers import random_numbers_kept
from .reachable import Reachable, assign, content

# An array of more entries than this is data, not state.
MOST_ENTRIES = 1 << 20
Container = dict[Any, Any] | list[Any]

# Two runs that share a container would meet each other's arrays there. Which containers two functions share is
# not worth finding out: runs of functions that keep nothing do not wait here.
_ONE_AT_A_TIME = threading.RLock()


@contextmanager
def kept(containers: Sequence[Container], alone: bool = False) -> Iterator[None]:
    """Whatever happens inside, the containers hold afterwards what they held before.

    Parameters
    ----------
    containers : the dictionaries (of objects, too) and lists that a function can reach.
    alone : whether to wait for other runs even where there are no containers.
    """
    if not containers and not alone:
        yield
        return
    with _ONE_AT_A_TIME:
        before = [container.copy() for container in containers]
        try:
            yield
        finally:
            for container, content in zip(containers, before, strict=True):
                if not _same(container, content):
                    _put_back(container, content)


@contextmanager
def left_alone(user: Reachable) -> Iterator[None]:
    """Whatever happens inside, the user's code finds afterwards what it found before.

    That is put back in dictionaries, lists and objects, in globals, closures and classes but for functions and modules,
    and in arrays; generators of random numbers go on where they were.  Other threads are not kept waiting.
    """
    with _ONE_AT_A_TIME:  # while no other run has its own arrays there
        containers = [(container, container.copy()) for container in user.containers]
        bindings = [place for place in user.bindings() if not callable(place.value)
                    and not isinstance(place.value, ModuleType)]
        classes = [(kind, dict(vars(kind))) for kind in user.classes]
        arrays = [(array, array.copy("K")) for array in user.arrays
                  if array.size <= MOST_ENTRIES and array.flags.writeable and not array.dtype.hasobject]
    try:
        with random_numbers_kept(user.generators):
            yield
    finally:
        with _ONE_AT_A_TIME:
            for container, before in containers:
                if not _same(container, before):
                    _put_back(container, before)
            for place in bindings:
                if content(place.holder, place.name) is not place.value:
                    assign(place.holder, place.name, place.value)
            for kind, attributes in classes:
                _put_back_class(kind, attributes)
            for array, values in arrays:
                if array.tobytes() != values.tobytes():  # zeros have signs
                    np.copyto(array, values)


def _put_back_class(kind: type, before: dict[str, Any]) -> None:
    """Give a class its attributes back, but for those that Python makes by itself."""
    after = {name: value for name, value in vars(kind).items() if not name.startswith("__")}
    with suppress(AttributeError, TypeError):  # some classes refuse
        for name in after:
            if name not in before:
                delattr(kind, name)
        for name, value in before.items():
            if not name.startswith("__") and after.get(name) is not value:
                setattr(kind, name, value)


def _same(container: Container, content: Container) -> bool:
    """Tell whether a container holds the very objects that it held."""
    if len(container) != len(content):
        return False
    if isinstance(container, dict):
        return all(key in content and content[key] is value for key, value in container.items())
    return all(one is other for one, other in zip(container, content, strict=True))


def _put_back(container: Any, content: Any) -> None:
    if isinstance(container, dict):
        container.clear()
        container.update(content)
    else:
        container[:] = content
