"""Hold all cases against all checkers and print who finds what.

python -m benchmarks.gradbugs [NAME ...] [--third 1] [--checkers fastcheck ...] [--sample 30] [--json FILE] [--misses]
"""

import argparse
import json
import sys
from pathlib import Path

from rich.console import Console

from .case import load
from .checkers import CHECKERS
from .outcome import outcome_of
from .table import counts, misses, table


def main(arguments: list[str] | None = None) -> int:
    """Run what was asked for; the exit status is 1 if fastcheck was wrong about a case."""
    asked = _parser().parse_args(arguments)
    cases = [
        case
        for case in load()
        if (not asked.names or case.name in asked.names) and (asked.third is None or case.third == asked.third)
    ]
    if asked.sample:
        cases = cases[:: max(1, len(cases) // asked.sample)]
    outcomes = []
    for number, case in enumerate(cases, 1):
        print(f"{number:3} of {len(cases)}  {case.area}/{case.name}", file=sys.stderr, flush=True)
        outcomes += [outcome_of(case, name) for name in asked.checkers]
    console = Console(width=140)
    console.print(table(outcomes))
    console.print(counts(cases), markup=False)
    for case in load(apart=True):
        console.print(f"set apart: {case.area}/{case.name}: {case.apart}", markup=False)
    if asked.misses:
        console.print(misses(outcomes), markup=False)
    if asked.json:
        asked.json.write_text(json.dumps([outcome.as_dict() for outcome in outcomes], indent=1) + "\n")
    return int(any(outcome.mistaken for outcome in outcomes if outcome.checker == "fastcheck"))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gradbugs", description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="of cases; all by default")
    parser.add_argument("--third", type=int, choices=(1, 2, 3, 4),
                        help="only the cases of this third; 4 for those written afterwards")
    parser.add_argument("--checkers", nargs="+", choices=tuple(CHECKERS), default=list(CHECKERS))
    parser.add_argument("--sample", type=int, help="only some of the cases, evenly spread, always the same")
    parser.add_argument("--json", type=Path, help="write every answer into this file")
    parser.add_argument("--misses", action="store_true", help="list what fastcheck missed or did not name")
    return parser


if __name__ == "__main__":
    sys.exit(main())
