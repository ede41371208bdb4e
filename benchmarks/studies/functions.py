"""``fastcheck.check_function`` against the textbook's loop, SciPy, numdifftools and torch: accuracy and speed.

Accuracy: relative error of the gradient, geometric mean over random points, and evaluations for each derivative,
on classic functions.  Speed: networks of a thousand parameters, wide and deep, in NumPy, Numba and C, timed in turn.

    python -m benchmarks.studies.functions [--points 10] [--rounds 7]
"""

import argparse
import ctypes
import os
import statistics
import subprocess
import tempfile
import warnings
from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy.optimize._numdiff import approx_derivative

import fastcheck as fc
from benchmarks.data.network_costs import C_SOURCE, DEEP, WIDE, NetworkCost, numpy_cost, stacked_cost
from benchmarks.measure import readable, seconds_of
from benchmarks.studies.classics import CLASSICS, Classic

try:
    import numdifftools
except ImportError:
    numdifftools = None
try:
    import torch
except ImportError:
    torch = None

METHODS: dict[str, dict[str, Any]] = {
    "order 2": {"order": 2}, "order 4": {"order": 4}, "order 6": {"order": 6},
    "complex": {"complex_step": True},
}
# Sums in any order, as the jitted costs are allowed them too.
SUMS = "-fassociative-math", "-fno-signed-zeros", "-fno-trapping-math", "-freciprocal-math"
# Below this relative error there is nothing to gain: it is what the rounding of the cost itself leaves.
LEAST = 1e-14
FAILED: list[str] = []


class Counted:
    """A cost that counts its calls."""

    def __init__(self, cost: Callable[[Any], Any]) -> None:
        self.cost, self.calls = cost, 0

    def __call__(self, x: Any, *args: Any) -> Any:
        self.calls += 1
        return self.cost(x, *args)


def relative_error(found: Any, wanted: Any) -> float:
    """Of a gradient, in norm; one where it is not finite."""
    error = float(np.linalg.norm(np.ravel(found) - wanted) / np.linalg.norm(wanted))
    return error if np.isfinite(error) else 1.0


def gradients(classic: Classic, x: Any, wanted: Any) -> dict[str, tuple[float, float]]:
    """Relative error and evaluations for each derivative, by method, at one point."""
    found = {}
    for name, options in METHODS.items():
        cost = Counted(classic)
        report = fc.check_function(cost, x, wanted, engine="differences", **options)
        if report.verdict == "fail":
            FAILED.append(f"{name}: a right gradient failed at {x}")
        found[name] = relative_error(report.gradapprox, wanted), cost.calls / x.size
    others: dict[str, Callable[[Any], Any]] = {"SciPy 3-point": lambda cost: approx_derivative(cost, x)}
    if numdifftools is not None:
        others["numdifftools"] = lambda cost: numdifftools.Gradient(cost)(x)
    for name, method in others.items():
        cost = Counted(classic)
        try:
            found[name] = relative_error(method(cost), wanted), cost.calls / x.size
        except Exception:  # it gave up: no digit is right
            found[name] = 1.0, cost.calls / x.size
    return found


def geometric_mean(values: list[float]) -> float:
    """Of errors; zeros count as the rounding unit."""
    return float(np.exp(np.mean(np.log(np.maximum(values, 2.0**-53)))))


def accuracy(points: int) -> tuple[Table, list[str]]:
    """The table of errors and evaluations, and what was missed."""
    names = [*METHODS, "SciPy 3-point", *(["numdifftools"] if numdifftools else [])]
    table = Table("function", *names, title="relative error (evaluations for each derivative)")
    missed = []
    for label, classic in CLASSICS.items():
        rows = []
        for seed in range(points):
            x = classic.point(seed)
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                rows.append(gradients(classic, x, classic.gradient(x)))
        errors = {name: geometric_mean([row[name][0] for row in rows]) for name in names}
        calls = {name: float(np.mean([row[name][1] for row in rows])) for name in names}
        table.add_row(label, *(f"{errors[name]:.0e} ({calls[name]:.0f})" for name in names))
        if errors["order 2"] > max(errors["SciPy 3-point"], LEAST):
            missed.append(f"{label}: order 2 {errors['order 2']:.1e}, SciPy {errors['SciPy 3-point']:.1e}")
        if numdifftools and errors["order 6"] > 10.0 * max(errors["numdifftools"], LEAST):
            missed.append(f"{label}: order 6 {errors['order 6']:.1e}, numdifftools {errors['numdifftools']:.1e}")
        if errors["complex"] > LEAST:
            missed.append(f"{label}: complex step {errors['complex']:.1e}")
    return table, missed


def textbook_loop(cost: Any, theta: Any, args: tuple[Any, ...], epsilon: float = 1e-7) -> Any:
    """The textbook's loop: two whole evaluations of a copy for each parameter."""
    found = np.empty(theta.size)
    for k in range(theta.size):
        above, below = np.copy(theta), np.copy(theta)
        above[k] += epsilon
        below[k] -= epsilon
        found[k] = (cost(above, *args) - cost(below, *args)) / (2.0 * epsilon)
    return found


