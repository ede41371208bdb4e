"""Costs that are machine code already, jitted or from C: called from a compiled loop, on several threads."""

import math
import time
from collections.abc import Callable
from contextlib import nullcontext
from functools import lru_cache
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba.extending import intrinsic
from numpy.typing import NDArray

from ..._errors import ChangedArgumentError
from ..._types import Array, Indices
from ...runtime.jit import compiled
from ...runtime.numba_parallel import launch
from ...runtime.threads import one_blas_thread, run_all
from ..parameters.layout import Layout
from .c_functions import address_of, data_address
from .evaluators import PythonCost, place_note

# A chunk of work for one thread takes about this long: short enough to interrupt, long enough to hide its overhead.
CHUNK_SECONDS = 0.02
# Shorter work is done in the caller's thread: starting another takes as long.
SERIAL_SECONDS = 0.0003
# Shortest time that a clock reading is trusted for: clocks stand still, or go back.
LEAST_SECONDS = 1e-7
# Chunks for each thread, where there is work enough: processors are not equally fast.
CHUNKS = 4
# Number of jitted costs whose compiled loops are kept.
LOOPS = 256


@lru_cache(maxsize=LOOPS)
def loop_around(cost: Any) -> Any:
    """Return the compiled loop of a jitted cost.

    Its own for each cost: to find the compiled code for a cost that is an argument takes longer than many costs do.
    """

    def loop(theta, positions, values, out, args, state):  # type: ignore[no-untyped-def]  # compiled
        work = theta.copy()
        flat = work.reshape(-1)
        before = theta.reshape(-1)
        for i in range(positions.shape[0]):
            state[0] = i
            for j in range(positions.shape[1]):
                flat[positions[i, j]] = values[i, j]
            out[i] = cost(work, *args)
            for j in range(positions.shape[1]):
                flat[positions[i, j]] = before[positions[i, j]]
        for i in range(flat.size):
            if flat[i] != before[i] and before[i] == before[i]:
                state[1] += 1

    return numba.njit(nogil=True)(loop)


def _address_code(typing, address, theta, data):  # type: ignore[no-untyped-def]  # called by the compiler
    """Call ``double f(int n, double *theta, void *data)`` at an address."""
    signature = numba.float64(numba.intp, theta, numba.intp)

    def code(context, builder, signature, arguments):  # type: ignore[no-untyped-def]  # called by the compiler
        array = context.make_array(signature.args[1])(context, builder, arguments[1])
        count = builder.trunc(builder.extract_value(array.shape, 0), ir.IntType(32))
        pointer = ir.IntType(8).as_pointer()
        kind = ir.FunctionType(ir.DoubleType(), [ir.IntType(32), array.data.type, pointer])
        function = builder.inttoptr(arguments[0], kind.as_pointer())
        return builder.call(function, [count, array.data, builder.inttoptr(arguments[2], pointer)])

    return signature, code


_call_address: Any = intrinsic(_address_code)


def _loop_around_foreign(address, theta, positions, values, out, data, state):  # type: ignore[no-untyped-def]  # compiled
    work = theta.copy()
    for i in range(positions.shape[0]):
        state[0] = i
        for j in range(positions.shape[1]):
            work[positions[i, j]] = values[i, j]
        out[i] = _call_address(address, work, data)
        for j in range(positions.shape[1]):
            work[positions[i, j]] = theta[positions[i, j]]
    for i in range(work.size):
        if work[i] != theta[i] and theta[i] == theta[i]:
            state[1] += 1


def _call_foreign(address, theta, data):  # type: ignore[no-untyped-def]  # compiled
    return _call_address(address, theta, data)


loop_around_foreign = compiled(_loop_around_foreign)
call_foreign = compiled(_call_foreign)


