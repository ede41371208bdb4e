"""The hook by which a watch learns of forward passes."""

import weakref
from typing import Any, Protocol

from torch import nn


class Watching(Protocol):
    """What is told of forward passes."""

    def before_forward(self, module: nn.Module) -> None:
        """Take notice of a forward pass that begins."""
        ...


class Hook:
    """Tells a watch of forward passes; a copy of a watched module, or one read from a file, is not watched."""

    def __init__(self, watch: Watching | None = None) -> None:
        self._watch = None if watch is None else weakref.ref(watch)

    def __call__(self, module: nn.Module, args: Any) -> None:
        """Tell of a forward pass."""
        watch = None if self._watch is None else self._watch()
        if watch is not None:
            watch.before_forward(module)

    def __deepcopy__(self, memo: Any) -> "Hook":
        """Return a hook without a watch."""
        return Hook()

    def __reduce__(self) -> Any:
        """Return what a hook without a watch is made of."""
        return Hook, ()
