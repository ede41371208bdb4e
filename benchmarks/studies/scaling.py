"""How the time of a check grows with n, m, depth, width and threads, and how near the machine's limit it comes.

Times are of ``fastcheck.check`` on relu and tanh classifiers of random data, each the median of a few; exponents are
fitted by least squares to the logarithms, beside the exponents of the scheme's own operation count.

    python -m benchmarks.studies.scaling [--rounds 5] [--quick | --threads]
"""

import argparse
import os
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from rich.console import Console
from rich.table import Column, Table
from threadpoolctl import threadpool_limits

import fastcheck as fc
from benchmarks.data.networks import STANDARD, Case, case
from benchmarks.measure import dgemm_rate, operations, processor, readable, seconds_of

HIDDEN = ("relu", "tanh")


@dataclass(frozen=True)
class Sweep:
    """One thing that grows: its name, its values, and the network and samples for each."""

    name: str
    values: Sequence[int]
    widths: Callable[[int], list[int]]
    samples: Callable[[int], int]


SWEEPS = (
    Sweep("samples m", (16, 32, 64, 128, 256), lambda m: [200, 128, 128, 128, 10], lambda m: m),
    Sweep("depth", (2, 4, 8, 16), lambda depth: [128] * (depth + 1) + [10], lambda depth: 32),
    Sweep("width", (64, 128, 256, 512), lambda width: [width] * 4 + [10], lambda width: 32),
    Sweep("parameters n, by inputs", (512, 2048, 8192, 32768), lambda n_x: [n_x, 64, 64, 10], lambda n_x: 32),
)


def checking(made: Case, threads: int | None = None) -> Callable[[], None]:
    """Return a check that has run once."""

    def check() -> None:
        report = fc.check(made.net, made.parameters, made.gradients, made.X, made.Y, threads=threads)
        assert report.ok, str(report)

    check()
    return check


def time_of(made: Case, rounds: int) -> float:
    """Median time of a check, after one that warms."""
    check = checking(made)
    return statistics.median(seconds_of(check) for _ in range(rounds))


def exponent(x: Sequence[float], y: Sequence[float]) -> float:
    """Slope of log y over log x."""
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


def growth(sweep: Sweep, hidden: str, rounds: int, quick: bool) -> list[str]:
    """One row: exponents of time and of operations, and the times themselves."""
    values = sweep.values[:3] if quick else sweep.values
    cases = [case(sweep.widths(value), hidden, sweep.samples(value)) for value in values]
    times = [time_of(made, rounds) for made in cases]
    scale = [made.net.size for made in cases] if sweep.name.startswith("parameters") else values
    return [sweep.name, hidden, f"{scale[0]:,} to {scale[-1]:,}", f"{exponent(scale, times):.2f}",
            f"{exponent(scale[-2:], times[-2:]):.2f}", f"{exponent(scale, [operations(made) for made in cases]):.2f}",
            " ".join(map(readable, times))]


def growths(rounds: int, quick: bool) -> Table:
    """Everything that grows, relu and tanh."""
    numbers = (Column(name, no_wrap=True) for name in ("time", "at end", "operations"))
    table = Table("what grows", Column("hidden", no_wrap=True), "from, to", *numbers, "times",
                  title="fitted exponents: of time, of its last two values, of the operation count")
    for sweep in SWEEPS:
        for hidden in HIDDEN:
            table.add_row(*growth(sweep, hidden, rounds, quick))
    return table


def threads(rounds: int) -> Table:
    """Times on one core and more, in turn: the least of each, for other work on the machine only adds."""
    counts = sorted({1, 2, os.cpu_count() or 1})
    table = Table(Column("network", overflow="fold"), "threads", "least times", "speedup", "exponent",
                  title="threads (best possible exponent: 1)")
    for name in ("mnist-relu", "mnist-tanh", "deep-256", "deep-1024", "deep-8"):
        made = STANDARD[name]()
        checks = [checking(made, count) for count in counts]
        in_turn = [[seconds_of(check) for check in checks] for _ in range(rounds)]
        times = [min(each) for each in zip(*in_turn, strict=True)]
        table.add_row(made.name, " ".join(map(str, counts)), " ".join(map(readable, times)),
                      " ".join(f"{times[0] / t:.2f}" for t in times),
                      f"{-exponent(counts, times):.2f}" if counts[-1] > 1 else "")
    return table


def limits(rounds: int, names: Sequence[str]) -> Table:
    """How near the machine's rate of multiply-adds each standard network comes."""
    with threadpool_limits(1, user_api="blas"):
        one = dgemm_rate()
    every = dgemm_rate()
    table = Table(Column("network", overflow="fold"), "operations", "time", "rate", "of dgemm", "at dgemm",
                  title=f"multiply-adds each second: dgemm {every:.3g} on all cores, {one:.3g} on one")
    for name in names:
        made = STANDARD[name]()
        seconds, work = time_of(made, rounds), operations(made)
        table.add_row(made.name, f"{work:.3g}", readable(seconds), f"{work / seconds:.3g}/s",
                      f"{work / seconds / every:.0%}", readable(work / every))
    return table


def main() -> None:
    """Print the three tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="the three smallest values of each")
    parser.add_argument("--threads", action="store_true", help="only what threads gain")
    given = parser.parse_args()
    console = Console()
    if given.threads:
        console.print(threads(given.rounds))
        return
    console.print(growths(given.rounds, given.quick))
    console.print(threads(given.rounds))
    console.print(limits(given.rounds, list(STANDARD)[-2:] if given.quick else list(STANDARD)))
    console.print("operations: both signs of every unit and sample through every later unit, and the sums; units that "
                  "are dead and signs that mirror are skipped, so that more than 100 % is possible; at dgemm: the "
                  f"time that they would take at its rate.  {processor()}", highlight=False)


if __name__ == "__main__":
    main()
