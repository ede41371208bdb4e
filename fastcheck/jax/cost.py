"""A JAX loss as the cost that ``check_function`` differences."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from .._errors import NoRule
from .._types import Array, Indices
from ..engines.program.problem import ProgramProblem
from ..problems.functions.purity import outside_domain
from ..problems.gradients import Rounding
from .function import JaxFunction, joined
from .jacobian import ContradictedError, Exact
from .program.program import JaxProgram

# Seconds that all entries may take; beyond that, directions through everything are taken unless all were asked for.
PATIENCE = 5.0


@dataclass(eq=False)
class JaxCost:
    """A function with one number for output as the cost of ``check_function``.

    Parameters
    ----------
    function : as the caller runs it, at the caller's precision; where it cannot be traced, in double precision.
    rounding : of the gradients, where they are JAX's own and in less than double precision.
    stacks : whether JAX can run it on stacks, as far as is known.
    """

    function: JaxFunction
    rounding: Rounding | None = None
    stacks: bool = True

    @property
    def user_code(self) -> tuple[Any, ...]:
        """What of the user's own runs on NumPy arrays: nothing."""
        return ()

    def as_evaluator(self) -> "JaxCost":
        """How its costs are computed where they are subtracted: by itself, moved parameters in stacks."""
        return self

    @cached_property
    def program(self) -> JaxProgram:
        """Its exact differences, in double precision.

        Raises
        ------
        NoRule : where it has none, or where plain calls give other values than its jaxpr.
        """
        program = self.function.program()
        exact = Exact(self.function, program)
        move = exact.literal_move()
        found, response = exact.along(move[None])
        try:
            exact.require_literal(move, found[0], bool(response.crossed[0]))
        except ContradictedError:
            raise NoRule("a loss that gives other values when it is called than its jaxpr does") from None
        return program

    @cached_property
    def problem(self) -> ProgramProblem:
        """What the program engine takes.

        Raises
        ------
        NoRule : where the function cannot be followed.
        """
        function, program = self.function, self.program
        places = range(len(function.real))

        def at(values: Sequence[Array]) -> JaxProgram:
            return JaxProgram(program.function, values, places)

        return ProgramProblem(
            program_at=at, plain=lambda values: at(values).outputs, program=program, weights=(np.ones(()),),
            tensors=tuple(part.tensor for part in function.parts()[0]), theta=function.theta,
            cost=float(program.outputs[0]),
        )

    def method(self) -> Literal["all", "directional"]:
        """ "all" where all entries take a few seconds, or have to be subtracted; else "directional"."""
        try:
            problem = self.problem
        except NoRule:
            return "all"
        rows = problem.program.rows  # type: ignore[attr-defined]  # of a JaxProgram
        zeros = {k: np.zeros((rows, *value.shape)) for k, value in enumerate(problem.inputs(problem.theta))}
        problem.program.run(zeros)  # compiles
        started = time.perf_counter()
        problem.program.run(zeros)
        each = (time.perf_counter() - started) / rows
        return "all" if 2 * problem.theta.size * each <= PATIENCE else "directional"

    def at(self, theta: Array) -> float:
        """The cost of one vector: in double precision where the function can be traced."""
        return float(self._stack(theta[None])[0])

    def _plainly(self, theta: Array) -> float:
        try:
            return float(self.function.at(theta)[0])
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
        """Costs of rows of thetas, in double precision; by a plain call each where JAX cannot stack them."""
        if self._wide is None or not self.stacks:
            return np.array([self._plainly(theta) for theta in thetas])
        parts = np.split(thetas, np.cumsum([r.size for r in self.function.real])[:-1], axis=1)
        rows = [part.reshape(len(thetas), *r.shape) for part, r in zip(parts, self.function.real, strict=True)]
        try:
            return joined([self._wide.values_at(rows)[0]])
        except Exception:  # callbacks and the like
            self.stacks = False
            return np.array([self._plainly(theta) for theta in thetas])

    @cached_property
    def _wide(self) -> JaxProgram | None:
        """The function in double precision, of which operations need no rules."""
        function = self.function
        if function.traced is None:
            return None
        return JaxProgram.values_only(function.traced, function.real, range(len(function.real)))

    def how(self, engine: str) -> str:
        """How its differences were taken, in a sentence."""
        if engine == "program":
            return "Exact differences of the loss, by the rules of its primitives, in double precision."
        if self.function.traced is None:
            return f"Differences of the loss, called once for each: JAX cannot trace it ({self.function.reason})."
        return "Differences of the loss, in double precision."
