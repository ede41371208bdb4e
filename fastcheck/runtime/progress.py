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


class Reporter:
    """What engines report to: called with (done, total) parameters.

    Parameters
    ----------
    call : told of progress at most every INTERVAL, and at the end; None for nobody.
    says : shows a few words on what goes on instead.
    """

    def __init__(self, call: Progress | None = None, says: Callable[[str], None] = lambda text: None) -> None:
        self.call, self.says = call, says
        self.last = -math.inf

    def __call__(self, done: int, total: int) -> None:
        """Report ``done`` of ``total`` parameters."""
        if self.call is None:
            return
        now = time.monotonic()
        if done >= total or not 0.0 <= now - self.last < INTERVAL:  # also where the clock went back
            self.last = now
            self.call(done, total)


@contextmanager
def reporting(progress: bool | Progress | None) -> Iterator[Reporter]:
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
        yield Reporter(progress)
    elif progress is True:
        with _bar() as bar:
            yield bar
    elif progress is False or progress is None:
        yield Reporter()
    else:
        raise TypeError(f"progress: expected True, False or a function of (done, total), got {progress!r}")


def _line(done: int, total: int) -> None:
    """One line of text, written over itself."""
    share = f"{done / total:.0%}" if total else ""
    print(f"\rchecking {share:>4}  {done:,} of {total:,} parameters", end="\n" if done >= total else "",
          file=sys.stderr, flush=True)


@contextmanager
def _bar() -> Iterator[Reporter]:
    from rich.console import Console

    console = Console(stderr=True)
    if console.is_jupyter and importlib.util.find_spec("ipywidgets") is None:  # rich would warn, and draw nothing
        yield Reporter(_line, lambda text: print(text, file=sys.stderr, flush=True))
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

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("parameters"), Rate(),
               TimeRemainingColumn())
    with RichProgress(*columns, console=console, refresh_per_second=REDRAWS) as bar:
        task = bar.add_task("checking", total=None)
        yield Reporter(lambda done, total: bar.update(task, completed=done, total=total),
                       lambda text: bar.update(task, description=text, refresh=True))
