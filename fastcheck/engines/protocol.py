"""The one protocol of the network engines."""

from typing import Protocol

from .._types import Indices
from ..problems.gradients import NumericalGradient
from ..problems.networks.problem import Problem
from ..runtime.run import Run


class Engine(Protocol):
    """Costs at theta +- epsilon e_k for the given positions k of theta (None: all)."""

    def __call__(self, problem: Problem, indices: Indices | None, epsilon: float, run: Run) -> NumericalGradient:
        """Run the engine."""
        ...
