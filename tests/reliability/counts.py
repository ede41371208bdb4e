"""How often the verdict is right: the corpus of planted mistakes, and random networks whose gradients are right.

    python -m tests.reliability.counts [--networks 20000] [--seeds 5] [--first 0]

Exits with 1 if a mistake is missed, or a right gradient is called anything but right.
"""

import argparse
import sys
import time
from collections import Counter

from rich.console import Console
from rich.table import Table

from tests.reliability.bugs import BUGS
from tests.reliability.corpus import cases, outcomes
from tests.reliability.random_networks import KINDS, draw, outcome

CONSOLE = Console(width=100)


def corpus(seeds: int) -> int:
    """Plant every mistake everywhere, print the counts, and return how many were not found, placed and named."""
    planted, failed, first, promised, said = (Counter[int]() for _ in range(5))
    bad = 0
    for case in cases():
        for seed in range(seeds):
            for one in outcomes(case, seed):
                number = one.planted.bug.number
                planted[number] += 1
                failed[number] += one.found
                first[number] += one.first
                promised[number] += one.said is not None
                said[number] += bool(one.said)
                bad += not one.good
                if not one.good:
                    CONSOLE.print(f"{case.name}, seed {seed}: {one}")
    table = Table(title=f"Planted mistakes, {seeds} seeds (44 may pass with a note)")
    for heading in ("mistake", "planted", "found", "right tensor first", "right diagnosis"):
        table.add_column(heading, justify="left" if heading == "mistake" else "right")
    for bug in BUGS:
        n = bug.number
        named = f"{said[n]:,} of {promised[n]:,}" if promised[n] else "-"
        table.add_row(str(bug), f"{planted[n]:,}", f"{failed[n]:,}", f"{first[n]:,}", named)
    table.add_section()
    table.add_row("all", *(f"{counts.total():,}" for counts in (planted, failed, first)),
                  f"{said.total():,} of {promised.total():,}")
    CONSOLE.print(table)
    return bad


def right_networks(first: int, count: int) -> int:
    """Check random networks with right gradients, print the counts, and return how many were called otherwise."""
    verdicts = Counter[tuple[str, str]]()
    for seed in range(first, first + count):
        drawn = draw(seed)
        verdict, report = outcome(drawn)
        verdicts[drawn.kind, verdict] += 1
        if verdict not in ("pass", "nothing exercised"):
            CONSOLE.print(f"{drawn}\n{report}")
    headings = ("pass", "nothing exercised", "inconclusive", "engine error", "fail")
    table = Table(title=f"Right gradients of {count:,} random networks, seeds from {first}")
    table.add_column("kind")
    for heading in headings:
        table.add_column(heading, justify="right")
    for kind in KINDS:
        table.add_row(kind, *(f"{verdicts[kind, heading]:,}" for heading in headings))
    table.add_section()
    totals = [sum(verdicts[kind, heading] for kind in KINDS) for heading in headings]
    table.add_row("all", *(f"{total:,}" for total in totals))
    CONSOLE.print(table)
    return sum(totals[2:])


def main() -> None:
    """Run both and tell the time."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--networks", type=int, default=20_000, help="random networks with right gradients")
    parser.add_argument("--seeds", type=int, default=5, help="seeds of every network of the corpus")
    parser.add_argument("--first", type=int, default=0, help="first seed of the random networks")
    chosen = parser.parse_args()
    start = time.perf_counter()
    bad = corpus(chosen.seeds) if chosen.seeds else 0
    bad += right_networks(chosen.first, chosen.networks) if chosen.networks else 0
    CONSOLE.print(f"{time.perf_counter() - start:.0f} s, {bad} wrong")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
