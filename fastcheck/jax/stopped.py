"""Gradients of another function: of the loss in which what ``jax.lax.stop_gradient`` returns stands still."""

from collections.abc import Mapping, Sequence
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

    def slopes(changes: Mapping[int, Array]) -> Array:
        (found,) = program.run(changes).changes
        return np.zeros(len(changes[0])) if found is None else found.reshape(-1)

    try:
        program = JaxProgram(function.traced, function.real, range(len(function.real))).with_stopped_still()
        known = agrees(slopes, [np.asarray(real) for real in function.real], [np.asarray(g) for g in gradients],
                       double=function.dtype == "float64")
    except NoRule:
        return []
    return [SENTENCE] if known else []


def stops(jaxpr: Jaxpr) -> bool:
    """Tell whether a jaxpr stops gradients somewhere."""
    return any(equation.primitive.name == "stop_gradient" or any(map(stops, inner_jaxprs(equation)))
               for equation in jaxpr.eqns)
