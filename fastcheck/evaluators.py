"""Costs of many perturbed parameter vectors at once, from a user's cost: called one by one, in stacks, or elsewhere."""

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .activations import Array
from .differences import Indices
from .purity import as_cost, require_unchanged
from .structure import Structure

Cost = Callable[..., Any]
# A stack of parameters is kept near the processor's cache, and under the memory limit with room for the cost's own use.
STACK_BYTES = 1 << 20
HEADROOM = 4
# Blocks handed to an executor for each batch: enough to keep its workers busy to the end.
BLOCKS = 32


class Evaluator(Protocol):
    """A user's cost, ready for many evaluations."""

    def at(self, theta: Any) -> Any:
        """The cost of one vector (n,)."""
        ...

    def moved(self, positions: Indices, values: NDArray[Any]) -> NDArray[Any]:
        """Costs (k,) at theta with the entry ``positions[i]`` set to ``values[i]``, complex where the values are."""
        ...


@dataclass(frozen=True)
class Called:
    """A cost called once for each evaluation, in this thread.

    Parameters
    ----------
    cost : called as cost(parameters, *args).
    structure : of the parameters.
    theta : (n,) the point of interest; never changed.
    args : further arguments.
    """

    cost: Cost
    structure: Structure
    theta: Array
    args: tuple[Any, ...]

    def at(self, theta: Any) -> Any:
        """The cost of one vector."""
        try:
            with np.errstate(all="ignore"):
                value = self.cost(self.structure.views(theta), *self.args)
        except Exception as error:
            error.add_note(f"fastcheck: raised by the cost {self._where(theta)}")
            raise
        return as_cost(value, complex_allowed=np.iscomplexobj(theta))

    def _where(self, theta: Any) -> str:
        moved = np.flatnonzero(theta != self.theta)
        if not moved.size:
            return "at the parameters themselves"
        first = f"{self.structure.place(int(moved[0]))} (entry {moved[0]} of theta) at {theta[moved[0]]}"
        return f"with {moved.size} parameters moved, the first {first}"

    def moved(self, positions: Indices, values: NDArray[Any]) -> NDArray[Any]:
        """Costs with one entry moved each."""
        return moved_one_by_one(self.cost, self.structure, self.theta, self.args, positions, values)


def moved_one_by_one(
    cost: Cost, structure: Structure, theta: Array, args: tuple[Any, ...], positions: Indices, values: NDArray[Any]
) -> NDArray[Any]:
    """The loop of ``Called``, as a function that an executor can send elsewhere."""
    work = theta.astype(values.dtype)
    given = None if structure.numbers else structure.views(work)
    out = np.empty(positions.size, dtype=values.dtype)
    is_complex = values.dtype.kind == "c"
    index = -1
    try:
        with np.errstate(all="ignore"):
            for index in range(positions.size):
                k = positions[index]
                kept = work[k]
                work[k] = values[index]
                value = cost(structure.views(work) if given is None else given, *args)
                if type(value) is not float and type(value) is not np.float64:
                    value = as_cost(value, complex_allowed=is_complex)
                out[index] = value
                work[k] = kept
    except Exception as error:
        error.add_note(place_note(structure, theta, positions, values, index))
        raise
    require_unchanged(work, theta)
    return out


def place_note(structure: Structure, theta: Array, positions: Indices, values: NDArray[Any], index: int) -> str:
    """Where an exception of the user's cost arose."""
    k = int(positions[index])
    return (f"fastcheck: raised by the cost with {structure.place(k)} (entry {k} of theta) at {values[index]}; "
            f"unperturbed it is {theta[k]}")


