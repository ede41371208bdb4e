"""Numerical Jacobians of a JAX function: by exact differences, or by subtraction where it has none."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np

from .._constants import NOISE_SIGMAS
from .._errors import NondeterministicError
from .._types import Array, Indices, Mask
from ..checks.jacobian.quotients import ExactJacobian
from ..checks.jacobian.slopes import powers, steady
from ..engines.program.literal import LITERAL_STEP
from ..engines.program.places import INNER_STEP, inner_steps
from ..engines.program.protocols import Response
from ..rules.branches import Held
from .function import JaxFunction, joined
from .kinks import mixtures
from .program.program import JaxProgram

# A literal difference may be off by this share of the change, and by this many roundings of the outputs.
AGREEMENT, SAME = 1e-7, 1e3
# Where a function ends, slopes may grow or vanish like a root of the step: then it is this share of the others.
EDGE = 2.0**-150
# Outputs are stacked as long as they take no more bytes than this.
STACK_BYTES = 8 << 20


class ContradictedError(Exception):
    """Exact differences are not those of plain calls: they are not to be used."""


@dataclass(frozen=True)
class Exact:
    """Exact differences of a function.

    Parameters
    ----------
    function, program : the function and its program.
    """

    function: JaxFunction
    program: JaxProgram

    @property
    def steps(self) -> Array:
        """(n,) so small that what curvature leaves of a difference is rounding."""
        return np.concatenate([inner_steps(np.asarray(r, np.float64)) for r in self.function.real])

    def along(self, changes: Array, convention: Held | None = None) -> tuple[Array, Response]:
        """Changes of all outputs (k, M) for changes (k, n) of all inputs."""
        found = self.program.run(dict(enumerate(self.function.by_input(changes))), None, convention)
        rows = [np.zeros((len(changes), out.size)) if change is None else change.reshape(len(changes), -1)
                for change, out in zip(found.changes, self.program.outputs, strict=True)]
        return np.concatenate(rows, axis=1), found

    def jacobian(self) -> ExactJacobian:
        """Of all entries, and one literal difference beside them.

        Raises
        ------
        ContradictedError : where plain calls give something else.
        NondeterministicError : where the function gives two values.
        """
        steps = self.steps
        n = steps.size
        move = self.literal_move()
        found, response = self.along(np.concatenate([np.diag(steps), move[None]]))
        self.require_literal(move, found[-1], bool(response.crossed[-1]))
        with np.errstate(all="ignore"):
            right = np.asarray(found[:n].T / steps)
        flagged = (response.crossed | response.ties)[:n] | ~np.isfinite(right).all(axis=0)
        columns = np.flatnonzero(flagged)
        left = right.copy()
        if columns.size:
            left[:, columns] = self._slopes(columns, -steps)
            self.require_slopes(columns, steps, right[:, columns])
            self.require_slopes(columns, -steps, left[:, columns])

        def under() -> Iterator[Array]:
            return (self._quotients(columns, steps, convention) for convention in mixtures(response.met))

        def nearer(doubted: Indices) -> tuple[Array, Array]:
            return self._nearer(doubted, steps, right), self._nearer(doubted, -steps, left)

        return ExactJacobian(right, left, flagged, under, nearer)

    def _quotients(self, columns: Indices, steps: Array, convention: Held | None = None) -> Array:
        """Difference quotients (M, k) of some entries, by the sizes of their steps."""
        some = np.zeros((columns.size, steps.size))
        some[np.arange(columns.size), columns] = steps[columns]
        with np.errstate(all="ignore"):
            return np.asarray(self.along(some, convention)[0].T / np.abs(steps[columns]))

    def _slopes(self, columns: Indices, steps: Array) -> Array:
        """Return slopes (M, k) by some entries, by steps of either sign."""
        return np.sign(steps[columns]) * self._quotients(columns, steps)

    def _nearer(self, columns: Indices, steps: Array, found: Array) -> Array:
        """Return slopes by far smaller steps; those ``found`` that are the same by a larger one stay as they are."""
        once = found[:, columns]
        lasting = steady(once, self._slopes(columns, 2.0 * steps), self._rounding(columns, steps)[0])
        return np.where(lasting, once, self._slopes(columns, EDGE * steps))

    def _rounding(self, columns: Indices, steps: Array) -> tuple[Array, Array]:
        """Return slopes (1, k) that rounding of the outputs leaves: of changes that are exact, and of differences."""
        largest = SAME * self.function.unit * float(np.max(np.abs(self.function.value), initial=0.0))
        sizes = np.abs(steps[columns])[None]
        return largest * INNER_STEP / sizes, largest / sizes

    def require_slopes(self, columns: Indices, steps: Array, once: Array) -> None:
        """Hold slopes (M, k) beside kinks against those by longer steps.

        The change to another branch is a difference of two values, and may be nothing but their rounding, as that of a
        fraction of what vanishes is.  What is none stays as it is by any step, or goes like a power of it.

        Raises
        ------
        ContradictedError : where slopes do neither.
        """
        twice = self._slopes(columns, 2.0 * steps)
        exact, differenced = self._rounding(columns, steps)
        known = ~np.isfinite(once) | steady(once, twice, exact)
        if not known.all():
            known |= powers(once, twice, self._slopes(columns, 4.0 * steps), differenced)
        if not known.all():
            raise ContradictedError

    def literal_move(self) -> Array:
        """A random step through all inputs at which subtraction keeps most of its digits, as their type holds it."""
        theta, signs = self.function.theta, np.random.default_rng(0).choice((-1.0, 1.0), self.function.theta.size)
        wanted = theta + signs * self.steps * (LITERAL_STEP / INNER_STEP)
        with np.errstate(invalid="ignore"):  # parameters that are infinite
            return joined(self.function.apart(wanted)) - theta

    def require_literal(
        self, move: Array, change: Array, crossed: bool, rounding: Callable[[], float] = float
    ) -> None:
        """Compare values, and their change, with those of plain calls.

        Parameters
        ----------
        move, change, crossed : a step through all inputs, what it changes, and whether it crosses a kink.
        rounding : finds the standard error that rounding inside the function leaves in values; asked where they differ.

        Raises
        ------
        ContradictedError : where they differ by more.
        NondeterministicError : where the function gives two values.
        """
        if not self._same(move, change, crossed, 0.0):
            require_function(self.function)
            noise = NOISE_SIGMAS * rounding()
            if not 0.0 < noise < math.inf or not self._same(move, change, crossed, noise):
                raise ContradictedError

    def _same(self, move: Array, change: Array, crossed: bool, noise: float) -> bool:
        """Tell whether values, and their change, are those of plain calls, but for some noise in each."""
        function, value = self.function, joined(self.program.outputs)
        with np.errstate(all="ignore"):
            literal = function.at(function.theta + move) - function.value
            largest = max(float(np.max(np.abs(value), initial=0.0, where=np.isfinite(value))),
                          float(np.max(np.abs(literal), initial=0.0, where=np.isfinite(literal))))
            known = np.isfinite(literal) & np.isfinite(change)
            allowed = AGREEMENT * np.abs(change) + SAME * function.unit * largest + 2.0 * noise
            return _alike(value, function.value, SAME * function.unit, noise) and (
                crossed or bool((np.abs(literal - change) <= allowed)[known].all()))


def require_function(function: JaxFunction) -> None:
    """Raise NondeterministicError where two plain calls give different values."""
    again = function.at(function.theta)
    if not _alike(again, function.value, SAME * function.unit):
        raise NondeterministicError("f is random: two calls with the same arguments differ. Draw its random numbers "
                                    "from a key that is fixed inside, or passed as an argument")


def _alike(one: Array, other: Array, tolerance: float, noise: float = 0.0) -> bool:
    scale = float(np.max(np.abs(other), initial=0.0, where=np.isfinite(other)))
    with np.errstate(invalid="ignore"):
        same = (np.abs(one - other) <= tolerance * scale + noise) | (one == other) | (np.isnan(one) & np.isnan(other))
    return bool(same.all())


class Moved:
    """A function whose values are subtracted (see ``checks.jacobian.point.Perturbed``)."""

    def __init__(self, function: JaxFunction) -> None:
        self.function = function
        self.stacked = function.traced is not None

    def outputs_at(self, positions: Indices, values: Array) -> Array:
        """Return the outputs (k, M) with one entry moved each: in stacks, or by a plain call each."""
        theta, size = self.function.theta, max(1, self.function.value.size)
        rows = max(1, min(positions.size, STACK_BYTES // (8 * (theta.size + size))))
        out = np.empty((positions.size, self.function.value.size))
        for start in range(0, positions.size, rows):
            block = slice(start, min(start + rows, positions.size))
            count = block.stop - block.start
            thetas = np.repeat(theta[None], count, axis=0)
            thetas[np.arange(count), positions[block]] = values[block]
            out[block] = self._at_all(thetas, rows)
        return out

    def _at_all(self, thetas: Array, rows: int) -> Array:
        function = self.function
        if self.stacked and function.traced is not None:
            fill = np.repeat(thetas[:1], rows - len(thetas), axis=0)
            parts = np.split(np.concatenate([thetas, fill]), np.cumsum([r.size for r in function.real])[:-1], axis=1)
            given = [part.reshape(rows, *r.shape).astype(r.dtype)
                     for part, r in zip(parts, function.real, strict=True)]
            try:
                with function.precision():
                    found = function.traced.stacked(given)
                return np.concatenate([np.asarray(one, np.float64).reshape(rows, -1) for one in found],
                                      axis=1)[: len(thetas)]
            except Exception:  # whatever the function does under vmap: it is then called in the plain way
                self.stacked = False
        return np.stack([function.at(theta) for theta in thetas])

    def rounded(self, positions: Indices, values: Array) -> Array:
        """Return values as the inputs' own precision holds them."""
        out = np.array(values, np.float64)
        stops = np.cumsum([r.size for r in self.function.real])
        which = np.searchsorted(stops, positions, side="right")
        for number, real in enumerate(self.function.real):
            here = which == number
            if here.any() and real.dtype != jnp.float64:
                out[here] = out[here].astype(real.dtype).astype(np.float64)
        return out


def any_flagged(response: Any) -> Mask:
    """Tell which perturbations met a kink."""
    found: Mask = np.asarray(response.crossed | response.ties)
    return found
