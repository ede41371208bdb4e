"""Kinks that perturbations meet, by the operator: each may resolve its ties in its own way, and PyTorch's do."""

from collections.abc import Mapping
from typing import Any

import torch

from ...rules.branches import Branches, Convention, Held, Kind

# How ties are resolved: by one convention for all operators, or by one for each, by name.
HeldByOperator = Held | Mapping[str, Convention]


class OperatorBranches(Branches):
    """What a run notes about kinks, ties by the operator and by their kind.

    Parameters
    ----------
    batch : the shape of the batch axes.
    held : how ties are resolved; None for the true finite change.

    Attributes
    ----------
    met : operators, and kinds of the kinks on which their values stood.
    """

    def __init__(self, batch: tuple[int, ...], held: HeldByOperator | None) -> None:
        super().__init__(torch, batch)
        self.met: set[tuple[str, Kind]] = set()
        self._held = held
        self._operator = ""

    def enter(self, operator: Any, *, second: bool) -> None:
        """Take an operator's convention, and note its ties from here on.

        ``second`` : whether the second of two operands that depend on the inputs moves alone.  Where the first one wins
        a tie its slope is 1, and that of the second 0.
        """
        self._operator = str(operator)
        held = self._held.get(self._operator) if isinstance(self._held, Mapping) else self._held
        convention = None if held is None else Convention.of(held)
        self.convention = convention._replace(kink=1.0 - convention.kink) if convention and second else convention

    def note_tie(self, ties: Any, kind: Kind) -> None:
        """Note where a value stands exactly on a boundary and moves."""
        before, self.kinds = self.kinds, set()
        super().note_tie(ties, kind)
        self.met.update((self._operator, one) for one in self.kinds)
        self.kinds |= before
