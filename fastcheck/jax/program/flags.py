"""Kinks that perturbations meet, as arrays that compiled code can carry from step to step."""

from typing import Any, get_args

import jax.numpy as jnp

from ...rules.branches import Branches, Held, Kind

KINDS: tuple[Kind, ...] = get_args(Kind)
# Whether a kink was crossed, and whether a value stood on one of each kind.
Flags = tuple[Any, Any]


class TracedBranches(Branches):
    """What is noted about kinks of one perturbation, ties by their kind.

    Parameters
    ----------
    convention : how ties are resolved.
    flags : what has been noted before.
    """

    def __init__(self, convention: Held | None = None, flags: Flags | None = None) -> None:
        super().__init__(jnp, (), convention)
        self.crossed, self.by_kind = flags or (jnp.zeros((), bool), jnp.zeros(len(KINDS), bool))

    def note_tie(self, ties: Any, kind: Kind) -> None:
        """Note where a value stands exactly on a boundary and moves."""
        self.by_kind = self.by_kind | (jnp.any(ties) & (jnp.arange(len(KINDS)) == KINDS.index(kind)))

    @property
    def flags(self) -> Flags:
        """All that was noted."""
        return self.crossed, self.by_kind

    def inside(self, flags: Flags | None = None) -> "TracedBranches":
        """Notes of their own for a jaxpr inside, with the same convention."""
        return TracedBranches(self.convention, flags)

    def join(self, flags: Flags) -> None:
        """Take over what was noted elsewhere."""
        self.crossed, self.by_kind = self.crossed | flags[0], self.by_kind | flags[1]
