"""Which perturbations took another branch of a piecewise operation than the value did."""

from typing import Any

from .namespaces import any_of, to_device_of


class Branches:
    """What a run notes about kinks, and how ties are resolved.

    A *crossing* is a perturbation behind which an operation takes another branch than at the value: its change is
    still exact, but no derivative.  A *tie* is a value exactly on the boundary of two branches that is moved.

    Parameters
    ----------
    xp : the array namespace.
    batch : the shape of the batch axes, () for a single perturbation.
    convention : None for the true finite change at ties.  A number c from 0 to 1 freezes the slope there: that of the
        left branch for 0, of the right branch for 1, and c of the way between; among equal candidates of a maximum the
        first wins for 1, the last for 0, and all share alike for 1/2.

    Attributes
    ----------
    crossed, ties : (*batch) booleans.
    """

    def __init__(self, xp: Any, batch: tuple[int, ...] = (), convention: float | None = None) -> None:
        self.convention = convention
        self.crossed = xp.zeros(batch, dtype=bool)
        self.ties = xp.zeros(batch, dtype=bool)
        self._xp = xp
        self._batch = batch

    def note(self, differs: Any) -> None:
        """Note where (*batch, *shape) a perturbation took another branch than the value did."""
        found = self._by_perturbation(differs)
        self.crossed = found | to_device_of(found, self.crossed)

    def note_tie(self, ties: Any) -> None:
        """Note where (*batch, *shape) a value stands exactly on a boundary and moves."""
        found = self._by_perturbation(ties)
        self.ties = found | to_device_of(found, self.ties)

    def _by_perturbation(self, where: Any) -> Any:
        lead = tuple(where.shape[: len(self._batch)])
        return self._xp.any(where.reshape((*lead, -1)), axis=-1)


def note(branches: Branches | None, differs: Any) -> None:
    """``branches.note`` where somebody asks."""
    if branches is not None:
        branches.note(differs)


def note_tie(branches: Branches | None, ties: Any) -> None:
    """``branches.note_tie`` where somebody asks."""
    if branches is not None:
        branches.note_tie(ties)


def convention_of(branches: Branches | None) -> float | None:
    """The convention at ties; None for the true finite change."""
    return None if branches is None else branches.convention


def jump(xp: Any, change: Any, tied: Any, branches: Branches | None) -> Any:
    """``change``, noted; at ties none at all under a convention, for no slope is different from zero.

    Parameters
    ----------
    change : (*batch, *shape) change of the output.
    tied : where the value stands on a boundary.
    """
    if branches is None:
        return change
    jumped = change != 0.0
    if not any_of(xp, jumped):
        return change
    ties = jumped & tied
    note(branches, jumped & ~tied)
    note_tie(branches, ties)
    return change if branches.convention is None else xp.where(ties, 0.0, change)
