"""A NumPy function whose differences are exact."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...._errors import NoRule
from ...._types import Array
from ....rules.branches import ANY_SIDE, Convention, Held, Kind
from ..adjoints import Product
from ..protocols import OperationSize, Response
from ..rounded import Roundings
from .array import DifferenceArray
from .namespaces import of_instance, replaced
from .observers import Rounded, Sized
from .operation_sizes import OperationSizes
from .products import MOST_PRODUCTS, ProductNotes, Suppression, groups_of
from .reachable import Reachable
from .retired import RETIRED
from .run import Observer, Run
from .surroundings import kept
from .swapping import CARRYING, Carriers, holds_array, swapped
from .tables import TABLES
from .wrapping import Wrapping

Changes = NDArray[Any]

_WRAPPING = Wrapping(replaced, of_instance)


class Program:
    """A NumPy function, run with changes beside its values.

    Parameters
    ----------
    function : called with one array for every input, then `args`; returns arrays or floats, in tuples, lists or
        dictionaries.
    inputs : float64 arrays, of which every call gets copies.
    args : further arguments, which stand still: of floating arrays in them, in nested tuples, lists and dictionaries
        too, every call gets copies.
    held : by an input's number, the very array that the function finds by itself, in a closure or an object, in the
        place of an argument; it must hold the input's values.

    Attributes
    ----------
    outputs : the plain arrays that the function returns at the inputs, in the order in which it returns them.
    observes : that operations can be observed and suppressed.

    Notes
    -----
    What the function keeps in objects, dictionaries and lists is put back after every run. A function that needs its
    surroundings to carry changes as well (``X.dot(W)`` with a plain ``X`` never asks ``W``, and a plain buffer cannot
    receive what moves) is run again with the arrays replaced that it can reach.

    Known limits that end in NoRule: compiled functions of moving arrays; ``x[mask]`` where the mask differs between
    perturbations (``x[mask] = number``, ``x * mask`` and numpy.where are exact). Inside the function ``type(x) is
    numpy.ndarray`` is False, though isinstance() says what it would say of an array. Two numbers that are equal after a
    perturbation, but were calculated in different ways, may compare as different.
    """

    observes = True

    def __init__(
        self,
        function: Callable[..., Any],
        inputs: Sequence[Array],
        args: Sequence[Any] = (),
        held: Mapping[int, NDArray[Any]] | None = None,
    ) -> None:
        self._function = function
        self._operations: int | None = None
        self._reachable = Reachable(function)
        self._inputs = tuple(np.array(one, dtype=np.float64, order="K") for one in inputs)
        self._args = tuple(args)
        self._held = dict(held or {})
        self._surrounded = False
        handed = [one.copy("K") for number, one in enumerate(self._inputs) if number not in self._held]
        found = function(*handed, *copied(self._args, lambda array: array.copy("K")))
        self.outputs: tuple[NDArray[Any], ...] = tuple(np.array(one, order="K") for one in flattened(found))

    @property
    def operations(self) -> int:
        """How many operations the function takes; 0 before the first run."""
        return self._operations or 0

    def run(
        self,
        changes: Mapping[int, Changes],
        sites: Mapping[int, Changes] | None = None,
        convention: Held | None = None,
        *,
        observe: Collection[int] | None = (),
        suppress: Collection[int] = (),
    ) -> Response:
        """Runs the function with these changes of its inputs.

        Parameters
        ----------
        changes : by the input's number, (batch, *shape); inputs that are not named stand still.
        sites : by the operation's number, changes to add at its output, (batch, *shape).
        convention : None for the true finite changes, or how ties are resolved (``rules.branches.Branches``).
        observe : numbers of operations whose results' changes are wanted too; None for all that move.
        suppress : numbers of operations whose results are to stand still.

        Returns
        -------
        Response

        Raises
        ------
        NoRule : where an operation has no exact difference, or where the function cannot be followed.
        """
        given = [*changes.values(), *(sites or {}).values()]
        if not sites and not suppress and observe is not None and not observe:
            return self._response(partial(Run, len(given[0]), TABLES, convention), changes)
        tries: list[Intervention] = []

        def new_run() -> Run:
            tries.append(Intervention(sites or {}, suppress, observe))
            return Run(len(given[0]), TABLES, convention, tries[-1])

        response = self._response(new_run, changes)
        return replace(response, observed=tries[-1].observed)

    def watched(
        self, changes: Mapping[int, Changes], observer: Callable[[], Observer], batch: int
    ) -> tuple[Response | None, Any]:
        """Runs the function with these changes of its inputs, and someone who looks at, and changes, every result.

        Parameters
        ----------
        changes : by the input's number, (batch, *shape).
        observer : makes who looks on; anew where the function is run again with its surroundings.
        batch : number of perturbations.

        Returns
        -------
        The response, None where the function was followed and its outputs were not (see NoRule in ``run``); and who
        looked on.
        """
        tries: list[Observer] = []

        def new_run() -> Run:
            tries.append(observer())
            return Run(batch, TABLES, None, tries[-1])

        try:
            return self._response(new_run, changes), tries[-1]
        except NoRule:
            return None, tries[-1]

    def rounded(self, changes: Mapping[int, Changes], roundings: Roundings) -> Response | None:
        """Return the response to changes where all results are off by roundings; None where it cannot be followed."""
        tries: list[Rounded] = []

        def new_run() -> Run:
            tries.append(Rounded(roundings))
            run = Run(roundings.rows.size, TABLES, None, tries[-1])
            tries[-1].branches = run.branches
            return run

        try:
            return self._response(new_run, changes)
        except NoRule:
            return None

    def column_numbers(self) -> int:
        """Return how many numbers a perturbation of all inputs takes beside theirs, where all results are kept."""
        sized: Sized = self.watched({place: one[None] for place, one in enumerate(self._inputs)}, Sized, 1)[1]
        return sized.numbers

    def sizes(self, changes: Mapping[int, Changes], batch: int) -> list[OperationSize] | None:
        """Return how large the results of all operations are here and behind changes, which are as for ``watched``.

        None where the function cannot be followed so far.
        """
        tries: list[OperationSizes] = []

        def new_run() -> Run:
            tries.append(OperationSizes())
            run = Run(batch, TABLES, None, tries[-1])
            tries[-1].branches = run.branches
            return run

        try:
            self._response(new_run, changes)
        except NoRule:
            return None
        return tries[-1].found

    @cached_property
    def products(self) -> tuple[Product, ...]:
        """Where the inputs enter products, in the order of the operations; none of an input that enters too many."""
        found: list[Product] = []
        for given in self._labelled():
            for mine in self._products_of(given).found.values():
                found += mine if len(mine) <= MOST_PRODUCTS else []
        return tuple(sorted(found, key=lambda product: (product.site, product.side)))

    def _labelled(self) -> Iterator[dict[int, Array]]:
        return groups_of([one.shape for one in self._inputs])

    def _products_of(self, given: dict[int, Array]) -> ProductNotes:
        """Products of some inputs, but those by a mask that ties turn: moving their outputs does not move the mask."""
        notes, kinds = self._noted_products(given, Convention(0.0, 0.0, 0.0))
        if "comparison" in kinds:
            try:
                turned, _ = self._noted_products(given, Convention(0.0, 0.0, 0.0, comparison=1.0))
            except NoRule:
                return ProductNotes(list(given))
            notes.keep_alike(turned)
        return notes

    def _noted_products(
        self, given: dict[int, Array], convention: Convention
    ) -> tuple[ProductNotes, frozenset[Kind]]:
        tries: list[ProductNotes] = []

        def new_run() -> Run:
            tries.append(ProductNotes(list(given)))
            return Run(2 * len(given), TABLES, convention, tries[-1], tries[-1])

        response = self._response(new_run, {number: np.concatenate([rows, rows]) for number, rows in given.items()})
        return tries[-1], frozenset(kind for _, kind in response.met)

    @cached_property
    def complete(self) -> tuple[bool, ...]:
        """For each input, whether it moves the outputs through its products alone."""
        found: list[bool] = []
        for given in self._labelled():
            sites = [frozenset(one.site for one in self.products if one.input == number) for number in given]
            response = self._response(partial(Run, len(given), TABLES, ANY_SIDE, Suppression(sites)), given)
            moving = [change for change in response.changes if change is not None]
            found += [bool(mine) and not any(np.any(one[row]) for one in moving) for row, mine in enumerate(sites)]
        return tuple(found)

    def _response(self, new_run: Callable[[], Run], given: Mapping[int, Changes]) -> Response:
        """Return a run, with the function's surroundings carrying changes where it turns out to need that."""
        try:
            return self._run_once(new_run(), given)
        except NoRule:
            around = (*self._args, *(place.value for place in self._reachable.holders()))
            if self._surrounded or not any(map(holds_array, around)):
                raise
            self._surrounded = True
            try:
                return self._run_once(new_run(), given)
            except NoRule:
                self._surrounded = False
            raise

    def _run_once(self, run: Run, given: Mapping[int, Changes]) -> Response:
        try:
            return self._gathered(run, flattened(self._follow(run, given)))
        finally:
            run.retire(RETIRED)

    def _follow(self, run: Run, changes: Mapping[int, Changes]) -> Any:
        arrays = [
            DifferenceArray(one.copy("K"), run, _own(changes.get(number))) for number, one in enumerate(self._inputs)
        ]
        handed = [array for number, array in enumerate(arrays) if number not in self._held]
        kinds = CARRYING if self._surrounded else "fc"
        args = copied(self._args, lambda array: DifferenceArray(array.copy("K"), run), kinds)
        carriers = Carriers(run, {id(one): arrays[number] for number, one in self._held.items()}, self._surrounded)
        try:
            with (
                kept(self._reachable.containers, alone=bool(self._held) or self._surrounded),
                swapped(self._reachable, carriers) if self._held or self._surrounded else nullcontext(),
                _WRAPPING.around(run, self._reachable),
                np.errstate(all="ignore"),
            ):
                found = self._function(*handed, *args)
        except (NoRule, MemoryError):
            raise
        except Exception as error:
            if run.refusal is not None:
                raise run.refusal from error
            raise NoRule(
                f"a call that fails with arrays that carry changes ({type(error).__name__}: {error})"
            ) from error
        if run.refusal is not None:  # the function has caught it
            raise run.refusal
        return found

    def _gathered(self, run: Run, outputs: list[Any]) -> Response:
        if self._operations is None:
            self._operations = run.count
        if len(outputs) != len(self.outputs) or run.count != self._operations:
            raise NoRule("a function that goes another way from call to call", "it may be random or keep a state")
        run.floats.check(outputs, run.count)
        changes: list[Changes | None] = []
        for output, expected in zip(outputs, self.outputs, strict=True):
            array = output if type(output) is DifferenceArray else run.floats.array_of(output)
            value = np.asarray(output if array is None else array.value)
            if not same(value, expected):
                raise NoRule(
                    "a function that returns other values when it is followed", "it may be random or keep a state"
                )
            changes.append(None if array is None or array.change is None else np.array(array.change))
        branches = run.branches
        return Response(tuple(changes), branches.crossed, branches.ties, frozenset(branches.met), branches.lone)


