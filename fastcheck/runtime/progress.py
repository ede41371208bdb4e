"""Progress for whoever asks for it: a bar, or a call to the caller's own function; silence otherwise."""

import importlib.util
import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

# Seconds between two reports: more reports would cost more than they tell.
INTERVAL = 0.05
# Times a second that the bar is redrawn: each takes a millisecond or two.
REDRAWS = 4

Progress = Callable[[int, int], None]


def _silent(done: int, total: int) -> None:
    pass


@contextmanager
def reporting(progress: bool | Progress | None) -> Iterator[Progress]:
    """The function that engines call with (done, total) parameters.

    Parameters
    ----------
    progress : True for a bar on the standard error stream (a widget in a notebook), False for silence, or a callable
        (done, total), which may raise to stop the check.

    Raises
    ------
    TypeError : for anything else.
    """
    if callable(progress):
        yield _seldom(progress)
    elif progress is True:
        with _bar() as advance:
            yield _seldom(advance)
    elif progress is False or progress is None:
        yield _silent
    else:
        raise TypeError(f"progress: expected True, False or a function of (done, total), got {progress!r}")


def _seldom(call: Progress) -> Progress:
    """``call`` at most every INTERVAL, and at the end."""
    last = -math.inf

    def report(done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if done >= total or not 0.0 <= now - last < INTERVAL:  # also where the clock went back
            last = now
            call(done, total)

    return report


def _line(done: int, total: int) -> None:
    """One line of text, written over itself."""
    share = f"{done / total:.0%}" if total else ""
    print(f"\rchecking {share:>4}  {done:,} of {total:,} parameters", end="\n" if done >= total else "",
          file=sys.stderr, flush=True)


@contextmanager
def _bar() -> Iterator[Progress]:
    from rich.console import Console

    console = Console(stderr=True)
    if console.is_jupyter and importlib.util.find_spec("ipywidgets") is None:  # rich would warn, and draw nothing
        yield _line
        return
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress as RichProgress,
        ProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Rate(ProgressColumn):
        """Parameters per second."""

        def render(self, task: Any) -> Text:
            return Text(f"{task.speed:,.0f}/s" if task.speed else "")

    columns = (TextColumn("checking"), BarColumn(), MofNCompleteColumn(), TextColumn("parameters"), Rate(),
               TimeRemainingColumn())
    with RichProgress(*columns, console=console, refresh_per_second=REDRAWS) as bar:
        task = bar.add_task("checking", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
