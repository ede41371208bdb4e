"""One check of a function: what stays the same while its estimates are made."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ..._constants import NOISE_SIGMAS
from ..._types import Array, Indices, Mask
from ...problems.parameters.tensor import Tensor
from ...runtime.cached_property import cached_property
from .difference_table import SlopeEstimates
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
    refined : places whose steps were chosen one by one, and what came of that: a second look need not begin anew.
    resolving : steps that resolve what seemed to be noise, of tensors that were asked; 0 where it is noise.
    """

    problem: FunctionProblem
    method: Method
    positions: Indices
    lines: ParameterLines
    noise: TensorNoise
    generator: "Generator"
    refined: list[tuple[Indices, SlopeEstimates]] = field(default_factory=list)
    resolving: dict[Tensor, float] = field(default_factory=dict)

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

    @cached_property
    def values(self) -> Array:
        """The parameters to check, (k,)."""
        return self.problem.theta[self.positions]

    @cached_property
    def gradient(self) -> Array:
        """Their gradient, (k,)."""
        return self.problem.gradient[self.positions]

    def places_of(self, tensor: Tensor) -> slice:
        """Return the places of a tensor's entries."""
        return slice(*self.positions.searchsorted((tensor.start, tensor.stop)).tolist())

    def rows_of(self, tensor: Tensor, places: Indices) -> slice:
        """Return the rows, among some ascending places, of a tensor's entries."""
        here = self.places_of(tensor)
        return slice(*places.searchsorted((here.start, here.stop)).tolist())


@dataclass(frozen=True)
class Batch:
    """Some entries under a second look.

    rows : their rows among the estimates; places : their places in the check, ascending.
    """

    check: Check
    rows: Indices
    places: Indices

    @property
    def which(self) -> Indices:
        """Their positions in theta."""
        return self.check.positions[self.places]

    @property
    def gradient(self) -> Array:
        """Their gradient."""
        return self.check.gradient[self.places]

    def some(self, where: Mask | Indices) -> "Batch":
        """Return some of them."""
        return Batch(self.check, self.rows[where], self.places[where])

    def apart(self, slope: Array, error: Array) -> Mask:
        """Return where a slope and the gradient differ by more than tolerance and error."""
        with np.errstate(invalid="ignore"):
            allowed = self.check.method.tolerance * (np.abs(slope) + np.abs(self.gradient)) + NOISE_SIGMAS * error
            return np.asarray(np.abs(slope - self.gradient) > allowed)
