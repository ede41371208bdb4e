"""A report as one page of HTML that needs no other file: tables, maps, a sweep, versions, and how to repeat it."""

import html as escape
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .data import ReportData, TensorData
from .pixels import COLOURS, as_address, coloured
from .plain_data import versions
from .plots import HIGHEST, LOWEST, as_matrix_shape, blocks_of, shown
from .text import LEFT, html

STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.45 system-ui, sans-serif; max-width: 62em; margin: 2em auto; padding: 0 1em;
       background: light-dark(#ffffff, #121212); color: light-dark(#1a1a1a, #e8e8e8); }
table { border-collapse: collapse; margin: .5em 0; }
th, td { padding: .15em .7em; border-bottom: 1px solid light-dark(#dddddd, #3a3a3a); }
h2 { font-size: 1.1em; margin-top: 1.8em; }
figure { display: inline-block; margin: .5em 1.5em .5em 0; vertical-align: top; }
figcaption { font-size: .9em; }
img { image-rendering: pixelated; border: 1px solid light-dark(#999999, #666666); display: block; }
pre { overflow-x: auto; padding: .6em; background: light-dark(#f2f2f2, #1f1f1f); }
"""
# Pixels of a map on the page: its longer side, and the least of either.
LONGER, LEAST = 260, 18
# The colours of a sweep's lines, which show on light and dark pages, and the size of its picture.
LINES = ("#c62828", "#2e7dd1", "#7a7a7a")
WIDTH, HEIGHT, MARGIN = 520, 260, 46


def page(report: ReportData) -> str:
    """Return the page."""
    facts = report.facts
    parts = ["<!DOCTYPE html>", '<html lang="en"><head><meta charset="utf-8">',
             f"<title>fastcheck: {report.verdict}</title><style>{STYLE}</style></head><body>", "<h1>fastcheck</h1>"]
    if facts.get("network"):
        parts.append(f"<p>{escape.escape(str(facts['network']))}{escape.escape(_inferred(facts))}</p>")
    parts += [html(report), "<h2>Relative error of every entry</h2>", _maps(report)]
    if facts.get("sweep"):
        parts += ["<h2>The difference over a range of epsilons</h2>", sweep_in_html(facts["sweep"])]
    parts += ["<h2>How to repeat it</h2>", f"<pre>{escape.escape(_command(report))}</pre>", "<h2>Versions</h2>",
              _table(("", "version"), sorted(versions().items())), "</body></html>"]
    return "\n".join(parts)


def _inferred(facts: Mapping[str, Any]) -> str:
    told = ", ".join(f"{name} {value}" for name, value in facts.get("inferred", {}).items())
    return f" (inferred, not told: {told})" if told else ""


def _command(report: ReportData) -> str:
    """Return the command, or the options of the call, that gave the report."""
    if report.facts.get("command"):
        return str(report.facts["command"])
    epsilon = f"{report.epsilon:g}" if isinstance(report.epsilon, float) else "None"
    return (f"the same call with engine={report.engine!r}, method={report.method!r}, epsilon={epsilon}, "
            f"seed={report.seed}, norm={report.norm:g}")


def _maps(report: ReportData) -> str:
    figures = [_map(tensor) for tensor in shown(report)]
    key = as_address(coloured(np.logspace(math.log10(LOWEST), math.log10(HIGHEST), 16 * len(COLOURS))[None, :]))
    words = f"{LOWEST:g} ... {HIGHEST:g}; grey: not checked"
    legend = (f'<figure><img src="{key}" width="{LONGER}" height="{LEAST}" alt="{words}">'
              f"<figcaption>{words}</figcaption></figure>")
    return "".join([*figures, "<br>", legend])


def _map(tensor: TensorData) -> str:
    image = blocks_of(tensor.relative_error.reshape(as_matrix_shape(tensor.shape)))
    rows, columns = image.shape
    scale = LONGER / max(rows, columns)
    width, height = (max(LEAST, round(scale * size)) for size in (columns, rows))
    name = escape.escape(f"{tensor.name} ({' x '.join(map(str, tensor.shape)) or 'scalar'}): {tensor.verdict}")
    return (f'<figure><img src="{as_address(coloured(image))}" width="{width}" height="{height}" alt="{name}">'
            f"<figcaption>{name}</figcaption></figure>")


def sweep_in_html(sweep: Mapping[str, Any]) -> str:
    """Return a picture and a table of what ``fastcheck.checks.sweep.Sweep.to_dict`` gives, with its conclusion."""
    epsilons, differences = sweep["epsilons"], sweep["differences"]
    rows = [(f"{epsilon:.0e}", *(_number(values[k]) for values in differences.values()))
            for k, epsilon in enumerate(epsilons)]
    table = _table(("epsilon", *differences), rows)
    return f"<p>{escape.escape(sweep['conclusion'])}</p>{_curves(epsilons, differences)}{table}"


def _number(value: Any) -> str:
    return f"{float(value):.2e}"


def _curves(epsilons: Sequence[float], differences: Mapping[str, Sequence[Any]]) -> str:
    """Return the lines of a sweep, both axes logarithmic; what is not a number is left out."""
    left, right = (math.log10(value) for value in (min(epsilons), max(epsilons)))
    low, high = math.log10(LOWEST), math.log10(HIGHEST)

    def place(epsilon: float, difference: float) -> str:
        x = MARGIN + (math.log10(epsilon) - left) / ((right - left) or 1.0) * (WIDTH - 2 * MARGIN)
        y = HEIGHT - MARGIN - (math.log10(max(difference, LOWEST)) - low) / (high - low) * (HEIGHT - 2 * MARGIN)
        return f"{x:.1f},{y:.1f}"

    parts = [f'<svg width="{WIDTH}" height="{HEIGHT}" role="img" aria-label="difference against epsilon" '
             'fill="currentColor" font-size="11">',
             f'<path d="M{MARGIN},{MARGIN} V{HEIGHT - MARGIN} H{WIDTH - MARGIN}" fill="none" stroke="currentColor"/>',
             f'<text x="{WIDTH / 2}" y="{HEIGHT - 10}" text-anchor="middle">epsilon</text>']
    for exponent in range(0, round(low) - 1, -4):
        x, y = place(max(epsilons), 10.0**exponent).split(",")
        parts.append(f'<text x="{MARGIN - 4}" y="{y}" text-anchor="end">1e{exponent}</text>')
    for epsilon in epsilons[::2]:
        x = place(epsilon, LOWEST).split(",")[0]
        parts.append(f'<text x="{x}" y="{HEIGHT - MARGIN + 14}" text-anchor="middle">{epsilon:.0e}</text>')
    for colour, (name, values), k in zip(LINES, differences.items(), range(len(LINES)), strict=False):
        points = [place(epsilon, float(v)) for epsilon, v in zip(epsilons, values, strict=True) if float(v) == float(v)]
        parts.append(f'<polyline points="{" ".join(points)}" fill="none" stroke="{colour}" stroke-width="2"/>')
        line = MARGIN / 2 + 14 * k
        parts.append(f'<path d="M{WIDTH - 130},{line - 4} h18" stroke="{colour}" stroke-width="2"/>')
        parts.append(f'<text x="{WIDTH - 106}" y="{line}">{escape.escape(name)}</text>')
    return "".join([*parts, "</svg>"])


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    def cells(kind: str, row: Sequence[str]) -> str:
        return "".join(f'<{kind} style="{LEFT};font-variant-numeric:tabular-nums">{escape.escape(cell)}</{kind}>'
                       for cell in row)

    head, body = cells("th", headings), "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
