"""One equation of a jaxpr as it is differenced, and the kinds of primitives there are."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp

from ..._errors import NoRule
from ...rules.branches import Branches
from ...rules.contractions import bilinear as product_rule
from ...rules.table import RULES
from .evaluation import evaluated_by, zeros


@dataclass(slots=True)
class Call:
    """A primitive with values in place of its variables, for one perturbation: batches are made by jax.vmap.

    Parameters
    ----------
    primitive, params : of the equation.
    values : of the operands; those that are real or complex numbers in double precision.
    changes : of the operands; None for what stands still.  Changes of integers and truths are real numbers.
    outputs : the primitive's values.
    branches : takes note of kinks.
    """

    primitive: Any
    params: dict[str, Any]
    values: tuple[Any, ...]
    changes: tuple[Any, ...]
    outputs: list[Any]
    branches: Branches

    @property
    def out(self) -> Any:
        """The first output's value."""
        return self.outputs[0]

    def only(self, *places: int) -> None:
        """Raise NoRule where any other operand moves."""
        for place, change in enumerate(self.changes):
            if change is not None and place not in places:
                raise NoRule(f"lax.{self.primitive.name} whose operand {place} moves")

    def again(self, *values: Any) -> Any:
        """Return the primitive's first output for other operands."""
        return evaluated_by(self.primitive, self.params, values)[0]

    def lost(self, where: Any, change: Any) -> Any:
        """``change``, but NaN where a perturbation takes a way that cannot be followed; it is noted as a crossing."""
        self.branches.note(where)
        return jnp.where(jnp.any(where), jnp.nan, change)


Handler = Callable[[Call], Any]


def ruled(name: str, values: Sequence[Any], changes: Sequence[Any], out: Any, call: Call, **options: Any) -> Any:
    """Return the rule of ``fastcheck.rules`` with that name, its result in full shape."""
    change = RULES[name].change(jnp, tuple(values), tuple(changes), out, call.branches, **options)
    return jnp.broadcast_to(change, out.shape)


def elementwise(name: str) -> Handler:
    """Return a primitive whose operands are a rule's."""
    return lambda call: ruled(name, call.values, call.changes, call.out, call)


def linear(*places: int) -> Handler:
    """Return a primitive that is linear in the operands at ``places`` together (all of them, if none is named)."""

    def handler(call: Call) -> Any:
        linear_in = places or tuple(range(len(call.values)))
        call.only(*linear_in)
        operands = list(call.values)
        for place in linear_in:
            change = call.changes[place]
            operands[place] = zeros(operands[place]) if change is None else change
        found = evaluated_by(call.primitive, call.params, operands)
        return found if call.primitive.multiple_results else found[0]

    return handler


def bilinear(call: Call) -> Any:
    """Return a primitive that is linear in each of its two operands."""
    return product_rule(call.again, *call.values, *call.changes)
