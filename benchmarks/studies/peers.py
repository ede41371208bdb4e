"""fastcheck beside other ways to check a gradient: time for all parameters, error, and what each says.

Each way is asked about a right gradient, and about one of which a single entry, of middling size, is wrong by 1 %.
Where all parameters would take more than half a minute, a way is timed on a random sample that holds that entry, and
multiplied up; its error and its words then are of the sample.

    pip install --editable .[peers]
    python -m benchmarks.studies.peers [--networks course digits mnist-relu] [--chart benchmarks/data/peers.png]
"""

import argparse
import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Column, Table

import fastcheck as fc
from benchmarks.data.networks import STANDARD, Array, Case
from benchmarks.measure import processor, readable, readable_ratio, seconds_of
from benchmarks.studies.peer_ways import MAKERS, Way

AFFORDABLE = 30.0  # seconds for all parameters, above which a sample is timed
SAMPLE_SECONDS = 4.0
QUICK = 2.0  # a call shorter than this is timed so often, in turn with fastcheck
ROUNDS = 7


@dataclass(frozen=True)
class Result:
    """One way on one network: seconds for all parameters, in units of fastcheck's beside it, the number of parameters
    they were measured on, the error, and its words.
    """

    way: str
    seconds: float
    ratio: float
    sample: int
    error: float
    right: str
    wrong: str


def measure(way: Way, gradient: Array, suspect: int, ours: Callable[[], Any]) -> Result:
    """Time a way in turn with fastcheck, and ask it about a right and a wrong gradient."""
    n = gradient.size
    everything = np.arange(n)
    positions = everything if way.whole else affordable(way, gradient, suspect)
    wrong = gradient.copy()
    wrong[suspect] *= 1.01

    def work() -> Any:
        return way.derivatives(positions) if way.derivatives else way.says(gradient, positions, None)

    found = work()
    ours()
    times, beside = [], []
    short = seconds_of(work) < QUICK
    while not times or (short and len(times) < ROUNDS):
        beside.append(seconds_of(ours))
        times.append(seconds_of(work) * n / positions.size)
    error = math.nan
    if way.derivatives:
        true = gradient[positions]
        error = float(np.linalg.norm(found - true) / np.linalg.norm(true))
    ratio = statistics.median(theirs / mine for theirs, mine in zip(times, beside, strict=True))
    if way.name == "fastcheck":
        ratio = 1.0
    words = [way.says(asked, positions, found) for asked in (gradient, wrong)]
    return Result(way.name, statistics.median(times), ratio, positions.size, error, *words)


