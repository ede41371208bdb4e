"""Entries at kinks: one-sided derivatives, and what the gradient is under each convention for ties."""

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import reduce
from itertools import product
from typing import TypeVar

import numpy as np

from ..._errors import NoRule
from ..._types import Array, Indices
from ...rules.branches import ALL, RIGHT, Convention, Kind, Mixture
from .choice import Way
from .colouring import Colouring
from .columns import Job, measure
from .limits import Limits
from .places import Place
from .quotients import Quotients
from .runner import Runner
from .units import combined

# What is held in turn at all ties of a kind, and what that is called.
HELD: dict[Kind, dict[float, str]] = {
    "kink": {0.0: "slope 0", 0.5: "slope 1/2", 1.0: "slope 1"},
    "tie": {0.0: "last of the ties", 0.5: "ties share alike", 1.0: "first of the ties", ALL: "all of the ties"},
    "modulus": {0.0: "slope -1 of magnitudes", 0.5: "slope 0 of magnitudes", 1.0: "slope 1 of magnitudes"},
    "comparison": {0.0: "comparisons as written", 1.0: "comparisons the other way at equality"},
}
# One of the conventions that are always tried.
FROZEN = RIGHT
# Operations may hold conventions of their own where that makes no more than this many mixtures.
MOST_MIXTURES = 100
# Terms that are this many times as large as under some convention are those of a jump.
OVER_A_JUMP = 2.0**24
# A jump between the one-sided derivatives counts from this share of the entry, or of the usual one of its tensor: a
# smaller one moves no verdict, and curvature over the engine's own step leaves less.
JUMP = 1e-8

Found = TypeVar("Found")

# Slopes of every input by convention; empty where no column moved a tie.
Candidates = dict[Convention | Mixture, list[Array]]


def conventions(kinds: Collection[Kind]) -> list[Convention]:
    """Return every mixture of conventions, one for each kind of kink that was met."""
    options = [list(names) if kind in kinds else [getattr(FROZEN, kind)] for kind, names in HELD.items()]
    return [Convention(*chosen) for chosen in product(*options)]


def mixtures(met: Collection[tuple[str, Kind]]) -> Iterator[Mixture]:
    """Yield every way in which operations may hold conventions of their own.

    Parameters
    ----------
    met : names of operations, and the kinds of kinks on which their values stood.
    """
    places = sorted(met)
    for chosen in product(*(HELD[kind] for _, kind in places)):
        held = {name: FROZEN for name, _ in places}
        for (name, kind), value in zip(places, chosen, strict=True):
            held[name] = held[name]._replace(**{kind: value})
        yield Mixture(tuple(held.items()))


def held_in_turn(met: Collection[tuple[str, Kind]]) -> list[Convention | Mixture]:
    """Return one convention for all operations after the other, and where they are few, mixtures of them.

    Parameters
    ----------
    met : names of operations, and the kinds of kinks on which their values stood.
    """
    kinds = {kind for _, kind in met}
    alike: list[Convention | Mixture] = [*conventions(kinds)]
    several = len(met) > len(kinds)
    if not several or math.prod(len(HELD[kind]) for _, kind in met) > MOST_MIXTURES:
        return alike
    return alike + [one for one in mixtures(met) if not _is_alike(one, met)]


def _is_alike(mixture: Mixture, met: Collection[tuple[str, Kind]]) -> bool:
    """Tell whether all operations that stood on a kind of kink hold the same there."""
    values: dict[Kind, set[float]] = {}
    for name, kind in met:
        values.setdefault(kind, set()).add(getattr(mixture.of(name), kind))
    return all(len(one) == 1 for one in values.values())


def under_each(
    held: Iterable[Convention | Mixture], found_under: Callable[[Convention | Mixture], Found]
) -> list[tuple[Convention | Mixture, Found]]:
    """Return what is found under each convention, but those under which the program would take another path."""
    found = []
    for convention in held:
        try:
            found.append((convention, found_under(convention)))
        except NoRule:
            if convention == FROZEN:
                raise
    return found


def name_of(held: Convention | Mixture, met: Collection[tuple[str, Kind]]) -> str:
    """Return what a convention is called, where values stood on kinks of some kinds."""
    if isinstance(held, Mixture):
        return "; ".join(f"{name}: {name_of(one, {(n, k) for n, k in met if n == name})}" for name, one in held.held)
    kinds = {kind for _, kind in met}
    return ", ".join(names[getattr(held, kind)] for kind, names in HELD.items() if kind in kinds)


def measure_way(way: Way, found: dict[Place, Quotients]) -> Quotients:
    """Return an input's quotients from those of the places that its way moves."""
    own = [found[colouring.place] for colouring in way.colourings]
    if not way.units:
        return own[0]
    served = combined(way.units, [site.quotients(found) for site in way.sites], way.place.size)
    return reduce(Quotients.plus, own, served)


