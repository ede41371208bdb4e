"""Benchmarks timed in turn with a frozen reference, and the gate on their ratios.

    python -m benchmarks [NAMES ...]                 run, print a table, write the JSON
    python -m benchmarks --gate [--limit 1.15]       exit with 1 if one is slower than its baseline, failed or missing
    python -m benchmarks --rebaseline [NAMES ...]    measure in fresh processes and write baseline.json
"""

import argparse
import functools
import json
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from benchmarks.gate import baseline as known
from benchmarks.gate.judge import LIMIT, OK, Outcome, gate, sentences
from benchmarks.gate.neighbour import neighbour
from benchmarks.gate.runner import ROOT, measure
from benchmarks.measure import processor, readable, versions

LATEST = ROOT / ".benchmarks" / "latest.json"


def results_table(results: dict[str, dict[str, Any]]) -> Table:
    """One line for each benchmark."""
    table = Table("benchmark", "time", "ratio", "+-", "reference")
    for name, info in results.items():
        more = "; ".join(f"{key} {info[key]:g}" for key in ("nanoseconds per element", "peak MiB") if key in info)
        ratio, spread = (f"{info['ratio']:.3f}", f"{info['spread']:.1%}") if "ratio" in info else ("", "")
        table.add_row(escape(name), readable(info["seconds"]), ratio, spread, info.get("mixture", "") or more)
    return table


def gate_table(outcome: Outcome) -> Table:
    """One line for each benchmark, suspects with every process's ratio."""
    table = Table("benchmark", "ratio", "baseline", "change", "state")
    for row in outcome.rows:
        change = f"{row.change - 1.0:+.0%}" if row.change == row.change else ""
        baseline = f"{row.baseline:.3f}" if row.baseline == row.baseline else ""
        ratios = " ".join(f"{ratio:.3f}" for ratio in row.ratios)
        table.add_row(escape(row.name), ratios, baseline, change, row.state, style=None if row.state == OK else "bold")
    return table


def run(console: Console, wanted: str, path: Path) -> int:
    """Measure everything once."""
    found = measure(wanted=wanted, gated=False)
    console.print(results_table(found.results))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**found.raw, "processor": processor(), "versions": versions()}, indent=1))
    console.print(f"{processor()}; written to {path}", highlight=False)
    if found.trouble:
        console.print(found.trouble, markup=False, highlight=False)
    return int(bool(found.trouble))


def run_gate(console: Console, wanted: str, limit: float, path: Path) -> int:
    """Judge against the baseline."""
    entries = known.load(path)
    reason = known.unjudged(entries)
    model, entry = ("", {}) if reason else known.entry_for(entries, processor())
    baseline = {name: found["ratio"] for name, found in entry.get("benchmarks", {}).items()}
    expected = {name for each in entries.values() for name in each["benchmarks"]}
    outcome = gate(baseline, () if wanted else sorted(expected), functools.partial(measure_named, wanted), limit)
    console.print(gate_table(outcome))
    for sentence in sentences(outcome, limit):
        console.print(sentence, style="bold", markup=False, highlight=False)
    if outcome.trouble:
        console.print(outcome.trouble, markup=False, highlight=False)
    if reason:
        console.rule("NOT JUDGED", style="bold yellow")
        console.print(f"{reason}.\nTo judge here, measure a baseline: scripts/bench --rebaseline", style="bold yellow",
                      markup=False, highlight=False)
    elif changes := known.changed_versions(entry["versions"]):
        console.print(f"Other versions than the baseline's, which alone may change a ratio: {', '.join(changes)}",
                      style="yellow", markup=False, highlight=False)
    if model and model != processor():
        console.print(f"Held against another model of this family, {model}; scripts/bench --rebaseline records this "
                      "one", style="yellow", markup=False, highlight=False)
    verdict = "passed" if outcome.ok else "FAILED"
    console.print(f"gate {verdict}: {len(outcome.rows)} benchmarks, limit {limit:g} x, {outcome.processes} processes, "
                  f"{processor()}", highlight=False)
    return int(not outcome.ok)


def measure_named(wanted: str, names: Any) -> Any:
    """The named benchmarks, or all wanted ones."""
    return measure(names) if names else measure(wanted=wanted)


def rebaseline(console: Console, wanted: str, processes: int, path: Path) -> int:
    """Measure in fresh processes and write this processor's entry.

    Every other process runs beside a busy neighbour: the medians then stand between what an idle machine gives, of
    which its caches and its clock are part, and a shared one.
    """
    runs = []
    for number in range(1, processes + 1):
        with nullcontext() if number % 2 else neighbour():
            runs.append(measure(wanted=wanted))
        console.print(f"process {number} of {processes}: {len(runs[-1].results)} benchmarks", highlight=False)
        if runs[-1].trouble or not runs[-1].results:
            console.print(runs[-1].trouble, markup=False, highlight=False)
            console.print("nothing written", style="bold")
            return 1
    made = known.entry(runs)
    table = Table("benchmark", "ratio", "lowest", "highest", "reference")
    for name, found in made["benchmarks"].items():
        table.add_row(escape(name), *(f"{found[key]:.3f}" for key in ("ratio", "lowest", "highest")), found["mixture"])
    console.print(table)
    known.save(made, path, partly=bool(wanted))
    console.print(f"written to {path} for {processor()}", highlight=False)
    return 0


def main(arguments: list[str] | None = None) -> int:
    """Exit status: 0 for fine, 1 for slower, failed or missing benchmarks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
                                     prog="scripts/bench")
    parser.add_argument("names", nargs="*", help="parts of names; none for all")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--gate", action="store_true", help="hold the ratios against the baseline")
    what.add_argument("--rebaseline", action="store_true", help="measure and write the baseline of this processor")
    parser.add_argument("--limit", type=float, default=LIMIT, help="a ratio may be so many times its baseline")
    parser.add_argument("--processes", type=int, default=known.PROCESSES, help="fresh ones for a baseline")
    parser.add_argument("--baseline", type=Path, default=known.PATH, help="another file than gate/baseline.json")
    parser.add_argument("--json", type=Path, default=LATEST, help="where a plain run writes its results")
    given = parser.parse_args(arguments)
    if given.limit <= 1.0:
        parser.error(f"--limit: {given.limit:g} found, wanted more than 1")
    if given.processes < known.PROCESSES:
        parser.error(f"--processes: {given.processes} found, wanted {known.PROCESSES} or more")
    wanted, console = " or ".join(given.names), Console()
    if given.gate:
        return run_gate(console, wanted, given.limit, given.baseline)
    if given.rebaseline:
        return rebaseline(console, wanted, given.processes, given.baseline)
    return run(console, wanted, given.json)


if __name__ == "__main__":
    sys.exit(main())
