"""Literal subtraction: the plain function at moved inputs, against the program's changes for the same step."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..._constants import NOISE_SIGMAS
from ..._errors import EngineError, NoRule
from ..._types import Array, Indices
from ...problems.functions.purity import outside_domain
from ...problems.parameters.sampling import random_direction
from .places import Place
from .problem import ProgramProblem
from .quotients import Quotients
from .roundings import rounding_of_cost
from .runner import FLUSHED, Later, Runner, ranges, scale_of
from .trust import DITHERED, HALVES, MANY, TOGETHER, UNIT, Direction, columns_of

if TYPE_CHECKING:
    from numpy.random import Generator

# The literal step, relative to the entries: so large that subtraction keeps most of its digits.
LITERAL_STEP = 2.0**-10
# Its factors: the shorter steps are for functions that are not defined as far away as the longest one, or take another
# branch there.
SHORTER = (1.0, 2.0**-10, 2.0**-20)
# Where it disagrees, it is looked at again with a step longer by this factor, still a share of the entries: functions
# that level off far away would hide what the program misses.  Rounding stays about as large as it was, but for a factor
# by chance; what is missed grows with the step.
LONGER, BY_CHANCE = 2.0**6, 16.0
# A function that stands still on most of this many points along the step is a staircase, as (x + 1e16) - 1e16 is: only
# a step over many stairs shows what it does, and what is apart must by then have fallen behind the step.
POINTS, FEW, FAR, BEHIND = 8, 4, 2.0**18, 16.0
# A literal difference may be off by this share of the change, and by this many roundings of the outputs.
AGREEMENT, ROUNDINGS = 1e-8, 1e3
# Entries without finite differences that are held against the plain function, and how far beside them.
WITHOUT, BESIDE = 8, 2.0**-26


def require_same_outputs(problem: ProgramProblem) -> None:
    """Raise EngineError unless the program's outputs are the function's: bit for bit, or to the problem's rounding."""
    if problem.plain is None:
        return  # its cost was compared where the problem was made
    with np.errstate(all="ignore"):
        plain = problem.plain(problem.inputs(problem.theta))
    for place, (one, other) in enumerate(zip(problem.program.outputs, plain, strict=True)):
        mine, theirs = np.asarray(one), np.asarray(other)
        same = np.array_equal(mine, theirs, equal_nan=True) or (
            problem.rounding > 0.0
            and mine.shape == theirs.shape
            and np.allclose(mine, theirs, rtol=0.0, atol=problem.rounding * finite_scale(mine), equal_nan=True)
        )
        if not same:
            raise EngineError(
                f"exact differences: output {place} of the program is not the function's, bit for bit; "
                'use engine="differences", and please report the program'
            )


def require_literal(
    problem: ProgramProblem,
    runner: Runner,
    inputs: Sequence[Place],
    noise: Sequence[float],
    shares: dict[Place, float] | None,
    generator: "Generator",
    early: "LiteralMoves | None" = None,
) -> int:
    """Compare the program's changes with literal subtraction, along random directions.

    Parameters
    ----------
    problem : with the plain function.
    runner : of its program.
    inputs : of the program.
    noise : of each output, how far dithered inputs move it.
    shares : factors of the inputs' steps, to move all of them at once; None for one after the other, or random halves
        where they are many.
    generator : draws the directions.
    early : the longest steps of one input after the other, where they have been run with others.

    Returns
    -------
    int : number of literal evaluations.

    Raises
    ------
    EngineError : where they differ by more than rounding explains.

    Notes
    -----
    Both are differences for the same step, so no derivative and no truncation is involved, and the step may be so
    large that rounding of the outputs is a millionth of the change.
    """
    moving = [place for place in inputs if place.size]
    if shares is not None:
        groups = [moving]
    elif len(moving) <= MANY:
        groups = [[place] for place in moving]
    else:
        groups = [[p for p in moving if generator.random() < 0.5] or moving for _ in range(HALVES)]
    steps = [{place: shorter * (shares or {}).get(place, 1.0) for place in moving} for shorter in SHORTER]
    for longer in steps[:-1]:
        with suppress(_UndefinedError, NoRule):
            drawn, early = early or LiteralMoves.draw(groups, longer, generator), None
            return _require_groups(problem, runner, inputs, noise, drawn, longer, generator, finite=True)
    drawn = LiteralMoves.draw(groups, steps[-1], generator)
    return _require_groups(problem, runner, inputs, noise, drawn, steps[-1], generator, finite=False)


