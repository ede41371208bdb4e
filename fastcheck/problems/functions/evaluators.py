"""Costs of many perturbed parameter vectors at once, from a user's cost: called one by one, in stacks, or elsewhere."""

import time
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from itertools import pairwise
from pickle import PicklingError
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..._types import Array, Indices
from ...runtime.pace import Pace
from ..parameters.layout import Layout
from .numba_functions import is_jitted
from .purity import as_cost, outside_domain, require_unchanged

Cost = Callable[..., Any]
# Rows of the first stack of parameters, and its bytes at most: it stays in the processor's cache.
ROWS, STACK_BYTES = 32, 1 << 20
# The memory limit holds for this many stacks: the cost makes others of its own.
HEADROOM = 4
# Blocks handed to an executor for each batch: enough to keep its workers busy to the end.
BLOCKS = 32


class Evaluator(Protocol):
    """A user's cost, ready for many evaluations."""

    def at(self, theta: Any) -> Any:
        """Return the cost of one vector (n,)."""
        ...

    def costs_at(self, positions: Indices, values: NDArray[Any]) -> NDArray[Any]:
        """Costs (k,) at theta with the entry ``positions[i]`` set to ``values[i]``, complex where the values are.

        Both are (k,), or (k, w) to move several entries at once.
        """
        ...


@dataclass(frozen=True)
class PythonCost:
    """A cost called once for each evaluation, in this thread.

    Parameters
    ----------
    cost : called as cost(parameters, *args).
    layout : of the parameters.
    theta : (n,) the point of interest; never changed.
    args : further arguments.
    """

    cost: Cost
    layout: Layout
    theta: Array
    args: tuple[Any, ...]

    @property
    def is_machine_code(self) -> bool:
        """Whether an evaluation takes little time beside what is made of it."""
        return is_jitted(self.cost)

    def at(self, theta: Any) -> Any:
        """Return the cost of one vector."""
        try:
            with np.errstate(all="ignore"):
                value = self.cost(self.layout.views(theta), *self.args)
        except Exception as error:
            if outside_domain(error) and not np.array_equal(theta, self.theta):
                return np.nan
            error.add_note(f"fastcheck: raised by the cost {self._where(theta)}{self._called(error)}")
            raise
        return as_cost(value, complex_allowed=np.iscomplexobj(theta))

    def _called(self, error: Exception) -> str:
        """How the cost is called, where it does not take such a call; else ""."""
        inside = error.__traceback__ is not None and error.__traceback__.tb_next is not None
        if inside or not isinstance(error, TypeError):
            return ""
        given = self.layout.views(self.theta)
        further = f", and {len(self.args)} of args" if self.args else ""
        remedy = ""
        if not self.args and isinstance(given, (dict, list, tuple)):
            remedy = f"; if it takes each by itself, pass lambda p: cost({'**' if isinstance(given, dict) else '*'}p)"
        return f"; it is called with the parameters as one {type(given).__name__}{further}{remedy}"

    def _where(self, theta: Any) -> str:
        moved = np.flatnonzero(theta != self.theta)
        if not moved.size:
            return "at the parameters themselves"
        first = f"{self.layout.place(int(moved[0]))} (entry {moved[0]} of theta) at {theta[moved[0]]}"
        return f"with {moved.size} parameters moved, the first {first}"

    def costs_at(self, positions: Indices, values: NDArray[Any]) -> NDArray[Any]:
        """Return costs with some entries moved."""
        return costs_one_by_one(self.cost, self.layout, self.theta, self.args, positions, values)


    def require_defined(self, position: int, value: float) -> None:
        """Raise what the cost raises, if anything, with one entry moved, and say where."""
        moved = self.theta.copy()
        moved[position] = value
        try:
            with np.errstate(all="ignore"):
                self.cost(self.layout.views(moved), *self.args)
        except Exception as error:
            error.add_note(place_note(self.layout, self.theta, np.array([position]), np.array([value]), 0))
            raise


