"""The table of who finds what."""

import statistics
from collections import Counter
from collections.abc import Sequence

from rich.table import Table

from benchmarks.measure import readable

from .case import Case
from .outcome import Outcome


def table(outcomes: Sequence[Outcome]) -> Table:
    """One row a checker; counts are out of the cases whose programs it takes."""
    drawn = Table("checker", "takes", "found", "false alarms", "undecided", "tensor named first", "cause said",
                  "median time")
    for checker in dict.fromkeys(outcome.checker for outcome in outcomes):
        rows = [outcome for outcome in outcomes if outcome.checker == checker]
        taken = [outcome for outcome in rows if outcome.applies]
        open_ones = sum((o.wrong.opinion == "inconclusive") + (o.right.opinion == "inconclusive") for o in taken)
        seconds = statistics.median([o.right.seconds for o in taken] or [0.0])
        drawn.add_row(checker, f"{len(taken)} of {len(rows)}", _share(sum(o.found for o in taken), len(taken)),
                      str(sum(o.false_alarm for o in taken)), str(open_ones), str(sum(o.named for o in taken)),
                      _share(sum(o.explained for o in taken), len(taken)), readable(seconds))
    return drawn


def counts(cases: Sequence[Case]) -> str:
    """How many cases there are of each area, and the most of one kind."""
    areas, kinds = Counter(case.area for case in cases), Counter(case.kind for case in cases)
    afterwards = sum(case.third == 4 for case in cases)
    most = max(kinds.values(), default=0)
    return (f"{len(cases)} cases: {', '.join(f'{count} {area}' for area, count in sorted(areas.items()))}; "
            f"{len(kinds)} kinds, at most {most} of one; {afterwards} written afterwards")


def misses(outcomes: Sequence[Outcome], checker: str = "fastcheck") -> str:
    """What the checker missed, accused wrongly, or found without saying the cause, one line each."""
    lines = []
    for o in outcomes:
        if o.checker != checker:
            continue
        faults = [text for text, there in (
            ("cannot: " + (o.wrong.text or o.right.text)[:300], not o.applies),
            (f"wrong version: {o.wrong.opinion}", o.applies and not o.found),
            (f"right version: {o.right.opinion}", o.applies and o.right.opinion != "right"),
            (f"names {', '.join(o.wrong.tensors) or 'nothing'} for {', '.join(o.case.wrong)}", o.found and not o.named),
            ("cause not said", o.found and not o.explained),
        ) if there]
        lines += [f"{o.case.area}/{o.case.name}: {'; '.join(faults)}"] if faults else []
    return "\n".join(lines)


def _share(part: int, whole: int) -> str:
    return f"{part} ({100 * part / whole:.0f} %)" if whole else "0"
