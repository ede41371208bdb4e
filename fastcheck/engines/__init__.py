"""Engines: functions from a problem to its cost differences, by name."""

from collections.abc import Callable
from importlib import import_module

from ..differences import Engine

ENGINES = ("response", "full", "reference")


def engine(name: str) -> Engine:
    """The engine of that name, imported only now: the compiled ones bring Numba with them."""
    chosen: Callable[..., object] = import_module(f"{__name__}.{name}").differences
    return chosen  # type: ignore[return-value]  # import_module hides the module's types from mypy
