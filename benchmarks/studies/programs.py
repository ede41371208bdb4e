"""Programs in plain NumPy: what their checks cost beside the textbook's loop, and how near the truth they come.

Two tables.  *All entries*: check_vjp of layers, check_function of small models, each in turn with the textbook's loop
over some random entries, which is multiplied up to all of them; a gradient that is wrong everywhere (doubled) in turn
with the right one; and the error of gradapprox against the complex step.  *One direction* through every entry at once,
in plain forward passes.  Times are processor seconds with BLAS at one thread: what other processes take is left out.

    python -m benchmarks.studies.programs [NAME ...] [--sizes quick] [--rounds 5] [--loop 105]
"""

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from threadpoolctl import threadpool_limits

import fastcheck as fc
from benchmarks.data.programs import SIZES, Subject, subject
from benchmarks.measure import processor, readable, readable_ratio
from fastcheck.engines.program.arrays.program import Program

EPSILON = 1e-7
# The complex step loses nothing to rounding, so that its size does not matter.
STEP = 1e-100
# Entries at which gradapprox is compared with the truth, which costs a forward pass in complex numbers each.
COMPARED = 40
# What takes less than this is timed several times at once.
LEAST_SECONDS = 0.02


@dataclass(frozen=True)
class Paired:
    """Times of two things measured in turn."""

    first: list[float]
    second: list[float]

    @property
    def ratios(self) -> list[float]:
        """The second's time by the first's, of each round."""
        return [b / a for a, b in zip(self.first, self.second, strict=True)]

    def ratio(self) -> str:
        """Median, lowest and highest."""
        found = self.ratios
        low, middle, high = (readable_ratio(r) for r in (min(found), statistics.median(found), max(found)))
        return f"{middle} ({low}-{high})"


class Check:
    """One program's check, the textbook's loop over the same cost, and the truth.

    Parameters
    ----------
    program : what is checked.
    """

    def __init__(self, program: Subject) -> None:
        self.program = program
        self.names, self.inputs = list(program.inputs), list(program.inputs.values())
        # of a layer: the first that backward is handed, which the loop and the truth share
        self.cotangent: Any = 1.0 if program.scalar else None
        self.run()

    def run(self, factor: float = 1.0) -> fc.Report:
        """Check all entries of a gradient ``factor`` times the right one."""
        if self.program.scalar:
            gradients = dict(zip(self.names, self._gradients(1.0, factor), strict=True))
            return fc.check_function(lambda p: self.program.forward(*p.values()), self.program.inputs, gradients)

        def backward(cotangent: Any, *inputs: Any) -> Any:
            if self.cotangent is None:
                self.cotangent = cotangent.copy()
            return self._gradients(cotangent, factor)

        return fc.check_vjp(self.program.forward, backward, tuple(self.inputs))

    def _gradients(self, cotangent: Any, factor: float) -> tuple[Any, ...]:
        found = self.program.backward(cotangent, *self.inputs)
        return tuple(factor * each for each in (found if isinstance(found, tuple) else (found,)))

    def cost(self, theta: Any) -> Any:
        """The cost as a function of a vector."""
        stops = np.cumsum([array.size for array in self.inputs])
        pieces = np.split(theta, stops[:-1])
        arrays = [piece.reshape(array.shape) for piece, array in zip(pieces, self.inputs, strict=True)]
        return np.sum(self.cotangent * self.program.forward(*arrays))

    @property
    def theta(self) -> Any:
        """All inputs as one vector."""
        return np.concatenate([array.ravel() for array in self.inputs])

    def loop(self, positions: Any) -> None:
        """The textbook's loop over some entries."""
        for k in positions:
            above, below = self.theta, self.theta
            above[k] += EPSILON
            below[k] -= EPSILON
            (self.cost(above) - self.cost(below)) / (2.0 * EPSILON)

    def error(self, report: fc.Report, positions: Any) -> float:
        """Largest error of gradapprox at some entries, in units of the largest gradient of the entry's tensor."""
        sizes = [array.size for array in self.inputs]
        scales = np.concatenate([np.full(size, np.max(np.abs(gradient))) for size, gradient in
                                 zip(sizes, self._gradients(self.cotangent, 1.0), strict=True)])
        found = np.concatenate([np.ravel(report.gradapprox_of(name)) for name in self.names])
        errors = []
        for k in positions:
            moved = self.theta.astype(complex)
            moved[k] += 1j * STEP
            errors.append(abs(found[k] - np.imag(self.cost(moved)) / STEP) / scales[k])
        return max(errors)


def repeated(call: Callable[[], Any]) -> float:
    """Processor seconds of one call, as the mean of as many as take ``LEAST_SECONDS``."""
    start, calls = time.process_time(), 0
    while calls == 0 or time.process_time() - start < LEAST_SECONDS:
        call()
        calls += 1
    return (time.process_time() - start) / calls


