"""What a run of a program gives."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..._types import Array, Mask
from ...rules.branches import Kind


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
