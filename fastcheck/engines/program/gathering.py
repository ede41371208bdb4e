"""What was found of all inputs, as one numerical gradient."""

from collections.abc import Sequence

import numpy as np

from ..._constants import SMALLEST_NORMALS
from ..._types import Array, Indices, Mask
from ...problems.gradients import CostsOnDemand, Kinks, NumericalGradient
from .kinks import JUMP, Candidates, at_kinks, least_jump, name_of
from .places import Place
from .problem import ProgramProblem
from .quotients import Quotients
from .runner import FLUSHED, Runner, ranges
from .state import Check
from .trust import UNIT
from .verification import Dithered

# Roundings that an entry is allowed, in units of its |terms|.
ROUNDINGS = 4.0
# Columns of costs at theta +- step that are run at a time.
COLUMNS = 256


def gathered(
    check: Check, candidates: Candidates, dithered: Dithered, epsilon: float
) -> tuple[NumericalGradient, Indices]:
    """Return one vector of all tensors."""
    slopes, noises, done, kinks = [], [], [], []
    start = 0
    for tensor, place, wanted, quotients in zip(
        check.problem.tensors, check.inputs, check.wanted, check.quotients, strict=True
    ):
        here = wanted[quotients.done[wanted]]
        slope = quotients.settled
        slopes.append(slope[here])
        rounding = ROUNDINGS * UNIT * quotients.terms[here]
        flushed = FLUSHED / place.step[here]
        noises.append(np.hypot(rounding, dithered.noise.get(place, 0.0)) + quotients.unseen[here] + flushed)
        done.append(here + tensor.start)
        met = check.runner.met
        options = {name_of(held, met): slopes_of[place.number] for held, slopes_of in candidates.items()}
        kinks.append(_kinks(quotients, options, here, start, least_jump(quotients, place.step, check.problem.cost)))
        start += here.size
    positions = np.concatenate(done)
    found = NumericalGradient(
        check.problem.cost,
        *costs_beside(check.problem, check.runner, check.inputs, positions, epsilon),
        np.concatenate(slopes),
        np.concatenate(noises),
        _joined(kinks),
        settled=True,
        smallest=SMALLEST_NORMALS["float64"],
    )
    return found, positions


def _kinks(
    quotients: Quotients, candidates: dict[str, Array], here: Indices, start: int, jumps: Array
) -> Kinks:
    """Return what is known of entries at kinks; where a quotient is a jump's, as ``least_jump`` has it, the other side.
    """
    where = np.intersect1d(at_kinks(quotients, list(candidates.values())), here, assume_unique=True)
    right, left = quotients.right[where], quotients.left[where]
    right, left = np.where(np.isfinite(right), right, left), np.where(np.isfinite(left), left, right)
    over = (np.abs(right) >= jumps[where]) != (np.abs(left) >= jumps[where])
    smaller = np.where(np.abs(right) < np.abs(left), right, left)
    low, high = (np.where(over, smaller, end) for end in (np.minimum(right, left), np.maximum(right, left)))
    conventions = {name: candidate[where] for name, candidate in candidates.items()}
    single = quotients.lone[where] & _reached(list(conventions.values()), low, high)
    return Kinks(start + np.searchsorted(here, where), low, high, conventions, single=single)


def _reached(slopes: Sequence[Array], low: Array, high: Array) -> Mask:
    """Tell where conventions lead to both sides and no further: what they do not freeze then has no kink of its own."""
    if not slopes:
        return np.zeros(low.shape, bool)
    near: Array = JUMP * (np.abs(low) + np.abs(high))
    with np.errstate(invalid="ignore"):
        least, most = np.abs(np.min(slopes, axis=0) - low), np.abs(np.max(slopes, axis=0) - high)
        return np.asarray((least <= near) & (most <= near))


def _joined(kinks: list[Kinks]) -> Kinks | None:
    """Return the kinks of all tensors; each has all conventions or, where no tie moved anywhere, none."""
    if not any(one.where.size for one in kinks):
        return None
    where, low, high, single = (
        np.concatenate([getattr(one, name) for one in kinks]) for name in ("where", "low", "high", "single")
    )
    names = kinks[0].conventions
    conventions = {name: np.concatenate([one.conventions[name] for one in kinks]) for name in names}
    return Kinks(where, low, high, conventions, of_line=True, single=single)


def costs_beside(
    problem: ProgramProblem, runner: Runner, inputs: Sequence[Place], positions: Indices, epsilon: float
) -> tuple[CostsOnDemand, CostsOnDemand]:
    """Return costs with one entry of ``positions`` moved up and down by a step, where somebody asks for them."""
    up, down = (
        CostsOnDemand(_CostsBeside(problem, runner, inputs, positions, sign * epsilon), positions.size)
        for sign in (1.0, -1.0)
    )
    return up, down


class _CostsBeside:
    """Costs with one checked entry moved by a step."""

    def __init__(
        self, problem: ProgramProblem, runner: Runner, inputs: Sequence[Place], positions: Indices, step: float
    ) -> None:
        self.runner, self.inputs, self.cost = runner, inputs, problem.cost
        self.starts = np.array([tensor.stop for tensor in problem.tensors])
        self.tensors, self.positions, self.step = problem.tensors, positions, step

    @np.errstate(all="ignore")  # a cost that is infinite is told by the report
    def __call__(self, places: Indices) -> Array:
        """Return costs, one for each place among the checked positions."""
        costs = np.empty(places.size)
        owner = np.searchsorted(self.starts, self.positions[places], side="right")
        for number in np.unique(owner):
            mine = np.flatnonzero(owner == number)
            place = self.inputs[number]
            for block in ranges(mine.size, min(COLUMNS, self.runner.most_columns([place.size]))):
                rows = mine[block]
                change = np.zeros((rows.size, place.size))
                entries = self.positions[places[rows]] - self.tensors[number].start
                change[np.arange(rows.size), entries] = self.step
                costs[rows] = self.cost + self.runner.weighted(self.runner.run([(place, change)]))
        return costs
