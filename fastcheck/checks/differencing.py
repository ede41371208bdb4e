"""How a cost is differenced: exactly, as a program of NumPy operations, or by subtracting its values.

Both engines are imported where they are used: their modules made ``import fastcheck`` a quarter slower.
"""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from .._errors import NoRule
from .._types import Array, Indices
from ..engines.finite.directional import Probe, Ray, probe
from ..engines.finite.lines import OutOfTime, timely
from ..engines.finite.problem import FunctionProblem, Method
from ..problems.functions.array_function import ArrayFunction
from ..problems.functions.evaluators import Evaluator, PythonCost
from ..problems.functions.held import HeldCost
from ..problems.functions.numba_functions import is_jitted
from ..problems.gradients import NumericalGradient
from ..problems.parameters.layout import unit_roundoffs
from ..runtime.run import Run
from ..runtime.threads import helpers_at_hand

if TYPE_CHECKING:
    from numpy.random import Generator

    from ..engines.program.parts.paths import Paths
    from ..engines.program.problem import ProgramProblem
    from ..engines.program.proof import Proof

# Exact differences of all entries may take this many times as long as the loop over them, or this many seconds: they
# are worth some waiting, and beyond that ordinary ones are taken.
WORTH, WORTH_SECONDS = 8.0, 2.0
# Programs from this many entries on are run by several threads; smaller ones are done before a second one has started.
LARGE = 4096
# Plain calls that exact differences take beside those of the check itself: the program's own, and what holds it against
# the function.  Where a time limit leaves no time for twice as many, costs are subtracted.
EXACT_CALLS = 5


class Differencing(Protocol):
    """Cost differences of a function, along single entries and along directions."""

    @property
    def name(self) -> str:
        """ "program" or "differences": what reports call it."""
        ...

    @property
    def dear(self) -> bool:
        """Whether an entry by itself costs about as much as a direction through everything."""
        ...

    def probe(self, directions: int | None, generator: "Generator", rounded: bool, run: Run) -> tuple[Probe, int]:
        """Return what random directions find, and how many cost differences or evaluations that took."""
        ...

    def proof(
        self, directions: int | None, generator: "Generator", rounded: bool, run: Run
    ) -> tuple["Proof", float] | None:
        """Directions and a few entries in one go, and the step; None where anything disagrees or that cannot be."""
        ...

    def differences(
        self, wanted: Indices, run: Run, *, beside: bool = False
    ) -> tuple[NumericalGradient, Indices, float | Array]:
        """Return differences at positions of theta, which of them were done, and the step.

        ``beside`` : they stand beside directions, which have shown most of it.
        """
        ...


@dataclass(frozen=True)
class Subtracted:
    """Ordinary differences.

    Parameters
    ----------
    problem, method : of the finite differences.
    precision : dtypes of gradients in less than double precision, by the tensor's name.
    """

    problem: FunctionProblem
    method: Method
    precision: Mapping[str, str] = field(default_factory=dict)
    name: str = "differences"
    dear: bool = False

    def probe(self, directions: int | None, generator: "Generator", rounded: bool, run: Run) -> tuple[Probe, int]:
        """Return what random directions find, and how many cost differences or evaluations that took."""
        problem = self.problem
        closing = problem.deadline_less(self.method.deadline)
        ray = Ray(problem.evaluator.at, problem.theta, problem.cost, closing)
        found = probe(problem.layout.tensors, problem.theta, problem.gradient, ray, directions=directions,
                      tolerance=self.method.tolerance, generator=generator, rounded=rounded)
        return found, ray.evaluations

    def proof(self, directions: int | None, generator: "Generator", rounded: bool, run: Run) -> None:
        """Nothing: noise has to be measured first."""

    def differences(
        self, wanted: Indices, run: Run, *, beside: bool = False
    ) -> tuple[NumericalGradient, Indices, float | Array]:
        """Return differences at positions of theta, which of them were done, and the step."""
        from ..engines.finite import engine as finite

        with helpers_at_hand():
            found, done, step = finite.differences(self.problem, wanted, self.method, run)
        if self.problem.coarse is not None:
            from ..engines.finite.coarse_costs import with_coarse_cost

            found = with_coarse_cost(self.problem, found, done, self.precision, self.method)
        return found, done, step


