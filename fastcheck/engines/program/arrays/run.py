"""One run of a program: the size of its batch, what it counts, and what it must be told at its end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

import numpy as np
from numpy.typing import NDArray

from ...._errors import NoRule
from ....rules.branches import Branches, Held
from .array import DifferenceArray
from .floats import Floats

if TYPE_CHECKING:
    from ....rules.base import Rule

# Acts on arrays that carry changes: (run, function, args, options) -> what the function gives.
Handler = Callable[..., Any]

_CARRIES = frozenset("dD?bhilqBHILQ")  # dtype characters in which a value may move
_FLOAT = np.dtype(np.float64)
_REMEDY = "compute in float64 throughout"


class Observer(Protocol):
    """What looks at the results of a run's operations as they are made, and may add to their changes."""

    def result(self, count: int, value: Any, change: NDArray[Any] | None) -> NDArray[Any] | None:
        """The change to go on with, of the result of operation number `count`."""


@dataclass(frozen=True)
class Tables:
    """What acts on arrays that carry changes, for each way in which NumPy and Python ask them.

    Parameters
    ----------
    rules : exact differences by the operation's name.
    functions : handlers by NumPy function (NEP 18), called with (run, function, args, options).
    call, call_method : ufuncs, and their methods.
    operate, operate_on_one, operate_on_two, operate_in_place : Python's operators.
    carried : makes arrays of this run of what a function has given for values that stand still.
    unknown : functions that no handler stands for.
    gathered_in : makes one array of a nested list that holds such arrays.
    put_where : assignment through a mask that differs between perturbations.
    contract : matrix products.
    contractions : ufuncs that are matrix products.
    reshape, ravel, astype, flat : the methods of these names.
    """

    rules: Mapping[str, Rule]
    functions: Mapping[Any, Callable[..., Any]]
    call: Callable[..., Any]
    call_method: Callable[..., Any]
    operate: Callable[..., Any]
    operate_on_one: Callable[..., Any]
    operate_on_two: Callable[..., Any]
    operate_in_place: Callable[..., Any]
    carried: Callable[..., Any]
    unknown: Callable[..., Any]
    gathered_in: Callable[..., Any]
    put_where: Callable[..., Any]
    contract: Callable[..., Any]
    contractions: frozenset[Any]
    reshape: Callable[..., Any]
    ravel: Callable[..., Any]
    astype: Callable[..., Any]
    flat: Callable[..., Any]


class Notes(Protocol):
    """What is told of the products of a run."""

    def product(self, count: int, operands: tuple[Any, ...], letters: str) -> None:
        """Operation number `count` is a product of these operands, described by an einsum string."""

    def scales(self, operands: tuple[Any, ...]) -> bool:
        """Whether the product of these operands only scales entries of inputs, which is noted where they go."""

    def carry(self, operands: tuple[Any, ...], result: DifferenceArray) -> None:
        """Have the result of such a product be entries of inputs."""

    def sum(self, count: int, operands: tuple[Any, ...], signs: tuple[float, float], size: int) -> None:
        """Operation number `count` is the sum of these operands, times signs, of this size."""

    def reduction(self, count: int, operand: Any, slopes: Any, axes: tuple[int, ...], size: int) -> None:
        """Operation number `count` adds an operand up along axes, to a result of this size with these slopes."""


