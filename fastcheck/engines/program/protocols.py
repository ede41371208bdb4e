"""What the engine asks of a program, which front ends fulfil, and what runs of one give."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from ..._types import Array, Mask
from ...rules.branches import Held, Kind
from .rounded import Roundings


@dataclass(frozen=True)
class Response:
    """What perturbations do to a program's outputs: their changes, and which of them crossed a kink or moved a tie.

    Parameters
    ----------
    changes : one per output, (B, *shape); None for an output that stands still.
    crossed : (B,) which perturbations took another branch than the value did: their changes are exact, but no
        derivatives.
    ties : (B,) which moved a value that stands exactly on the boundary of two branches.
    met : operations, by name, and kinds of these boundaries.
    lone : (B,) which moved one such value in all, that has two slopes: no choice of others is left.
    observed : by the number of an operation that was to be observed, (B, *shape) of its result; only of those that
        move.
    """

    changes: tuple[Array | None, ...]
    crossed: Mask
    ties: Mask
    met: frozenset[tuple[str, Kind]]
    lone: Mask
    observed: Mapping[int, Array] = field(default_factory=dict)


@dataclass(frozen=True)
class OperationSize:
    """The result of an operation that moves.

    Parameters
    ----------
    name : of the operation; empty where it has no rule of its own.
    here : its largest size at the inputs.
    there : (batch,) its largest size behind each perturbation.
    nearest_to_one : the least distance of its sizes at the inputs from one.
    numbers : how many there are in it.
    """

    name: str
    here: float
    there: Array
    nearest_to_one: float
    numbers: int


class DifferencedProgram(Protocol):
    """A program whose differences are exact (see ``fastcheck.engines.program``)."""

    outputs: tuple[Any, ...]

    def run(
        self, changes: dict[int, Array], sites: dict[int, Array] | None = None, convention: Held | None = None
    ) -> Response:
        """Changes of the outputs for changes of inputs and of operations' outputs, by number."""
        ...

    def rounded(self, changes: dict[int, Array], roundings: Roundings) -> Response | None:
        """Return the same where the results of operations are off by roundings; None where they cannot be followed.

        Operations that only move numbers about may round nothing.
        """
        ...

    def column_numbers(self) -> int:
        """Return how many numbers a perturbation of all inputs takes on the way, beside theirs."""
        ...


class ObservedProgram(DifferencedProgram, Protocol):
    """One whose operations can be looked at, and held still: its ``observes`` is true."""

    observes: bool

    @property
    def operations(self) -> int:
        """How many there are; 0 where nobody has followed them yet."""
        ...

    def run(
        self, changes: dict[int, Array], sites: dict[int, Array] | None = None, convention: Held | None = None, *,
        observe: Collection[int] | None = (), suppress: Collection[int] = (),
    ) -> Response:
        """Changes of the outputs, and of the results of operations that are to be observed."""
        ...
