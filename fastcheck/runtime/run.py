"""How a check may use the machine."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Run:
    """How an engine may use the machine.

    threads : at most so many.
    memory_limit : bytes beside the O(n) vectors.
    progress : called with (done, total) units of work; may raise to stop the run.
    """

    threads: int
    memory_limit: int
    progress: Callable[[int, int], None] = lambda done, total: None

