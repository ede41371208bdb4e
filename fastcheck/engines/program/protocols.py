"""What the engine asks of a program: front ends fulfil it."""

from collections.abc import Collection
from typing import Any, Protocol

from ..._types import Array
from ...rules.branches import Held
from .response import Response
from .rounded import Roundings


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