class Run:
    """What the arrays of one run share.

    Parameters
    ----------
    batch : number of perturbations.
    tables : what acts on its arrays.
    convention : how ties are resolved, as in ``rules.branches.Branches``.
    observer : what looks at each operation's result; None for nobody.
    notes : what is told of products; None for nobody.
    """

    __slots__ = (
        "array_type", "batch", "branches", "caller", "count", "floats", "notes", "observer", "refusal", "retired",
        "tables",
    )  # fmt: skip

    def __init__(
        self,
        batch: int,
        tables: Tables,
        convention: Held | None = None,
        observer: Observer | None = None,
        notes: Notes | None = None,
    ) -> None:
        self.array_type = DifferenceArray
        self.batch = batch
        self.branches = Branches(np, (batch,), convention)
        self.caller = ""
        self.count = 0
        self.floats = Floats()
        self.observer = observer
        self.notes = notes
        self.refusal: NoRule | None = None
        self.retired = False
        self.tables = tables

    def at(self, operation: str, *, second: bool = False) -> Branches:
        """Return what notes the kinks of an operation (see ``rules.branches.Branches.enter``)."""
        branches = self.branches
        if branches.held is None:
            branches.operation = self.caller or operation
        else:
            branches.enter(self.caller or operation, second=second)
        return branches

    @contextmanager
    def called(self, name: str) -> Iterator[None]:
        """Kinks of the operations inside are those of a function that is made of them."""
        self.caller = name
        try:
            yield
        finally:
            self.caller = ""

    def fresh(self, value: Any, change: NDArray[Any] | None = None) -> DifferenceArray:
        """An array for the result of an operation, which owns its value and its change, and counts as one operation."""
        self.count += 1
        if self.observer is not None:
            change = self.observer.result(self.count, value, change)
        if change is None:
            return DifferenceArray(value, self)
        if value.dtype is _FLOAT and change.dtype is _FLOAT:
            return DifferenceArray(value, self, change, None, None, True)
        if value.dtype is not _FLOAT and value.dtype.char not in _CARRIES:
            raise NoRule(f"an array of {value.dtype} that moves", _REMEDY)
        if (change.dtype.kind == "c") != (value.dtype.kind == "c"):  # w + 1j moves by real numbers, |z| by real ones
            change = change.real if change.dtype.kind == "c" else change.astype(np.complex128)
        return DifferenceArray(value, self, change, None, None, True)

    def rearranged(self, value: Any, change: NDArray[Any] | None, computed: bool) -> DifferenceArray:
        """An array of entries that were copied from others: no operation, and an input's entries stay an input's."""
        return DifferenceArray(value, self, change, computed=computed)

    @contextmanager
    def inside(self) -> Iterator[None]:
        """What happens inside is part of one operation: it is neither counted nor observed."""
        kept = self.count, self.observer, self.notes
        self.observer = self.notes = None
        try:
            yield
        finally:
            self.count, self.observer, self.notes = kept

    def foreign(self, array: DifferenceArray) -> Any:
        """Return what an array of another run is to this one: a plain array, if that run has ended."""
        if array.run.retired or (self.retired and array.change is None):
            return array.value
        raise NoRule("an array of another run of the function", "make arrays anew at each call")

    def refuse(self, operation: str, remedy: str) -> NoReturn:
        """Raises NoRule, and has the run end in it even where the function catches it."""
        self.refusal = NoRule(operation, remedy)
        raise self.refusal

    def retire(self, tables: Tables) -> None:
        """Has the arrays of this run, which has ended, act by `tables`."""
        self.tables = tables
        self.retired = True

    def check_precision(self, value: NDArray[Any]) -> None:
        """Raises NoRule where `value` is of a precision in which changes are not carried."""
        if value.dtype.char not in _CARRIES:
            raise NoRule(f"an array of {value.dtype} that receives what moves", _REMEDY)

    def check_receives(self, receiver: np.dtype[Any], content: np.dtype[Any]) -> None:
        """Raises NoRule where entries of `receiver` would not keep the changes of entries of `content`."""
        if receiver != content and not np.can_cast(content, receiver, "same_kind"):
            raise NoRule(
                f"an array of {receiver} that receives moving entries of {content}", "make it an array of float64"
            )
        if receiver.char not in _CARRIES:
            raise NoRule(f"an array of {receiver} that receives what moves", _REMEDY)


@dataclass
class AtWork(threading.local):
    """The run that this thread is inside of."""

    run: Run | None = field(default=None)