@dataclass(frozen=True)
class LiteralMoves:
    """Random steps through groups of inputs.

    Parameters
    ----------
    groups : the inputs of each step.
    changes, values : what each step changes, and the values behind it, by input.
    later : all of them as columns that are run with others; None where they are not.
    """

    groups: Sequence[Sequence[Place]]
    changes: Sequence[dict[Place, Array]]
    values: Sequence[dict[Place, Array]]
    later: Later | None = None

    @classmethod
    def draw(
        cls, groups: Sequence[Sequence[Place]], shares: dict[Place, float], generator: "Generator"
    ) -> "LiteralMoves":
        """Draw a step through each group."""
        moves = [_move(group, shares, generator) for group in groups]
        return cls(groups, [changes for changes, _ in moves], [values for _, values in moves])

    def waiting(self, runner: Runner) -> "LiteralMoves":
        """Return the same, to be run with others."""
        return replace(self, later=runner.later(
            columns_of([Direction(changes) for changes in self.changes]), far=True,
        ))

    def responses(self, runner: Runner, block: slice) -> tuple[Array | None, ...]:
        """Return what some of them change in the outputs, in their shapes with a leading axis."""
        if self.later is None:
            return runner.run_outputs(self.changes[block])
        return tuple(None if change is None else change.reshape(-1, *np.shape(output))[block]
                     for change, output in zip(self.later.found.outputs, runner.outputs, strict=True))


class _UndefinedError(EngineError):
    """The function is not defined at moved inputs."""


