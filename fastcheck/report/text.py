"""A report as plain text, as a rich table and as HTML: the same lines, three dresses."""

import html as escape
import math
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ..problems.parameters.tensor import index_text
from ..verdict.outcome import FAIL, INCONCLUSIVE, PASS
from .data import Entry, ReportData, TensorData

WIDTH = 80
# Tensors shown one by one, and entries.
ROWS = 24
WORST = 5
WORST_TITLE = "Worst entries"
NAME_WIDTH = 24
# Verbs that diagnoses begin with, after the gradient's name.
PLURAL = {"is": "are", "equals": "equal", "follows": "follow", "holds": "hold", "lacks": "lack", "adds": "add"}
COLOURS = {PASS: "green", FAIL: "bold red", INCONCLUSIVE: "yellow"}
# Backgrounds of white words: their contrast, 5 to 1 and more, is the same on light and dark pages.
HTML_COLOURS = {PASS: "#2e7d32", FAIL: "#c62828", INCONCLUSIVE: "#8a5300"}
RIGHT = "text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap;padding:.1em .6em"
LEFT = "text-align:left;white-space:nowrap;padding:.1em .6em"
# Columns that may be left out, first to go first, where the table is too wide.
OPTIONAL = ("noise", "worst entry", "zeros", "checked", "shape")


@dataclass(frozen=True)
class Table:
    """Headings and rows; ``verdicts`` has one per row, for colours."""

    headings: list[str]
    rows: list[list[str]]
    verdicts: list[str]

    def widths(self) -> list[int]:
        """Width of every column."""
        return [max(len(cell) for cell in column) for column in zip(self.headings, *self.rows, strict=True)]

    def without(self, heading: str) -> "Table":
        """Return the table without one column."""
        kept = [k for k, name in enumerate(self.headings) if name != heading]
        return Table([self.headings[k] for k in kept], [[row[k] for k in kept] for row in self.rows], self.verdicts)

    def within(self, width: int) -> "Table":
        """Return the table with so few columns that it fits."""
        table = self
        for heading in OPTIONAL:
            if sum(table.widths()) + 2 * len(table.headings) - 2 <= width:
                break
            table = table.without(heading)
        return table


def plain(report: ReportData, width: int = WIDTH) -> str:
    """Return the report in plain text, no line longer than ``width``."""
    table = tensor_table(report).within(width)
    lines = [*_wrapped(headline(report), width), *_wrapped(report.summary, width), "", *_aligned(table)]
    hidden = hidden_tensors(report)
    if hidden:
        lines.append(hidden)
    for title, body in sections(report):
        lines += ["", title]
        lines += [line for item in body for line in _wrapped(item, width, "  ", "    ")]
    lines += ["", *_wrapped(footer(report), width)]
    return "\n".join(line.rstrip() for line in lines)


