"""The headline: ``fastcheck.check`` against the textbook's loop, all parameters, in one run.

The loop is timed on random parameters and multiplied up; the two are timed in turn.  The last columns compare with
one plain NumPy back-propagation, and, where matrix products dominate, with the machine's own dgemm rate.

    python -m benchmarks.headline [NAME ...] [--rounds 7] [--loop 100]
"""

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

import fastcheck as fc
from fastcheck.check import network_problem
from fastcheck.engines.block import column_operations

from .networks import STANDARD, Case


def seconds_of(call: Callable[[], Any]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def textbook_loop(case: Case, positions: Any, epsilon: float = 1e-7) -> Callable[[], None]:
    """The textbook's loop over some parameters, as the course writes it."""
    problem, _ = network_problem(case.net, case.parameters, case.gradients, case.X, case.Y)
    activations, cost = case.net.activation_entries, case.net.cost_entry.textbook

    def forward_propagation(theta: Any) -> float:
        parameters = {t.name: theta[t.start : t.stop].reshape(t.shape) for t in case.net.tensors}
        A = problem.X
        for layer, activation in enumerate(activations, 1):
            A = activation.value(parameters[f"W{layer}"] @ A + parameters[f"b{layer}"])
        return cost(A, problem.Y)

    def loop() -> None:
        for k in positions:
            theta_plus = np.copy(problem.theta)
            theta_plus[k] = theta_plus[k] + epsilon
            forward_propagation(theta_plus)
            theta_minus = np.copy(problem.theta)
            theta_minus[k] = theta_minus[k] - epsilon
            forward_propagation(theta_minus)

    return loop


def dgemm_rate(size: int = 1024) -> float:
    """Multiply-adds per second of a large matrix product on all cores."""
    a = np.random.default_rng(0).standard_normal((size, size))
    a @ a
    return size**3 / min(seconds_of(lambda: a @ a) for _ in range(7))


def operations(case: Case) -> float:
    """Multiply-adds of the scheme: both signs of every unit and sample through every later unit, and the sums."""
    widths, m = case.net.widths, case.X.shape[1]
    return sum(m * n * column_operations(widths, k) for k, n in enumerate(widths[1:])) + 2.0 * m * case.net.size


def measure(case: Case, rounds: int, loop_parameters: int) -> list[str]:
    """One row of the table."""
    def check() -> fc.Report:
        return fc.check(case.net, case.parameters, case.gradients, case.X, case.Y)

    report = check()
    wrong = {name: value.copy() for name, value in case.gradients.items()}
    wrong["dW1"][0, np.argmax(np.abs(wrong["dW1"][0]))] *= 1.01
    assert report.ok, str(report)
    assert fc.check(case.net, case.parameters, wrong, case.X, case.Y).verdict == "fail"
    rng, n = np.random.default_rng(1), case.net.size
    pieces = np.array_split(rng.choice(n, min(n, loop_parameters), replace=False), rounds)
    ours, theirs, backward = [], [], []
    for piece in pieces:
        ours.append(seconds_of(check))
        theirs.append(seconds_of(textbook_loop(case, piece)) / len(piece) * n)
        backward.append(seconds_of(lambda: case.net.gradients(case.parameters, case.X, case.Y)))
    fast, slow = statistics.median(ours), statistics.median(theirs)
    spread = f"{min(ours) / fast:.2f}-{max(ours) / fast:.2f}"
    share = operations(case) / fast / dgemm_rate()
    return [case.name, f"{n:,}", str(case.X.shape[1]), readable(fast), spread, readable(slow), f"{slow / fast:,.0f}",
            f"{report.difference:.1e}", f"{fast / statistics.median(backward):.0f}", f"{share:.0%}"]


def readable(seconds: float) -> str:
    """A time with a unit that suits it."""
    for limit, factor, unit in ((1e-3, 1e6, "us"), (1.0, 1e3, "ms"), (120.0, 1.0, "s"), (7200.0, 1 / 60, "min")):
        if seconds < limit:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds / 3600:.3g} h"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=list(STANDARD), help=f"of {', '.join(STANDARD)}")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--loop", type=int, default=105, help="parameters on which the loop is timed")
    arguments = parser.parse_args()
    table = Table("network", "n", "m", "fastcheck", "spread", "textbook loop*", "ratio", "difference", "back-props",
                  "of dgemm**")
    for name in arguments.names:
        table.add_row(*measure(STANDARD[name](), arguments.rounds, arguments.loop))
    console = Console(width=140)
    console.print(table)
    console.print(f"*  timed on {arguments.loop} random parameters and multiplied up")
    console.print("** operations of the scheme (both signs of every unit and sample through every later unit) per "
                  "second, by the rate of a 1024 x 1024 dgemm; work that is skipped makes more than 100 % possible")


if __name__ == "__main__":
    main()