def affordable(way: Way, gradient: Array, suspect: int) -> Any:
    """All positions, or as many random ones, the suspect among them, as take some seconds."""
    n = gradient.size
    order = np.random.default_rng(1).permutation(n)
    order = np.concatenate([[suspect], order[order != suspect]])
    trial = order[: min(n, max(way.batch, 8))]

    def work() -> Any:
        return way.derivatives(trial) if way.derivatives else way.says(gradient, trial, None)

    work()
    each = seconds_of(work) / trial.size
    if each * n <= AFFORDABLE:
        return np.arange(n)
    return np.sort(order[: min(n, max(trial.size, int(SAMPLE_SECONDS / each) // way.batch * way.batch))])


def middling(gradient: Array) -> int:
    """The position of the entry whose size is the median of those that are not zero."""
    order = np.argsort(np.abs(gradient))
    return int(order[np.searchsorted(np.abs(gradient)[order], 0.0, side="right") :][np.count_nonzero(gradient) // 2])


def results_of(case: Case, makers: Sequence[str], console: Console) -> list[Result]:
    """Every way on one network; those whose library is missing are skipped with a line that says so."""
    gradient = case.net.to_vector({name.removeprefix("d"): g for name, g in case.gradients.items()})
    suspect, found = middling(gradient), []

    def ours() -> None:
        fc.check(case.net, case.parameters, case.gradients, case.X, case.Y)

    for maker in makers:
        try:
            for way in MAKERS[maker](case):
                with console.status(f"{case.name}: {way.name}"):
                    found.append(measure(way, gradient, suspect, ours))
        except ModuleNotFoundError as error:
            console.print(f"{maker} skipped: {error.name} is not installed (pip install --editable .[peers])")
    return found


def table_of(case: Case, results: Sequence[Result]) -> Table:
    """One line for each way."""
    table = Table(Column("way", overflow="fold"), "time", "x fastcheck", "timed on", "error", "of a right one",
                  "of a wrong one", title=f"{case.name}, {case.X.shape[1]} samples, {case.net.size:,} parameters")
    for r in results:
        part = "all" if r.sample == case.net.size else f"{r.sample:,}"
        table.add_row(r.way, readable(r.seconds), readable_ratio(r.ratio), part,
                      f"{r.error:.0e}" if r.error == r.error else "", r.right, r.wrong)
    return table


def draw(found: dict[str, tuple[Case, list[Result]]], path: Path) -> None:
    """A bar for each way on each network, logarithmic; pale ones are multiplied up from a sample."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.0, 1.0 + 0.27 * sum(len(results) + 1 for _, results in found.values())),
                    layout="constrained")
    heights = [len(results) for _, results in found.values()]
    for axes, (case, results) in zip(figure.subplots(len(found), 1, height_ratios=heights, squeeze=False)[:, 0],
                                     found.values(), strict=True):
        for row, r in enumerate(results):
            colour = "#2e7d32" if r.way == "fastcheck" else "#5b6b7b"
            pale = r.sample < case.net.size
            axes.barh(row, r.seconds, height=0.7, color="#c3cbd3" if pale else colour)
            misjudged = [text for text, wrong in (("calls the right gradient wrong", r.right.startswith("wrong")),
                                                  ("misses the wrong entry", r.wrong.startswith("right"))) if wrong]
            axes.text(r.seconds * 1.15, row, ", ".join([readable(r.seconds), *misjudged]), va="center", fontsize=8,
                      color="#c62828" if misjudged else "black")
        axes.set_xscale("log")
        axes.set_xlim(min(r.seconds for r in results) / 3.0, max(r.seconds for r in results) * 60.0)
        axes.set_yticks(range(len(results)), [r.way for r in results], fontsize=8)
        axes.invert_yaxis()
        axes.tick_params(axis="x", labelsize=8)
        axes.set_title(f"{case.name}, {case.X.shape[1]} samples: {case.net.size:,} parameters", fontsize=9, loc="left")
        axes.spines[["top", "right"]].set_visible(False)
    axes.set_xlabel("seconds for all parameters (pale: multiplied up from a sample)", fontsize=8)
    figure.savefig(path, dpi=90)


def main() -> None:
    """Print a table for each network, and draw the chart."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="*", default=["course", "digits", "mnist-relu"], choices=list(STANDARD))
    parser.add_argument("--ways", nargs="*", default=list(MAKERS), choices=list(MAKERS))
    parser.add_argument("--chart", type=Path, help="where to save the bar chart")
    given = parser.parse_args()
    console, found = Console(), {}
    ways = ["fastcheck", *(way for way in given.ways if way != "fastcheck")]
    for name in given.networks:
        case = STANDARD[name]()
        found[name] = case, results_of(case, ways, console)
        console.print(table_of(*found[name]))
    console.print("time: of all parameters, multiplied up where it was taken on fewer; error: relative, in norm, "
                  "against back-propagation; of a right one, of a wrong one: what it says of the right gradient and of "
                  "one with one entry wrong by 1 %, by its own verdict, else by the rule that a difference above 1e-7 "
                  f"is a mistake.  {processor()}", highlight=False)
    if given.chart:
        draw(found, given.chart)


if __name__ == "__main__":
    main()
