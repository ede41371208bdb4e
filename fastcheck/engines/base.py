"""The table of the network engines."""

from collections.abc import Callable
from importlib import import_module

from .protocol import Engine

MODULES = {"response": ".response.choice", "full": ".full", "reference": ".reference"}
ENGINES = tuple(MODULES)


def engine(name: str) -> Engine:
    """The engine of that name; imported here and not before, because the compiled ones bring Numba with them."""
    chosen: Callable[..., object] = import_module(MODULES[name], __package__).differences
    return chosen  # type: ignore[return-value]  # import_module hides the module's types from mypy

