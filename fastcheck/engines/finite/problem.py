"""What is checked by subtraction, and how: a cost at one point, and the method of taking differences."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ..._types import Array
from ...problems.functions.evaluators import Evaluator
from ...problems.parameters.layout import Layout


@dataclass(frozen=True)
class FunctionProblem:
    """A cost at one point.

    Parameters
    ----------
    evaluator : computes costs.
    layout : names, shapes and places of the tensors.
    theta, gradient : (n,).
    cost : J(theta).
    seconds : how long an evaluation takes; 0 where that is not known.
    coarse : the cost of one array for each tensor, in the precision that they came in; None where that is double, and
        where the cost takes no other.
    """

    evaluator: Evaluator
    layout: Layout
    theta: Array
    gradient: Array
    cost: float
    seconds: float
    coarse: Callable[[Sequence[Array]], Any] | None = None

    def deadline_less(self, deadline: float) -> float:
        """Return a deadline that leaves time for one more evaluation."""
        return deadline - self.seconds


@dataclass(frozen=True)
class Method:
    """How differences are taken.

    Parameters
    ----------
    epsilon : one step for all, or None for one per parameter from measured noise and curvature.
    order : 2, 4 or 6, of the central difference.
    complex_step : the imaginary part at theta + i h instead.
    tolerance : relative disagreement from which an entry is looked at a second time.
    deadline : of ``time.perf_counter``; infinite for none.
    seed : of random choices.
    """

    epsilon: float | None
    order: int
    complex_step: bool
    tolerance: float
    deadline: float
    seed: int
