"""A budget of time: when to work again so that, on average, no more than a share of the time is spent."""

import math

# Work drives the caller's data out of the caches: what comes after it takes longer, by this share of the work (measured
# in training the digits network, whose data fill the second-level cache).
AFTERWARDS = 0.75
# A piece of work takes no longer; where the clock says so, it was put forward meanwhile.
LONGEST = 10.0


def elapsed(started: float, now: float) -> float:
    """Return the seconds of a piece of work, by a clock that may have been put back or forward meanwhile."""
    return min(max(now - started, 0.0), LONGEST)


class TimeBudget:
    """Says when the next piece of work may start: once the time since the last has paid for it.

    Parameters
    ----------
    overhead : the share: seconds of work for each second of the caller's own time.
    skip : seconds of a call that does nothing; they are paid for too.
    afterwards : the share of the work by which what comes after it takes longer.

    Attributes
    ----------
    paid, due : when the last piece of work ended, and when the next may start.  Between them there is nothing to do; a
        time before both tells that the clock was put back.
    debt : seconds of work that have not been paid for.

    Notes
    -----
    Nothing is saved up: after a long pause there is one piece of work, not many.
    """

    def __init__(self, overhead: float, skip: float = 0.0, afterwards: float = AFTERWARDS) -> None:
        self.overhead, self.skip, self.afterwards = overhead, skip, afterwards
        self.paid = self.due = -math.inf
        self.debt = 0.0

    def is_due(self, now: float) -> bool:
        """Tell whether it is time to work."""
        return not self.paid <= now < self.due

    def pay(self, started: float, now: float, skipped: int, credit: float = 0.0) -> None:
        """Note work from ``started`` until ``now``, and the calls that did nothing before it.

        ``credit`` seconds of it are paid off with later work, as much each time as that costs: rare long work does not
        put off what is short for long.
        """
        spent = elapsed(started, now)
        credit = min(credit, spent)
        cost = (1.0 + self.afterwards) * (spent - credit)
        self.debt += (1.0 + self.afterwards) * credit
        back = min(self.debt, cost)
        self.debt, cost = self.debt - back, cost + back
        # Where doing nothing alone costs more than the share, work goes on at half its pace.
        self.paid, self.due = now, now + (cost + min(skipped * self.skip, cost)) / self.overhead

    def stand_still(self, seconds: float) -> None:
        """Leave out a time that is not the caller's own."""
        self.paid += seconds
        self.due += seconds
