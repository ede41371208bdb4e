"""How far the columns of a check may go: a deadline, and the patience that ordinary differences leave."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from ..._errors import TooSlow
from .runner import Runner

# Nothing is told of how long all columns take before this share of what they may take has gone by.
EARLY = 0.1


@dataclass
class Limits:
    """How far blocks may go.

    Parameters
    ----------
    deadline : of ``time.perf_counter``.
    progress : called after each block with the number of entries done in it; may raise to stop.
    longest : seconds of the processor that all may take from ``started`` on; infinite where nothing would be quicker.
        A clock that jumps, and other processes, change nothing about that.
    """

    deadline: float = math.inf
    progress: Callable[[int], None] = lambda done: None
    longest: float = math.inf
    started: float = field(default_factory=time.process_time)

    @property
    def over(self) -> bool:
        """Whether no further block may be started."""
        return time.perf_counter() >= self.deadline

    def first(self, runner: Runner, usual: int) -> int:
        """Columns of both signs that a block begins with: few where those before were slow and patience is short.

        ``usual`` : how many it would begin with else.
        """
        slowest = 2.0 * usual * runner.seconds / max(runner.paid, 1)
        if slowest <= EARLY * self.longest:
            return usual
        return max(1, int(usual * EARLY * self.longest / slowest))

    def require_patience(self, left: int, seconds: float) -> None:
        """Raise TooSlow where columns that are left, at so many seconds each, would take longer than they may."""
        spent = time.process_time() - self.started
        expected = spent + left * seconds
        if left and spent > EARLY * self.longest and expected > self.longest:
            raise TooSlow(expected)
