"""Entries at kinks: one-sided derivatives, and what the gradient is under each convention for ties."""

from collections.abc import Sequence

import numpy as np

from ..._types import Array, Indices
from .choice import Way
from .colouring import Colouring
from .columns import Job, Limits, measure
from .quotients import Quotients
from .runner import Place, Runner
from .units import combined

# The slope that every tie is given in turn, and what that is called: the losing branch's (relu's slope at 0 is 0), half
# of each (equal maxima share), the winning or first branch's.
CONVENTIONS = {0.0: "slope 0, last of the ties", 0.5: "slope 1/2, ties share alike", 1.0: "slope 1, first of the ties"}
# A jump between the one-sided derivatives counts from this share of the entry, or of the usual one of its tensor: a
# smaller one moves no verdict, and curvature over the engine's own step leaves less.
JUMP = 1e-8

# Slopes of every input by convention; empty where no column moved a tie.
Candidates = dict[float, list[Array]]


def measure_way(way: Way, found: dict[Place, Quotients], size: int) -> Quotients:
    """An input's quotients from those of the places that its way moves."""
    if not way.units:
        return found[way.colouring.place]
    served = combined(way.units, [found[site.place] for site in way.sites], size)
    return served if way.whole else served.plus(found[way.colouring.place])


def under_conventions(
    ways: Sequence[Way], found: dict[Place, Quotients], runner: Runner, limits: Limits
) -> Candidates:
    """The central difference of every input with all ties frozen to one convention, by convention.

    Only columns that moved a tie are run again: in the others there is nothing to freeze.
    """
    jobs = [
        Job(colouring, np.unique(colouring.colour[found[colouring.place].flagged]))
        for colouring in _moved(ways) if found[colouring.place].flagged.any()
    ]
    slopes: Candidates = {}
    for convention in CONVENTIONS if jobs else ():
        frozen = dict(found)
        for job, quotients in zip(jobs, measure(jobs, runner, limits, convention), strict=True):
            old, moved = found[job.place], quotients.done
            frozen[job.place] = Quotients(
                np.where(moved, quotients.right, old.right), np.where(moved, quotients.left, old.left),
                old.terms, old.flagged, old.done, old.unseen,
            )
        slopes[convention] = [measure_way(way, frozen, way.colouring.place.size).slope for way in ways]
    return slopes


def _moved(ways: Sequence[Way]) -> list[Colouring]:
    """The colourings of all places that are moved."""
    return list({colouring.place: colouring for way in ways for colouring in way.moved()}.values())


def at_kinks(quotients: Quotients, candidates: Sequence[Array]) -> Indices:
    """Entries whose derivative depends on the side or on the convention.

    Parameters
    ----------
    quotients : of an input.
    candidates : its slopes under the conventions.
    """
    where = np.flatnonzero(quotients.flagged & quotients.done)
    if not where.size:
        return where
    slope = quotients.slope
    finite = slope[np.isfinite(slope)]
    usual = float(np.sqrt(np.mean(finite**2))) if finite.size else 0.0
    right, left = quotients.right[where], quotients.left[where]
    with np.errstate(invalid="ignore"):
        least = JUMP * np.maximum(usual, np.abs(right) + np.abs(left))
        apart = ~(np.abs(right - left) <= least)
        for candidate in candidates:
            apart |= ~(np.abs(candidate[where] - slope[where]) <= least)
    return np.asarray(where[apart])
