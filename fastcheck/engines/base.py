"""The one protocol of the network engines, and the table of them."""

from collections.abc import Callable
from importlib import import_module
from typing import Protocol

from .._types import Indices
from ..problems.gradients import NumericalGradient
from ..problems.networks.problem import Problem
from ..runtime.run import Run

MODULES = {"response": ".response.engine", "full": ".full", "reference": ".reference"}
ENGINES = tuple(MODULES)


class Engine(Protocol):
    """Costs at theta +- epsilon e_k for the given positions k of theta (None: all)."""

    def __call__(self, problem: Problem, indices: Indices | None, epsilon: float, run: Run) -> NumericalGradient:
        """Run the engine."""
        ...


def engine(name: str) -> Engine:
    """The engine of that name; imported here and not before, because the compiled ones bring Numba with them."""
    chosen: Callable[..., object] = import_module(MODULES[name], __package__).differences
    return chosen  # type: ignore[return-value]  # import_module hides the module's types from mypy

