"""What a run of a program gives, for front ends that note nothing else (see ``protocols.Response``)."""

from dataclasses import dataclass

from ..._types import Array, Mask
from ...rules.branches import Kind


@dataclass(frozen=True)
class Response:
    """What perturbations do to a program's outputs.

    Parameters
    ----------
    changes : one per output, (B, *shape); None for an output that stands still.
    crossed, ties : (B,) which perturbations crossed a kink; which moved a value that stands on one.
    met : operations, and kinds of the kinks on which their values stood.
    lone : (B,) which moved one such value in all, that has two slopes.
    """

    changes: tuple[Array | None, ...]
    crossed: Mask
    ties: Mask
    met: frozenset[tuple[str, Kind]]
    lone: Mask
