"""Trials of the gate itself: how often it raises a false alarm, and whether it catches a planted slowdown.

The baseline is held against itself, every other time beside a busy neighbour; then a third of the benchmarks at a
time is made 1.3 times slower (by really working, see ``paired.Paired``), and the gate must name exactly those.
Trials are appended to a log, so that many can be run in several sittings.

    python -m benchmarks.gate.trials --same 30 --slowed 10 [--fresh] [--limit 1.15] [--log .benchmarks/trials.jsonl]
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from benchmarks.gate import baseline as known
from benchmarks.gate.judge import LIMIT, MISSING, SLOWER, gate
from benchmarks.gate.neighbour import neighbour
from benchmarks.gate.paired import SLOWDOWN
from benchmarks.gate.runner import ROOT, measure, node
from benchmarks.measure import processor, readable


@contextmanager
def slowed(names: list[str], factor: float) -> Iterator[None]:
    """Those benchmarks slower, in processes started meanwhile."""
    os.environ[SLOWDOWN] = f"{factor}:{','.join(map(node, names))}"
    try:
        yield
    finally:
        del os.environ[SLOWDOWN]


def trial(ratios: dict[str, float], limit: float, planted: list[str]) -> dict[str, Any]:
    """One run of the gate, as a line of the log."""
    started = time.perf_counter()
    outcome = gate(ratios, ratios, measure, limit)
    alarms = outcome.named(SLOWER, MISSING)
    return {
        "planted": planted, "caught": [name for name in alarms if name in planted],
        "false": [name for name in alarms if name not in planted], "trouble": outcome.trouble,
        "processes": outcome.processes, "seconds": time.perf_counter() - started, "limit": limit,
        "load": os.getloadavg()[0],
        "suspects": sum(len(row.ratios) > 1 for row in outcome.rows if row.name not in planted),
        "changes": {row.name: [ratio / row.baseline for ratio in row.ratios] for row in outcome.rows},
    }


def summary(lines: list[dict[str, Any]], limit: float) -> list[str]:
    """The log in words."""
    same = [line for line in lines if not line["planted"]]
    slow = [line for line in lines if line["planted"]]
    texts = []
    for busy in (False, True):
        runs = [line for line in same if line["busy"] == busy]
        if runs:
            texts.append(f"{len(runs)} runs against the baseline itself{', beside a busy neighbour' if busy else ''}: "
                         f"{sum(bool(line['false'] or line['trouble']) for line in runs)} false alarms; "
                         f"{spread(runs)}; {readable(float(np.median([line['seconds'] for line in runs])))} each")
    if slow:
        planted, caught = (sum(len(line[key]) for line in slow) for key in ("planted", "caught"))
        texts.append(f"{len(slow)} runs with slowdowns planted: {sum(bool(line['caught']) for line in slow)} failed, "
                     f"{caught} of {planted} caught, {sum(len(line['false']) for line in slow)} others accused")
    return [*texts, f"limit {limit:g} in three of three processes; {processor()}"]


def spread(runs: list[dict[str, Any]]) -> str:
    """How far a single process's ratios lie from the baseline, and how many were suspect."""
    changes = np.array([first for run in runs for first, *_ in run["changes"].values()])
    low, high = np.quantile(changes, [0.005, 0.995])
    return (f"{sum(run['suspects'] for run in runs)} of {changes.size} ratios suspect at first, "
            f"99 % of them within {low:.2f} to {high:.2f} of the baseline")


def main() -> int:
    """Run the trials that the log lacks, and print what it says; 1 for a false alarm or a miss."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--same", type=int, default=30, help="runs against the baseline itself, in all")
    parser.add_argument("--slowed", type=int, default=10, help="runs with planted slowdowns, in all")
    parser.add_argument("--factor", type=float, default=1.3, help="of the planted slowdowns")
    parser.add_argument("--limit", type=float, default=LIMIT)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin no further trial after so long")
    parser.add_argument("--log", type=Path, default=ROOT / ".benchmarks" / "trials.jsonl")
    parser.add_argument("--fresh", action="store_true", help="forget the log")
    parser.add_argument("--baseline", type=Path, default=known.PATH)
    given = parser.parse_args()
    console, started = Console(), time.perf_counter()
    entries = known.load(given.baseline)
    if reason := known.unjudged(entries):
        parser.error(f"{reason}; run scripts/bench --rebaseline first")
    ratios = {name: found["ratio"] for name, found in entries[processor()]["benchmarks"].items()}
    timed = [name for name, found in entries[processor()]["benchmarks"].items() if found["mixture"] != "memory peak"]
    given.log.parent.mkdir(exist_ok=True)
    if given.fresh:
        given.log.unlink(missing_ok=True)
    lines = [json.loads(line) for line in given.log.read_text().splitlines()] if given.log.exists() else []
    for kind, wanted in (("same", given.same), ("slowed", given.slowed)):
        for number in range(sum(bool(line["planted"]) == (kind == "slowed") for line in lines), wanted):
            if time.perf_counter() - started > given.seconds:
                break
            busy = number % 2 == 1
            planted = timed[number % 3 :: 3] if kind == "slowed" else []
            with neighbour() if busy else nullcontext(), slowed(planted, given.factor):
                line = {**trial(ratios, given.limit, planted), "busy": busy}
            lines.append(line)
            with given.log.open("a") as log:
                log.write(json.dumps(line) + "\n")
            console.print(f"{kind} {number + 1}: {len(line['caught'])} of {len(planted)} caught, false alarms "
                          f"{line['false'] or 'none'}, {line['processes']} processes, {line['seconds']:.0f} s"
                          f"{', busy' if busy else ''}{line['trouble'][-500:]}", markup=False, highlight=False)
    for text in summary(lines, given.limit):
        console.print(text, markup=False, highlight=False)
    return int(any(line["false"] or line["trouble"] or line["caught"] != line["planted"] for line in lines))


if __name__ == "__main__":
    sys.exit(main())
