"""The gate on time: a benchmark fails that is slower than its baseline in three of three fresh processes.

One process in a few is unlucky with its memory layout, or meets a bad minute; three in a row are not.  Only suspects
run again, so that a quiet day costs one process.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.gate.runner import Measured

LIMIT = 1.15
PROCESSES = 3

OK, SLOWER, FASTER, MISSING, NEW, UNJUDGED = "ok", "slower", "faster", "missing", "new", "not judged"


@dataclass
class Row:
    """One benchmark: its ratios in the processes that ran it, and its baseline (NaN for none)."""

    name: str
    baseline: float
    ratios: list[float]
    state: str = OK

    @property
    def change(self) -> float:
        """The ratio nearest to the baseline, in units of the baseline."""
        return min((r / self.baseline for r in self.ratios), key=lambda c: abs(c - 1.0), default=float("nan"))


@dataclass
class Outcome:
    """What the gate found: a row for each benchmark, and pytest's output where a benchmark failed."""

    rows: list[Row] = field(default_factory=list)
    trouble: str = ""
    processes: int = 0

    def named(self, *states: str) -> list[str]:
        """Benchmarks in these states."""
        return [row.name for row in self.rows if row.state in states]

    @property
    def ok(self) -> bool:
        """Whether nothing became slower, failed or went missing."""
        return not self.trouble and not self.named(SLOWER, MISSING)


def judge(ratios: Sequence[float], baseline: float, limit: float) -> str:
    """Slower or faster only if every process says so."""
    if all(ratio > baseline * limit for ratio in ratios):
        return SLOWER
    if all(ratio < baseline / limit for ratio in ratios):
        return FASTER
    return OK


def gate(
    baseline: dict[str, float], expected: Iterable[str], measure: Callable[[Sequence[str]], Measured],
    limit: float = LIMIT,
) -> Outcome:
    """Run all benchmarks, and the suspects again.

    Parameters
    ----------
    baseline : ratios by name; empty where none apply here, and then nothing is judged.
    expected : names that must be among those measured.
    measure : runs the named benchmarks in a fresh process, all for none.
    limit : a ratio above this times its baseline is suspect, as is one below its inverse.
    """
    first = measure(())
    rows = {name: Row(name, baseline.get(name, float("nan")), [info["ratio"]]) for name, info in first.results.items()}
    outcome = Outcome(list(rows.values()), first.trouble, 1)
    for row in rows.values():
        row.state = judge(row.ratios, row.baseline, limit) if row.name in baseline else NEW if baseline else UNJUDGED
    while (suspects := outcome.named(SLOWER, FASTER)) and outcome.processes < PROCESSES:
        again = measure(suspects)
        outcome.processes += 1
        outcome.trouble = outcome.trouble or again.trouble
        for name in suspects:
            row = rows[name]
            if name in again.results:
                row.ratios.append(again.results[name]["ratio"])
                row.state = judge(row.ratios, row.baseline, limit)
            else:
                row.state = MISSING
    outcome.rows += [Row(name, baseline.get(name, float("nan")), [], MISSING) for name in expected if name not in rows]
    return outcome


def sentences(outcome: Outcome, limit: float) -> list[str]:
    """What the table does not say by itself."""
    texts: dict[str, Any] = {
        SLOWER: f"slower by more than {limit - 1.0:.0%} in {PROCESSES} of {PROCESSES} fresh processes",
        MISSING: "missing: in the baseline, and not run; if it was removed on purpose, rebaseline",
        FASTER: f"faster by more than {limit - 1.0:.0%}: rebaseline, or the gain can be lost unseen",
        NEW: "without a baseline: rebaseline",
    }
    return [f"{text}: {', '.join(names)}" for state, text in texts.items() if (names := outcome.named(state))]