@dataclass(frozen=True)
class Exact:
    """Exact differences of a program.

    Parameters
    ----------
    problem : of the program engine.
    gradient : (n,) the gradient that is checked.
    method : the step that was asked for, the deadline and the seed.
    precision : dtypes of gradients in less than double precision, by the tensor's name.
    seconds : how long an evaluation takes, of which the loop makes two for each entry; infinite where exact differences
        are taken however long that is.

    Notes
    -----
    What is not finite ends in the verdict: no floating-point error is told beside it, or raised.
    """

    problem: "ProgramProblem"
    gradient: Array
    method: Method
    precision: Mapping[str, str]
    seconds: float = math.inf
    name: str = "program"

    @property
    def dear(self) -> bool:
        """Whether an entry by itself costs about as much as a direction through everything."""
        return self.problem.plain_cost is not None

    @property
    def paths(self) -> "Paths | None":
        """Return the parts of its gradient, which a wrong one is held against; None of programs of frameworks."""
        if not hasattr(self.problem.program, "watched"):  # no one sees what happens inside these
            return None
        from ..engines.program.parts.paths import Paths

        return Paths(self.problem)

    @np.errstate(all="ignore")
    def probe(self, directions: int | None, generator: "Generator", rounded: bool, run: Run) -> tuple[Probe, int]:
        """Return what random directions find, and how many cost differences or evaluations that took."""
        from ..engines.program.directions import probe_exactly

        try:
            return probe_exactly(
                self.problem, self.gradient, run.memory_limit, directions=directions, tolerance=self.method.tolerance,
                generator=generator, rounded=rounded, deadline=self.method.deadline,
            )
        except OutOfTime:  # before the first direction
            unseen = {tensor.name: math.inf for tensor in self.problem.tensors if tensor.size}
            return Probe(limits=unseen, notes=["The time limit left no time for random directions."]), 0

    @np.errstate(all="ignore")
    def proof(
        self, directions: int | None, generator: "Generator", rounded: bool, run: Run
    ) -> tuple["Proof", float] | None:
        """Directions and a few entries in one go, and the step; None where anything disagrees or that cannot be.

        Programs whose outputs can be compared one by one are checked more closely, at entries of every tensor.
        """
        if not self.dear:
            return None
        from ..engines.program.engine import EPSILON
        from ..engines.program.proof import proof

        epsilon = EPSILON if self.method.epsilon is None else self.method.epsilon
        try:
            found = proof(
                self.problem, self.gradient, run, directions=directions, tolerance=self.method.tolerance,
                generator=generator, epsilon=epsilon, rounded=rounded,
            )
        except OutOfTime:
            return None
        return None if found is None else (found, epsilon)

    @np.errstate(all="ignore")
    def differences(
        self, wanted: Indices, run: Run, *, beside: bool = False
    ) -> tuple[NumericalGradient, Indices, float | Array]:
        """Return differences at positions of theta, which of them were done, and the step."""
        from ..engines.program import engine as exact

        epsilon = exact.EPSILON if self.method.epsilon is None else self.method.epsilon
        try:
            found, done = exact.differences(
                self.problem, wanted, run, deadline=self.method.deadline, seed=self.method.seed, epsilon=epsilon,
                joint=beside, longest=math.inf if beside else self._longest(wanted.size),
            )
        except OutOfTime:  # before what was measured had been verified
            nothing, done = np.empty(0), np.empty(0, np.int64)
            found = NumericalGradient(self.problem.cost, nothing, nothing, nothing, nothing, settled=True)
        self._require_no_jumps(done, found.gradapprox)
        if done.size:
            from ..engines.program.roundings import with_rounding

            units = unit_roundoffs(self.problem.tensors, self.precision)
            found = with_rounding(self.problem, found, done, self.gradient, units, self.method, run.memory_limit)
        return found, done, epsilon

    def _require_no_jumps(self, done: Indices, slopes: Array) -> None:
        """Raise NoRule where the gradient is that of a cost which rises in jumps, and exact differences see a tread."""
        from ..engines.program.treads import rises_in_jumps

        seed, deadline = self.method.seed, self.method.deadline
        if done.size and rises_in_jumps(self.problem, done, slopes, self.gradient[done], seed, deadline):
            raise NoRule("a cost that rises in jumps, as one that is rounded does", "leave the rounding out")

    def _longest(self, entries: int) -> float:
        """How many seconds this many entries may take."""
        if self.seconds == math.inf:
            return math.inf
        return max(WORTH_SECONDS, WORTH * 2.0 * entries * self.seconds)


