"""How small a mistake is found: one entry times 1 + delta, delta from 1e-12 to 1, against the textbook's rule.

For every delta, entries of every tensor are spoiled one at a time, drawn at random among those above a share of their
tensor's root mean square; the curve is the share that fails.  The textbook's rule looks at one number for all
parameters, ||grad - gradapprox|| / (||grad|| + ||gradapprox||) > 1e-7.

    python -m tests.reliability.sensitivity [--network digits] [--entries 8] [--engine response] [--plot curve.png]
"""

import argparse
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.data.networks import STANDARD
from fastcheck.checks.network import network_problem
from fastcheck.engines.base import ENGINES, engine
from fastcheck.problems.gradients import AnalyticGradient, NumericalGradient
from fastcheck.report.report import Report
from fastcheck.runtime.run import Run

DELTAS = 10.0 ** np.arange(-12.0, 0.25, 0.5)
EPSILON = 1e-7
# Spoiled entries lie above this share of their tensor's root mean square.
SHARES = (1.0, 1e-3, 1e-6)


def report_of(subject: AnalyticGradient, differences: NumericalGradient, engine_name: str) -> Report:
    """The report on a gradient, from cost differences found once."""
    return Report.of(
        subject, differences, epsilon=EPSILON, norm=2, tolerance=None, engine=engine_name, method="all", seed=0,
        seconds=0.0,
    )


def entries(subject: AnalyticGradient, share: float, count: int, rng: np.random.Generator) -> Iterator[int]:
    """Positions of random entries of every tensor between ``share`` and thirty times that of its size."""
    for tensor in subject.tensors:
        values = np.abs(subject.gradient[tensor.start : tensor.stop])
        size = share * np.sqrt(np.mean(values**2))
        fitting = np.flatnonzero((values >= size) & (values <= 30.0 * size))
        for place in rng.permutation(fitting)[:count]:
            yield tensor.start + int(place)


def found(
    subject: AnalyticGradient, differences: NumericalGradient, engine_name: str, place: int, delta: float
) -> tuple[bool, bool]:
    """Whether one entry times 1 + delta fails, in its tensor and no other; and whether by the textbook's rule."""
    gradient = subject.gradient.copy()
    gradient[place] *= 1.0 + delta
    report = report_of(replace(subject, gradient=gradient), differences, engine_name)
    tensor = next(t for t in subject.tensors if t.start <= place < t.stop)
    placed = report.verdict == "fail" and [t.name for t in report.failures] == [tensor.name]
    return placed, report.difference > 1e-7


def curve(subject: AnalyticGradient, differences: NumericalGradient, engine_name: str, share: float, count: int) -> Any:
    """Shares found per delta, (deltas, 2): fastcheck, the textbook's rule."""
    places = list(entries(subject, share, count, np.random.default_rng(0)))
    if not places:
        return np.full((len(DELTAS), 2), np.nan)
    hits = [[found(subject, differences, engine_name, place, delta) for place in places] for delta in DELTAS]
    return np.mean(hits, axis=1)


def _percent(share: float) -> str:
    return "-" if np.isnan(share) else f"{share:.0%}"


def plot(curves: dict[float, Any], title: str, path: str) -> None:
    """Draw the curves."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.5, 4.5), layout="constrained")
    axis = figure.subplots()
    for share, size in zip(curves, (11, 7, 3), strict=True):
        label = f"fastcheck, entries above {share:g} of the root mean square"
        axis.plot(DELTAS, curves[share][:, 0], "o-", markersize=size, label=label)
    axis.plot(DELTAS, curves[SHARES[0]][:, 1], "s--", color="0.4", label=f"one number for all, above {SHARES[0]:g}")
    axis.set_xscale("log")
    axis.set_xlabel("one entry times 1 + delta")
    axis.set_ylabel("share found")
    axis.set_title(title, fontsize=10)
    axis.legend(fontsize=8)
    figure.savefig(path, dpi=120)


def main() -> None:
    """Print the curves."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--network", default="digits", help="name of a standard network")
    parser.add_argument("--entries", type=int, default=8, help="entries spoiled per tensor and delta")
    parser.add_argument("--engine", choices=ENGINES, default="response")
    parser.add_argument("--plot", help="file for a picture")
    chosen = parser.parse_args()
    case = STANDARD[chosen.network]()
    problem, subject = network_problem(case.net, case.parameters, case.gradients, case.X, case.Y)
    differences = engine(chosen.engine)(problem, None, EPSILON, Run(threads=2, memory_limit=1 << 30))
    curves = {share: curve(subject, differences, chosen.engine, share, chosen.entries) for share in SHARES}
    title = f"{case.name}, {subject.gradient.size:,} parameters, engine {chosen.engine}, epsilon {EPSILON:g}"
    table = Table(title=f"Share of single wrong entries found: {title}")
    table.add_column("delta", justify="right")
    for share in SHARES:
        table.add_column(f"above {share:g} rms", justify="right")
    table.add_column("textbook's rule", justify="right")
    for k, delta in enumerate(DELTAS):
        table.add_row(f"{delta:.0e}", *(_percent(curves[s][k, 0]) for s in SHARES), _percent(curves[SHARES[0]][k, 1]))
    Console(width=100).print(table)
    if chosen.plot:
        plot(curves, title, chosen.plot)


if __name__ == "__main__":
    main()