def under_conventions(
    ways: Sequence[Way], found: dict[Place, Quotients], runner: Runner, limits: Limits
) -> Candidates:
    """Return the central difference of every input with all ties of a kind frozen to one convention, by convention.

    Only columns that moved a tie are run again: in the others there is nothing to freeze.  Conventions under which the
    program would take another path are left out.

    Over a jump the quotient to the right, and with it the terms that rounding is relative to, go like 1 / step: the
    terms of ``found`` become those that are left under a convention.
    """
    least: dict[Place, Array] = {}
    jobs = [
        Job(colouring, np.unique(colouring.colour[found[colouring.place].flagged]))
        for colouring in _moved(ways) if found[colouring.place].flagged.any()
    ]
    if not jobs:
        return {}

    def held(convention: Convention | Mixture) -> list[Array]:
        frozen = dict(found)
        for job, quotients in zip(jobs, measure(jobs, runner, limits, convention), strict=True):
            old, moved = found[job.place], quotients.done
            least[job.place] = np.fmin(least.get(job.place, old.terms), np.where(moved, quotients.terms, old.terms))
            frozen[job.place] = Quotients(
                np.where(moved, quotients.right, old.right), np.where(moved, quotients.left, old.left),
                old.terms, old.flagged, old.lone, old.done, old.unseen,
            )
        return [measure_way(way, frozen).slope for way in ways]

    met = runner.met if runner.program_holds else _felt(runner.met, held)
    candidates = dict(under_each(tried(runner, met), held))
    for place, terms in least.items():
        own = found[place]
        own.terms = np.where(own.terms > OVER_A_JUMP * terms, terms, own.terms)
    return candidates


def tried(runner: Runner, met: Collection[tuple[str, Kind]] | None = None) -> list[Convention | Mixture]:
    """Return the conventions that are held in turn where values of a program stood on kinks.

    ``met`` : those of its kinks that matter, if that is known.
    """
    if runner.program_holds:
        return [*conventions(runner.kinds), *runner.program_holds]
    return held_in_turn(runner.met if met is None else met)


def _felt(
    met: Collection[tuple[str, Kind]], slopes_under: Callable[[Convention | Mixture], list[Array]]
) -> list[tuple[str, Kind]]:
    """Return the operations whose conventions matter to the slopes; that of a comparison for an "if" may not."""
    if len(met) < 2:
        return list(met)
    as_frozen, felt = slopes_under(FROZEN), []
    for name, kind in sorted(met):
        values = [value for value in HELD[kind] if value != getattr(FROZEN, kind)]
        alone = [Mixture(((name, FROZEN._replace(**{kind: value})),)) for value in values]
        found = under_each(alone, slopes_under)
        if len(found) < len(alone) or any(
            not np.array_equal(mine, theirs, equal_nan=True)
            for _, slopes in found for mine, theirs in zip(slopes, as_frozen, strict=True)
        ):
            felt.append((name, kind))
    return felt


def _moved(ways: Sequence[Way]) -> list[Colouring]:
    """Return the colourings of all places that are moved."""
    return list({colouring.place: colouring for way in ways for colouring in way.moved()}.values())


def _usual(quotients: Quotients) -> float:
    """Root mean square of the derivatives, of each on its smaller side: over a jump the other goes like 1 / step."""
    sides = np.minimum(np.abs(quotients.right), np.abs(quotients.left))
    finite = sides[np.isfinite(sides)]
    return float(np.sqrt(np.mean(finite**2))) if finite.size else 0.0


def least_jump(quotients: Quotients, step: Array, cost: float) -> Array:
    """Return the size (n,) from which on a quotient is that of a jump of the cost, and no slope.

    It is many times the usual slope, and over the engine's own step the cost changes by a part of itself that shows.
    """
    with np.errstate(divide="ignore"):
        return np.maximum(OVER_A_JUMP * _usual(quotients), abs(cost) / (OVER_A_JUMP * step))


def at_kinks(quotients: Quotients, candidates: Sequence[Array]) -> Indices:
    """Return entries whose derivative depends on the side or on the convention.

    Parameters
    ----------
    quotients : of an input.
    candidates : its slopes under the conventions.
    """
    where = np.flatnonzero(quotients.flagged & quotients.done)
    if not where.size:
        return where
    slope, usual = quotients.slope, _usual(quotients)
    right, left = quotients.right[where], quotients.left[where]
    with np.errstate(invalid="ignore"):
        least = JUMP * np.maximum(usual, np.abs(right) + np.abs(left))
        apart = ~(np.abs(right - left) <= least)
        for candidate in candidates:
            apart |= ~(np.abs(candidate[where] - slope[where]) <= least)
    return np.asarray(where[apart])
