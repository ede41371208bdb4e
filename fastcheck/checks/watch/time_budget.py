"""An allowance of time: when to spend again so that, on average, no more than a share of the time is spent."""

# Work drives the caller's data out of the caches: what comes after it takes longer, by this share of the work (measured
# in training the digits network, whose data fill the second-level cache).
AFTERWARDS = 0.75
# A piece of work takes no longer; where the clock says so, it was put forward meanwhile.
LONGEST = 10.0
# What seems to be the callers' pace lets at most so many times the calls go by that went by before.
GROWTH = 64


def elapsed(started: float, now: float) -> float:
    """Seconds of a piece of work, by a clock that may have been put back or forward meanwhile."""
    return min(max(now - started, 0.0), LONGEST)


class Allowance:
    """Says when the next piece of work may begin: once the time since the last has paid for it.

    Parameters
    ----------
    overhead : the share: seconds of work for each second of the caller's own time.
    skip : seconds of a call that does nothing; they are paid for too.

    Notes
    -----
    Nothing is saved up: after a long pause there is one piece of work, not many.
    """

    def __init__(self, overhead: float, skip: float = 0.0) -> None:
        self.overhead, self.skip = overhead, skip
        self.due = self._read = 0.0

    def calls_to_skip(self, now: float, skipped: int) -> int:
        """0 where it is time to work, else half of the calls that there seem to be until then.

        Parameters
        ----------
        now : seconds on the caller's clock.
        skipped : calls since the clock was last read.
        """
        if now >= self.due or now < self._read:  # a clock that was put back would have the work wait for it
            return 0
        pace = (now - self._read) / skipped
        self._read = now
        calls = 0.5 * (self.due - now) / pace if pace > 0.0 else 1.0
        return int(min(max(calls, 1.0), GROWTH * skipped))

    def pay(self, started: float, now: float, skipped: int) -> None:
        """Note work from ``started`` until ``now``, and the calls that did nothing before it."""
        cost = (1.0 + AFTERWARDS) * elapsed(started, now)
        # Where doing nothing alone costs more than the share, work goes on at half its pace.
        self.due = now + (cost + min(skipped * self.skip, cost)) / self.overhead
        self._read = now

    def stand_still(self, seconds: float) -> None:
        """Leave out a time that is not the caller's own."""
        self.due += seconds
        self._read += seconds
