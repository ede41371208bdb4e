"""Gradients of another function, which automatic differentiation gives on purpose.

It lets what ``jax.lax.stop_gradient`` returns stand still, and random numbers move along their quantiles.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from jax.extend.core import Jaxpr

from .._errors import NoRule
from .._types import Array
from ..engines.program.agreement import agrees
from ..report.report import Report
from ..verdict.outcome import Cause
from .function import JaxFunction
from .program.call import Handler
from .program.contents import inner_jaxprs
from .program.primitives import DRAWN, STOPPED
from .program.program import JaxProgram
from .program.traced import Traced

SENTENCE = ("The gradient is that of another function: of the loss in which what jax.lax.stop_gradient returns stands "
            "still. Where that is meant (a straight-through estimator, a target), it is right.")


def explained(report: Report, function: JaxFunction, gradients: Sequence[Any]) -> Report:
    """Return a report on gradients that failed; where they are those of another function, it says of which.

    Parameters
    ----------
    report : on the gradients against differences of the loss.
    function, gradients : the loss, and what was checked.
    """
    if function.traced is None or any(leaf.is_complex for leaf in function.inputs):
        return report
    of_loss = _Given(function.traced, function, gradients)
    stops, draws = (_holds(function.traced.jaxpr.jaxpr, name) for name in ("stop_gradient", "random_gamma"))
    try:
        # Where stopping changes nothing, as in a softmax, both are the same function.
        if stops and of_loss.follow(STOPPED) and not of_loss.follow(DRAWN):
            return report.noted(SENTENCE)
        if draws and of_loss.follow(DRAWN):
            return report.doubted({tensor.name for tensor in report.failures}, Cause.SAMPLED)
        return report
    except NoRule:
        return report


@dataclass(frozen=True)
class _Given:
    """Gradients of a traced function."""

    traced: Traced
    function: JaxFunction
    gradients: Sequence[Any]

    def follow(self, handlers: Mapping[str, Handler]) -> bool:
        """Tell whether they are those of the function with primitives as in a table; raises NoRule."""
        real = self.function.real
        program = JaxProgram(self.traced, real, range(len(real)), handlers=handlers)
        return agrees(partial(_slopes, program), [np.asarray(one) for one in real],
                      [np.asarray(g) for g in self.gradients], double=self.function.dtype == "float64")


def _slopes(program: JaxProgram, changes: Mapping[int, Array]) -> Array:
    """Return a program's changes (k,) where inputs change."""
    (found,) = program.run(changes).changes
    return np.zeros(len(changes[0])) if found is None else found.reshape(-1)


def _holds(jaxpr: Jaxpr, name: str) -> bool:
    """Tell whether a jaxpr holds a primitive of that name somewhere."""
    return any(equation.primitive.name == name or any(_holds(inner, name) for inner in inner_jaxprs(equation))
               for equation in jaxpr.eqns)
