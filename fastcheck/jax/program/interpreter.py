"""A jaxpr run on values and changes: in double precision wherever something moves, and as it is everywhere else."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal

from ..._errors import NoRule
from .call import Call, Handler
from .evaluation import bound, evaluated, is_inexact, operands_of, widened, zeros
from .flags import TracedBranches
from .flat import FlatJaxpr
from .rounding import Rounded

# A value with its change; None for what stands still.
Moving = tuple[Any, Any]
# An equation that holds other jaxprs: (interpreter, equation, operands, branches) -> outputs.
Structure = Callable[["Interpreter", Any, Sequence[Moving], TracedBranches], list[Moving]]
# In place of a change where nobody asks for changes.
MOVES = True
# In place of the change of what could move, and stands still in all perturbations at hand: it has the value that it has
# in double precision, where what can never move has that of the caller's precision.
RESTS = "rests"


@dataclass(frozen=True)
class Inside:
    """What is known of outputs of equations, and happens there, by number.

    values : of the outputs.
    changes : that are added there; still : whether the output stands still instead, one truth each.
    """

    values: Mapping[int, Sequence[Any]]
    changes: Mapping[int, Any] = field(default_factory=dict)
    still: Mapping[int, Any] = field(default_factory=dict)

    def at(self, number: int, found: list[Moving]) -> list[Moving]:
        """Return an equation's outputs with what happens at the first of them."""
        value, change = found[0]
        if number in self.still and change is not None and change is not RESTS:
            change = jnp.where(self.still[number], 0.0, change)
        added = self.changes.get(number)
        if added is not None:
            change = added if change is None or change is RESTS else change + added
        return [(value, change), *found[1:]]


@dataclass(frozen=True)
class Interpreter:
    """Runs jaxprs for one perturbation.

    Parameters
    ----------
    handlers : the changes of primitives, by name.
    structures : equations that hold jaxprs, by name.
    exact : whether changes are wanted, or only the values of what moves in double precision: MOVES stands for a
        change then.
    rounded : has results be off by a rounding each; None where nothing is.
    """

    handlers: Mapping[str, Handler]
    structures: Mapping[str, Structure]
    exact: bool = True
    rounded: Rounded | None = None

    def run(self, jaxpr: ClosedJaxpr, operands: Sequence[Moving], branches: TracedBranches) -> list[Moving]:
        """Return the outputs of a closed jaxpr.

        Raises
        ------
        NoRule : at a primitive without a rule, whose operands move.
        """
        return self.run_open(jaxpr.jaxpr, [(value, None) for value in jaxpr.consts], operands, branches)

    def run_open(
        self, jaxpr: Jaxpr | FlatJaxpr, constants: Sequence[Moving], operands: Sequence[Moving],
        branches: TracedBranches, inside: Inside | None = None,
    ) -> list[Moving]:
        """Return the outputs of a jaxpr, of whose constants some may move, and things may happen ``inside``."""
        known: dict[Any, Moving] = dict(zip(jaxpr.constvars, constants, strict=True))
        known.update(zip(jaxpr.invars, operands, strict=True))

        def read(atom: Any) -> Moving:
            return (np.asarray(atom.val, atom.aval.dtype), None) if isinstance(atom, Literal) else known[atom]

        for number, equation in enumerate(jaxpr.eqns):
            values = None if inside is None else inside.values.get(number)
            found = self._equation(equation, [read(atom) for atom in equation.invars], branches, values)
            if inside is not None and found:
                found = inside.at(number, found)
            known.update(zip(equation.outvars, found, strict=True))
        return [read(atom) for atom in jaxpr.outvars]

    def _equation(
        self, equation: Any, operands: Sequence[Moving], branches: TracedBranches, known: Sequence[Any] | None
    ) -> list[Moving]:
        primitive, params = equation.primitive, equation.params
        if all(change is None for _, change in operands):
            if known is None:
                known = bound(primitive, params, [value for value, _ in operands])
            return [(value, None) for value in known]
        if not equation.outvars:
            return []  # prints and the like
        structure = self.structures.get(primitive.name)
        if structure is not None:
            operands = [self.as_moving((v, None)) if c is RESTS else (v, c) for v, c in operands]
            return structure(self, equation, operands, branches)
        values = operands_of(equation, [value for value, _ in operands])
        changes = tuple(None if change is RESTS else change for _, change in operands)
        outputs = evaluated(equation, values) if known is None else list(known)
        if not self.exact:
            return [(value, MOVES) for value in outputs]
        if all(change is None for change in changes):
            return [(value, RESTS) for value in outputs]
        handler = self.handlers.get(primitive.name)
        if handler is None:
            raise NoRule(f"lax.{primitive.name}")
        branches.enter(primitive.name, custom=getattr(equation, "custom", False))
        found = handler(Call(primitive, params, values, changes, outputs, branches))
        found = zip(outputs, found if isinstance(found, (list, tuple)) else [found], strict=True)
        return [(value, self.off(primitive.name, value, change)) for value, change in found]

    def off(self, name: str, value: Any, change: Any) -> Any:
        """Return the change of a primitive's result, off by a rounding where results are."""
        return change if self.rounded is None or change is None else self.rounded.after(name, value, change)

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
