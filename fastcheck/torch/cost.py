"""A PyTorch function with one output as the cost that ``check_function`` differences."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._errors import NoRule, in_short
from .._types import Array, Indices
from ..engines.program.problem import ProgramProblem
from ..problems.gradients import RunAgain
from .case import double
from .function import TorchFunction
from .program.problem import program_problem


@dataclass(frozen=True, eq=False)
class TorchCost:
    """A function with one output as the cost of ``check_function``.

    Parameters
    ----------
    function : the function.
    examined : its value at the point, by a plain call; a module's has been seen twice (``Case.backward``).
    again : runs the backward pass that is judged once more, where that can be.
    precision : the precision of parameters, by name, that NumPy's arrays have none for.
    """

    function: TorchFunction
    examined: float
    again: RunAgain | None = None
    precision: Mapping[str, str] = field(default_factory=dict)

    def as_evaluator(self) -> "TorchCost":
        """Return how its costs are computed where they are subtracted: by itself, moved inputs in stacks."""
        return self

    @cached_property
    def problem(self) -> ProgramProblem:
        """What the program engine takes.

        Raises
        ------
        NoRule : where the function cannot be followed.
        """
        tensors = tuple(part.tensor for part in self.function.parts)
        inputs = [double(tensor) for tensor in self.function.moving]
        try:
            return program_problem(self.function.call, inputs, tensors, self.function.theta, self.examined)
        except NoRule:
            raise
        except (RuntimeError, TypeError, ValueError) as error:  # a kernel that exists in one precision only
            raise NoRule(f"a function that fails in double precision ({in_short(error)})") from error

    def at(self, theta: Array) -> float:
        """Return the cost of one vector."""
        self._require_seen()
        return float(self.function.at(theta)[0])

    def costs_at(self, positions: Indices, values: NDArray[Any]) -> Array:
        """Costs (k,) with one entry moved each, or (positions and values (k, w)) several: those by a call each."""
        self._require_seen()
        if positions.ndim == 1 and positions.size:
            return self.function.outputs_at(positions, values)[:, 0]
        out = np.empty(len(positions))
        for row, (places, to) in enumerate(zip(positions, values, strict=True)):
            theta = self.function.theta.copy()
            theta[places] = to
            out[row] = self.at(theta)
        return out

    def _require_seen(self) -> None:
        """Let the function see its outputs at the point, where its value was known without that."""
        if not self.function.returned:
            self.function.value()

    def how(self, engine: str) -> str:
        """Return how its differences were taken, in a sentence."""
        if engine == "program":
            return "Exact differences of the loss, by the rules of its operators, in double precision."
        reasons, parts = self.function.reasons, self.function.parts
        slow = ", ".join(parts[number].name for number in reasons)
        way = f"one call each for {slow} ({next(iter(reasons.values()))})" if slow else "vmap"
        return f"Differences of the loss by functional_call and {way}."