def alternate(first: Callable[[int], Any], second: Callable[[int], Any], rounds: int) -> Paired:
    """Time two functions of the round's number in turn."""
    times = Paired([], [])
    for number in range(rounds):
        times.first.append(repeated(partial(first, number)))
        times.second.append(repeated(partial(second, number)))
    return times


def all_entries(program: Subject, rounds: int, loop: int) -> list[str]:
    """One row of the first table."""
    check, n = Check(program), program.size
    report, wrong = check.run(), check.run(2.0)
    if report.verdict != "pass" or wrong.verdict != "fail":
        raise AssertionError(f"{program.name}: right {report.verdict}, doubled {wrong.verdict}")
    positions = np.random.default_rng(1).choice(n, min(n, loop), replace=False)
    pieces = np.array_split(positions, rounds)
    against_loop = alternate(lambda _: check.run(), lambda number: check.loop(pieces[number]), rounds)
    multiplied = [n / len(piece) * seconds for piece, seconds in zip(pieces, against_loop.second, strict=True)]
    against_loop = Paired(against_loop.first, multiplied)
    doubled = alternate(lambda _: check.run(), lambda _: check.run(2.0), rounds)
    return [program.name, f"{n:,}", report.engine, readable(statistics.median(against_loop.first)),
            readable(statistics.median(multiplied)), against_loop.ratio(), doubled.ratio(),
            f"{check.error(report, positions[:COMPARED]):.1e}"]


def one_direction(program: Subject, rounds: int) -> list[str]:
    """One row of the second table: a random unit direction through every entry."""
    inputs = list(program.inputs.values())
    generator = np.random.default_rng(2)
    direction = [generator.standard_normal(array.shape) for array in inputs]
    length = np.sqrt(sum(np.sum(v * v) for v in direction))
    step = 1e-7 / length
    differenced = Program(program.forward, inputs)
    signs = {1: np.ones(1), 2: np.array([1.0, -1.0])}

    def run(columns: int) -> Any:
        moved = {k: np.multiply.outer(step * signs[columns], v) for k, v in enumerate(direction)}
        return differenced.run(moved).changes[0]

    forward = [lambda _: program.forward(*inputs)] * 3
    traced = alternate(forward[0], lambda _: Program(program.forward, inputs), rounds)
    once = alternate(forward[1], lambda _: run(1), rounds)
    both = alternate(forward[2], lambda _: run(2), rounds)
    change = run(2)
    found = (change[0] - change[1]) / (2.0 * step)
    moved = program.forward(*[array + 1j * STEP * v for array, v in zip(inputs, direction, strict=True)])
    truth = np.imag(moved) / STEP
    error = np.max(np.abs(found - truth)) / np.max(np.abs(truth))
    return [program.name, f"{program.size:,}", readable(statistics.median(once.first)), traced.ratio(), once.ratio(),
            both.ratio(), f"{error:.1e}"]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=list(SIZES["full"]), help=f"of {', '.join(SIZES['full'])}")
    parser.add_argument("--sizes", choices=list(SIZES), default="full", help="quick ones only show that it runs")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--loop", type=int, default=105, help="entries on which the loop is timed")
    arguments = parser.parse_args()
    programs = [subject(name, arguments.sizes) for name in arguments.names]
    console = Console(width=150)
    with threadpool_limits(1, user_api="blas"):
        console.print(entries_table(programs, arguments.rounds, arguments.loop))
        table, missing = directions_table(programs, arguments.rounds)
    console.print(table)
    console.print("\n".join(missing) or "every program has exact differences")
    console.print(f"*   timed on {arguments.loop} random entries and multiplied up")
    console.print(f"**  medians of {arguments.rounds} rounds in turn (lowest-highest)")
    console.print(f"*** against the complex step, in units of the tensor's largest; all entries: at {COMPARED} of them")
    console.print(f"{processor()}; processor seconds, BLAS at one thread")


def entries_table(programs: list[Subject], rounds: int, loop: int) -> Table:
    """Checks of all entries."""
    table = Table("program", "entries", "engine", "fastcheck", "textbook loop*", "ratio**", "wrong : right**",
                  "error***", title="all entries")
    for program in programs:
        table.add_row(*all_entries(program, rounds, loop))
    return table


def directions_table(programs: list[Subject], rounds: int) -> tuple[Table, list[str]]:
    """Directions through everything, and sentences on programs that have no exact differences."""
    table = Table("program", "entries", "forward pass", "first pass, in these**", "one change**", "both signs**",
                  "error***", title="one direction through everything")
    missing = []
    for program in programs:
        try:
            table.add_row(*one_direction(program, rounds))
        except fc.NoRule as error:
            missing.append(f"{program.name}: {error}")
    return table, missing

if __name__ == "__main__":
    main()
