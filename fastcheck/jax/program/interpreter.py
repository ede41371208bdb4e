"""A jaxpr run on values and changes: in double precision wherever something moves, and as it is everywhere else."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

from ..._errors import NoRule
from .call import Call, Handler
from .evaluation import bound, evaluated, is_inexact, widened, zeros
from .flags import TracedBranches

# A value with its change; None for what stands still.
Moving = tuple[Any, Any]
# An equation that holds other jaxprs: (interpreter, equation, operands, branches) -> outputs.
Structure = Callable[["Interpreter", Any, Sequence[Moving], TracedBranches], list[Moving]]
# In place of a change where nobody asks for changes.
MOVES = True


@dataclass(frozen=True)
class Interpreter:
    """Runs jaxprs for one perturbation.

    Parameters
    ----------
    handlers : the changes of primitives, by name.
    structures : equations that hold jaxprs, by name.
    exact : whether changes are wanted, or only the values of what moves in double precision: MOVES stands for a
        change then.
    """

    handlers: Mapping[str, Handler]
    structures: Mapping[str, Structure]
    exact: bool = True

    def run(self, jaxpr: ClosedJaxpr, operands: Sequence[Moving], branches: TracedBranches) -> list[Moving]:
        """Return the outputs of a closed jaxpr.

        Raises
        ------
        NoRule : at a primitive without a rule, whose operands move.
        """
        return self.run_open(jaxpr.jaxpr, [(value, None) for value in jaxpr.consts], operands, branches)

    def run_open(
        self, jaxpr: Jaxpr, constants: Sequence[Moving], operands: Sequence[Moving], branches: TracedBranches
    ) -> list[Moving]:
        """Return the outputs of a jaxpr, of whose constants some may move."""
        known: dict[Any, Moving] = dict(zip(jaxpr.constvars, constants, strict=True))
        known.update(zip(jaxpr.invars, operands, strict=True))

        def read(atom: Any) -> Moving:
            return (np.asarray(atom.val, atom.aval.dtype), None) if isinstance(atom, Literal) else known[atom]

        for equation in jaxpr.eqns:
            found = self._equation(equation, [read(atom) for atom in equation.invars], branches)
            known.update(zip(equation.outvars, found, strict=True))
        return [read(atom) for atom in jaxpr.outvars]

    def _equation(self, equation: Any, operands: Sequence[Moving], branches: TracedBranches) -> list[Moving]:
        primitive, params = equation.primitive, equation.params
        if all(change is None for _, change in operands):
            return [(value, None) for value in bound(primitive, params, [value for value, _ in operands])]
        if not equation.outvars:
            return []  # prints and the like
        structure = self.structures.get(primitive.name)
        if structure is not None:
            return structure(self, equation, operands, branches)
        values = tuple(widened(value) for value, _ in operands)
        changes = tuple(change for _, change in operands)
        outputs = evaluated(primitive, params, values, equation.outvars)
        if not self.exact:
            return [(value, MOVES) for value in outputs]
        handler = self.handlers.get(primitive.name)
        if handler is None:
            raise NoRule(f"lax.{primitive.name}")
        branches.enter(primitive.name)
        found = handler(Call(primitive, params, values, changes, outputs, branches))
        return list(zip(outputs, found, strict=True)) if isinstance(found, (list, tuple)) else [(outputs[0], found)]

    def moves(self, jaxpr: ClosedJaxpr, operands: Sequence[Moving], given: Sequence[bool]) -> list[bool]:
        """Tell which outputs of a closed jaxpr move where some of its operands do."""
        found: list[bool] = []

        def trial(values: Sequence[Any]) -> None:
            some = [(widened(v), self.still_change(v)) if moving else (v, None)
                    for v, moving in zip(values, given, strict=True)]
            found.extend(change is not None for _, change in self.run(jaxpr, some, TracedBranches()))

        jax.eval_shape(trial, [value for value, _ in operands])
        return found

    def still_change(self, value: Any) -> Any:
        """Return the change of something that could move and does not."""
        return zeros(value) if self.exact else MOVES

    def as_moving(self, operand: Moving) -> Moving:
        """Return what stands still as something that moves by nothing."""
        value, change = operand
        return (widened(value) if is_inexact(value) else value, self.still_change(value) if change is None else change)
