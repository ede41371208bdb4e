"""What the engine asks of a program, and of what a run of one gives: front ends fulfil it."""

from collections.abc import Collection, Mapping
from typing import Any, Protocol

from ..._types import Array, Mask
from ...rules.branches import Held, Kind
from .rounded import Roundings


class Response(Protocol):
    """What a run of a program gives: changes of the outputs, and which columns crossed a kink or moved a tie."""

    @property
    def changes(self) -> tuple[Array | None, ...]:
        """One for each output: (columns, *shape), or None where it stands still."""
        ...

    @property
    def crossed(self) -> Mask:
        """(columns,): which took another branch than the value did."""
        ...

    @property
    def ties(self) -> Mask:
        """(columns,): which moved a value that stands exactly on the boundary of two branches."""
        ...

    @property
    def lone(self) -> Mask:
        """(columns,): which moved one such value in all, that has two slopes: no choice of others is left."""
        ...

    @property
    def met(self) -> frozenset[tuple[str, Kind]]:
        """Operations, by name, and kinds of these boundaries."""
        ...


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
    ) -> "ObservedResponse":
        """Changes of the outputs, and of the results of operations that are to be observed."""
        ...


class ObservedResponse(Response, Protocol):
    """What such a run gives."""

    @property
    def observed(self) -> Mapping[int, Array]:
        """By the operation's number, of those that moved."""
        ...
