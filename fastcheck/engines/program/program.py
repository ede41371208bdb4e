"""A NumPy function whose differences are exact."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._errors import NoRule
from ..._types import Array, Mask
from .array import DifferenceArray
from .namespaces import replaced
from .reachable import Reachable
from .run import Run
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
        batch = len(given[0])
        observer = Injection(sites) if sites else None
        run = Run(batch, TABLES, convention, observer)
        arrays = [
            DifferenceArray(one.copy("K"), run, _own(changes.get(number))) for number, one in enumerate(self._inputs)
        ]
        found = self._follow(run, arrays)
        return self._response(run, found)

    def _follow(self, run: Run, arrays: list[DifferenceArray]) -> Any:
        try:
            with _WRAPPING.around(run, self._reachable), np.errstate(all="ignore"):
                return self._function(*arrays)
        except NoRule:
            raise
        except Exception as error:
            raise NoRule(
                f"a call that fails with arrays that carry changes ({type(error).__name__}: {error})"
            ) from error

    def _response(self, run: Run, found: Any) -> Response:
        outputs = flattened(found)
        run.floats.check(outputs, run.count)
        if len(outputs) != len(self.outputs):
            raise NoRule("a function that returns another number of arrays when it is followed")
        changes: list[Changes | None] = []
        for output, expected in zip(outputs, self.outputs, strict=True):
            array = output if type(output) is DifferenceArray else run.floats.array_of(output)
            value = np.asarray(output if array is None else array.value)
            if not same(value, expected):
                raise NoRule(
                    "a function that returns other values when it is followed", "it may be random or keep a state"
                )
            changes.append(None if array is None else array.change)
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
    return None if change is None else np.array(change, dtype=np.float64, order="C")