def costs_one_by_one(
    cost: Cost, layout: Layout, theta: Array, args: tuple[Any, ...], positions: Indices, values: NDArray[Any]
) -> NDArray[Any]:
    """Return the loop of ``PythonCost``, as a function that an executor can send elsewhere."""
    work = theta.astype(values.dtype)
    given = None if layout.numbers else layout.views(work)
    out = np.empty(len(positions), dtype=values.dtype)
    is_complex = values.dtype.kind == "c"
    index = -1
    try:
        with np.errstate(all="ignore"):
            for index in range(len(positions)):
                k = positions[index]  # one entry or several
                kept = work[k]
                work[k] = values[index]
                try:
                    value = cost(layout.views(work) if given is None else given, *args)
                except Exception as error:
                    if not outside_domain(error):
                        raise
                    value = np.nan
                if type(value) is not float and type(value) is not np.float64:
                    value = as_cost(value, complex_allowed=is_complex)
                out[index] = value
                work[k] = kept
    except Exception as error:
        error.add_note(place_note(layout, theta, positions, values, index))
        raise
    require_unchanged(work, theta)
    return out


def place_note(layout: Layout, theta: Array, positions: Indices, values: NDArray[Any], index: int) -> str:
    """Return where an exception of the user's cost arose."""
    entries = np.atleast_1d(positions[index])
    k, value = int(entries[0]), np.atleast_1d(values[index])[0]
    more = f", and {entries.size - 1} more entries moved" if entries.size > 1 else ""
    return (f"fastcheck: raised by the cost with {layout.place(k)} (entry {k} of theta) at {value}; "
            f"unperturbed it is {theta[k]}{more}")


@dataclass(frozen=True)
class ExecutorCost:
    """A cost evaluated by an executor, in blocks.

    Parameters
    ----------
    called : the cost; sent to the workers with everything it holds, so processes need it picklable.
    executor : any ``concurrent.futures.Executor``.
    """

    called: PythonCost
    executor: Executor

    def at(self, theta: Any) -> Any:
        """Return the cost of one vector, in this thread."""
        return self.called.at(theta)

    def costs_at(self, positions: Indices, values: NDArray[Any]) -> NDArray[Any]:
        """Return costs with some entries moved."""
        c = self.called
        cuts = np.linspace(0, len(positions), min(BLOCKS, len(positions)) + 1).astype(np.int64)
        blocks = [slice(int(a), int(b)) for a, b in pairwise(cuts)]
        futures = [
            self.executor.submit(costs_one_by_one, c.cost, c.layout, c.theta, c.args, positions[b], values[b])
            for b in blocks
        ]
        try:
            return np.concatenate([future.result() for future in futures] or [np.empty(0, dtype=values.dtype)])
        except (PicklingError, AttributeError, TypeError) as error:
            if "pickle" not in str(error):
                raise
            raise TypeError(
                f"executor: expected a cost that can be sent to other processes, got one that cannot be pickled "
                f"({error}); define it at the top level of a module, or use a ThreadPoolExecutor"
            ) from error
        finally:
            for future in futures:
                future.cancel()


