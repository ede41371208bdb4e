"""A roofline: what a check must compute and move, at the rates that this machine has in the same run.

    python -m benchmarks.studies.roofline [NAME ...] [--rounds 7]

Counted are the multiply-adds of all matrix products, and the bytes that vectors of n numbers and the columns of changes
take through memory or cache.  The bound is the sum of both at the machine's dgemm and copy rates, on one thread.  All
times are processor time, so that other work on the machine counts as little as it can.
"""

import argparse
import statistics
from itertools import pairwise

import numpy as np
from rich.console import Console
from rich.table import Table

import fastcheck as fc
from benchmarks.data.networks import STANDARD, Case
from benchmarks.measure import processor, processor_seconds_of, readable
from fastcheck.runtime.threads import one_blas_thread

# Passes over the vectors of n numbers: parameters and gradients are read and copied, the numerical gradient is written,
# and gradient and numerical gradient are read for the verdict.
VECTORS = 7
# Passes over the outputs' changes: they are written, scaled, squared, and read for their largest and for two sums.
LOSS_PASSES = 8


def multiply_adds(case: Case) -> float:
    """Of the matrix products: forward propagation, the way down from the outputs, and the sums over samples."""
    widths, m, straight = case.net.widths, case.X.shape[1], case.net.activation_entries[0].linear
    rows = m * (widths[-1] - 1)  # of the outputs' changes: the target's own is none
    total = 0.0
    for k, (inputs, units) in enumerate(pairwise(widths)):
        total += 2.0 * m * inputs * units
        if k:
            total += rows * inputs * units
        if 0 < k < len(widths) - 2 and not straight:  # second powers, of one row for each sample
            total += m * inputs * units
    return total


def moved_bytes(case: Case) -> float:
    """Through memory or cache."""
    widths, m = case.net.widths, case.X.shape[1]
    return 8.0 * (VECTORS * case.net.size + LOSS_PASSES * m * sum(widths[1:]) * (widths[-1] - 1))


def dgemm_rate(size: int = 512) -> float:
    """Multiply-adds per second of a matrix product, median of several."""
    a = np.random.default_rng(0).standard_normal((size, size))
    return size**3 / statistics.median(processor_seconds_of(lambda: a @ a) for _ in range(7))


def copy_rate(size: int = 1 << 19) -> float:
    """Bytes read and written per second by copies of 4 MiB."""
    a, b = np.zeros(size), np.zeros(size)
    return 16.0 * size / statistics.median(processor_seconds_of(lambda: np.copyto(b, a)) for _ in range(20))


def row(case: Case, rounds: int) -> list[str]:
    """One network's line."""
    def check() -> fc.Report:
        return fc.check(case.net, case.parameters, case.gradients, case.X, case.Y, threads=1)

    check()
    with one_blas_thread():
        times, backward, rates, copies = [], [], [], []
        for _ in range(rounds):
            times.append(processor_seconds_of(check))
            backward.append(processor_seconds_of(lambda: case.net.gradients(case.parameters, case.X, case.Y)))
            rates.append(dgemm_rate())
            copies.append(copy_rate())
    seconds, rate, copy = (statistics.median(values) for values in (times, rates, copies))
    products, moves = multiply_adds(case) / rate, moved_bytes(case) / copy
    ratios = [a / b for a, b in zip(times, backward, strict=True)]
    return [case.name, readable(seconds), f"{multiply_adds(case) / 1e6:,.0f} M", readable(products),
            f"{moved_bytes(case) / 1e6:,.0f} MB", readable(moves), f"{(products + moves) / seconds:.0%}",
            f"{statistics.median(ratios):.1f} ({min(ratios):.1f} to {max(ratios):.1f})"]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=["mnist-relu", "mnist-tanh", "digits"])
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    table = Table("network", "check", "multiply-adds", "at dgemm's rate", "bytes", "at the copy rate", "of the bound",
                  "back-propagations")
    for name in arguments.names:
        table.add_row(*row(STANDARD[name](), arguments.rounds))
    console = Console(width=150)
    console.print(table)
    console.print(processor(), highlight=False)


if __name__ == "__main__":
    main()
