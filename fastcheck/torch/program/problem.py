"""A function of tensors as the problem that the program engine takes."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from ..._errors import NoRule
from ..._types import Array
from ...engines.program.engine import expected_seconds
from ...engines.program.problem import ProgramProblem
from ...problems.parameters.tensor import Tensor
from ...runtime.run import Run
from .program import TorchProgram

# Seconds that all entries may take; beyond that, directions through everything are taken unless all were asked for.
PATIENCE = 5.0
# The recorded function may differ from the plain one by the rounding of fused implementations, relative to its value.
SAME = 1e-9


def program_problem(
    function: Callable[..., Any], inputs: Sequence[torch.Tensor], tensors: tuple[Tensor, ...], theta: Array, cost: float
) -> ProgramProblem:
    """Return the problem of a function with one number for output.

    Parameters
    ----------
    function : takes tensors like ``inputs``, in double precision.
    inputs : double precision, on their device.
    tensors, theta : the same inputs laid end to end.
    cost : the function's value by a plain call.

    Raises
    ------
    NoRule : where the function cannot be followed, or its operators give another value than it does.
    """

    def given(values: Sequence[Array]) -> list[torch.Tensor]:
        return [torch.as_tensor(np.ascontiguousarray(value), device=like.device)
                for value, like in zip(values, inputs, strict=True)]

    def plain(values: Sequence[Array]) -> float:
        with torch.no_grad(), torch.autocast("cpu", enabled=False), torch.autocast("cuda", enabled=False):
            return float(function(*given(values)))

    program = TorchProgram(function, inputs, cut_loss=True)
    if program.loss is None or program.weights is None:
        raise NoRule("a loss that does not depend on the parameters")
    value = program.loss
    if not abs(value - cost) <= SAME * max(abs(cost), 1e-300) and not (np.isnan(value) and np.isnan(cost)):
        raise NoRule(f"a loss of {cost!r} whose operators, one by one, give {value!r}")
    return ProgramProblem(
        program_at=lambda values: program.at(given(values)),
        plain=None,
        program=program,
        weights=(program.weights,),
        tensors=tensors,
        theta=theta,
        cost=value,
        plain_cost=plain,
    )


def affordable(problem: ProgramProblem, run: Run) -> bool:
    """Tell whether all entries are differenced within PATIENCE.

    The engine's own estimate is asked only where a bound leaves hope: units need a column, of both signs, for each
    entry along a tensor's longest axis at least.
    """
    inputs = problem.inputs(problem.theta)
    started = time.perf_counter()
    problem.program.run({k: np.zeros((2, *value.shape)) for k, value in enumerate(inputs)})
    each = time.perf_counter() - started
    if each * sum(max(value.shape, default=1) for value in inputs) > PATIENCE:
        return False
    return expected_seconds(problem, run) <= PATIENCE
