"""Gradients of another function: of the loss in which what ``jax.lax.stop_gradient`` returns stands still."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from jax.extend.core import Jaxpr

from .._errors import NoRule
from .._types import Array
from ..engines.program.agreement import agrees
from .function import JaxFunction
from .program.contents import inner_jaxprs
from .program.program import JaxProgram

SENTENCE = ("The gradient is that of another function: of the loss in which what jax.lax.stop_gradient returns stands "
            "still. Where that is meant (a straight-through estimator, a target), it is right.")


def of_another_function(function: JaxFunction, gradients: Sequence[Any]) -> list[str]:
    """A sentence, where gradients of a loss are those of the loss with what is stopped standing still; else none."""
    complex_ones = any(leaf.is_complex for leaf in function.inputs)
    if function.traced is None or complex_ones or not stops(function.traced.jaxpr.jaxpr):
        return []

    def is_gradient_of(program: JaxProgram) -> bool:
        return agrees(partial(_slopes, program), [np.asarray(real) for real in function.real],
                      [np.asarray(g) for g in gradients], double=function.dtype == "float64")

    try:
        program = JaxProgram(function.traced, function.real, range(len(function.real)))
        # Where stopping changes nothing, as in a softmax, both are the same function.
        known = is_gradient_of(program.with_stopped_still()) and not is_gradient_of(program)
    except NoRule:
        return []
    return [SENTENCE] if known else []


def _slopes(program: JaxProgram, changes: Mapping[int, Array]) -> Array:
    """Return a program's changes (k,) where inputs change."""
    (found,) = program.run(changes).changes
    return np.zeros(len(changes[0])) if found is None else found.reshape(-1)


def stops(jaxpr: Jaxpr) -> bool:
    """Tell whether a jaxpr stops gradients somewhere."""
    return any(equation.primitive.name == "stop_gradient" or any(map(stops, inner_jaxprs(equation)))
               for equation in jaxpr.eqns)
