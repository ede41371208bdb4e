"""A JAX loss as the cost that ``check_function`` differences."""

from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._errors import NoRule
from .._types import Array, Indices
from ..engines.program.problem import ProgramProblem
from ..engines.program.roundings import rounding_of_cost
from ..problems.functions.purity import outside_domain
from ..problems.gradients import Rounding, RunAgain
from .function import JaxFunction, joined
from .jacobian import ContradictedError, Exact
from .program.contents import fixes_types
from .program.program import JaxProgram
from .program.sited import SitedProgram


@dataclass(eq=False)
class JaxCost:
    """A function with one number for output as the cost of ``check_function``.

    Parameters
    ----------
    function : as the caller runs it, at the caller's precision; where it cannot be traced, in double precision.
    rounding : of the gradients, where they are JAX's own and in less than double precision.
    again : runs the gradients that are judged once more, where that can be.
    stacks : whether JAX can run it on stacks, as far as is known.
    """

    function: JaxFunction
    rounding: Rounding | None = None
    again: RunAgain | None = None
    stacks: bool = True

    @property
    def user_code(self) -> tuple[Any, ...]:
        """What of the user's own runs on NumPy arrays: nothing."""
        return ()

    def as_evaluator(self) -> "JaxCost":
        """How its costs are computed where they are subtracted: by itself, moved parameters in stacks."""
        return self

    @cached_property
    def problem(self) -> ProgramProblem:
        """What the program engine takes: exact differences in double precision.

        Raises
        ------
        NoRule : where there are none, or where plain calls give other values than the function's jaxpr.
        """
        function = self.function
        if function.traced is None:
            raise NoRule(f"a function that JAX cannot trace ({function.reason})")
        try:
            whole = JaxProgram.values_only(function.traced, function.real, range(len(function.real)))
            program = SitedProgram(function.traced, function.real)
            self._require_literal(whole, program)
        except ContradictedError:
            raise NoRule("a loss that gives other values when it is called than its jaxpr does") from None
        except NoRule:
            raise
        except (TypeError, ValueError, NotImplementedError, KeyError) as error:
            raise NoRule(f"a function that JAX cannot run on changes ({str(error)[:200]})") from error
        return ProgramProblem(
            program_at=partial(SitedProgram, function.traced), plain=None, program=program, weights=program.weights,
            tensors=tuple(part.tensor for part in function.parts()[0]), theta=function.theta,
            cost=float(whole.outputs[0]), plain_cost=lambda values: float(whole.at(values)[0]),
        )

    def _require_literal(self, whole: JaxProgram, program: SitedProgram) -> None:
        """Hold one step through all inputs against plain calls; raises ContradictedError."""
        exact = Exact(self.function, whole)
        move = exact.literal_move()
        response = program.run(dict(enumerate(self.function.by_input(move[None]))))
        change = sum(float(np.vdot(weight, moved[0]))
                     for weight, moved in zip(program.weights, response.changes, strict=True) if moved is not None)

        def rounding() -> float:
            still = {number: np.zeros(value.shape) for number, value in enumerate(program.inputs)}
            return rounding_of_cost(program, program.weights, still, 0)

        exact.require_literal(move, np.array([change]), bool(response.crossed[0]), rounding)

    def at(self, theta: Array) -> float:
        """The cost of one vector: in double precision where the function can be traced."""
        return float(self._stack(theta[None])[0])

    def _alone(self, theta: Array) -> float:
        """Return the cost of one vector by a call of its own, in double precision where that can be."""
        try:
            if self._wide is None:
                return float(self.function.at(theta)[0])
            return float(self._wide.at([part[0] for part in self.function.by_input(theta[None])])[0])
        except Exception as error:
            if outside_domain(error):
                return float("nan")
            raise

    def costs_at(self, positions: Indices, values: NDArray[Any]) -> Array:
        """Costs (k,) with one entry moved each, or (positions and values (k, w)) several."""
        theta = self.function.theta
        rows = np.repeat(theta[None], len(positions), axis=0)
        if positions.ndim == 1:
            rows[np.arange(len(positions)), positions] = values
        else:
            np.put_along_axis(rows, positions, values, axis=1)
        return self._stack(rows)

    def _stack(self, thetas: Array) -> Array:
        """Costs of rows of thetas, in double precision; by a call each where JAX cannot stack them."""
        if self._wide is None or not self.stacks:
            return np.array([self._alone(theta) for theta in thetas])
        try:
            return joined([self._wide.values_at(self.function.by_input(thetas))[0]])
        except Exception:  # callbacks and the like
            self.stacks = False
            return np.array([self._alone(theta) for theta in thetas])

    @cached_property
    def _wide(self) -> JaxProgram | None:
        """The function in double precision, of which operations need no rules; None where it does not run there."""
        function = self.function
        if function.traced is None:
            return None
        try:
            return JaxProgram.values_only(function.traced, function.real, range(len(function.real)))
        except (NoRule, TypeError, ValueError, NotImplementedError, KeyError):
            return None

    def how(self, engine: str) -> str:
        """How its differences were taken, in a sentence."""
        if engine == "program":
            return "Exact differences of the loss, by the rules of its primitives, in double precision."
        if self.function.traced is None:
            return f"Differences of the loss, called once for each: JAX cannot trace it ({self.function.reason})."
        if self._wide is None:
            return "Differences of the loss, called once for each: its operations do not run in double precision."
        if fixes_types(self.function.traced.jaxpr.jaxpr):
            return "Differences of the loss, in double precision; callbacks keep the precision that they promise."
        return "Differences of the loss, in double precision."
