"""Which perturbations took another branch of a piecewise operation than the value did."""

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from .namespaces import any_of, to_device_of

# What a value can stand on: the boundary of two slopes (relu, clip), equal candidates for a maximum or a place in an
# order, the zero of a magnitude, or the equality that a comparison asks about.
Kind = Literal["kink", "tie", "modulus", "comparison"]
# Those at which one value has two slopes, and nothing else.
SLOPES: tuple[Kind, ...] = ("kink", "modulus")


# As many masks say (``x == x.max()``): every one of several equal candidates wins.
ALL = 2.0


class Convention(NamedTuple):
    """How ties are resolved, for each kind of them.

    Parameters
    ----------
    kink : the slope is that of the left branch for 0, of the right branch for 1, and this share of the way between.
    tie : among equal candidates the first wins for 1, the last for 0, all share alike for 1/2, and for ALL each moves
        the maximum as if it were the only one.
    modulus : the slope of a magnitude at zero: -1 for 0, 0 for 1/2, 1 for 1.
    comparison : booleans at equality stay as they are for 0, and turn into their opposites for 1, as if the strict
        comparison had been written with equality, or the other way round.
    """

    kink: float
    tie: float
    modulus: float
    comparison: float = 0.0

    @classmethod
    def of(cls, held: "float | Convention") -> "Convention":
        """A number stands for the same convention of all kinds, with booleans as they are."""
        return held if isinstance(held, Convention) else cls(held, held, held)


# What operations hold that are not named: the slope of the right branch, the first of the ties.
RIGHT = Convention(1.0, 1.0, 1.0)


@dataclass(frozen=True)
class Mixture:
    """Conventions of operations, by their names: each may resolve its ties in its own way, and libraries do.

    held : names and conventions; others : that of the operations that are not named.
    """

    held: tuple[tuple[str, Convention], ...]
    others: Convention = RIGHT

    def of(self, operation: str) -> Convention:
        """Return an operation's convention."""
        return next((convention for name, convention in self.held if name == operation), self.others)


# A convention, one number for its first three kinds alike, or a convention for each operation.
Held = float | Convention | Mixture
# With this, whatever can move an output on either side moves it (but for booleans): no slopes of two sides cancel.
ANY_SIDE = Convention(0.3, 0.5, 0.3)


class Branches:
    """What a run notes about kinks, and how ties are resolved.

    A *crossing* is a perturbation behind which an operation takes another branch than at the value: its change is
    still exact, but no derivative.  A *tie* is a value exactly on the boundary of two branches that is moved.

    Parameters
    ----------
    xp : the array namespace.
    batch : the shape of the batch axes, () for a single perturbation.
    convention : None for the true finite change at ties; else how they are resolved.

    Attributes
    ----------
    crossed, ties : (*batch) booleans.
    standing : (*batch) how many values stand on a boundary and move; what is no matter of two slopes counts as many.
    met : operations, by the names they entered by, and the kinds of the ties that they moved.
    operation : the name that was entered last.
    held : the convention, whatever it stands for.
    """

    def __init__(self, xp: Any, batch: tuple[int, ...] = (), convention: Held | None = None) -> None:
        self.held = convention
        self.operation = ""
        self.met: set[tuple[str, Kind]] = set()
        self.convention = None if convention is None or isinstance(convention, Mixture) else Convention.of(convention)
        self.crossed = xp.zeros(batch, dtype=bool)
        self.ties = xp.zeros(batch, dtype=bool)
        self.standing: Any = 0
        self._xp = xp
        self._batch = batch

    @property
    def lone(self) -> Any:
        """(*batch) which perturbations moved one such value in all, that has two slopes."""
        return self.ties & (self.standing == 1)

    def enter(self, operation: str, *, second: bool = False) -> None:
        """Take an operation's convention, and note its ties from here on.

        Parameters
        ----------
        operation : its name.
        second : whether the second of two operands that both depend on the inputs moves alone: where the first one wins
            a tie, its slope is 1 and that of the second 0.
        """
        self.operation = operation
        held = self.held
        if held is None:
            return
        convention = held.of(operation) if isinstance(held, Mixture) else Convention.of(held)
        self.convention = convention._replace(kink=1.0 - convention.kink) if convention and second else convention

    def note(self, differs: Any) -> None:
        """Note where (*batch, *shape) a perturbation took another branch than the value did."""
        found = self._by_perturbation(differs)
        self.crossed = found | to_device_of(found, self.crossed)

    def note_tie(self, ties: Any, kind: Kind) -> None:
        """Note where (*batch, *shape) a value stands exactly on a boundary and moves."""
        found = self._by_perturbation(ties)
        if any_of(self._xp, found):
            self.met.add((self.operation, kind))
            self.standing = how_many(self._xp, ties, found, kind) + to_device_of(found, self.standing)
        self.ties = found | to_device_of(found, self.ties)

    def _by_perturbation(self, where: Any) -> Any:
        lead = tuple(where.shape[: len(self._batch)])
        return self._xp.any(where.reshape((*lead, -1)), axis=-1)


def how_many(xp: Any, ties: Any, found: Any, kind: Kind) -> Any:
    """Return how many values (*batch) of ``ties`` (*batch, *shape) a perturbation moves, given where it does."""
    if kind not in SLOPES:
        return 2 * found
    return xp.sum(ties.reshape((*found.shape, -1)), axis=-1)


def note(branches: Branches | None, differs: Any) -> None:
    """``branches.note`` where somebody asks."""
    if branches is not None:
        branches.note(differs)


def note_tie(branches: Branches | None, ties: Any, kind: Kind) -> None:
    """``branches.note_tie`` where somebody asks."""
    if branches is not None:
        branches.note_tie(ties, kind)


def convention_of(branches: Branches | None) -> Convention | None:
    """Return the convention at ties; None for the true finite change."""
    return None if branches is None else branches.convention


def jump(xp: Any, change: Any, tied: Any, branches: Branches | None, moving: Any = False) -> Any:
    """``change``, noted; at ties none at all under a convention that leaves booleans as they are.

    Parameters
    ----------
    change : (*batch, *shape) change of the output.
    tied : where the value stands on a boundary.
    moving : where it moves, of operations that jump to one side of their boundary alone: it is a tie to both.
    """
    if branches is None:
        return change
    jumped = change != 0.0
    if not any_of(xp, jumped | (tied & moving)):
        return change
    ties = jumped & tied
    note(branches, jumped & ~tied)
    note_tie(branches, ties | (tied & moving), "comparison")
    convention = branches.convention
    return change if convention is None or convention.comparison else xp.where(ties, 0.0, change)
