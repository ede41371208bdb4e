"""A function of tensors as the problem that the program engine takes."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from ..._errors import NoRule
from ..._types import Array
from ...engines.program.problem import ProgramProblem
from ...problems.parameters.tensor import Tensor
from .program import SAME, TorchProgram


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
        return [torch.as_tensor(np.array(value), device=like.device).requires_grad_(like.requires_grad and graph)
                for value, like in zip(values, inputs, strict=True)]

    def plain(values: Sequence[Array]) -> float:
        with torch.enable_grad(), torch.autocast("cpu", enabled=False), torch.autocast("cuda", enabled=False):
            return float(function(*given(values)).detach())

    program = TorchProgram(function, inputs, cut_loss=True)
    graph = program.graph
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
