"""A JAX function on arrays that carry changes: the front end of the program engine for JAX."""

import contextlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cached_property, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Jaxpr

from ..._errors import NoRule
from ..._types import Array
from ...engines.program.protocols import Response
from ...rules.branches import Convention, Held, Mixture
from .call import Handler
from .contents import inner_jaxprs, largest_array
from .evaluation import is_inexact
from .flags import HELD_BY_JAX, TracedBranches, response_of
from .flat import FlatJaxpr, flattened
from .folds import FOLDS
from .interpreter import MOVES, Inside, Interpreter, Moving
from .primitives import PRIMITIVES
from .structures import STRUCTURES
from .traced import Traced

# Equations that hold other jaxprs.
HOLDING_JAXPRS = {**STRUCTURES, **FOLDS}
# Perturbations run together, for each number of them would be compiled anew, unless the caller says how many ...
ROWS = 64
# ... but no more bytes of changes than this.
MOST_BYTES = 64 << 20
# XLA compiles in two thirds of the time without LLVM's optimizations, which pay from this many numbers on.
SMALL = 100_000
QUICKLY: dict[str, bool | int | str] = {"xla_backend_optimization_level": 0}


class JaxProgram:
    """A function of arrays at one point; changes go in and come out as NumPy arrays.

    Parameters
    ----------
    function : the jaxpr, traced at whatever precision.
    inputs : values of its arguments; those that are real numbers are moved, in double precision.
    moving : which of them are moved.
    rows : how many perturbations are run together, at most; None for a usual number.
    handlers : the table of primitives.

    Attributes
    ----------
    outputs : in double precision.
    holds : the conventions that JAX holds at kinks: to try many more, each compiled anew, would take too long.

    Raises
    ------
    NoRule : where an operation has no exact difference.
    """

    holds = (Mixture(tuple(HELD_BY_JAX.items())),)

    def __init__(
        self, function: Traced, inputs: Sequence[Any], moving: Collection[int], rows: int | None = None,
        handlers: Mapping[str, Handler] = PRIMITIVES,
    ) -> None:
        self.function, self.moving, self.together, self.handlers = function, tuple(moving), rows, handlers
        self.inputs = tuple(np.asarray(value, np.float64) if k in self.moving else value
                            for k, value in enumerate(inputs))
        try:
            with double_precision():
                self.outputs = self.at(self.inputs)
                self._moves = function.once(("moves", self.moving, id(handlers)), self._find_moving)
        except (TypeError, ValueError, NotImplementedError, KeyError) as error:
            if isinstance(error, NoRule):
                raise
            raise NoRule(f"a function that JAX cannot run on changes ({str(error)[:200]})") from error

    @classmethod
    def values_only(cls, function: Traced, inputs: Sequence[Any], moving: Collection[int]) -> "JaxProgram":
        """Return a program of which only values in double precision are wanted: operations need no rules."""
        program = cls.__new__(cls)
        program.function, program.moving, program.together, program.handlers = function, tuple(moving), None, PRIMITIVES
        program.inputs = tuple(np.asarray(value, np.float64) for value in inputs)
        program.outputs = program.at(program.inputs)
        return program

    @cached_property
    def size(self) -> int:
        """Numbers that a perturbation changes: of inputs, outputs, and a few times the largest array in between."""
        largest = self.function.once("largest", lambda: largest_array(self.function.jaxpr.jaxpr))
        return sum(self.inputs[k].size for k in self.moving) + sum(out.size for out in self.outputs) + 2 * largest

    def at(self, inputs: Sequence[Any]) -> tuple[Array, ...]:
        """Return the outputs at other inputs, in double precision."""
        with double_precision():
            return tuple(np.asarray(out) for out in self._values(inputs))

    def _values(self, inputs: Sequence[Any]) -> Any:
        """Return the outputs in double precision."""
        build = partial(_values_of, self._flat, self.moving)
        run = self.function.once(("wide values", self.moving), lambda: jax.jit(build, compiler_options=QUICKLY))
        return run(self.function.constants, list(inputs))

    def values_at(self, rows: Sequence[Array]) -> list[Array]:
        """Return the outputs (k, *shape) at several points, the inputs that are moved given as (k, *shape) each."""
        build = partial(_values_of, self._flat, self.moving)
        axes = [0 if k in self.moving else None for k in range(len(self.inputs))]
        run = self.function.once(("stacked values", self.moving), lambda: jax.jit(jax.vmap(build, (None, axes))))
        given = list(self.inputs)
        for place, value in zip(self.moving, rows, strict=True):
            given[place] = value
        with double_precision():
            return [np.asarray(out) for out in run(self.function.constants, given)]

    def _find_moving(self) -> tuple[bool, ...]:
        """Tell which outputs move at all; raises NoRule."""
        found: list[bool] = []

        def trial(constants: Any, inputs: Any, changes: Any) -> Any:
            outputs, branches = _changes_of(self._flat, self.moving, self.handlers, None, constants, inputs, {},
                                            changes)
            found.extend(change is not None for _, change in outputs)
            return branches.crossed

        jax.eval_shape(trial, self.function.constants, list(self.inputs), [self.inputs[k] for k in self.moving])
        return tuple(found)

    def run(
        self, changes: Mapping[int, Array], sites: Mapping[int, Array] | None = None,
        convention: Held | None = None,
    ) -> Response:
        """Return the outputs' changes where inputs change.

        Parameters
        ----------
        changes : by the number among the inputs that are moved, (B, *shape).
        sites : none: operations inside are not moved by themselves.
        convention : how ties are resolved (see ``fastcheck.rules.branches``).
        """
        count = len(next(iter(changes.values())))
        given = [np.asarray(changes[number], np.float64) if number in changes
                 else np.zeros((count, *self.inputs[place].shape)) for number, place in enumerate(self.moving)]
        rows = self.rows
        if convention is not None and not isinstance(convention, Mixture):
            convention = Convention.of(convention)
        parts = [self._block([change[start : start + rows] for change in given], rows, convention)
                 for start in range(0, count, rows)]
        joined = [np.concatenate(part) if len(part) > 1 else part[0] for part in zip(*parts, strict=True)]
        crossed, by_kind, *rest = (part[:count] for part in joined)
        moved = iter(rest)
        return response_of(tuple(next(moved) if moves else None for moves in self._moves), crossed, by_kind)

    @property
    def rows(self) -> int:
        """How many perturbations are run together."""
        return max(1, min(self.together or ROWS, MOST_BYTES // (8 * max(1, self.size))))

    def _block(self, changes: Sequence[Array], rows: int, convention: Held | None) -> list[Any]:
        """Flags and changes of up to ``rows`` perturbations, as one call of compiled code."""
        fill = rows - len(changes[0])
        if fill:
            changes = [np.concatenate([change, np.zeros((fill, *change.shape[1:]))]) for change in changes]
        quickly = rows * self.size < SMALL or not self._can_know
        known = {} if quickly else self._known
        build = partial(_moved, self._flat, self.moving, self.handlers, convention)
        key = "changes", self.moving, id(self.handlers), convention, quickly
        run = self.function.once(key, lambda: jax.jit(
            jax.vmap(build, (None, None, None, 0)), compiler_options=QUICKLY if quickly else None))
        with double_precision():
            found = run(self.function.constants, list(self.inputs), known, list(changes))
            return [np.asarray(part) for part in found]

    @cached_property
    def _flat(self) -> FlatJaxpr:
        flat: FlatJaxpr = self.function.once("flat", lambda: flattened(self.function.jaxpr.jaxpr))
        return flat

    @property
    def _can_know(self) -> bool:
        return not self._flat.has_inner(self._flat.moving(self.moving))

    @cached_property
    def _known(self) -> dict[int, list[Any]]:
        return known_values(self.function, self._flat, self.moving, self.inputs)


def known_values(
    function: Traced, flat: FlatJaxpr, moving: Collection[int], inputs: Sequence[Any]
) -> dict[int, list[Any]]:
    """Return the values of equations, by number, that code which computes changes is handed, in double precision.

    Fully optimized code would compute a value again wherever it is used, and let a product enter a sum unrounded there:
    differences of values that are equal would not vanish, and changes are as small as their rounding.  Code that is
    compiled ``QUICKLY`` does not.
    """
    build = partial(_all_values, flat, moving)
    with double_precision():
        run = function.once(("known", tuple(moving)), lambda: jax.jit(build, compiler_options=QUICKLY))
        found: dict[int, list[Any]] = run(function.constants, list(inputs))
        return found


@contextlib.contextmanager
def double_precision() -> Iterator[None]:
    """JAX computes in double precision where it is asked to, without a change of the caller's settings."""
    with jax.enable_x64(True):
        yield


def _given(moving: Collection[int], inputs: Sequence[Any], changes: Sequence[Any] | None) -> list[Moving]:
    """Return the arguments of a jaxpr with their changes."""
    rest = iter(changes or ())
    return [(value, (MOVES if changes is None else next(rest)) if place in moving else None)
            for place, value in enumerate(inputs)]


def _values_of(flat: FlatJaxpr, moving: Collection[int], constants: Any, inputs: Sequence[Any]) -> list[Any]:
    run = Interpreter(PRIMITIVES, HOLDING_JAXPRS, exact=False)
    found = run.run_open(flat, constants_of(flat, constants), _given(moving, inputs, None), TracedBranches())
    return [jnp.asarray(value, jnp.float64) if is_inexact(value) else value for value, _ in found]


def values_of(function: Traced, moving: Collection[int], constants: Any, inputs: Sequence[Any]) -> list[Any]:
    """Return the outputs in double precision by a function's equations, whatever precision they were traced with."""
    return _values_of(function.once("flat", lambda: flattened(function.jaxpr.jaxpr)), moving, constants, inputs)


def _all_values(
    flat: FlatJaxpr, moving: Collection[int], constants: Any, inputs: Sequence[Any]
) -> dict[int, list[Any]]:
    """Return the outputs of all equations that hold no others, by number."""
    simple = flat.giving([variable for number in flat.simple for variable in flat.eqns[number].outvars])
    run = Interpreter(PRIMITIVES, HOLDING_JAXPRS, exact=False)
    found = run.run_open(simple, constants_of(flat, constants), _given(moving, inputs, None), TracedBranches())
    values = iter(value for value, _ in found)
    return {number: [next(values) for _ in flat.eqns[number].outvars] for number in flat.simple}


def constants_of(flat: FlatJaxpr, constants: Sequence[Any]) -> list[Moving]:
    """Return all constants of a jaxpr without calls, those that its own jaxpr was traced with first."""
    return [(value, None) for value in (*constants, *flat.fixed)]


def _changes_of(
    flat: FlatJaxpr, moving: Collection[int], handlers: Mapping[str, Handler], convention: Held | None, constants: Any,
    inputs: Any, known: Mapping[int, Any], changes: Any
) -> tuple[list[Moving], TracedBranches]:
    branches = TracedBranches(convention)
    run = Interpreter(handlers, HOLDING_JAXPRS)
    given = _given(moving, inputs, changes)
    return run.run_open(flat, constants_of(flat, constants), given, branches, Inside(known)), branches


def _moved(
    flat: FlatJaxpr, moving: Collection[int], handlers: Mapping[str, Handler], convention: Held | None, constants: Any,
    inputs: Any, known: Mapping[int, Any], changes: Any
) -> list[Any]:
    """Flags, and the changes of the outputs that move."""
    found, branches = _changes_of(flat, moving, handlers, convention, constants, inputs, known, changes)
    return [*branches.flags, *(change for _, change in found if change is not None)]


def holds_as_traced(jaxpr: Jaxpr) -> bool:
    """Tell whether a jaxpr holds others that nothing is known of (shard_map): these run as they were traced."""
    known = {*HOLDING_JAXPRS, *PRIMITIVES}
    return any(any(equation.primitive.name not in known or holds_as_traced(inner) for inner in inner_jaxprs(equation))
               for equation in jaxpr.eqns)