def as_program(
    cost: Any, args: tuple[Any, ...], problem: FunctionProblem, method: Method, precision: Mapping[str, str]
) -> Exact:
    """Return a cost as a program: as it says itself (its attribute ``problem``), or a Python cost on NumPy arrays.

    Its calls hold to the time limit: they raise OutOfTime where that has passed.

    Raises
    ------
    NoRule : where that can be told beforehand.
    """
    found = cost.problem if hasattr(cost, "as_evaluator") else _program_of(cost, args, problem)
    if math.isfinite(method.deadline):
        plain, plain_cost, deadline = found.plain, found.plain_cost, method.deadline
        found = replace(
            found, program_at=timely(found.program_at, deadline), seconds=problem.seconds,
            plain=None if plain is None else timely(plain, deadline),
            plain_cost=None if plain_cost is None else timely(plain_cost, deadline),
        )
    return Exact(found, problem.gradient, method, precision)


def time_for_exact(problem: FunctionProblem, method: Method) -> bool:
    """Whether a time limit leaves time for the plain calls that exact differences take."""
    return 2.0 * EXACT_CALLS * problem.seconds <= method.deadline - time.perf_counter()


def _program_of(cost: Any, args: tuple[Any, ...], problem: FunctionProblem) -> "ProgramProblem":
    """Return a Python cost on NumPy arrays as a program."""
    from ..engines.program.arrays.program import Program, flattened
    from ..engines.program.problem import ProgramProblem

    layout, theta = problem.layout, problem.theta
    if isinstance(problem.evaluator, HeldCost):
        return _held_program(problem.evaluator, problem)
    function = ArrayFunction.of(cost, args, layout)
    args = function.args

    def plain(values: Any) -> list[Any]:
        """Return the function's outputs at other inputs."""
        return [np.asarray(output) for output in flattened(function(*values, *args))]

    inputs = [theta[t.start : t.stop].reshape(t.shape) for t in layout.tensors]
    return ProgramProblem(
        lambda values: Program(function, values, args), plain, Program(function, inputs, args), function.weights,
        layout.tensors, theta, problem.cost, side_by_side=theta.size >= LARGE,
    )


def _held_program(held: HeldCost, problem: FunctionProblem) -> "ProgramProblem":
    """Return a cost without arguments as a program, whose parameters are exchanged where the cost finds them."""
    from ..engines.program.arrays.program import Program, flattened
    from ..engines.program.problem import ProgramProblem

    arrays = dict(enumerate(held.arrays))

    def program_at(values: Sequence[Array]) -> Program:
        """Return the program at other parameters."""
        with held.holding(values):  # a program begins with a plain run
            return Program(held.cost, values, (), arrays)

    def plain(values: Any) -> list[Any]:
        """Return the cost's outputs at other parameters."""
        with held.holding(values):
            return [np.asarray(output) for output in flattened(held.cost())]

    tensors, theta = problem.layout.tensors, problem.theta
    inputs = [theta[t.start : t.stop].reshape(t.shape) for t in tensors]
    return ProgramProblem(program_at, plain, program_at(inputs), (1.0,), tensors, theta, problem.cost)


def follows(cost: Any, evaluator: Evaluator, method: Method) -> bool:
    """Whether a cost could be a program: a Python function, of which nothing was asked that only subtraction does."""
    known = isinstance(evaluator, (PythonCost, HeldCost)) or hasattr(cost, "as_evaluator")
    return known and not is_jitted(cost) and not method.complex_step and method.order == 2
