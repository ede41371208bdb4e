"""A program at one point: what its differences are taken of."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..._types import Array
from ...problems.parameters.tensor import Tensor
from .protocols import DifferencedProgram


@dataclass(frozen=True)
class ProgramProblem:
    """A program at one point.

    Parameters
    ----------
    program_at : the program at other inputs, one array for each tensor.
    plain : the function on plain arrays of its own: inputs -> outputs.  None where only its cost can be had so.
    program : the program at theta.
    weights : one array for each output, of its shape: the cost is the sum of their products.
    tensors : the program's inputs, as they lie in theta.
    theta : (n,).
    cost : J(theta).
    rounding : relative difference that outputs of ``plain`` may have from the program's; 0 for none, bit for bit.
    side_by_side : whether columns may be shared by threads: the program takes several runs at once.
    plain_cost : the cost by a plain call: inputs -> J.  None where the outputs are had so.
    seconds : how long a plain call takes, where a time limit makes that count; else 0.
    """

    program_at: Callable[[list[Array]], DifferencedProgram]
    plain: Callable[[Sequence[Array]], Sequence[Any]] | None
    program: DifferencedProgram
    weights: tuple[Any, ...]
    tensors: tuple[Tensor, ...]
    theta: Array
    cost: float
    rounding: float = 0.0
    side_by_side: bool = False
    plain_cost: Callable[[Sequence[Array]], float] | None = None
    seconds: float = 0.0

    def inputs(self, theta: Array) -> list[Array]:
        """Return copies of the inputs as arrays of their shapes."""
        return [theta[t.start : t.stop].reshape(t.shape).copy() for t in self.tensors]

    def literal_cost(self, values: Sequence[Array]) -> float:
        """Return the cost at other inputs, by a plain call of the function."""
        if self.plain_cost is not None:
            return self.plain_cost(values)
        assert self.plain is not None  # noqa: S101 - one of the two is given
        outputs = self.plain(values)
        return sum(float(np.vdot(weight, out)) for weight, out in zip(self.weights, outputs, strict=True))
