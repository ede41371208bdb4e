"""How often a diagnosis names the mistake: the corpus of planted mistakes, and what each diagnosis says of it.

    python -m tests.reliability.names [--seeds 2]

A mistake is named rightly where the diagnosis of the gradient to look at first names it, alone or beside others that
give the same numbers.  It is named wrongly where it names only others.  Exits with 1 if one is.
"""

import argparse
import re
import statistics
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from tests.reliability.bugs import BUGS
from tests.reliability.corpus import Outcome, cases, outcomes

CONSOLE = Console(width=100)
# By the mistake's number, what a diagnosis that names it says.
SAYS = {
    1: r"sign is wrong|sign of .* wrong",
    2: r"1/m is missing",
    3: r"1/m is applied twice",
    4: r"factor 2 too many|is 2\.000 times",
    5: r"factor 4 too many|is 4\.000 times",
    6: r"factor 2 is missing|is 0\.500 times",
    7: r"divided by m - 1 instead of m",
    8: r"divided by m times the \d+ outputs|outputs instead of m",
    9: r"0.1 % too large",
    10: r"not transposed going back",
    11: r"is the transpose",
    12: r"an a of the wrong layer",
    13: r"skipped going back",
    14: r"are swapped",
    15: r"batch order",
    16: r"last sample dropped",
    17: r"for squared error's \(without|without .* derivative (?:at the output|in layer)|dA. instead of dZ",
    18: r"taken at a instead of z|'s derivative taken at a",
    19: r"taken at z instead of a",
    20: r"taken at the next layer's z",
    21: r"with 1 - a instead of",
    22: r"with a \(1 \+ a\) instead of",
    23: r"slope",
    24: r"branches of leaky_relu's derivative swapped",
    25: r"threshold",
    26: r"derivative applied to the linear output",
    27: r"summed over the wrong axis",
    28: r"a mean stands where the sum over samples should",
    29: r"exactly zero everywhere",
    30: r"holds one value|is exactly zero",
    31: r"only one entry is wrong",
    32: r"L2 term is missing",
    33: r"counted twice",
    34: r"l2 stands where l2/m should",
    35: r"an L2 term that the cost does not have",
    36: r"is made with W",
    37: r"only the diagonal of softmax",
    38: r"cross-entropy's derivative, .a - y",
    39: r"an extra derivative",
    40: r"labels off by one",
    41: r"other data",
    42: r"other data",
    43: r"overwritten in place",
    44: r"float32|single precision",
    45: r"only one entry is wrong|is 1.001 times",
    46: r"is nan|is inf|is -inf",
}  # fmt: skip
# A diagnosis that names a mistake, whichever; others only say where the gradient is wrong.
NAMES = re.compile("|".join(SAYS.values()) + "|back-propagation gives")


@dataclass(frozen=True)
class Said:
    """What a diagnosis made of a planted mistake: "named", "not named" or "another"."""

    number: int
    kind: str
    outcome: Outcome
    seconds: float


def said_of(outcome: Outcome) -> Said:
    """Ask for the diagnosis of the gradient to look at first, and time it."""
    number = outcome.planted.bug.number
    started = time.process_time()
    if outcome.report.verdict == "fail":
        sentence = outcome.report.failures[0].diagnosis
    else:
        sentence = " ".join(outcome.report.notes)
    seconds = time.process_time() - started
    kind = "named" if re.search(SAYS[number], sentence) else "another" if NAMES.search(sentence) else "not named"
    return Said(number, kind, outcome, seconds)


def all_said(seeds: int) -> Iterator[tuple[str, int, Said]]:
    """Every planted mistake of the corpus with what was said of it."""
    for case in cases():
        for seed in range(seeds):
            for outcome in outcomes(case, seed):
                yield case.name, seed, said_of(outcome)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--seeds", type=int, default=2, help="seeds of every network of the corpus")
    parser.add_argument("--show", action="store_true", help="print what was not named rightly")
    chosen = parser.parse_args()
    counts, seconds = Counter[tuple[int, str]](), []
    for name, seed, said in all_said(chosen.seeds):
        counts[said.number, said.kind] += 1
        seconds.append(said.seconds)
        if said.kind == "another" or (chosen.show and said.kind != "named"):
            first = said.outcome.report.failures[:1]
            CONSOLE.print(f"{name}, seed {seed}: {said.outcome.planted.bug} at {said.outcome.planted.place}: "
                          f"{said.kind}: {[t.diagnosis for t in first]}", markup=False)
    table = Table(title=f"What the diagnosis names, {chosen.seeds} seeds")
    for heading in ("mistake", "planted", "named", "not named", "another named"):
        table.add_column(heading, justify="left" if heading == "mistake" else "right")
    kinds = ("named", "not named", "another")
    for bug in BUGS:
        row = [counts[bug.number, kind] for kind in kinds]
        table.add_row(str(bug), f"{sum(row):,}", *(f"{count:,}" for count in row))
    table.add_section()
    totals = [sum(counts[bug.number, kind] for bug in BUGS) for kind in kinds]
    table.add_row("all", f"{sum(totals):,}", *(f"{total:,}" for total in totals))
    CONSOLE.print(table)
    rightly = sum(counts[bug.number, "named"] > 0.5 * sum(counts[bug.number, kind] for kind in kinds) for bug in BUGS)
    CONSOLE.print(f"{rightly} of {len(BUGS)} kinds named rightly; a diagnosis takes "
                  f"{1e3 * statistics.median(seconds):.1f} ms (median), {1e3 * max(seconds):.1f} ms at most")
    sys.exit(1 if totals[2] else 0)


if __name__ == "__main__":
    main()
