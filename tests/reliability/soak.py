"""Random networks with random mistakes, for as long as one likes: checks, misses and false alarms.

    python -m tests.reliability.soak MINUTES [--processes 1] [--first 0]

Each network is judged with its right gradients, then with every mistake of the corpus that can be planted in it.
Prints a line a minute and a table at the end; exits with 1 if anything was misjudged.
"""

import argparse
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from itertools import count

import numpy as np
from rich.console import Console
from rich.table import Table

from fastcheck import Network
from fastcheck._constants import TOLERANCE
from fastcheck._errors import EngineError
from tests.reliability.bugs import BUGS, Planted
from tests.reliability.corpus import Case, found_for, outcomes
from tests.reliability.random_networks import KINDS, draw, outcome
from tests.support.problems import gradient

CONSOLE = Console(width=110)
# Mistakes are planted in networks without kinks or extreme numbers, where a right answer is sure to exist.
PLANTED_IN = ("plain", "deep")
# A mistake that moves no tensor by more than the tolerance, relatively, is none.
SMALL = TOLERANCE


def one(seed: int) -> tuple[str, Counter[str], list[str]]:
    """What came of the network of a seed: its kind, counts, and what was misjudged."""
    drawn = draw(seed)
    verdict, report = outcome(drawn)
    counts, wrong = Counter({"checks": 1, "right gradients": 1}), []
    if verdict in ("fail", "engine error"):
        counts["false alarms"] += 1
    counts[verdict] += 1
    if verdict not in ("pass", "nothing exercised"):
        wrong.append(f"{drawn}: right gradients called {verdict}\n{report}")
    if drawn.kind in PLANTED_IN and verdict == "pass" and max(drawn.net.widths) <= 12:
        try:
            for planted in outcomes(Case(str(drawn), drawn.net, [bug.number for bug in BUGS]), seed):
                counts["checks"] += 1
                counts["mistakes"] += 1
                small = not planted.found and moved(drawn.net, planted.planted, seed) <= SMALL
                counts["too small"] += small
                if not planted.found and not small:
                    counts["misses" if planted.report.ok else "doubtful"] += 1
                    wrong.append(f"{drawn}: missed {planted}")
        except EngineError as error:
            counts["false alarms"] += 1
            wrong.append(f"{drawn}: {error}")
        found_for.cache_clear()
    return drawn.kind, counts, wrong


def moved(net: Network, planted: Planted, seed: int) -> float:
    """By how much a mistake moves the tensor that it moves most, relatively."""
    given, _ = found_for(net, seed, "response")
    right = net.to_parameters(gradient(given))
    changes = []
    for name, array in right.items():
        other = np.asarray(planted.gradients[name])
        size = np.linalg.norm(array) + np.linalg.norm(other)
        changes.append(np.linalg.norm(other - array) / size if size else 0.0)
    return float(max(changes))


def soak(minutes: float, processes: int, first: int) -> int:
    """Check until the time is over, print, and return how many were misjudged."""
    start = minute = time.monotonic()
    totals: dict[str, Counter[str]] = {kind: Counter() for kind in KINDS}
    bad = 0
    seeds = count(first)
    pool = ProcessPoolExecutor(processes) if processes > 1 else None
    while time.monotonic() - start < 60 * minutes:
        batch = [next(seeds) for _ in range(50 * processes)]
        for kind, counts, wrong in pool.map(one, batch, chunksize=10) if pool else map(one, batch):
            totals[kind] += counts
            bad += len(wrong)
            for sentence in wrong[:3]:
                CONSOLE.print(sentence, markup=False)
        if time.monotonic() - minute >= 60 or time.monotonic() - start >= 60 * minutes:
            minute = time.monotonic()
            every = sum(totals.values(), Counter())
            CONSOLE.print(f"{(minute - start) / 60:.1f} min: {every['checks']:,} checks, {every['misses']:,} misses, "
                          f"{every['false alarms']:,} false alarms")
    if pool:
        pool.shutdown()
    headings = ("checks", "right gradients", "false alarms", "inconclusive", "nothing exercised", "mistakes", "misses",
                "doubtful", "too small")
    table = Table(title=f"{minutes:g} minutes, seeds {first} to {next(seeds) - 1}")
    table.add_column("kind")
    for heading in headings:
        table.add_column(heading, justify="right", min_width=max(map(len, heading.split())))
    for kind in KINDS:
        table.add_row(kind, *(f"{totals[kind][heading]:,}" for heading in headings))
    every = sum(totals.values(), Counter())
    table.add_section()
    table.add_row("all", *(f"{every[heading]:,}" for heading in headings))
    CONSOLE.print(table)
    return bad


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("minutes", type=float)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="first seed")
    chosen = parser.parse_args()
    sys.exit(1 if soak(chosen.minutes, chosen.processes, chosen.first) else 0)


if __name__ == "__main__":
    main()
