"""What a small check takes, and where it goes: from the call to the report, what is read of that, and what costs take.

For the course's exercise and a small network on digits: the check, the truth of its report, difference and verdict, and
the text, each of a new report.  For compiled costs: the check less the time inside the compiled loops.

    python -m benchmarks.studies.small [--rounds 9] [--calls 200]
"""

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any
from unittest import mock

from rich.console import Console
from rich.table import Table

import fastcheck as fc
from benchmarks.data.network_costs import WIDE, NetworkCost
from benchmarks.data.networks import STANDARD, Case
from benchmarks.measure import processor_seconds_of, readable
from benchmarks.studies.functions import c_cost
from fastcheck.problems.functions.compiled import Compiled

READ: dict[str, Callable[[fc.Report], Any]] = {
    "nothing": lambda report: None, "bool(report)": bool, "report.difference": lambda report: report.difference,
    "report.verdict": lambda report: report.verdict, "str(report)": str, "report.to_json()": fc.Report.to_json,
}


def checks(case: Case, read: Callable[[fc.Report], Any], calls: int) -> Callable[[], None]:
    """So many checks, and what is read of each report."""
    def run() -> None:
        for _ in range(calls):
            read(fc.check(case.net, case.parameters, case.gradients, case.X, case.Y, threads=1))
    return run


def reading(rounds: int, calls: int) -> Table:
    """Times of a check and of what is read of it, in turn; what is read counts above a check of which nothing is."""
    table = Table("network", *READ, title="a check, and what reading its report adds")
    for name in ("course", "digits"):
        case = STANDARD[name]()
        runs = {what: checks(case, read, calls) for what, read in READ.items()}
        for run in runs.values():
            run()
        times: dict[str, list[float]] = {what: [] for what in READ}
        for _ in range(rounds):
            for what, run in runs.items():
                times[what].append(processor_seconds_of(run) / calls)
        bare = statistics.median(times["nothing"])
        added = [statistics.median(a - b for a, b in zip(times[what], times["nothing"], strict=True)) for what in READ]
        table.add_row(case.name, readable(bare), *("below 1 us" if seconds < 1e-6 else readable(seconds)
                                                   for seconds in added[1:]))
    return table


def fixed(rounds: int) -> Table:
    """Time of checks of compiled costs, and of that what is not spent in their compiled loops."""
    table = Table("cost", "parameters", "evaluations", "check", "in the cost", "fixed", title="check_function")
    for widths, samples in (((4, 5, 3, 1), 3), (WIDE, 5)):
        problem = NetworkCost.random(samples, widths)
        foreign = c_cost(problem)
        costs: dict[str, tuple[Any, tuple[Any, ...]]] = {"jitted": (problem.jitted, problem.args)}
        if foreign is not None:
            costs["C"] = foreign
        for name, (cost, args) in costs.items():
            table.add_row(name, f"{problem.theta.size:,}", *_fixed_of(problem, cost, args, rounds))
    return table


def _fixed_of(problem: NetworkCost, cost: Any, args: tuple[Any, ...], rounds: int) -> list[str]:
    """One row of it."""
    inside, work = [0.0], Compiled._work

    def timed(*arguments: Any) -> None:
        started = time.perf_counter()
        work(*arguments)
        inside[0] += time.perf_counter() - started

    whole, within = [], []
    with mock.patch.object(Compiled, "_work", timed):
        for _ in range(2 + 10 * rounds):
            inside[0], started = 0.0, time.perf_counter()
            report = fc.check_function(cost, problem.theta, problem.gradient, args, threads=1)
            whole.append(time.perf_counter() - started)
            within.append(inside[0])
    rest = min(a - b for a, b in zip(whole[2:], within[2:], strict=True))
    return [f"{report.facts['evaluations']:,}", readable(min(whole[2:])), readable(min(within[2:])), readable(rest)]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--calls", type=int, default=200)
    arguments = parser.parse_args()
    console = Console(width=140)
    console.print(reading(arguments.rounds, arguments.calls))
    console.print(fixed(arguments.rounds))


if __name__ == "__main__":
    main()
