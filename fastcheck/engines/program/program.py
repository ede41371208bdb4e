"""A NumPy function whose differences are exact."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._errors import NoRule
from ..._types import Array, Mask
from .array import DifferenceArray
from .namespaces import replaced
from .products import Product, ProductNotes, Suppression, labels
from .reachable import Reachable
from .retired import RETIRED
from .run import Run
from .surroundings import kept
from .tables import TABLES
from .wrapping import Wrapping

Changes = NDArray[Any]

_WRAPPING = Wrapping(replaced)


@dataclass(frozen=True)
class Response:
    """What a batch of perturbations changes in a program's outputs.

    Parameters
    ----------
    changes : for every output, (batch, *shape), or None where none of the perturbations reaches it.
    crossed : (batch,), which perturbations crossed a kink: their changes are exact, but no derivatives.
    ties : (batch,), which perturbations moved a value that stands exactly on a kink.
    """

    changes: tuple[Changes | None, ...]
    crossed: Mask
    ties: Mask


class Program:
    """A NumPy function, run with changes beside its values.

    Parameters
    ----------
    function : called with one array for every input; returns arrays or floats, in tuples, lists or dictionaries.
    inputs : float64 arrays, of which every call gets copies.

    Attributes
    ----------
    outputs : the plain arrays that the function returns at the inputs, in the order in which it returns them.
    """

    def __init__(self, function: Callable[..., Any], inputs: Sequence[Array]) -> None:
        self._function = function
        self._operations: int | None = None
        self._reachable = Reachable(function)
        self._inputs = tuple(np.array(one, dtype=np.float64, order="K") for one in inputs)
        found = function(*(one.copy("K") for one in self._inputs))
        self.outputs: tuple[NDArray[Any], ...] = tuple(np.array(one, order="K") for one in flattened(found))

    def run(
        self,
        changes: Mapping[int, Changes],
        sites: Mapping[int, Changes] | None = None,
        convention: float | None = None,
    ) -> Response:
        """Runs the function with these changes of its inputs.

        Parameters
        ----------
        changes : by the input's number, (batch, *shape); inputs that are not named stand still.
        sites : by the operation's number, changes to add at its output, (batch, *shape).
        convention : None for the true finite changes, or how ties are resolved (``rules.branches.Branches``).

        Returns
        -------
        Response

        Raises
        ------
        NoRule : where an operation has no exact difference, or where the function cannot be followed.
        """
        given = [*changes.values(), *(sites or {}).values()]
        run = Run(len(given[0]), TABLES, convention, Injection(sites) if sites else None)
        return self._response(run, changes)

    @cached_property
    def products(self) -> tuple[Product, ...]:
        """Where the inputs enter products, in the order of the operations; none of an input that enters too many."""
        found = []
        for number in range(len(self._inputs)):
            notes = ProductNotes(number)
            self._label(number, notes, notes)
            if not notes.overflow:
                found += notes.found
        return tuple(sorted(found, key=lambda product: (product.site, product.side)))

    @cached_property
    def complete(self) -> tuple[bool, ...]:
        """For each input, whether it moves the outputs through its products alone."""
        found = []
        for number in range(len(self._inputs)):
            sites = frozenset(product.site for product in self.products if product.input == number)
            response = self._label(number, Suppression(sites), None)
            found.append(bool(sites) and all(change is None for change in response.changes))
        return tuple(found)

    def _label(self, number: int, observer: Any, notes: Any) -> Response:
        """A run in which the changes of one input are labels, and nothing crosses a kink."""
        run = Run(1, TABLES, 0.0, observer, notes)
        return self._response(run, {number: labels(self._inputs[number].shape)})

    def _follow(self, run: Run, changes: Mapping[int, Changes]) -> Any:
        arrays = [
            DifferenceArray(one.copy("K"), run, _own(changes.get(number))) for number, one in enumerate(self._inputs)
        ]
        try:
            with (
                kept(self._reachable.containers),
                _WRAPPING.around(run, self._reachable),
                np.errstate(all="ignore"),
            ):
                found = self._function(*arrays)
        except NoRule:
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

    def _response(self, run: Run, given: Mapping[int, Changes]) -> Response:
        try:
            return self._gathered(run, flattened(self._follow(run, given)))
        finally:
            run.retire(RETIRED)

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
        return Response(tuple(changes), run.branches.crossed, run.branches.ties)


class Injection:
    """Adds changes at the outputs of operations.

    Parameters
    ----------
    sites : by the operation's number, (batch, *shape of its output).
    """

    def __init__(self, sites: Mapping[int, Changes]) -> None:
        self._sites = sites

    def result(self, count: int, value: Any, change: Changes | None) -> Changes | None:
        """The change of operation number `count`, with what is injected there."""
        extra = self._sites.get(count)
        if extra is None:
            return change
        return extra.copy() if change is None else change + extra


def flattened(found: Any) -> list[Any]:
    """The arrays and numbers in nested tuples, lists and dictionaries, in order."""
    if isinstance(found, dict):
        return [output for part in found.values() for output in flattened(part)]
    if type(found) is not DifferenceArray and isinstance(found, (list, tuple)):
        return [output for part in found for output in flattened(part)]
    return [found]


def same(value: NDArray[Any], expected: NDArray[Any]) -> bool:
    """Whether two arrays are alike bit for bit, any NaN being like any other."""
    if value.shape != expected.shape or value.dtype != expected.dtype:
        return False
    if np.array_equal(value, expected):
        return True
    return value.dtype.kind in "fc" and np.array_equal(value, expected, equal_nan=True)


def _own(change: Changes | None) -> Changes | None:
    """The change of an input: not to be written to, so that whoever wants to makes a copy first."""
    if change is None:
        return None
    shared = np.ascontiguousarray(change, dtype=np.float64).view()
    shared.flags.writeable = False
    return shared
