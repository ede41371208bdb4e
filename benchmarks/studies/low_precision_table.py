"""The tables of ``benchmarks.studies.low_precision``."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

WORDS = {"allclose": "allclose, usual tolerances", "norm": "float64, norm 1e-2", "gradcheck": "torch gradcheck",
         "gradcheck, fitted": "gradcheck, fitted step"}
VERDICTS = ("pass", "inconclusive", "fail")
Line = Mapping[str, Any]


def print_tables(lines: list[Line]) -> None:
    """Print what was said of right gradients and of planted mistakes.

    Parameters
    ----------
    lines : as the study wrote them.
    """
    console = Console(width=200)
    rights = [line for line in lines if line.get("mistake", "none").startswith("none")]
    wrongs = [line for line in lines if not line.get("mistake", "none").startswith("none")]
    if rights:
        _print_rights(console, rights)
    if wrongs:
        _print_wrongs(console, wrongs)


def _print_rights(console: Console, lines: list[Line]) -> None:
    table = Table("right gradients", "cases", *VERDICTS, *(f"{word}: fails" for word in WORDS.values()),
                  title=f"{len(lines):,} right gradients (a layer in one precision at one seed)")
    for precision in dict.fromkeys(line["precision"] for line in lines):
        some = [line for line in lines if line["precision"] == precision]
        verdicts = Counter(line["verdict"] for line in some)
        table.add_row(precision, f"{len(some):,}", *(f"{verdicts[v]:,}" for v in VERDICTS), *_failed(some))
    console.print(table)
    for line in lines:
        if line["verdict"] == "fail":
            console.print(line["layer"], line["precision"], line["seed"], line.get("doubts", line.get("words")))
    doubted = Counter((line["layer"], line["precision"]) for line in lines if line["verdict"] == "inconclusive")
    if doubted:
        console.print("inconclusive:", dict(doubted))
    times = sorted(line["seconds"] for line in lines if "seconds" in line)
    if times:
        console.print(f"{1e3 * times[len(times) // 2]:.0f} ms of processor time each, the median")


def _print_wrongs(console: Console, lines: list[Line]) -> None:
    kinds: dict[str, list[Line]] = defaultdict(list)
    for line in lines:
        kinds[line["mistake"]].append(line)
    table = Table("planted", "cases", "within the power", "fail, right one first", "fail, another first",
                  "inconclusive", "pass", "below the power: pass", *(f"{word}: found" for word in WORDS.values()),
                  title=f"{len(lines):,} planted mistakes")
    for mistake, some in kinds.items():
        seen = [line for line in some if line["off"] >= line["power"]]
        below = [line for line in some if line["off"] < line["power"]]
        first = sum(line["verdict"] == "fail" and line["first"] for line in seen)
        verdicts = Counter(line["verdict"] for line in seen)
        table.add_row(mistake, f"{len(some):,}", f"{len(seen):,}", f"{first:,}", f"{verdicts['fail'] - first:,}",
                      f"{verdicts['inconclusive']:,}", f"{verdicts['pass']:,}",
                      f"{sum(line['verdict'] == 'pass' for line in below):,} of {len(below):,}", *_failed(seen))
    console.print(table)


def _failed(lines: list[Line]) -> list[str]:
    """Return how many each of the other ways fails, of how many it was asked about."""
    found = []
    for way in WORDS:
        asked = [line["ways"][way] for line in lines if way in line["ways"]]
        found.append(f"{asked.count(False):,} of {len(asked):,}")
    return found
