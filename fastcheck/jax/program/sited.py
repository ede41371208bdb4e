"""A JAX loss as a program that can also be moved inside, and whose outputs are what the loss is a weighted sum of."""

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Literal
from numpy.typing import NDArray

from ..._types import Array
from ...engines.program.adjoints import Product
from ...engines.program.protocols import Response
from ...engines.program.rounded import Roundings
from ...rules.branches import Convention, Held, Mixture
from .contents import largest_array
from .cut import CutTerm, terms_of
from .evaluation import is_inexact, widened
from .flags import TracedBranches, response_of
from .flat import FlatJaxpr, flattened
from .interpreter import MOVES, RESTS, Inside, Interpreter, Moving
from .primitives import PRIMITIVES
from .products import Uses, chosen_by, owners_of, uses_of
from .program import (
    HOLDING_JAXPRS,
    MOST_BYTES,
    QUICKLY,
    ROWS,
    SMALL,
    JaxProgram,
    constants_of,
    double_precision,
    known_values,
)
from .rounding import Rounded, keys_of
from .traced import Traced

# Perturbations that are run together where no more are asked for: a few directions, or what finds a structure.
FEW = 8
# Below this many numbers of a run, compiling takes longer than what a special piece of code for each use would save.
ONE_CODE = 4_000_000


@dataclass(frozen=True)
class Structure:
    """What a loss is made of, whatever its arguments' values.

    flat : without calls; terms : that it is a weighted sum of; uses : of its arguments.
    needed : variables whose values weights, products and places are made of.
    has_inner : whether any equation holds jaxprs of its own: loops and branches.
    """

    flat: FlatJaxpr
    terms: list[CutTerm]
    uses: Uses
    needed: list[Any]
    has_inner: bool

    @classmethod
    def of(cls, function: Traced, moving: Sequence[int]) -> "Structure":
        """Return the structure of a function with one number for output."""
        flat = function.once("flat", lambda: flattened(function.jaxpr.jaxpr))
        moves = flat.moving(moving)
        terms, factors = terms_of(flat, moves)
        uses = uses_of(flat, moving, moves)
        others = [use.other for use in uses.uses if not isinstance(use.other, (float, Literal))]
        outs = [flat.eqns[use.site].outvars[0] for use in uses.uses]
        needed = list(dict.fromkeys([*factors, *chosen_by(flat, uses), *others, *outs]))
        return cls(flat, terms, uses, needed, flat.has_inner(moves))

    @cached_property
    def sites(self) -> tuple[int, ...]:
        """Numbers of the equations at whose outputs it can be moved."""
        return tuple(dict.fromkeys(use.site for use in self.uses.uses))