def c_cost(problem: NetworkCost) -> tuple[Any, tuple[Any, ...]] | None:
    """The cost as a C function, with its data; None without a compiler."""
    folder = Path(tempfile.mkdtemp())
    (folder / "cost.c").write_text(C_SOURCE)
    command = ["cc", "-O3", "-march=native", *SUMS, "-shared", "-fPIC", "-o", str(folder / "cost.so"),
               str(folder / "cost.c"), "-lm"]
    try:
        subprocess.run(command, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    function = ctypes.CDLL(str(folder / "cost.so")).cost
    function.restype = ctypes.c_double
    return function, (problem.packed(),)


def rivals(problem: NetworkCost, *, slow: bool) -> dict[str, Callable[[], Any]]:
    """Ways to the gradient of one cost, by name; the first is the textbook's.  ``slow`` ones too, or not."""
    theta, gradient, args, jitted = problem.theta, problem.gradient, problem.args, problem.jitted
    ways: dict[str, Callable[[], Any]] = {
        "textbook loop, NumPy": lambda: textbook_loop(numpy_cost, theta, args),
        "textbook loop, jitted": lambda: textbook_loop(jitted, theta, args),
        "SciPy 3-point, NumPy": lambda: approx_derivative(numpy_cost, theta, args=args),
        "SciPy 3-point, jitted": lambda: approx_derivative(jitted, theta, args=args),
        "fastcheck, NumPy": lambda: fc.check_function(numpy_cost, theta, gradient, args),
        "fastcheck, vectorized": lambda: fc.check_function(stacked_cost, theta, gradient, args, vectorized=True),
        "fastcheck, jitted, 1 thread": lambda: fc.check_function(jitted, theta, gradient, args, threads=1),
        "fastcheck, jitted": lambda: fc.check_function(jitted, theta, gradient, args),
        "fastcheck, jitted, order 6": lambda: fc.check_function(jitted, theta, gradient, args, order=6),
        "fastcheck, directional": lambda: fc.check_function(numpy_cost, theta, gradient, args, method="directional"),
    }
    foreign = c_cost(problem)
    if foreign is not None:
        ways["fastcheck, C"] = lambda: fc.check_function(foreign[0], theta, gradient, foreign[1])
    if numdifftools is not None and slow:
        ways["numdifftools, jitted"] = lambda: numdifftools.Gradient(jitted)(theta, *args)
    if torch is not None and slow:
        ways["torch gradcheck"] = torch_gradcheck(problem)
    return ways


def torch_gradcheck(problem: NetworkCost) -> Callable[[], Any]:
    """torch.autograd.gradcheck (slow mode) of the same network."""
    parameters = [torch.tensor(p, dtype=torch.float64, requires_grad=True) for p in problem.parameters()]
    X, Y = (torch.tensor(a, dtype=torch.float64) for a in problem.args[:2])

    def cost(*tensors: Any) -> Any:
        a = X
        for W, b in zip(tensors[:-2:2], tensors[1:-2:2], strict=True):
            a = torch.relu(W @ a + b)
        a = torch.sigmoid(tensors[-2] @ a + tensors[-1])
        return (-torch.log(a) * Y - torch.log(1.0 - a) * (1.0 - Y)).sum() / X.shape[1]

    return lambda: torch.autograd.gradcheck(cost, parameters)


def named(widths: tuple[int, ...]) -> str:
    """The widths, repeated ones once."""
    runs = [(width, len(list(run))) for width, run in groupby(widths)]
    return "-".join(str(width) if times == 1 else f"{width} ({times} times)" for width, times in runs)


def speed(rounds: int, problem: NetworkCost, *, slow: bool) -> Table:
    """Times of all ways to one gradient, in turn."""
    ways = rivals(problem, slow=slow)
    for way in ways.values():
        way()
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            times[name].append(seconds_of(way))
    table = Table("way", "time", "spread", "times the loop's speed", "times the jitted loop's", "relative error",
                  title=f"{named(problem.widths)}: {problem.theta.size:,} parameters, "
                        f"{problem.X.shape[1]} samples, {os.cpu_count()} cores")
    for name, way in ways.items():
        middle = statistics.median(times[name])
        against = [
            statistics.median(a / b for a, b in zip(times[other], times[name], strict=True))
            for other in ("textbook loop, NumPy", "textbook loop, jitted")
        ]
        result = way()
        found = result.gradapprox if isinstance(result, fc.Report) else result
        whole = np.ndim(found) == 1 and np.size(found) == problem.theta.size
        error = f"{relative_error(found, problem.gradient):.0e}" if whole else "-"
        table.add_row(name, readable(middle), f"{min(times[name]) / middle:.2f}-{max(times[name]) / middle:.2f}",
                      f"{against[0]:.1f}", f"{against[1]:.2f}", error)
    return table


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=10, help="random points for each function")
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    console = Console(width=150)
    for name, module in (("numdifftools", numdifftools), ("torch", torch)):
        if module is None:
            console.print(f"{name} is not installed: skipped")
    table, missed = accuracy(arguments.points)
    console.print(table)
    console.print(f"errors below {LEAST:g} count as that where methods are compared")
    console.print("\n".join(missed) or "order 2 is at least as accurate as SciPy's 3-point, order 6 within one digit "
                  "of numdifftools, and the complex step right to rounding, on every function")
    console.print("\n".join(FAILED) or "no right gradient failed")
    for widths, samples in ((WIDE, 5), (WIDE, 200), (DEEP, 1)):
        console.print(speed(arguments.rounds, NetworkCost.random(samples, widths), slow=samples == 5))


if __name__ == "__main__":
    main()
