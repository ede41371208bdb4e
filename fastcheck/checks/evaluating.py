"""How a user's cost is called: by what it is, one at a time, in stacks, compiled, elsewhere, or without arguments."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from .._types import Array
from .._validation import executor_of, kind_of
from ..problems.functions.c_functions import is_foreign
from ..problems.functions.evaluators import BatchedCost, Evaluator, ExecutorCost, PythonCost
from ..problems.functions.held import HeldCost, takes_nothing
from ..problems.functions.numba_functions import is_jitted
from ..problems.parameters.layout import Layout
from ..runtime.run import Run

# A loop is worth compiling from this many evaluations, or this many seconds of them.
COMPILE_FROM, COMPILE_SECONDS = 1000, 0.3

def evaluator_of(
    cost: Any, parameters: Any, layout: Layout, theta: Array, args: tuple[Any, ...],
    how: tuple[bool, Executor | None, bool], limits: Run,
) -> Evaluator:
    """Return how costs are to be computed.

    Parameters
    ----------
    cost, parameters, args : the caller's; layout, theta : of the parameters.
    how : whether the cost is vectorized, the executor if any, and whether steps are complex.
    limits : threads and memory.

    Raises
    ------
    TypeError, ValueError : for a cost that cannot be called so.
    """
    vectorized, executor, complex_step = how
    if hasattr(cost, "as_evaluator"):
        evaluator: Evaluator = cost.as_evaluator()
        return evaluator
    if is_foreign(cost):
        if vectorized or executor is not None:
            raise ValueError("cost: expected a Python function with vectorized or executor, got a C function, which is "
                             "called from a compiled loop; leave them out")
        if len(layout.tensors) > 1:
            raise TypeError("parameters: expected one array for a C function, got several; flatten them into a vector")
        from ..problems.functions.compiled import foreign

        return foreign(cost, layout, theta, args, limits.threads)
    if isinstance(cost, type) or not callable(cost):
        raise TypeError(f"cost: expected a function of (parameters, *args), got {kind_of(cost)}")
    if vectorized:
        if executor is not None:
            raise ValueError("executor: expected None with vectorized=True, got an executor; leave one of them out")
        return BatchedCost(cost, layout, theta, args, limits.memory_limit)
    if executor is None and not args and takes_nothing(cost):
        if complex_step:
            raise ValueError("complex_step: expected False where the cost takes no argument, got True; its parameters "
                             "are moved in place, and they are real")
        return HeldCost(cost, layout, theta, layout.arrays_of(parameters))
    called = PythonCost(cost, layout, theta, args)
    return called if executor is None else ExecutorCost(called, executor_of(executor))


def state_kept(cost: Any, evaluator: Evaluator) -> AbstractContextManager[None]:
    """Put back what a model keeps after the check, where its cost takes no argument."""
    return left_as_found((cost,)) if isinstance(evaluator, HeldCost) else nullcontext()


def keeping(*functions: Any) -> Callable[[], AbstractContextManager[None]]:
    """Return what puts back what functions of the user keep from call to call, around runs in between.

    Where they keep it is found out when it is first asked for.
    """
    found: list[Any] = []

    @contextmanager
    def around() -> Iterator[None]:
        """Look where they keep something, once, and put it back after what runs inside."""
        from ..engines.program.arrays.reachable import Reachable
        from ..engines.program.arrays.surroundings import kept, left_alone

        if not found:
            found.append(Reachable(functions))
        with kept(found[0].containers), left_alone(found[0]):
            yield

    return around


def left_as_found(code: tuple[Any, ...]) -> AbstractContextManager[None]:
    """Put back after a check what some code of the user keeps, wherever it keeps it."""
    from ..engines.program.arrays.reachable import Reachable  # imported where used, as the engines are
    from ..engines.program.arrays.surroundings import left_alone

    return left_alone(Reachable(code))


def worth_compiling(evaluator: Evaluator, cost: Any, threads: int) -> Evaluator:
    """Return a compiled loop for a jitted cost, unless a Python loop would be done before it is compiled."""
    if not is_jitted(cost) or not isinstance(evaluator, PythonCost):
        return evaluator
    layout = evaluator.layout
    if len(layout.tensors) > 1 or layout.numbers:
        return evaluator
    if 2 * layout.size < COMPILE_FROM:
        started = time.perf_counter()
        evaluator.at(evaluator.theta.copy())
        if 2 * layout.size * (time.perf_counter() - started) < COMPILE_SECONDS:
            return evaluator
    from ..problems.functions.compiled import jitted

    return jitted(evaluator, threads)