class SitedProgram:
    """A loss at one point; changes go in and come out as NumPy arrays (see ``JaxProgram``).

    Parameters
    ----------
    function : the jaxpr of a loss, traced at whatever precision.
    inputs : values of its arguments, all of which are moved, in double precision.

    Attributes
    ----------
    outputs, weights : arrays in double precision: the loss changes by the sum of the weights' products with theirs.
    complete : for each argument, whether ``products`` are all that it does.
    suppresses : that outputs of equations can be held still.
    holds : as of ``JaxProgram``.
    compiling : seconds that compiling took so far.
    """

    suppresses = True
    holds = JaxProgram.holds

    def __init__(self, function: Traced, inputs: Sequence[Any]) -> None:
        self.function, self.compiling = function, 0.0
        self.inputs = tuple(np.asarray(value, np.float64) for value in inputs)
        every = tuple(range(len(self.inputs)))
        self.structure: Structure = function.once("structure", lambda: Structure.of(function, every))
        self.complete = tuple(self.structure.uses.complete)
        build = partial(_looked_at, self.structure)
        with double_precision():
            run = function.once("looked at", lambda: jax.jit(build, compiler_options=QUICKLY))
            outputs, values, owners = run(function.constants, self.inputs)
        self.outputs = tuple(np.asarray(out, np.float64) for out in outputs)
        self._values = dict(zip(self.structure.needed, values, strict=True))
        self._owners = owners

    @cached_property
    def weights(self) -> tuple[Array, ...]:
        """Of the outputs."""
        values = {variable: np.asarray(value) for variable, value in self._values.items()}
        return tuple(np.broadcast_to(np.asarray(term.weights(values), np.float64), out.shape)
                     for term, out in zip(self.structure.terms, self.outputs, strict=True))

    @cached_property
    def products(self) -> tuple[Product, ...]:
        """All uses of arguments that units can serve."""
        found = []
        for use, owners in zip(self.structure.uses.uses, self._owners, strict=True):
            out = self.structure.flat.eqns[use.site].outvars[0]
            other = use.other.val if isinstance(use.other, Literal) else self._values.get(use.other, use.other)
            found.append(Product(use.site, use.number, use.side, np.asarray(self._values[out], np.float64),
                                 np.asarray(other, np.float64), use.contraction, np.asarray(owners)))
        return tuple(found)

    @cached_property
    def _input_shapes(self) -> dict[int, tuple[int, ...]]:
        return {number: value.shape for number, value in enumerate(self.inputs)}

    @cached_property
    def _site_shapes(self) -> dict[int, tuple[int, ...]]:
        return {site: tuple(self.structure.flat.eqns[site].outvars[0].aval.shape) for site in self.structure.sites}

    @cached_property
    def size(self) -> int:
        """Numbers that a perturbation changes: of inputs, outputs, and a few times the largest array in between."""
        largest = self.function.once("largest", lambda: largest_array(self.function.jaxpr.jaxpr))
        inside = sum(int(np.prod(shape)) for shape in self._site_shapes.values())
        return sum(value.size for value in (*self.inputs, *self.outputs)) + 2 * largest + inside

    def run(
        self, changes: Mapping[int, Array], sites: Mapping[int, Array] | None = None, convention: Held | None = None, *,
        observe: Collection[int] | None = (), suppress: Collection[int] = (),
    ) -> Response:
        """Return the outputs' changes where inputs, or outputs of equations, change.

        Parameters
        ----------
        changes : by the number of the input, (B, *shape); sites : by the number of the equation.
        convention : how ties are resolved (see ``fastcheck.rules.branches``).
        observe : nothing: results of equations are not looked at.
        suppress : numbers of equations whose outputs stand still.
        """
        return self._run(changes, sites or {}, convention, suppress)

    def rounded(self, changes: Mapping[int, Array], roundings: Roundings) -> Response:
        """Return the same where the results of equations are off by roundings, but of those that only move numbers."""
        return self._run(changes, {}, None, (), roundings)

    def column_numbers(self) -> int:
        """Return how many numbers a perturbation changes: see ``size``."""
        return self.size

    def _run(
        self, changes: Mapping[int, Array], sites: Mapping[int, Array], convention: Held | None,
        suppress: Collection[int], roundings: Roundings | None = None,
    ) -> Response:
        """Return the outputs' changes, where results may be off by roundings."""
        given = dict(changes), dict(sites), dict.fromkeys(suppress, True)
        count = len(next(iter((*given[0].values(), *given[1].values()))))
        rows = self.rows_for(count)
        held = Convention.of(convention) if isinstance(convention, float) else convention
        full = [
            {number: np.asarray(some[number], np.float64) if number in some else np.zeros((count, *shape))
             for number, shape in of.items()} if some or self.is_small else {}
            for some, of in zip(given[:2], (self._input_shapes, self._site_shapes), strict=True)
        ]
        still = {site: np.asarray(site in given[2]) for site in self._site_shapes if suppress or self.is_small}
        blocks = [self._block(full, still, held, slice(start, start + rows), rows, roundings)
                  for start in range(0, count, rows)]
        crossed, by_kind, *found = (
            np.concatenate(part)[:count] if len(part) > 1 else part[0][:count] for part in zip(*blocks, strict=True)
        )
        return response_of(tuple(found), crossed, by_kind)

    @property
    def is_small(self) -> bool:
        """Whether compiling it takes longer than running it: one piece of code then serves all runs."""
        return bool(ROWS * self.size < ONE_CODE)

    def rows_for(self, count: int) -> int:
        """How many of ``count`` perturbations are run together."""
        rows = max(1, min(ROWS, MOST_BYTES // (8 * max(1, self.size))))
        return min(rows, FEW) if count <= FEW and not self.is_small else rows

    def _block(
        self, full: Sequence[dict[int, Array]], still: Mapping[int, Any], held: Convention | Mixture | None,
        block: slice, rows: int, roundings: Roundings | None,
    ) -> list[Any]:
        """Flags and changes of up to ``rows`` perturbations, as one call of compiled code."""
        given = [{number: _filled(change[block], rows) for number, change in some.items()} for some in full]
        known = {} if self._quickly(rows) else self._known
        rounded = None if roundings is None else (
            *(_filled(part[block], rows) for part in keys_of(roundings)), np.bool_(roundings.far))
        args = self.function.constants, self.inputs, known, *given, dict(still), rounded
        key = "sited", held, rows, *(bool(some) for some in args[2:])
        with double_precision():
            run = self.function.once(key, lambda: self._compiled(held, rows, args))
            return [np.asarray(part) for part in run(*args)]

    def _compiled(self, held: Convention | Mixture | None, rows: int, args: tuple[Any, ...]) -> Any:
        """Return code for such arguments, and take note of how long that took."""
        started = time.perf_counter()
        axes = (None, None, None, 0, 0, None, args[-1] and (0, 0, None))
        build = jax.vmap(partial(_changes_of, self.structure, held), axes)
        found = jax.jit(build, compiler_options=QUICKLY if self._quickly(rows) else None).lower(*args).compile()
        self.compiling += time.perf_counter() - started
        return found

    def _quickly(self, rows: int) -> bool:
        return rows * self.size < SMALL or self.structure.has_inner

    @cached_property
    def _known(self) -> dict[int, list[Any]]:
        return known_values(self.function, self.structure.flat, range(len(self.inputs)), self.inputs)


def _filled(changes: NDArray[Any], rows: int) -> NDArray[Any]:
    """Return the changes with rows of zeros behind them."""
    missing = rows - len(changes)
    return np.concatenate([changes, np.zeros((missing, *changes.shape[1:]), changes.dtype)]) if missing else changes


def _looked_at(structure: Structure, constants: Any, inputs: Sequence[Any]) -> tuple[list[Any], list[Any], list[Any]]:
    """Return the outputs, the values that are needed, and the places of entries in products."""
    variables = [term.variable for term in structure.terms]
    flat = structure.flat.giving([*variables, *structure.needed])
    run = Interpreter(PRIMITIVES, HOLDING_JAXPRS, exact=False)
    given: list[Moving] = [(value, MOVES) for value in inputs]
    found = run.run_open(flat, constants_of(flat, constants), given, TracedBranches())
    values = [widened(value) if is_inexact(value) else value for value, _ in found]
    outputs, needed = values[: len(variables)], values[len(variables) :]
    owners = owners_of(flat, structure.uses, range(len(inputs)), dict(zip(structure.needed, needed, strict=True)))
    return outputs, needed, owners


def _changes_of(
    structure: Structure, held: Convention | Mixture | None, constants: Any, inputs: Sequence[Any],
    known: Mapping[int, Any], changes: Mapping[int, Any], sites: Mapping[int, Any], still: Mapping[int, Any],
    rounded: tuple[Any, Any, Any] | None,
) -> list[Any]:
    """Flags, and the changes of the outputs."""
    branches = TracedBranches(held)
    flat = structure.flat.giving([term.variable for term in structure.terms])
    given: list[Moving] = [(value, changes.get(number, RESTS)) for number, value in enumerate(inputs)]
    run = Interpreter(PRIMITIVES, HOLDING_JAXPRS, rounded=None if rounded is None else Rounded(*rounded))
    found = run.run_open(flat, constants_of(structure.flat, constants), given, branches, Inside(known, sites, still))
    moved = [jnp.zeros(value.shape) if change is None or change is RESTS else change for value, change in found]
    return [*branches.flags, *moved]
