"""The headline: ``fastcheck.check`` against the textbook's loop, all parameters, in one run.

The loop is timed on random parameters and multiplied up; the two are timed in turn.  The last columns compare with
one plain NumPy back-propagation, and, where matrix products dominate, with the machine's own dgemm rate.

    python -m benchmarks.studies.headline [NAME ...] [--rounds 7] [--loop 105] [--processor-time]

With ``--processor-time`` everything runs on one thread and is timed by the processor's time: for a machine that has
other work to do.
"""

import argparse
import statistics
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

import fastcheck as fc
from benchmarks.data.networks import STANDARD, Case
from benchmarks.measure import dgemm_rate, operations, processor_seconds_of, readable, readable_ratio, seconds_of
from fastcheck.checks.network import network_problem
from fastcheck.runtime.threads import one_blas_thread


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


def repeat(call: Callable[[], Any], times: int) -> None:
    """Call something so many times, as a loop does that looks at each result and lets go of it."""
    for _ in range(times):
        call()


def measure(case: Case, rounds: int, loop_parameters: int, clock: Callable[[Callable[[], Any]], float]) -> list[str]:
    """One row of the table."""
    threads = 1 if clock is processor_seconds_of else None

    def check() -> fc.Report:
        return fc.check(case.net, case.parameters, case.gradients, case.X, case.Y, threads=threads)

    def propagate_back() -> dict[str, Any]:
        return case.net.gradients(case.parameters, case.X, case.Y)

    report = check()
    wrong = {name: value.copy() for name, value in case.gradients.items()}
    wrong["dW1"][0, np.argmax(np.abs(wrong["dW1"][0]))] *= 1.01
    assert report.ok, str(report)
    assert fc.check(case.net, case.parameters, wrong, case.X, case.Y).verdict == "fail"
    rng, n = np.random.default_rng(1), case.net.size
    pieces = np.array_split(rng.choice(n, min(n, loop_parameters), replace=False), rounds)
    ours, theirs, backward = [], [], []
    calls = max(1, int(0.02 / clock(check)))  # of a small network so many that the clock can tell
    for piece in pieces:
        ours.append(clock(lambda: repeat(check, calls)) / calls)
        theirs.append(clock(textbook_loop(case, piece)) / len(piece) * n)
        backward.append(clock(lambda: repeat(propagate_back, calls)) / calls)
    propagations = statistics.median(a / b for a, b in zip(ours, backward, strict=True))
    fast, slow = statistics.median(ours), statistics.median(theirs)
    spread = f"{min(ours) / fast:.2f}-{max(ours) / fast:.2f}"
    share = operations(case) / fast / dgemm_rate()
    return [case.name, f"{n:,}", str(case.X.shape[1]), readable(fast), spread, readable(slow),
            readable_ratio(slow / fast), f"{report.difference:.1e}", f"{propagations:.1f}",
            f"{share:.0%}"]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=list(STANDARD), help=f"of {', '.join(STANDARD)}")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--loop", type=int, default=105, help="parameters on which the loop is timed")
    parser.add_argument("--processor-time", action="store_true", help="one thread, by the processor's time")
    arguments = parser.parse_args()
    table = Table("network", "n", "m", "fastcheck", "spread", "textbook loop*", "ratio", "difference", "back-props",
                  "of dgemm**")
    clock = processor_seconds_of if arguments.processor_time else seconds_of
    with one_blas_thread() if arguments.processor_time else nullcontext():
        for name in arguments.names:
            table.add_row(*measure(STANDARD[name](), arguments.rounds, arguments.loop, clock))
    console = Console(width=140)
    console.print(table)
    console.print(f"*  timed on {arguments.loop} random parameters and multiplied up")
    console.print("** operations of the scheme (both signs of every unit and sample through every later unit) per "
                  "second, by the rate of a 1024 x 1024 dgemm; work that is skipped makes more than 100 % possible")


if __name__ == "__main__":
    main()
