"""The table of the formats in which a report is written to a file.

To add a format, write its renderer, a function of ``ReportData``, in a file of this folder, and one entry in
``FORMATS``: the command line then has the option, ``Report.save`` knows the ending, and the tests try it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from .._validation import path_of
from .data import ReportData
from .page import page
from .plain_data import json_text


def picture(report: ReportData, path: str | PathLike[str]) -> None:
    """Draw the report into an image file (see ``plots.plot_report``)."""
    from .plots import plot_report  # imported where used: it is a long file that most checks never need

    plot_report(report, path)


@dataclass(frozen=True)
class Format:
    """One format.

    Parameters
    ----------
    name : the command line's option is ``--name FILE``.
    help : what the command line says about it.
    endings : of the names of such files, the usual one first.
    text : report -> its text; None for a picture.
    draw : (report, path), writes the file itself; None for a text.
    """

    name: str
    help: str
    endings: tuple[str, ...]
    text: Callable[[ReportData], str] | None = None
    draw: Callable[[ReportData, str | PathLike[str]], Any] | None = None


FORMATS: dict[str, Format] = {
    form.name: form
    for form in (
        Format("json", "write the report as JSON", (".json",), text=json_text),
        Format("plot", "draw the report into an image file (needs fastcheck[plot])", (".png", ".pdf", ".svg", ".jpg"),
               draw=picture),
        Format("html", "write the report as one page, with maps and a sweep", (".html", ".htm"), text=page),
    )
}


def format_of(path: str | PathLike[str]) -> str:
    """Return the name of the format that a file's ending tells.

    Raises
    ------
    ValueError, TypeError : for an ending that no format has, and for what is not a path.
    """
    given = path_of("path", path)
    ending = Path(fspath(given)).suffix.lower() if given is not None else ""
    for name, form in FORMATS.items():
        if ending in form.endings:
            return name
    known = ", ".join(ending for form in FORMATS.values() for ending in form.endings)
    raise ValueError(f"path: expected a name that ends in one of {known}, got {path!r}")


def write(report: ReportData, name: str, path: str | PathLike[str]) -> None:
    """Write a report to a file in the format of that name, whatever the file's ending."""
    form = FORMATS[name]
    if form.text is not None:
        Path(path).write_text(form.text(report) + "\n", encoding="utf-8")
    elif form.draw is not None:
        form.draw(report, path)
