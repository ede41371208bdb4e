"""Whether all entries of a program are differenced in the time that people wait without being told of it."""

import numpy as np

from ...runtime.run import Run
from .engine import expected_seconds
from .places import Place
from .problem import ProgramProblem
from .runner import Runner

# Seconds that all entries may take; beyond that, directions through everything are taken unless all were asked for.
PATIENCE = 5.0


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
