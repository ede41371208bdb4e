"""Entries held against directions, and the noise of both."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..._errors import EngineError
from ..._types import Array, Mask
from .choice import Way
from .kinks import FROZEN, Candidates, under_conventions
from .places import Place
from .runner import Runner
from .state import Check
from .trust import (
    FACTORS,
    HALVES,
    MANY,
    ROUNDINGS,
    UNIT,
    Along,
    Direction,
    EarlyAlong,
    along,
    disagrees,
    dither,
    dithered_noise,
    through_each,
    through_several,
)

if TYPE_CHECKING:
    from numpy.random import Generator

# Programs at dithered inputs that noise is measured with.
DITHERS = 1


@dataclass(frozen=True)
class Dithered:
    """What dithered inputs move: the error of an entry of each input, and the outputs."""

    noise: dict[Place, float]
    outputs: list[float]


def verify(
    check: Check, candidates: Candidates, *, joint: bool, early: EarlyAlong | None
) -> tuple[Candidates, Dithered]:
    """Hold the entries against directions, mend what disagrees, and measure the noise.

    Parameters
    ----------
    check : the entries.
    candidates : their slopes under conventions.
    joint : let all inputs share one direction.
    early : directions through each input that have been run with others.

    Returns
    -------
    The slopes under conventions, mended too, and the noise.

    Raises
    ------
    EngineError : where entries moved by themselves do not add up to a direction either.
    """
    done = [quotients.done for quotients in check.quotients]
    slopes = [quotients.slope for quotients in check.quotients]
    directions: Sequence[Direction]
    if early is not None:
        directions = early.directions
    elif joint:
        directions = through_several(check.inputs, done, slopes, check.generator, 1)
    elif len(check.inputs) > MANY:
        directions = through_several(check.inputs, done, slopes, check.generator, HALVES)
    else:
        directions = through_each(check.inputs, done, check.generator)
    base = along(directions, check.runner, right=None if early is None else early.right)
    dithered = _dithered(check, directions, base, early)
    _note_stillness(check, directions, base, dithered.noise)
    wrong = _contradicted(check, directions, base, candidates, dithered.noise)
    if wrong and len(directions[0].changes) > 1:
        some = [place in wrong for place in check.inputs]
        directions = through_each(check.inputs, [d & s for d, s in zip(done, some, strict=True)], check.generator)
        base = along(directions, check.runner)
        wrong = _contradicted(check, directions, base, candidates, dithered.noise)
    for place in wrong:
        # What was guessed of a structure does not hold here; entries by themselves need no guess.
        check.ways[place.number] = Way.alone(place)
        check.take_single(place, check.wanted[place.number])
        check.quotients[place.number].done[:] = False
        check.quotients[place.number].done[check.wanted[place.number]] = True
        check.places[place] = check.quotients[place.number]
    if wrong and candidates:
        candidates = under_conventions(check.ways, check.places, check.runner, check.limits)
    if wrong and (still := _contradicted(check, directions, base, candidates, dithered.noise)):
        name = check.problem.tensors[still[0].number].name
        raise EngineError(
            f"exact differences: the entries of {name} do not add up to the change along a direction; "
            'use engine="differences", and please report the program'
        )
    return candidates, dithered


def _contradicted(
    check: Check, directions: Sequence[Direction], base: Along, candidates: Candidates, noise: Mapping[Place, float]
) -> list[Place]:
    """Inputs whose entries do not add up to what directions show; at ties both are held to one convention."""
    slopes: dict[Place, Array] = {
        place: quotients.slope for place, quotients in zip(check.inputs, check.quotients, strict=True)
    }
    frozen = along(directions, check.runner, FROZEN) if base.flagged.any() else base
    held = dict(zip(check.inputs, candidates[FROZEN], strict=True)) if candidates else slopes
    wrong: list[Place] = []
    for row, direction in enumerate(directions):
        one, side = (frozen, held) if base.flagged[row] else (base, slopes)
        if disagrees(direction, side, one.rows([row]), noise):
            wrong += direction.changes
    return list(dict.fromkeys(wrong))


def _dithered(
    check: Check, directions: Sequence[Direction], base: Along, early: EarlyAlong | None
) -> Dithered:
    """Take the same directions with steps of other digits, at the inputs and at some that are off by an ulp or two."""
    found, outputs = _other_digits(check, directions, check.runner, early), [0.0] * len(check.runner.outputs)
    for _ in range(DITHERS):
        values = [_dithered_but_for(quotients.flagged, place, check.generator)
                  for place, quotients in zip(check.inputs, check.quotients, strict=True)]
        with np.errstate(all="ignore"):
            program = check.problem.program_at(values)
            found += _other_digits(check, directions, check.runner.at(program))
            for place, (there, here) in enumerate(zip(program.outputs, check.runner.outputs, strict=True)):
                apart = np.abs(np.asarray(there) - np.asarray(here))
                outputs[place] = max(outputs[place], float(apart[np.isfinite(apart)].max(initial=0.0)))
    return Dithered(dithered_noise(directions, base, found), outputs)


def _dithered_but_for(kinks: Mask, place: Place, generator: "Generator") -> Array:
    """Return a dithered input, whose entries at kinks stand still: on another branch than theta nothing is rounding."""
    value = dither(place.value, generator)
    value.reshape(-1)[kinks] = place.value.reshape(-1)[kinks]
    return value


def _note_stillness(check: Check, directions: Sequence[Direction], base: Along, noise: dict[Place, float]) -> None:
    """Take for noise what single entries do where a direction through them does nothing at all.

    Where terms cancel on the way (a bias before a normalisation), rounding may leave some of what one entry does and
    nothing of what several do, or the other way round; dithered inputs need not show it.
    """
    effects = {
        place: float(np.max(np.abs(quotients.slope * place.step)[quotients.done], initial=0.0))
        for place, quotients in zip(check.inputs, check.quotients, strict=True)
    }
    rounding = ROUNDINGS * UNIT * max(filter(np.isfinite, effects.values()), default=0.0)
    for row in np.flatnonzero((base.terms == 0.0) & ~base.flagged).tolist():
        for place in directions[row].changes:
            if 0.0 < effects[place] <= rounding:
                quotients = check.quotients[place.number]
                most = float(np.max(np.abs(quotients.slope[quotients.done])))
                noise[place] = max(noise.get(place, 0.0), most)


def _other_digits(
    check: Check, directions: Sequence[Direction], runner: Runner, early: EarlyAlong | None = None
) -> list[Along]:
    """Return the directions with longer steps, in one go."""
    factors = check.generator.uniform(1.0, 2.0, FACTORS) if early is None else early.factors
    longer = [one.scaled(factor) for factor in factors for one in directions]
    all_of_them = along(longer, runner, right=None if early is None else early.longer)
    parts = np.split(np.arange(len(factors) * len(directions)), len(factors))
    return [all_of_them.rows(part) / factor for part, factor in zip(parts, factors, strict=True)]
