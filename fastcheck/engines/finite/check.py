"""One check of a function: what stays the same while its estimates are made."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..._types import Array, Indices
from ...problems.parameters.tensor import Tensor
from .lines import ParameterLines
from .problem import FunctionProblem, Method
from .tensor_noise import TensorNoise

if TYPE_CHECKING:
    from numpy.random import Generator


@dataclass(frozen=True)
class Check:
    """One check of a function.

    Parameters
    ----------
    problem, method : what is checked, and how.
    positions : (k,) the entries of theta to check, ascending; a *place* is a number into them.
    lines : their costs.
    noise : of the cost, by tensor.
    generator : makes random choices.
    """

    problem: FunctionProblem
    method: Method
    positions: Indices
    lines: ParameterLines
    noise: TensorNoise
    generator: "Generator"

    @classmethod
    def of(cls, problem: FunctionProblem, positions: Indices, method: Method) -> "Check":
        """Return a check of which nothing is done yet."""
        generator = np.random.default_rng(method.seed)
        lines = ParameterLines(problem.evaluator, problem.theta, method.deadline, problem.seconds)
        noise = TensorNoise(lines, problem.layout.tensors, problem.cost, generator)
        return cls(problem, method, positions, lines, noise, generator)

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """The tensors of theta."""
        return self.problem.layout.tensors

    @property
    def values(self) -> Array:
        """The parameters to check, (k,)."""
        return self.problem.theta[self.positions]

    @property
    def gradient(self) -> Array:
        """Their gradient, (k,)."""
        return self.problem.gradient[self.positions]

    def places_of(self, tensor: Tensor, places: Indices | None = None) -> Indices:
        """Return the places of a tensor's entries: all, or those among some ascending places."""
        first, last = np.searchsorted(self.positions, (tensor.start, tensor.stop))
        if places is None:
            return np.arange(first, last)
        return places[np.searchsorted(places, first) : np.searchsorted(places, last)]