def _require_groups(
    problem: ProgramProblem, runner: Runner, inputs: Sequence[Place], noise: Sequence[float],
    moves: LiteralMoves, shares: dict[Place, float], generator: "Generator", *, finite: bool,
) -> int:
    """Do what ``require_literal`` does, with steps of one length, at which outputs may have to be finite."""
    evaluations = len(moves.groups)
    size = sum(place.size for place in inputs)
    largest = max(1, min(runner.fitting, TOGETHER // (8 * max(1, size))))
    for block in ranges(len(moves.groups), largest):
        responses = moves.responses(runner, block)
        for row, (group, values) in enumerate(zip(moves.groups[block], moves.values[block], strict=True)):
            at = [values.get(place, place.value).copy() for place in inputs]
            exact = [None if response is None else response[row] for response in responses]
            apart = _compare_all(problem, runner, at, exact, noise, finite=finite)
            if apart is not None and not (
                _rounds(problem, runner, inputs, (group, shares), generator, apart, finite=finite)
                or apart.error <= NOISE_SIGMAS * _rounding_inside(problem, moves.changes[block][row], apart, generator)
            ):
                name = problem.tensors[group[0].number].name + (f" and {len(group) - 1} more" if len(group) > 1 else "")
                raise EngineError(
                    f"exact differences: with {name} moved, output {apart.output} changes by {apart.error:.3g} more or "
                    f"less than literal subtraction says, where rounding explains {apart.allowed:.3g}; "
                    'use engine="differences", and please report the program'
                )
            evaluations += 0 if apart is None else POINTS + 1
    return evaluations


def require_finite(
    problem: ProgramProblem, place: Place, quotients: Quotients, entries: Indices, generator: "Generator"
) -> int:
    """Raise EngineError where an input's differences are not finite although the plain function is on that side.

    That is so where a comparison at equality guards a quotient, as np.where(x == 0, 1, sin(x) / np.where(x == 0, 1, x))
    does: beside zero the program's value of the denominator is 1 + (h - 1), which loses what h is.

    Parameters
    ----------
    problem : with the plain function.
    place, quotients : an input, and what was found of its entries.
    entries : that were moved.
    generator : draws some of those that are not finite.

    Returns
    -------
    int : number of literal evaluations.
    """
    tensor, evaluations = problem.tensors[place.number], 0
    for side, found in ((1.0, quotients.right), (-1.0, quotients.left)):
        lost = entries[~np.isfinite(found[entries])]
        for entry in generator.permutation(lost)[:WITHOUT]:
            moved = problem.inputs(problem.theta)
            moved[place.number].reshape(-1)[entry] += side * BESIDE * place.scale[entry]
            with np.errstate(all="ignore"):
                cost = problem.literal_cost(moved)
            evaluations += 1
            if np.isfinite(cost):
                raise EngineError(
                    f"exact differences: that of {tensor.place(tensor.start + int(entry))} is not finite where the "
                    "cost is, as at a comparison that guards a quotient"
                )
    return evaluations


def _rounds(
    problem: ProgramProblem, runner: Runner, inputs: Sequence[Place], group: tuple[Sequence[Place], dict[Place, float]],
    generator: "Generator", apart: "Apart", *, finite: bool,
) -> bool:
    """Tell whether what is apart is rounding inside the function.

    It then stays as large as it is, however long the step; what the program misses grows in proportion.
    """
    staircase = _stands_still(problem, _move(*group, generator), inputs, apart.output)
    longer = FAR if staircase else LONGER
    changes, values = _move(*group, generator, longer)
    exact = [None if r is None else r[0] for r in runner.run_outputs([changes])]
    at = [values.get(place, place.value).copy() for place in inputs]
    found = _compare_all(problem, runner, at, exact, [0.0] * len(runner.outputs), only=apart.output, finite=finite)
    return found is None or found.error <= apart.error * (FAR / BEHIND if staircase else BY_CHANCE)


def _rounding_inside(
    problem: ProgramProblem, changes: dict[Place, Array], apart: "Apart", generator: "Generator"
) -> float:
    """Return the standard error of a literal difference by rounding inside the program.

    That is of the cost, where this is all that is subtracted, or of an output that is a number.  Dithered inputs do not
    show it where an operation loses digits: 1 - a with a next to one takes the same few values.  It is 0 where nobody
    can tell.
    """
    weights = list(problem.weights)
    if any(place.inside for place in changes):
        return 0.0
    if problem.plain is not None:
        if np.size(weights[apart.output]) != 1:
            return 0.0
        weights = [np.full_like(weight, place == apart.output) for place, weight in enumerate(weights)]
    still = {place.number: np.zeros(place.shape) for place in changes}
    return float(np.sqrt(2.0)) * rounding_of_cost(problem.program, weights, still, int(generator.integers(1 << 31)))


def _stands_still(
    problem: ProgramProblem, move: tuple[dict[Place, Array], dict[Place, Array]], inputs: Sequence[Place], output: int
) -> bool:
    """Tell whether the plain function takes few values along a step."""
    changes, _ = move
    seen = set()
    with np.errstate(all="ignore"):
        for share in np.arange(1, POINTS + 1) / POINTS:
            at = [place.value + share * changes[place].reshape(place.value.shape) if place in changes
                  else place.value.copy() for place in inputs]
            value = problem.literal_cost(at) if problem.plain is None else _plain(problem, at)[output]
            seen.add(np.asarray(value).tobytes())
    return len(seen) <= FEW


def _move(
    group: Sequence[Place], shares: dict[Place, float], generator: "Generator", longer: float = 1.0
) -> tuple[dict[Place, Array], dict[Place, Array]]:
    """Return a random step through some inputs: their changes, and their values afterwards."""
    changes, values = {}, {}
    for place in group:
        value = place.value.reshape(-1)
        step = shares.get(place, 1.0) * longer * LITERAL_STEP * place.scale
        with np.errstate(invalid="ignore"):
            wanted = value + random_direction(generator, place.size) * step
            changes[place] = wanted - value
        values[place] = wanted.reshape(place.shape)
    return changes, values


@dataclass(frozen=True)
class Apart:
    """A literal difference of an output that disagrees: by how much at most, and what rounding explains of that."""

    output: int
    error: float
    allowed: float


def _compare_all(
    problem: ProgramProblem, runner: Runner, at: Sequence[Array], changes: Sequence[Array | None],
    noise: Sequence[float], *, only: int | None = None, finite: bool,
) -> Apart | None:
    """Return the first output (or this one) whose literal difference disagrees, if any.

    Raises
    ------
    _UndefinedError : where the function raises, or where its outputs are no longer finite and that is asked of them.
    """
    if problem.plain is None:
        return cost_apart(problem, at, _change_of_cost(problem, changes), _noise_of_cost(problem, noise))
    literal = _plain(problem, at)
    if finite and any(np.any(np.isfinite(was) > np.isfinite(now))
                      for was, now in zip(runner.outputs, literal, strict=True) if np.shape(was) == np.shape(now)):
        raise _UndefinedError("exact differences: the function is not finite beside these inputs")
    for output, (was, now, moved) in enumerate(zip(runner.outputs, literal, changes, strict=True)):
        if only in (None, output):
            exact = np.zeros(np.shape(was)) if moved is None else moved
            allowance = DITHERED * noise[output]
            apart = _compare(output, np.asarray(was), np.asarray(now), exact, allowance, problem.rounding)
            if apart is not None:
                return apart
    return None


def _plain(problem: ProgramProblem, at: Sequence[Array]) -> Sequence[Any]:
    """Return the plain function's outputs at moved inputs; raises _UndefinedError where they are outside its domain."""
    assert problem.plain is not None  # noqa: S101 - the callers have asked
    try:
        with np.errstate(all="ignore"):
            return problem.plain(at)
    except Exception as error:
        if not outside_domain(error):
            raise
        raise _UndefinedError(f"exact differences: the function raises beside these inputs ({error})") from error


def cost_apart(problem: ProgramProblem, at: Sequence[Array], change: float, noise: float) -> Apart | None:
    """Return how far the cost by a plain call is from changing as the program says, if by more than rounding explains.

    Parameters
    ----------
    at : the moved inputs.
    change : of the cost, by the program.
    noise : what is allowed beside the rounding of the cost.
    """
    with np.errstate(all="ignore"):
        subtracted = problem.literal_cost(at) - problem.cost
    if not (np.isfinite(subtracted) and np.isfinite(change)):
        return None
    allowed = AGREEMENT * abs(change) + ROUNDINGS * UNIT * (abs(problem.cost) + abs(subtracted)) + noise
    error = abs(subtracted - change)
    return None if error <= allowed else Apart(0, error, allowed)


def _change_of_cost(problem: ProgramProblem, changes: Sequence[Array | None]) -> float:
    return sum(float(np.vdot(weight, change)) for weight, change in zip(problem.weights, changes, strict=True)
               if change is not None)


def _noise_of_cost(problem: ProgramProblem, noise: Sequence[float]) -> float:
    return DITHERED * sum(float(np.abs(weight).sum()) * one for weight, one in zip(problem.weights, noise, strict=True))


def _compare(output: int, was: Any, now: Any, exact: Array, noise: float, rounding: float) -> Apart | None:
    if now.shape != was.shape:
        raise EngineError(f"output {output}: expected shape {was.shape}, got {now.shape} at moved inputs")
    with np.errstate(all="ignore"):
        subtracted = now - was
        known = np.isfinite(subtracted) & np.isfinite(exact)
        apart = np.abs(subtracted - exact)[known]
    size = max(finite_scale(was), finite_scale(now))
    allowed = AGREEMENT * float(np.abs(exact[known]).max(initial=0.0))
    allowed += max(ROUNDINGS * UNIT, 2.0 * rounding) * size + noise + FLUSHED
    worst = float(apart.max(initial=0.0))
    if worst <= allowed:
        return None
    return Apart(output, worst, allowed)


def finite_scale(values: Any) -> float:
    """Return the largest size of a finite entry."""
    return scale_of([values[np.isfinite(values)]])
