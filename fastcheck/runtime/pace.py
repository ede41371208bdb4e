"""How many rows of a stack to take at a time."""

import math

# Longest time for one stack: it keeps Ctrl-C and the time limit responsive.
LONGEST = 0.2
# Shortest time that a reading of the clock is trusted for.
CLOCK = 1e-7


class Pace:
    """How many rows at a time: the number whose rows take least time each, found by doubling and halving.

    Parameters
    ----------
    rows : to start with.
    most : rows at most; fewer where they take longer than LONGEST.
    """

    def __init__(self, rows: int, most: int) -> None:
        self.rows, self.most = min(rows, most), most
        self.seconds: dict[int, float] = {}

    def took(self, rows: int, seconds: float) -> None:
        """Learn from a block of this many rows."""
        if rows != self.rows:
            return
        self.seconds[rows] = min(max(seconds, CLOCK) / rows, self.seconds.get(rows, math.inf))
        best = min(self.seconds, key=self.seconds.__getitem__)
        most = min(self.most, max(1, int(LONGEST / self.seconds[best])))
        untried = (other for other in (2 * best, best // 2) if 1 <= other <= most and other not in self.seconds)
        self.rows = next(untried, min(best, most))