def rich_parts(report: ReportData, console: Any, options: Any) -> Iterable[Any]:
    """Yield what rich prints: coloured in a terminal, the plain text elsewhere."""
    from rich.padding import Padding
    from rich.table import Table as RichTable
    from rich.text import Text

    if not console.is_terminal:
        yield Text(plain(report, min(WIDTH, options.max_width)), no_wrap=True, overflow="ignore")
        return
    yield Text(headline(report), style=COLOURS[report.verdict])
    yield Text(report.summary)
    chosen = tensor_table(report).within(options.max_width - 2)
    table = RichTable(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for k, heading in enumerate(chosen.headings):
        table.add_column(heading, justify="left" if _is_left(heading, k) else "right", no_wrap=True)
    for row, verdict in zip(chosen.rows, chosen.verdicts, strict=True):
        table.add_row(*(Text(cell) for cell in row[:-1]), Text(row[-1], style=COLOURS.get(verdict, "dim")))
    yield Padding(table, (1, 0, 0, 0))
    if hidden_tensors(report):
        yield Text(hidden_tensors(report), style="dim")
    for title, body in sections(report):
        yield Padding(Text(title, style="bold"), (1, 0, 0, 0))
        for item in body:
            yield Padding(Text(item), (0, 0, 0, 2))
    yield Padding(Text(footer(report), style="dim"), (1, 0, 0, 0))


def html(report: ReportData) -> str:
    """Return the report for notebooks: colours of its own for the verdicts alone, all else in those of the page."""
    table = tensor_table(report)
    first, _, rest = headline(report).partition("  ")
    parts = [f'<div class="fastcheck"><p>{_badge(first, report.verdict)} <b>{escape.escape(rest)}</b><br>',
             f"{escape.escape(report.summary)}</p>", "<table><thead><tr>"]
    lefts = [_is_left(name, k) for k, name in enumerate(table.headings)]
    parts += [_cell("th", escape.escape(name), left) for name, left in zip(table.headings, lefts, strict=True)]
    parts.append("</tr></thead><tbody>")
    for row, verdict in zip(table.rows, table.verdicts, strict=True):
        cells = [escape.escape(cell) for cell in row]
        cells[-1] = _badge(row[-1], verdict)
        parts.append(f"<tr>{''.join(_cell('td', cell, left) for cell, left in zip(cells, lefts, strict=True))}</tr>")
    parts.append("</tbody></table>")
    if hidden_tensors(report):
        parts.append(f"<p>{escape.escape(hidden_tensors(report))}</p>")
    for title, body in sections(report):
        parts.append(f"<p><b>{escape.escape(title)}</b></p>")
        if title == WORST_TITLE:
            parts.append(_html_entries(_worst_of(report)))
        else:
            parts.append(f"<ul>{''.join(f'<li>{escape.escape(item)}</li>' for item in body)}</ul>")
    parts.append(f"<p><small>{escape.escape(footer(report))}</small></p></div>")
    return "".join(parts)


def _badge(word: str, verdict: str) -> str:
    colour = HTML_COLOURS.get(verdict)
    if colour is None:
        return escape.escape(word)
    style = f"background:{colour};color:#fff;padding:0 .4em;border-radius:.25em"
    return f'<span style="{style}">{escape.escape(word)}</span>'


def _cell(kind: str, content: str, left: bool) -> str:
    return f'<{kind} style="{LEFT if left else RIGHT}">{content}</{kind}>'


def _html_entries(entries: Sequence[Entry]) -> str:
    """Return a table of entries; its rows have a class, so that scripts tell them from the tensors'."""
    headings = ("entry", "grad", "gradapprox", "error")
    parts = ["<table><thead><tr class='entry'>"]
    parts += [_cell("th", name, name == "entry") for name in headings]
    parts.append("</tr></thead><tbody>")
    for e in entries:
        cells = (escape.escape(e.place), f"{e.grad:+.4e}", f"{e.gradapprox:+.4e}", f"{e.relative_error:.1e}")
        rows = "".join(_cell("td", cell, k == 0) for k, cell in enumerate(cells))
        parts.append(f"<tr class='entry'>{rows}</tr>")
    return "".join([*parts, "</tbody></table>"])


def headline(report: ReportData) -> str:
    """FAIL  difference 2.85e-01 (tolerance 1e-07), or what disagrees where the whole does not.

    A mistake in a small tensor, or in one entry, moves the difference of the whole by less than the tolerance: then the
    first line is about the tensor or the entry.
    """
    norm = "" if report.norm == 2 else f" in norm {'infinity' if math.isinf(report.norm) else f'{report.norm:g}'}"
    overall, tolerance = f"difference {report.difference:.2e}{norm}", f"(tolerance {report.tolerance:.2g})"
    if report.verdict != FAIL or not report.failures or not report.difference <= report.tolerance:
        return f"{report.verdict.upper()}  {overall} {tolerance}"
    tensor = report.failures[0]
    what, tolerance = f"d{tensor.name}: difference {tensor.difference:.2e}{norm}", f"(tolerance {tensor.tolerance:.2g})"
    if tensor.difference <= tensor.tolerance and tensor.worst is not None:
        what = f"d{tensor.name}{index_text(tensor.worst)}: relative error {tensor.max_relative_error:.2e}"
    return f"FAIL  {what} {tolerance}; all together: {overall}"


def footer(report: ReportData) -> str:
    """Return how it was checked."""
    size = sum(t.size for t in report.tensors)
    epsilon = f"{report.epsilon:g}" if isinstance(report.epsilon, float) else "chosen per parameter"
    parts = [f"{report.gradapprox.size:,} of {size:,} parameters", f"engine {report.engine}", f"epsilon {epsilon}",
             f"cost {report.cost:.6g}"]
    if report.method != "all":
        parts.append(f"method {report.method}, seed {report.seed}")
    return ", ".join([*parts, f"{report.seconds:.3g} s"])


def tensor_table(report: ReportData) -> Table:
    """Return one row per tensor; failing ones first if there are too many to show all."""
    shown = shown_tensors(report)
    headings = ["tensor", "shape", "checked", "difference", "worst entry", "noise", "zeros", "kinks", "verdict"]
    rows = [
        [_short(t.name), "x".join(map(str, t.shape)) or "scalar", f"{t.checked:,}", f"{t.difference:.1e}",
         f"{t.max_relative_error:.1e}", f"{t.relative_noise:.0e}", f"{t.zeros:,}", f"{t.kinks:,}",
         t.verdict if t.checked or t.verdict == PASS else "not checked"]
        for t in shown
    ]  # fmt: skip
    table = Table(headings, rows, [t.verdict if t.checked else "" for t in shown])
    if all(t.checked == t.size for t in report.tensors):
        table = table.without("checked")
    return table if report.kinks else table.without("kinks")


def shown_tensors(report: ReportData) -> Sequence[TensorData]:
    """Return all tensors, or the most interesting ones in the order of theta."""
    if len(report.tensors) <= ROWS:
        return report.tensors
    first = {t.name for t in report.failures[:ROWS]}
    for verdict in (INCONCLUSIVE, PASS):
        first |= {t.name for t in [t for t in report.tensors if t.verdict == verdict][: max(0, ROWS - len(first))]}
    return [t for t in report.tensors if t.name in first]


def hidden_tensors(report: ReportData) -> str:
    """ "... and 80 more tensors: 80 pass", or "" where all are shown."""
    shown = {t.name for t in shown_tensors(report)}
    hidden = [t.verdict for t in report.tensors if t.name not in shown]
    if not hidden:
        return ""
    counts = ", ".join(f"{hidden.count(v)} {v}" for v in (FAIL, INCONCLUSIVE, PASS) if v in hidden)
    return f"... and {len(hidden)} more tensors: {counts}"


def sections(report: ReportData) -> list[tuple[str, list[str]]]:
    """Return what follows the table: diagnosis, worst entries, what to do, notes."""
    found: list[tuple[str, list[str]]] = []
    told = report.failures or [t for t in report.tensors if t.verdict == INCONCLUSIVE]
    diagnoses = said_once([(f"d{t.name}", t.diagnosis) for t in told[:ROWS] if t.diagnosis])
    if diagnoses:
        found.append(("Diagnosis", diagnoses))
    if report.verdict != PASS and report.failures:
        found.append((WORST_TITLE, _entry_lines(_worst_of(report))))
    if report.advice:
        found.append(("What to do", list(report.advice)))
    if report.notes:
        found.append(("Notes", list(report.notes)))
    return found


def said_once(told: Iterable[tuple[str, str]]) -> list[str]:
    """Return what is said of gradients, by their names, and once what is said of several in the same words.

    >>> said_once([("dW", "dW is zero."), ("db", "db is zero."), ("dx", "dx is -1.000 times y.")])
    ['dW and db are zero.', 'dx is -1.000 times y.']
    """
    named: dict[tuple[str, str], list[str]] = {}
    for name, sentence in told:
        verb, _, rest = sentence.removeprefix(f"{name} ").partition(" ")
        alike = sentence.startswith(f"{name} ") and verb in PLURAL and name not in rest
        named.setdefault((verb, rest) if alike else ("", sentence), []).append(name)
    return [rest if not verb else f"{names[0]} {verb} {rest}" if len(names) == 1 else
            f"{', '.join(names[:-1])} and {names[-1]} {PLURAL[verb]} {rest}" for (verb, rest), names in named.items()]


def _worst_of(report: ReportData) -> Sequence[Entry]:
    """Return the worst entries, and no right ones beside a few that are wrong."""
    wrong = sum(tensor.wrong for tensor in report.tensors)
    return report.worst(min(wrong, WORST) or WORST)


def _entry_lines(entries: Sequence[Entry]) -> list[str]:
    places = max((len(e.place) for e in entries), default=0)
    return [
        f"{e.place:<{places}}  grad {e.grad:+.4e}  gradapprox {e.gradapprox:+.4e}  error {e.relative_error:.1e}"
        for e in entries
    ]


def _aligned(table: Table) -> list[str]:
    widths = table.widths()
    return [
        "  ".join(
            cell.ljust(w) if _is_left(table.headings[k], k) else cell.rjust(w)
            for k, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in [table.headings, *table.rows]
    ]


def _is_left(heading: str, column: int) -> bool:
    return column == 0 or heading == "verdict"


def _short(name: str) -> str:
    return name if len(name) <= NAME_WIDTH else f"{name[: NAME_WIDTH - 3]}..."


def _wrapped(line: str, width: int, first: str = "", later: str = "") -> list[str]:
    if len(first) + len(line) <= width:
        return [first + line]  # as it is: columns may stand two blanks apart
    return textwrap.wrap(line, width, initial_indent=first, subsequent_indent=later)