class BatchedCost:
    """A cost that takes a stack of parameters, with a leading axis, and returns one cost a row.

    Parameters
    ----------
    cost, layout, theta, args : as in ``PythonCost``.
    memory_limit : bytes that a stack and what the cost makes of it may take.
    """

    def __init__(
        self, cost: Cost, layout: Layout, theta: Array, args: tuple[Any, ...], memory_limit: int
    ) -> None:
        self.cost, self.layout, self.theta, self.args = cost, layout, theta, args
        self.memory_limit = memory_limit
        self.stops = np.array([tensor.stop for tensor in layout.tensors])
        self.paces: dict[np.dtype[Any], Pace] = {}
        self.stacks: dict[np.dtype[Any], list[NDArray[Any]]] = {}

    def at(self, theta: Any) -> Any:
        """Return the cost of one vector."""
        vector = np.asarray(theta)
        try:
            return self._costs(self._repeated(vector, 1), 1, vector.dtype)[0].item()
        except Exception as error:
            error.add_note("fastcheck: raised by the cost with a stack of one row: with vectorized=True every "
                           "parameter has a leading axis, for many points at once")
            raise

    def costs_at(self, positions: Indices, values: NDArray[Any]) -> NDArray[Any]:
        """Return costs with some entries moved."""
        count, dtype = len(positions), values.dtype
        if not count:
            return np.empty(0, dtype=dtype)
        positions, values = positions.reshape(count, -1), values.reshape(count, -1)
        pace, out, done, most = self._pace(dtype), np.empty(count, dtype=dtype), 0, 0
        while done < count:
            rows = min(pace.rows, count - done)
            block = slice(done, done + rows)
            started = time.perf_counter()
            out[block] = self._block(positions[block], values[block])
            pace.took(rows, time.perf_counter() - started)
            done, most = block.stop, max(most, rows)
        for tensor, stack in zip(self.layout.tensors, self.stacks[dtype], strict=True):
            used = stack[:most].reshape(most, -1)
            require_unchanged(used, np.broadcast_to(self.theta[tensor.start : tensor.stop], used.shape))
        return out

    def _block(self, positions: Indices, values: NDArray[Any]) -> NDArray[Any]:
        """Return costs of one stack; both (rows, w)."""
        rows, dtype = len(positions), values.dtype
        if len(self.stacks.get(dtype, [()])[0]) < rows:
            self.stacks[dtype] = self._repeated(self.theta.astype(dtype), rows)
        stacks = [stack[:rows] for stack in self.stacks[dtype]]
        owner = np.searchsorted(self.stops, positions, side="right")
        places = []
        for t in np.unique(owner):
            row, column = np.nonzero(owner == t)
            entries = positions[row, column]
            places.append((stacks[t].reshape(rows, -1), row, entries - self.layout.tensors[t].start, entries))
            places[-1][0][row, places[-1][2]] = values[row, column]
        try:
            return self._costs(stacks, rows, dtype)
        except Exception as error:
            first, last = (self.layout.place(int(positions[row, 0])) for row in (0, -1))
            error.add_note(f"fastcheck: raised by the cost with a stack of {rows} rows, {first} to {last} moved")
            raise
        finally:
            for stack, row, column, entries in places:
                stack[row, column] = self.theta[entries]

    def _pace(self, dtype: np.dtype[Any]) -> Pace:
        if dtype not in self.paces:
            bytes_each = self.theta.size * dtype.itemsize
            most = max(1, self.memory_limit // (HEADROOM * bytes_each))
            self.paces[dtype] = Pace(max(1, min(ROWS, STACK_BYTES // bytes_each)), most)
        return self.paces[dtype]

    def _repeated(self, theta: NDArray[Any], rows: int) -> list[NDArray[Any]]:
        return [np.repeat(theta[None, t.start : t.stop], rows, axis=0).reshape((rows, *t.shape))
                for t in self.layout.tensors]

    def _costs(self, stacks: list[NDArray[Any]], rows: int, dtype: np.dtype[Any]) -> NDArray[Any]:
        with np.errstate(all="ignore"):
            found = np.asarray(self.cost(self.layout.stacked(stacks), *self.args))
        if found.dtype.kind not in ("fiuc" if dtype.kind == "c" else "fiu"):
            remedy = "; return their real parts" if found.dtype.kind == "c" else ""
            raise TypeError(f"cost: expected real numbers for a stack of parameters, got dtype {found.dtype}{remedy}")
        if found.shape not in ((rows,), (rows, 1)):
            raise ValueError(
                f"cost: expected shape ({rows},) for a stack of {rows} parameter sets, got shape {found.shape}; with "
                "vectorized=True it must keep the leading axis and reduce all others"
            )
        return found.reshape(rows)
