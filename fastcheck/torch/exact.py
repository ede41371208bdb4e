"""Jacobians from exact changes: the function's operators recorded once, each differenced by its rule, nothing rounded.

Steps are far shorter than those of ordinary differences, since no digits cancel: what is left of truncation is no more
than rounding.  Whatever is recorded is held against literal subtraction along the random directions, so that a change
that got lost on the way is noticed.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch

from .._constants import CANCELLED, UNIT_ROUNDOFF
from .._errors import NoRule, in_short
from .._types import Array, Indices, Mask
from ..checks.jacobian.quotients import ExactJacobian
from ..engines.program.columns import SHRINK
from ..engines.program.kinks import held_in_turn
from ..engines.program.places import inner_steps, scales
from ..engines.program.protocols import Response
from ..rules.branches import Held, Kind
from .directions import Directions, Rise
from .function import TorchFunction
from .program.program import SAME, TorchProgram
from .tensors import Tensors, real_outputs

log = logging.getLogger("fastcheck.torch")

# Steps, relative to an entry, or to the usual one of its input where it is zero.
STEP = 2.0**-27
# Bytes that a block of columns may take.
BLOCK_BYTES = 1 << 25
# Relative rounding of exact changes along a direction, and what steps as short as these leave out.
EXACTLY = 1e-12
# Exact changes along a direction may differ from literal ones by this, relative to what made them up.
LITERAL = 1e-4


def moved(function: TorchFunction, directions: Directions) -> "Moved":
    """Return a function's operators, whose changes are exact.

    Parameters
    ----------
    function : at its point, after ``function.value()``.
    directions : the same function along random directions, by subtraction.

    Raises
    ------
    NoRule : where the function cannot be followed, or its operators give other values than it does.
    """
    program = _recorded(function)
    plain = np.concatenate([np.empty(0), *(np.asarray(o).reshape(-1) for o in program.outputs)])
    scale = float(np.max(np.abs(function.plain), initial=0.0))
    with np.errstate(invalid="ignore"):
        same = plain.shape == function.plain.shape and (np.abs(plain - function.plain) <= SAME * scale).all()
    if not same:
        raise NoRule("a function whose operators, one by one, give other values than it does")
    return Moved(program, function, directions)


@dataclass(frozen=True)
class Moved:
    """A function's operators, moved by single entries.

    Parameters
    ----------
    program, function : the operators, and the function that they were recorded of.
    directions : says which outputs are looked at.
    """

    program: TorchProgram
    function: TorchFunction
    directions: Directions

    @cached_property
    def along(self) -> "ExactDirections":
        """The function along random directions, by its operators.

        Raises
        ------
        NoRule : where an operator has no rule, or subtraction contradicts what it has.
        """
        self._require_literal()
        given = self.directions
        return ExactDirections(given.function, given.rows, given.limits, given.jitter, moved=self)

    @cached_property
    def steps(self) -> Array:
        """The step of each entry (n,)."""
        parts = [STEP * scales(self.function.theta[span]) for span in self.function.spans]
        return np.concatenate([np.empty(0), *parts])

    def rise(self, number: int, move: Array) -> Array:
        """Return the changes (M,) of the outputs from one end of a move of an input to the other.

        Raises
        ------
        NoRule : where an operator has no rule, or the ends lie on two sides of a kink.
        """
        response = self._run(number, 0.5 * np.stack([move, -move]))
        if (response.ties | response.crossed).any():
            raise NoRule("a function on a kink")
        above, below = self._of_rows(response, 2)
        return np.asarray(above - below)

    def jacobian(self) -> Array | ExactJacobian:
        """Return the Jacobian (M, n) of the outputs that are looked at; from both sides where it stands on kinks.

        Raises
        ------
        NoRule : where an operator has no rule, the Jacobian is not finite, or subtraction contradicts it.
        """
        steps, entries = self.steps, np.arange(self.steps.size)
        (above, right), (below, left) = (self._quotients(entries, sign * steps) for sign in (1.0, -1.0))
        flagged = above | below
        found = 0.5 * (right + left)
        if not np.isfinite(found[:, ~flagged]).all():
            raise NoRule("a function whose exact changes are not finite")
        self._require_literal(found, kinks=bool(flagged.any()))
        return self._at_kinks(found, flagged) if flagged.any() else found

    def _at_kinks(self, central: Array, flagged: Mask) -> ExactJacobian:
        """Return both sides of entries that stand on kinks, by steps that leave no curvature."""
        columns, met = np.flatnonzero(flagged), set[tuple[str, Kind]]()
        parts = [inner_steps(self.function.theta[span]) for span in self.function.spans]
        steps = np.concatenate([np.empty(0), *parts])
        right, left = central.copy(), central.copy()
        for side, sign in ((right, 1.0), (left, -1.0)):
            side[:, columns] = self._quotients(columns, sign * steps[columns], met=met)[1]

        def under() -> Iterator[Array]:
            return (self._quotients(columns, steps[columns], held)[1] for held in held_in_turn(met))

        def nearer(doubted: Indices) -> tuple[Array, Array]:
            size = SHRINK * steps[doubted]
            return self._quotients(doubted, size)[1], self._quotients(doubted, -size)[1]

        return ExactJacobian(right, left, flagged, under, nearer)

    def _quotients(
        self, entries: Indices, steps: Array, held: Held | None = None,
        met: set[tuple[str, Kind]] | None = None,
    ) -> tuple[Mask, Array]:
        """Return which of some entries, ascending, met a kink, and quotients (M, k) by steps of either sign.

        Operators on whose kinks values stood are added to ``met``.
        """
        flagged, out = np.zeros(entries.size, dtype=bool), np.empty((self.directions.rows.size, entries.size))
        for number, span in enumerate(self.function.spans):
            here = np.flatnonzero((entries >= span.start) & (entries < span.stop))
            size = span.stop - span.start
            width = max(1, min(here.size, BLOCK_BYTES // max(self.program.column_bytes, 1)))
            for some in (here[start : start + width] for start in range(0, here.size, width)):
                changes = np.zeros((some.size, size))
                changes[np.arange(some.size), entries[some] - span.start] = steps[some]
                response = self._run(number, changes, held)
                flagged[some] = response.ties | response.crossed
                with np.errstate(all="ignore"):
                    out[:, some] = (self._of_rows(response, some.size) / steps[some, None]).T
                if met is not None:
                    met |= response.met
        return flagged, out

    def _of_rows(self, response: Response, count: int) -> Array:
        """Return the changes (count, M) of the outputs that are looked at."""
        parts = [np.zeros((count, np.asarray(output).size)) if change is None else np.asarray(change).reshape(count, -1)
                 for output, change in zip(self.program.outputs, response.changes, strict=True)]
        return np.concatenate([np.empty((count, 0)), *parts], axis=1)[:, self.directions.rows]

    def _run(self, number: int, changes: Array, held: Held | None = None) -> Response:
        shape = self.function.parts[number].tensor.shape
        try:
            return self.program.run({number: changes.reshape(len(changes), *shape)}, None, held)
        except NoRule:
            raise
        except Exception as error:
            raise NoRule(f"an operator whose rule cannot take it: {in_short(error)}") from error

    def _rise(self, number: int, move: Array) -> Array:
        """Return what the operators say of a move of an input, kinks and all."""
        ends = self._of_rows(self._run(number, 0.5 * np.stack([move, -move])), 2)
        return np.asarray(ends[0] - ends[1])

    def _require_literal(self, slopes: Array | None = None, *, kinks: bool = True) -> None:
        """Raise NoRule where literal subtraction along the random directions contradicts what operators say of them;
        also along shorter ones, where entries are smaller than a step.

        Parameters
        ----------
        slopes : the Jacobian (M, n) by the operators, where it is known.
        kinks : whether some of it stands on kinks.
        """
        given = self.directions
        if not (self._is_literal(given.rises, slopes, kinks) or self._is_literal(given.nearer, slopes, kinks)):
            raise NoRule("a function that moves otherwise than its operators, one by one")

    def _is_literal(self, rises: Sequence[Rise], slopes: Array | None, kinks: bool) -> bool:
        """Tell whether operators and literal subtraction agree along some directions.

        Outputs that cancel are rounded as what cancelled, whose size is unknown: as the largest output or input, or
        one.
        """
        directions = self.directions
        numbers = np.abs(np.concatenate([np.ones(1), self.function.theta, self.function.plain]))
        largest = float(np.max(numbers, where=np.isfinite(numbers), initial=1.0))
        noise = directions.noise + CANCELLED * UNIT_ROUNDOFF * largest
        for number, rise in enumerate(rises):
            with np.errstate(all="ignore"):
                own = None if slopes is None else slopes[:, rise.span]
                found = self._rise(number, rise.move) if own is None or kinks else own @ rise.move
                size = np.abs(found) if own is None else np.abs(own) @ np.abs(rise.move)
                off = np.abs(found - rise.rise)
            if not (off <= noise + LITERAL * size).all():
                return False
        return True


@dataclass(frozen=True, eq=False)
class ExactDirections(Directions):
    """A function along random directions, by its operators: steps are so short that nothing is left out of a
    difference, and none is rounded.

    moved : its operators.
    """

    moved: Moved

    @property
    def left_out(self) -> float:
        """The rounding of exact changes."""
        return EXACTLY

    @property
    def share(self) -> float:
        """The same."""
        return EXACTLY

    @cached_property
    def noise(self) -> Array:
        """Return zeros: exact changes are not rounded by subtraction."""
        return np.zeros(self.rows.size)

    def _rises(self, drawn: Array) -> list[Rise]:
        found = []
        for number, span in enumerate(self.function.spans):
            # None is far shorter than others of its input, or an error there would hide in what those leave.
            sizes = np.abs(self.function.theta[span])
            largest = float(sizes.max(initial=0.0, where=np.isfinite(sizes)))
            move = 2.0 * STEP * drawn[span] * np.maximum(sizes, min(largest, 1.0) or 1.0)
            found.append(Rise(span, move, self.moved.rise(number, move)))
        return found


def _recorded(function: TorchFunction) -> TorchProgram:
    """Return the function's operators; raises NoRule for whatever the function cannot do while they are recorded."""
    moving = [torch.view_as_real(t.detach().resolve_conj()) if t.is_complex() else t.detach() for t in function.moving]
    if any(t.dtype != torch.float64 for t in moving):
        raise NoRule("inputs of less than double precision")
    try:
        return TorchProgram(_real(function), [tensor.requires_grad_() for tensor in moving])
    except NoRule:
        raise
    except Exception as error:
        # Operators may refuse being run one by one in any way they like.
        raise NoRule(f"a function that cannot be recorded: {in_short(error)}") from error


def _real(function: TorchFunction) -> Callable[..., Tensors]:
    """Return the function of real numbers only."""
    call, places = function.values or function.call, function.places
    still = [i.detach() if isinstance(i, torch.Tensor) else i for i in function.inputs]
    pairs = [t.is_complex() for t in function.moving]

    def real(*values: torch.Tensor) -> Any:
        given = list(still)
        for place, value, pair in zip(places, values, pairs, strict=True):
            given[place] = torch.view_as_complex(value) if pair else value
        with torch.enable_grad():  # the function may differentiate, too
            return real_outputs(call(*given))

    return real
