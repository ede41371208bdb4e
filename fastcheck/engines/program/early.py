"""What holds entries to account, run together with the entries themselves where programs are small.

A call of a small program that is followed takes as long as dozens of plain ones, however few columns it has.  So the
directions that entries have to add up to, and the same with steps of other digits, are drawn before anything is known,
and share a call with the entries where those are moved by themselves; else with the long steps of literal subtraction.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..._types import Array
from .literal import LiteralMoves
from .runner import Later
from .state import Check
from .trust import FACTORS, MANY, Direction, EarlyAlong, along_moved, columns_of, through_each

# Numbers in the changes of inputs that are worth it, beside those of the entries.
MOST_NUMBERS = 1 << 16


@dataclass(frozen=True)
class Early:
    """Directions, and the steps of literal subtraction, that wait to be run.

    Parameters
    ----------
    directions : through each input.
    factors : by which steps of other digits are longer.
    slopes : their columns: the directions, and those times each of the factors.
    literal : the steps of literal subtraction, of each input.
    """

    directions: Sequence[Direction]
    factors: Array
    slopes: Later
    literal: LiteralMoves

    def along(self, check: Check) -> EarlyAlong | None:
        """Return what is found along them; None where not all entries are known, as a time limit has it."""
        if not all(quotients.done.all() for quotients in check.quotients):
            return None
        found, count = along_moved(self.slopes.found, check.runner), len(self.directions)
        right, longer = (found.rows(part) for part in np.split(np.arange(found.right.size), [count]))
        return EarlyAlong(self.directions, self.factors, right, longer)


def begin_early(check: Check) -> Early | None:
    """Draw them; None where inputs are many or large, or not all of their entries are wanted."""
    if not getattr(check.problem.program, "observes", False):
        return None  # one that is compiled has a fixed number of columns
    places = [place for place in check.inputs if place.size]
    rows = len(places) * (2 * (1 + FACTORS) + 1)
    if len(places) > MANY or rows * sum(place.size for place in places) > MOST_NUMBERS:
        return None
    if not places or any(wanted.size < place.size for wanted, place in zip(check.wanted, check.inputs, strict=True)):
        return None
    everything = [np.ones(place.size, dtype=bool) for place in check.inputs]
    directions = through_each(check.inputs, everything, check.generator)
    factors = check.generator.uniform(1.0, 2.0, FACTORS)
    longer = [one.scaled(factor) for factor in factors for one in directions]
    literal = LiteralMoves.draw([[place] for place in places], {}, check.generator)
    slopes = check.runner.later(columns_of([*directions, *longer]))
    return Early(directions, factors, slopes, literal.waiting(check.runner))