class Compiled:
    """A cost evaluated by a compiled loop, in chunks on several threads; no Python call for an evaluation.

    Parameters
    ----------
    layout : of the parameters.
    theta : (n,) the point of interest; never changed, each chunk works on a copy.
    loop : loop(theta, positions, values, out, state), compiled, without the interpreter's lock; it leaves the index
        under work and the number of parameters that the cost has changed in ``state``.
    call : the cost of one vector, called from Python.
    threads : how many at most.
    alone : whether the cost is itself a parallel kernel, of which only one may run at a time.
    """

    is_machine_code = True

    def __init__(
        self, layout: Layout, theta: Array, loop: Callable[..., None], call: Callable[[Any], Any], threads: int,
        *, alone: bool = False,
    ) -> None:
        self.layout, self.theta, self.threads = layout, theta, 1 if alone else threads
        self.loop = _alone(loop, threads) if alone else loop
        self.call = _alone(call, threads) if alone else call
        self.seconds = math.inf  # that an evaluation takes: the least seen, for others waited

    def at(self, theta: Any) -> Any:
        """Return the cost of one vector."""
        started = time.perf_counter()
        cost = self.call(theta)
        self._took(time.perf_counter() - started)
        return cost

    def costs_at(self, positions: Indices, values: NDArray[Any]) -> NDArray[Any]:
        """Return costs with some entries moved."""
        theta, count = self.theta.astype(values.dtype), len(positions)
        out = np.empty(count, dtype=values.dtype)
        if not count:
            return out
        positions, values = positions.reshape(count, -1), values.reshape(count, -1)
        # Is it a long or a short one?  Where nobody knows, the first evaluation is done by itself and tells.
        first = int(self.seconds == math.inf)
        if first:
            self._timed(theta, positions, values, out, slice(0, 1))
        chunks = self._chunks(first, count)
        if len(chunks) == 1:
            self._timed(theta, positions, values, out, chunks[0])
        else:
            with one_blas_thread() if self.threads > 1 else nullcontext():
                run_all(lambda chunk: self._timed(theta, positions, values, out, chunk), chunks, self.threads)
        return out

    def _chunks(self, first: int, last: int) -> list[slice]:
        """Return pieces of work for the threads; one where it would be done before another thread has started."""
        size = CHUNK_SECONDS / self.seconds
        if self.threads > 1 and self.seconds * (last - first) > SERIAL_SECONDS:
            size = min(size, max((last - first) / (CHUNKS * self.threads), SERIAL_SECONDS / 2.0 / self.seconds))
        whole = max(1, math.ceil(size))
        return [slice(start, min(start + whole, last)) for start in range(first, last, whole)]

    def _timed(
        self, theta: NDArray[Any], positions: Indices, values: NDArray[Any], out: NDArray[Any], chunk: slice
    ) -> None:
        """A chunk, which tells how long an evaluation takes."""
        started = time.perf_counter()
        self._work(theta, positions, values, out, chunk)
        self._took(time.perf_counter() - started, chunk.stop - chunk.start)

    def _took(self, seconds: float, evaluations: int = 1) -> None:
        self.seconds = min(self.seconds, max(seconds, LEAST_SECONDS) / evaluations)

    def _work(
        self, theta: NDArray[Any], positions: Indices, values: NDArray[Any], out: NDArray[Any], chunk: slice
    ) -> None:
        state = np.zeros(2, dtype=np.int64)
        try:
            self.loop(theta, positions[chunk], values[chunk], out[chunk], state)
        except Exception as error:
            error.add_note(place_note(self.layout, self.theta, positions[chunk], values[chunk], int(state[0])))
            raise
        if state[1]:
            raise ChangedArgumentError(
                f"the cost changed its own argument: {state[1]} of {theta.size} parameters differ after the calls. "
                "Work on a copy inside the cost (theta = theta.copy())"
            )


def _alone(kernel: Callable[..., Any], processors: int) -> Callable[..., Any]:
    """Return a parallel kernel as a function that waits until no other one runs."""
    return lambda *arguments: launch(lambda: kernel(*arguments), processors)


def jitted(called: PythonCost, threads: int) -> Compiled:
    """The evaluator of a Numba-jitted cost(theta, *args); the arrays in args are shared by the threads, not copied."""
    layout, args, cost = called.layout, called.args, called.cost
    shape = layout.tensors[0].shape
    compiled_loop = loop_around(cost)

    def loop(theta: Any, positions: Any, values: Any, out: Any, state: Any) -> None:
        compiled_loop(theta.reshape(shape), positions, values, out, args, state)

    alone = bool(getattr(cost, "targetoptions", {}).get("parallel"))
    return Compiled(layout, called.theta, loop, called.at, threads, alone=alone)


def foreign(cost: Any, layout: Layout, theta: Array, args: tuple[Any, ...], threads: int) -> Compiled:
    """Return the evaluator of a C function ``double f(int n, double *theta, void *data)``.

    Parameters
    ----------
    cost : scipy.LowLevelCallable, ctypes or cffi function pointer, or numba.cfunc; called from several threads at
        once unless threads=1.
    args : () or one array, ctypes object or address: what ``data`` points at.
    """
    address, data = address_of(cost)
    if args:
        data = data_address(args)

    def require_real(theta: Any) -> None:
        if theta.dtype.kind == "c":
            raise TypeError("complex_step: expected a cost that takes complex parameters, got a C function; "
                            "leave it out, or use order=6")

    def loop(theta: Any, positions: Any, values: Any, out: Any, state: Any) -> None:
        require_real(theta)
        loop_around_foreign(address, theta, positions, values, out, data, state)

    def call(theta: Any) -> float:
        require_real(theta)
        return float(call_foreign(address, theta, data))

    return Compiled(layout, theta, loop, call, threads)
