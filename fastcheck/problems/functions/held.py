"""A cost without arguments, as classes have it: its parameters are moved where they are, and put back bit for bit."""

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._types import Array, Indices
from ..parameters.layout import Layout
from .evaluators import place_note
from .purity import as_cost, outside_domain, require_unchanged


def takes_nothing(cost: Any) -> bool:
    """Tell whether a function cannot be handed anything: ``lambda: model.loss(X, y)``."""
    try:
        parameters = inspect.signature(cost).parameters.values()
    except (TypeError, ValueError):
        return False
    return not any(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD, p.VAR_POSITIONAL) for p in parameters)


class HeldCost:
    """A cost that finds its parameters by itself, in an object or a closure.

    Parameters
    ----------
    cost : called without arguments.
    layout : of the parameters.
    theta : (n,) the point of interest.
    arrays : the very arrays that the cost reads, one for each tensor.

    Raises
    ------
    TypeError, ValueError : for arrays that cannot be moved in place.

    Notes
    -----
    After every call of the cost, and whatever it raises, the arrays hold again what they held, bit for bit.
    """

    def __init__(self, cost: Callable[[], Any], layout: Layout, theta: Array, arrays: Sequence[Any]) -> None:
        for tensor, array in zip(layout.tensors, arrays, strict=True):
            _require_movable(tensor.name, array)
        for (one, first), (other, second) in combinations(zip(layout.tensors, arrays, strict=True), 2):
            if np.may_share_memory(first, second):
                raise ValueError(f"parameters: expected arrays of their own, got {one.name} and {other.name} in the "
                                 "same memory")
        self.cost, self.layout, self.theta = cost, layout, theta
        self.arrays: tuple[NDArray[Any], ...] = tuple(arrays)

    @contextmanager
    def holding(self, values: Sequence[Any]) -> Iterator[None]:
        """Inside, the arrays hold other values; after it what they held before."""
        before = [array.copy() for array in self.arrays]
        try:
            for array, value in zip(self.arrays, values, strict=True):
                array[...] = value
            yield
        finally:
            for array, kept in zip(self.arrays, before, strict=True):
                np.copyto(array, kept)

    def at(self, theta: Any) -> Any:
        """Return the cost of one vector (n,)."""
        with self.holding([theta[t.start : t.stop].reshape(t.shape) for t in self.layout.tensors]):
            value = self._value(partial(self._where, theta), bool(np.array_equal(theta, self.theta)))
            after = np.concatenate([array.reshape(-1) for array in self.arrays])
        require_unchanged(after, np.asarray(theta))
        return value

    def costs_at(self, positions: Indices, values: NDArray[Any]) -> NDArray[Any]:
        """Return costs (k,) with the entry ``positions[i]``, or several, set to ``values[i]``."""
        out = np.empty(len(positions))
        for index in range(len(positions)):
            entries = np.atleast_1d(positions[index])
            with self._moved(entries, np.atleast_1d(values[index])):
                out[index] = self._value(partial(place_note, self.layout, self.theta, positions, values, index), False)
        return out

    @contextmanager
    def _moved(self, entries: Indices, values: Any) -> Iterator[None]:
        """Inside, a few entries hold other values."""
        places = []
        for entry, number in zip(entries, self.layout.tensor_of(entries), strict=True):
            tensor, array = self.layout.tensors[number], self.arrays[number]
            index = tensor.index(int(entry) - tensor.start)
            places.append((array, index, array[index]))
        try:
            for (array, index, _), value in zip(places, values, strict=True):
                array[index] = value
            yield
        finally:
            for array, index, kept in places:
                array[index] = kept

    def _value(self, note: Callable[[], str], here: bool) -> float:
        try:
            with np.errstate(all="ignore"):
                return float(as_cost(self.cost()))
        except Exception as error:
            if outside_domain(error) and not here:
                return float("nan")
            error.add_note(note())
            raise

    def _where(self, theta: Any) -> str:
        moved = int(np.count_nonzero(theta != self.theta))
        return f"fastcheck: raised by the cost {f'with {moved} parameters moved' if moved else 'at the parameters'}"


def _require_movable(name: str, array: Any) -> None:
    """Refuse what a cost without arguments would not see move.

    Raises
    ------
    TypeError, ValueError : with what to pass instead.
    """
    if type(array) is not np.ndarray:
        raise TypeError(
            f"{name} in parameters: expected the very NumPy array that the cost reads, since the cost takes no "
            f"argument, got {type(array).__name__}; or write the cost as a function of its parameters"
        )
    if array.dtype != np.float64:
        raise TypeError(f"{name} in parameters: expected float64 where the cost takes no argument, got {array.dtype}; "
                        "make the model in double precision for the check")
    if not array.flags.writeable:
        raise ValueError(f"{name} in parameters: expected an array that can be written to, since the cost takes no "
                         "argument, got a read-only one")