class Intervention:
    """Adds changes at the results of operations, has some stand still, and looks at others.

    Parameters
    ----------
    sites : by the operation's number, changes to add, (batch, *shape of its result).
    suppress : numbers of operations whose results stand still.
    observe : numbers of those that are looked at; None for all.

    Attributes
    ----------
    observed : by number, the changes of those that move.
    """

    def __init__(
        self, sites: Mapping[int, Changes], suppress: Collection[int], observe: Collection[int] | None
    ) -> None:
        self._sites, self._suppress, self._observe = sites, suppress, observe
        self.observed: dict[int, Changes] = {}

    def result(self, count: int, value: Any, change: Changes | None) -> Changes | None:
        """Return the change of operation number `count` to go on with."""
        if count in self._suppress:
            return None
        extra = self._sites.get(count)
        if extra is not None:
            change = extra.copy() if change is None else change + extra
        if change is not None and (self._observe is None or count in self._observe):
            full = change.shape[:1] + value.shape
            self.observed[count] = change.copy() if change.shape == full else np.array(np.broadcast_to(change, full))
        return change


def copied(operand: Any, copy: Callable[[NDArray[Any]], Any], kinds: str = "fc") -> Any:
    """The arguments with copies of arrays of some kinds of dtype, in nested tuples, lists and dictionaries too."""
    if type(operand) is np.ndarray:
        return copy(operand) if operand.dtype.kind in kinds else operand
    if type(operand) in (list, tuple):
        return type(operand)(copied(part, copy, kinds) for part in operand)
    if type(operand) is dict:
        return {key: copied(part, copy, kinds) for key, part in operand.items()}
    return operand


def flattened(found: Any) -> list[Any]:
    """Return the arrays and numbers in nested tuples, lists and dictionaries, in order."""
    if isinstance(found, dict):
        return [output for part in found.values() for output in flattened(part)]
    if type(found) is not DifferenceArray and isinstance(found, (list, tuple)):
        return [output for part in found for output in flattened(part)]
    return [found]


def same(value: NDArray[Any], expected: NDArray[Any]) -> bool:
    """Tell whether two arrays are alike bit for bit, any NaN being like any other."""
    if value.shape != expected.shape or value.dtype != expected.dtype:
        return False
    if np.array_equal(value, expected):
        return True
    return value.dtype.kind in "fc" and np.array_equal(value, expected, equal_nan=True)


def _own(change: Changes | None) -> Changes | None:
    """Return the change of an input: not to be written to, so that whoever wants to makes a copy first."""
    if change is None:
        return None
    shared = np.ascontiguousarray(change, dtype=np.float64).view()
    shared.flags.writeable = False
    return shared
