"""Kinks that perturbations meet, as arrays that compiled code can carry from step to step."""

from typing import Any, get_args

import jax.numpy as jnp
import numpy as np

from ..._types import Array
from ...engines.program.protocols import Response
from ...rules.branches import Branches, Convention, Held, Kind, Mixture, how_many

KINDS: tuple[Kind, ...] = get_args(Kind)
# Groups of primitives whose ties JAX resolves alike, with the convention that it holds: equal shares for maxima of
# two and of many, the first one in an order and in windows, slope 0 of lax.clamp and of functions like jax.nn.relu,
# which have derivatives of their own.
HELD_BY_JAX = {
    "elementwise": Convention(0.5, 0.5, 0.5), "clamp": Convention(0.0, 0.5, 0.5),
    "reduction": Convention(0.5, 0.5, 0.5), "order": Convention(0.5, 1.0, 0.5), "custom": Convention(0.0, 0.5, 0.5),
}
GROUPS = tuple(HELD_BY_JAX)
GROUP_OF = {
    "clamp": "clamp", "reduce_max": "reduction", "reduce_min": "reduction", "argmax": "order", "argmin": "order",
    "sort": "order", "top_k": "order", "reduce_window_max": "order", "reduce_window_min": "order",
    "select_and_scatter_add": "order", "select_and_gather_add": "order",
}
# Whether a kink was crossed, and how many values stood on one, by group and kind.
Flags = tuple[Any, Any]


class TracedBranches(Branches):
    """What is noted about kinks of one perturbation, ties by the group of the primitive and by their kind.

    Parameters
    ----------
    held : how ties are resolved.
    flags : what has been noted before.
    custom : whether the primitives stand inside a function that has derivatives of its own.
    """

    def __init__(
        self, held: Held | None = None, flags: Flags | None = None, *, custom: bool = False
    ) -> None:
        super().__init__(jnp, (), None)
        self.held, self.custom, self.group = held, custom, 0
        self.crossed, self.by_kind = flags or (jnp.zeros((), bool), jnp.zeros((len(GROUPS), len(KINDS)), jnp.int32))
        self.enter("")

    def enter(self, operation: str, *, second: bool = False, custom: bool = False) -> None:
        """Take the convention of a primitive's group, and note its ties from here on."""
        group = "custom" if custom or self.custom else GROUP_OF.get(operation, "elementwise")
        self.group = GROUPS.index(group)
        if isinstance(self.held, Mixture):
            self.convention = self.held.of(group)
        else:
            self.convention = None if self.held is None else Convention.of(self.held)

    def note_tie(self, ties: Any, kind: Kind) -> None:
        """Note where a value stands exactly on a boundary and moves."""
        here = (jnp.arange(len(GROUPS)) == self.group)[:, None] & (jnp.arange(len(KINDS)) == KINDS.index(kind))
        self.by_kind = self.by_kind + here * how_many(jnp, ties, jnp.any(ties), kind).astype(jnp.int32)

    @property
    def flags(self) -> Flags:
        """All that was noted."""
        return self.crossed, self.by_kind

    def inside(self, flags: Flags | None = None, *, custom: bool = False) -> "TracedBranches":
        """Notes of their own for a jaxpr inside, with the same convention."""
        return TracedBranches(self.held, flags, custom=self.custom or custom)

    def join(self, flags: Flags) -> None:
        """Take over what was noted elsewhere."""
        self.crossed, self.by_kind = self.crossed | flags[0], self.by_kind + flags[1]


def response_of(found: tuple[Array | None, ...], crossed: Any, by_kind: Any) -> Response:
    """Return what perturbations do, from their flags, (B,) each."""
    met = frozenset((GROUPS[group], KINDS[kind]) for group, kind in np.argwhere(by_kind.any(axis=0)))
    standing = by_kind.sum(axis=(1, 2))
    return Response(found, crossed, standing > 0, met, standing == 1)
