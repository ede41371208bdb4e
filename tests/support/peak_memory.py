"""How much memory checks take beside what was there before them: run in a process of its own, one for each way.

    python -m tests.support.peak_memory response|full|reference|called|jitted|vectorized

prints {case: [bytes, bytes allowed]} as JSON.  Networks are given so many samples, and stacked functions so many
parameters, that taken at once they would need many times the memory_limit; the other functions are given so many
parameters that a few more vectors of them show.
"""

import ctypes
import gc
import json
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numba
import numpy as np

import fastcheck as fc
from fastcheck.checks.selection import METHODS
from fastcheck.engines.base import ENGINES
from fastcheck.problems.networks.cost_model import VECTORS
from tests.support.problems import data, network

STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")
HIDDEN, SAMPLES, LIMIT = 20, 20_000, 8 << 20
# Of functions: theta, gradients and costs, what is found of each entry, and what is made in passing to choose its step.
FUNCTION_VECTORS = 24
SIZES = {"called": 100_000, "jitted": 100_000, "vectorized": 2_000}
Case = tuple[str, int, int, Callable[[], fc.Report]]  # name, memory_limit, parameters, check


def resident(name: str) -> int:
    """Bytes of this process in memory: VmRSS now, VmHWM the most since the last RESET."""
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) * 1024


def growth(call: Callable[[], Any]) -> int:
    """By how many bytes a call makes the process grow, at its largest."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # what was freed before would hide what is taken now
    RESET.write_text("5")
    before = resident("VmRSS")
    call()
    return resident("VmHWM") - before


def of_network(engine: str, hidden: int, samples: int) -> Iterator[Case]:
    """Every method with right gradients, and all entries of wrong ones, which are looked into."""
    net = network([1, hidden, 1], "relu", "sigmoid", "binary_cross_entropy", 0.1)
    parameters = net.initialize(0)
    X, Y = data(net, samples)
    right = net.gradients(parameters, X, Y)
    wrong = right | {"dW1": 1.5 * right["dW1"]}

    def case(method: str, gradients: dict[str, Any]) -> Callable[[], fc.Report]:
        chosen = {"samples": 8} if method == "sample" else {}
        return lambda: fc.check(net, parameters, gradients, X, Y, engine=engine, method=method, epsilon=1e-5,
                                threads=2, memory_limit=LIMIT, **chosen)

    for method in METHODS:
        yield method, LIMIT, net.size, case(method, right)
    yield "wrong", LIMIT, net.size, case("all", wrong)


def first_squares(theta: Any) -> float:
    """Quick however long theta is."""
    return float((theta[:8] ** 2).sum())


@cache
def jitted() -> Any:
    """One for all cases: compiled once."""
    return numba.njit(first_squares)


def of_function(kind: str, size: int) -> Iterator[Case]:
    """Every method."""
    theta, gradient = np.linspace(1.0, 2.0, size), np.zeros(size)
    if kind == "vectorized":
        limit, options = LIMIT, {"cost": lambda stack: (stack**2).sum(axis=1), "vectorized": True}
        gradient = 2.0 * theta
    else:
        limit, options = 1 << 20, {"cost": jitted() if kind == "jitted" else first_squares}
        gradient[:8] = 2.0 * theta[:8]

    def case(method: str) -> Callable[[], fc.Report]:
        chosen = {"samples": 100} if method == "sample" else {}
        return lambda: fc.check_function(**options, parameters=theta, gradients=gradient, method=method, threads=2,
                                         memory_limit=limit, **chosen)

    for method in METHODS:
        yield method, limit, size, case(method)


def measured(kind: str) -> dict[str, tuple[int, int]]:
    """Growth, and what is allowed, of every case; the same checks of something tiny have loaded the code before."""
    if kind in ENGINES:
        tiny, cases, vectors = of_network(kind, HIDDEN, 2_000), of_network(kind, HIDDEN, SAMPLES), VECTORS
    else:
        tiny, cases, vectors = of_function(kind, SIZES[kind] // 10), of_function(kind, SIZES[kind]), FUNCTION_VECTORS
    for *_, check in tiny:
        check()
    found = {}
    for name, limit, size, check in cases:
        found[name] = growth(check), limit + vectors * 8 * size
    return found


if __name__ == "__main__":
    print(json.dumps(measured(sys.argv[1])))
