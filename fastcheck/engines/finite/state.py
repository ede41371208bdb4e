"""What the steps of checking a function share: the problem, how to take differences, and what is known so far."""

import math
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..._types import Array, Indices
from ...problems.functions.evaluators import Evaluator
from ...problems.parameters.layout import Layout
from ...problems.parameters.tensor import Tensor
from .difference_table import SlopeEstimates
from .noise import FAR, NEAR, tensor_noise
from .steps import median

if TYPE_CHECKING:
    from numpy.random import Generator

RICHARDSON = "richardson"
# Standard errors that noise may reach.
NOISE = 8.0


@dataclass(frozen=True)
class FunctionProblem:
    """A cost at one point.

    Parameters
    ----------
    evaluator : computes costs.
    layout : names, shapes and places of the tensors.
    theta, gradient : (n,).
    cost : J(theta).
    """

    evaluator: Evaluator
    layout: Layout
    theta: Array
    gradient: Array
    cost: float


@dataclass(frozen=True)
class Method:
    """How differences are taken.

    Parameters
    ----------
    epsilon : one step for all, or None for one per parameter from measured noise and curvature.
    order : 2, 4, 6 or "richardson".
    complex_step : the imaginary part at theta + i h instead.
    tolerance : relative disagreement from which an entry is looked at a second time.
    deadline : of ``time.perf_counter``; infinite for none.
    seed : of random choices.
    """

    epsilon: float | None = None
    order: int | str = 2
    complex_step: bool = False
    tolerance: float = 1e-7
    deadline: float = math.inf
    seed: int = 0


class ParameterLines:
    """The lines along single parameters; counts evaluations and seconds."""

    def __init__(self, problem: FunctionProblem) -> None:
        self.problem = problem
        self.count = 0
        self.seconds = 0.0

    @property
    def seconds_each(self) -> float:
        """Time of one evaluation."""
        return self.seconds / max(self.count, 1)

    def __call__(self, which: Indices, distances: Array) -> tuple[Array, Array]:
        """Distances as they came out, and costs there."""
        start = self.problem.theta[which][:, None]
        with np.errstate(invalid="ignore"):
            values = start + distances
        costs = self.costs_at(np.repeat(which, values.shape[1]), values.reshape(-1))
        with np.errstate(invalid="ignore"):
            return values - start, costs.reshape(values.shape)

    def costs_at(self, positions: Indices, values: NDArray[Any]) -> NDArray[Any]:
        """Costs with some entries moved (see ``Evaluator``)."""
        self.count += len(values)
        started = time.perf_counter()
        costs = self.problem.evaluator.costs_at(positions, values)
        self.seconds += time.perf_counter() - started
        return costs

    def at(self, theta: Any) -> Any:
        """The cost of a whole vector."""
        self.count += 1
        started = time.perf_counter()
        cost = self.problem.evaluator.at(theta)
        self.seconds += time.perf_counter() - started
        return cost


@dataclass
class Estimates:
    """What is known about the checked entries, (k,) each; ``done`` says of which, ``noise`` is that of the cost, as it
    seemed to be where the slope was taken.
    """

    slope: Array
    error: Array
    step: Array
    noise: Array
    below: Array
    above: Array
    done: NDArray[np.bool_]

    @classmethod
    def nothing(cls, count: int) -> "Estimates":
        """Nothing yet."""
        slope, error, step, noise, below, above = (np.full(count, np.nan) for _ in range(6))
        return cls(slope, error, step, noise, below, above, np.zeros(count, dtype=bool))

    def put(self, where: Indices, slope: Array, error: Array, below: Array, above: Array) -> None:
        """Write the results of some entries."""
        self.slope[where], self.error[where] = slope, error
        self.below[where], self.above[where] = below, above
        self.done[where] = True

    def put_slopes(self, where: Indices, slopes: SlopeEstimates) -> None:
        """Write slopes of order 6 with their steps."""
        self.step[where], self.noise[where] = slopes.step, slopes.noise
        self.put(where, slopes.slope, slopes.error, slopes.below, slopes.above)


@dataclass
class CheckState:
    """One check of a function.

    Parameters
    ----------
    problem, choice : what is checked, and how.
    positions : (k,) the entries of theta to check, ascending.
    lines : their costs.
    found : what is known of them.
    generator : makes random choices.
    noises : of the cost as each tensor moves, where it was measured.
    kinks : one-sided derivatives (low, high) of entries at kinks, by their place among the positions.
    notes : sentences for the report.
    """

    problem: FunctionProblem
    choice: Method
    positions: Indices
    lines: ParameterLines
    found: Estimates
    generator: "Generator"
    noises: dict[Tensor, float] = field(default_factory=dict)
    kinks: dict[int, tuple[float, float]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @classmethod
    def begin(cls, problem: FunctionProblem, positions: Indices, choice: Method) -> "CheckState":
        """Nothing done yet."""
        return cls(problem, choice, positions, ParameterLines(problem), Estimates.nothing(positions.size),
                   np.random.default_rng(choice.seed))

    def noise_of(self, tensor: Tensor) -> float:
        """Standard deviation of the cost's rounding as entries of a tensor move a little."""
        if tensor not in self.noises:
            theta = self.problem.theta
            size = median(np.abs(theta[tensor.start : tensor.stop])) or 1.0
            self.noises[tensor] = tensor_noise(
                self.lines.costs_at, theta, tensor, NEAR * size, FAR * size, self.problem.cost, self.generator
            )
        return self.noises[tensor]

    def noise_at(self, which: Indices, *, measure: bool = True) -> Array:
        """The noise of entries' tensors, for ascending positions (p,); without ``measure`` 0 where it is not known."""
        noise = np.zeros(which.size)
        for tensor in self.problem.layout.tensors:
            first, last = np.searchsorted(which, (tensor.start, tensor.stop))
            if first < last and (measure or tensor in self.noises):
                noise[first:last] = self.noise_of(tensor)
        return noise
