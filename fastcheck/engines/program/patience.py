"""Whether all entries of a program are differenced in the time that people wait without being told of it."""

from collections.abc import Callable
from typing import Literal

import numpy as np

from ..._errors import NoRule
from ...runtime.run import Run
from .engine import expected_seconds
from .places import Place
from .problem import ProgramProblem
from .runner import Runner

# Seconds that all entries may take; beyond that, directions through everything are taken unless all were asked for.
PATIENCE = 5.0
TOO_MANY = ('All entries would take more than a few seconds: directions through everything and a sample were taken; '
            'method="all" takes all.')


def method_of(problem: Callable[[], ProgramProblem], run: Run) -> tuple[Literal["all", "directional"], list[str]]:
    """Return which entries are checked of a program unless somebody asks, and what the report is to say of that.

    All of them where they take a few seconds, or have to be subtracted; else directions.

    Parameters
    ----------
    problem : gives the program; raises NoRule where there is none.
    """
    try:
        few = affordable(problem(), run)
    except NoRule:
        few = True
    return ("all", []) if few else ("directional", [TOO_MANY])


def affordable(problem: ProgramProblem, run: Run) -> bool:
    """Tell whether all entries are differenced within PATIENCE.

    The engine's own estimate is asked only where a bound leaves hope: units need a column, of both signs, for each
    entry along a tensor's longest axis at least.
    """
    runner = Runner(problem.program, problem.weights, run.memory_limit)
    inputs = [Place(number, value) for number, value in enumerate(problem.inputs(problem.theta))]
    runner.run([(place, np.zeros((2, place.size))) for place in inputs if place.size])
    if 2.0 * runner.seconds / runner.paid * sum(max(place.shape, default=1) for place in inputs) > PATIENCE:
        return False
    return expected_seconds(problem, run) <= PATIENCE
