"""How a check may use the machine."""

import math
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Run:
    """How an engine may use the machine.

    threads : at most this many.
    memory_limit : bytes on top of the O(n) vectors.
    progress : called with (done, total) units of work; may raise to stop the run.
    says : shows the user a few words on what goes on.
    deadline : of ``time.perf_counter``: what only serves judging should be cut short to keep it.
    """

    threads: int
    memory_limit: int
    progress: Callable[[int, int], None] = lambda done, total: None
    deadline: float = math.inf
    says: Callable[[str], None] = lambda text: None

