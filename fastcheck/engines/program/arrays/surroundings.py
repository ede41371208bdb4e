"""What a function keeps between its calls: put back after each of ours, and hidden from other threads meanwhile."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

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