@dataclass(frozen=True)
class Sent:
    """A cost evaluated by an executor, in blocks.

    Parameters
    ----------
    called : the cost; sent to the workers with everything it holds, so processes need it picklable.
    executor : any ``concurrent.futures.Executor``.
    """

    called: Called
    executor: Executor

    def at(self, theta: Any) -> Any:
        """The cost of one vector, in this thread."""
        return self.called.at(theta)

    def moved(self, positions: Indices, values: NDArray[Any]) -> NDArray[Any]:
        """Costs with one entry moved each."""
        c = self.called
        cuts = np.linspace(0, positions.size, min(BLOCKS, positions.size) + 1).astype(np.int64)
        blocks = [slice(int(a), int(b)) for a, b in pairwise(cuts)]
        futures = [
            self.executor.submit(moved_one_by_one, c.cost, c.structure, c.theta, c.args, positions[b], values[b])
            for b in blocks
        ]
        try:
            return np.concatenate([future.result() for future in futures] or [np.empty(0, dtype=values.dtype)])
        finally:
            for future in futures:
                future.cancel()


@dataclass(frozen=True)
class Stacked:
    """A cost that takes a stack of parameters, with a leading axis, and returns as many costs.

    Parameters
    ----------
    cost, structure, theta, args : as in ``Called``.
    memory_limit : bytes that a stack and what the cost makes of it may take.
    """

    cost: Cost
    structure: Structure
    theta: Array
    args: tuple[Any, ...]
    memory_limit: int

    def at(self, theta: Any) -> Any:
        """The cost of one vector."""
        vector = np.asarray(theta)
        return self._costs([self._rows(vector, t.start, t.stop, t.shape, 1) for t in self.structure.tensors], 1,
                           vector.dtype)[0].item()

    def moved(self, positions: Indices, values: NDArray[Any]) -> NDArray[Any]:
        """Costs with one entry moved each."""
        bytes_each = self.theta.size * values.dtype.itemsize
        rows = int(max(1, min(positions.size, STACK_BYTES // bytes_each, self.memory_limit // (HEADROOM * bytes_each))))
        theta = self.theta.astype(values.dtype)
        tensors = self.structure.tensors
        stacks = [self._rows(theta, t.start, t.stop, t.shape, rows) for t in tensors]
        flat = [stack.reshape(rows, -1) for stack in stacks]
        tensor_of = np.searchsorted([t.stop for t in tensors], positions, side="right")
        out = np.empty(positions.size, dtype=values.dtype)
        for start in range(0, positions.size, rows):
            block = slice(start, min(start + rows, positions.size))
            count = block.stop - start
            places = [(np.flatnonzero(tensor_of[block] == t), t) for t in np.unique(tensor_of[block])]
            for row, t in places:
                flat[t][row, positions[block][row] - tensors[t].start] = values[block][row]
            try:
                out[block] = self._costs([stack[:count] for stack in stacks], count, values.dtype)
            except Exception as error:
                first, last = (self.structure.place(int(positions[block][i])) for i in (0, -1))
                error.add_note(f"fastcheck: raised by the cost with a stack of {count} rows, {first} to {last} moved")
                raise
            for row, t in places:
                flat[t][row, positions[block][row] - tensors[t].start] = theta[positions[block][row]]
        for tensor, stack in zip(tensors, flat, strict=True):
            require_unchanged(stack, np.broadcast_to(theta[tensor.start : tensor.stop], stack.shape))
        return out

    @staticmethod
    def _rows(theta: NDArray[Any], start: int, stop: int, shape: tuple[int, ...], rows: int) -> NDArray[Any]:
        return np.repeat(theta[None, start:stop], rows, axis=0).reshape((rows, *shape))

    def _costs(self, stacks: list[NDArray[Any]], rows: int, dtype: np.dtype[Any]) -> NDArray[Any]:
        with np.errstate(all="ignore"):
            found = np.asarray(self.cost(self.structure.stacked(stacks), *self.args))
        if found.dtype.kind not in ("fiuc" if dtype.kind == "c" else "fiu"):
            raise TypeError(f"cost returned dtype {found.dtype} for a stack of parameters, wanted real numbers")
        if found.shape not in ((rows,), (rows, 1)):
            raise ValueError(
                f"cost returned shape {found.shape} for a stack of {rows} parameter sets, wanted ({rows},): with "
                "vectorized=True it must keep the leading axis and reduce all others"
            )
        return found.reshape(rows)
