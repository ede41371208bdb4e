"""Which entries of a tensor disagree, and what could explain it: the one place that calls an entry wrong."""

import math

import numpy as np

from .._constants import NOISE_SIGMAS
from .._types import Array, Indices, Mask
from .comparison import Comparison, EntryChunk
from .explanations import Explanations
from .judgement import NONE, Disagreeing


def disagreeing_entries(comparison: Comparison, explanations: Explanations) -> Disagreeing:
    """Sort out the entries of a tensor that disagree.

    Parameters
    ----------
    comparison : the tensor's entries.
    explanations : what may explain a disagreement.
    """
    sorter = _Sorter(comparison, explanations)
    for part in comparison.entries():
        sorter.take(part)
    return sorter.result()


def broken_entries(comparison: Comparison) -> Disagreeing:
    """The wrong entries of a tensor that is not finite everywhere: those, and what exceeds tolerance and noise."""
    wrong = [NONE]
    for part in comparison.entries():
        with np.errstate(invalid="ignore"):
            right = part.error <= comparison.tolerance * part.size + NOISE_SIGMAS * part.noise
        wrong.append(part.first + np.flatnonzero(~right | ~np.isfinite(part.error)))
    return Disagreeing(wrong=np.concatenate(wrong), error=math.nan)


class _Sorter:
    """Collects positions and norms chunk by chunk."""

    def __init__(self, comparison: Comparison, explanations: Explanations) -> None:
        self.comparison, self.explanations = comparison, explanations
        self.norm = explanations.given.norm
        self.lost = explanations.lost * comparison.unit
        self.places: dict[str, list[Indices]] = {
            "wrong": [], "stepped": [], "kinked": [], "rounded": [], "noisy": [],
        }  # fmt: skip
        self.rounded_at_kinks = 0
        self.errors: list[float] = []
        self.noises: list[float] = []

    def take(self, part: EntryChunk) -> None:
        """Sort the entries of one chunk."""
        allowed = self.comparison.tolerance * part.size + self.lost
        self._add_norms(part)
        beyond = part.error > allowed
        if not beyond.any():
            return
        allowed = allowed + NOISE_SIGMAS * part.noise
        wrong = beyond & ~(part.error <= allowed)  # noise that is not a number excuses nothing
        self._add("noisy", part, beyond & ~wrong)
        if wrong.any():
            self._explain(part, wrong, allowed)

    def _explain(self, part: EntryChunk, wrong: Mask, allowed: Array) -> None:
        rounded = wrong & (part.error <= allowed + NOISE_SIGMAS * self.explanations.rounding_of(part))
        kinked = self.explanations.by_kinks(part, wrong & ~rounded, allowed)
        stepped = self.explanations.by_step(part, wrong & ~rounded & ~kinked, allowed)
        for name, where in (("rounded", rounded), ("kinked", kinked), ("stepped", stepped),
                            ("wrong", wrong & ~rounded & ~kinked & ~stepped)):
            self._add(name, part, where)
        kinks = self.comparison.kinks_within(part.first, rounded.size)
        self.rounded_at_kinks += int(np.count_nonzero(rounded[kinks]))

    def result(self) -> Disagreeing:
        """Return what all chunks came to."""
        places = {name: np.concatenate(found) if found else NONE for name, found in self.places.items()}
        return Disagreeing(
            **places, rounded_at_kinks=self.rounded_at_kinks, error=join_norms(self.errors, self.norm),
            noise=join_norms(self.noises, self.norm),
        )

    def _add(self, name: str, part: EntryChunk, where: Mask) -> None:
        places = np.flatnonzero(where)
        if places.size:
            self.places[name].append(part.first + places)

    def _add_norms(self, part: EntryChunk) -> None:
        with np.errstate(over="ignore"):  # noise without bound has an infinite norm
            self.errors.append(float(np.linalg.norm(part.error, self.norm)))
            self.noises.append(float(np.linalg.norm(np.broadcast_to(part.noise, part.error.shape), self.norm)))


def join_norms(norms: list[float], norm: float) -> float:
    """Return the norm of a vector from the norms of its parts."""
    if norm == 2:
        return math.hypot(*norms)
    return math.fsum(norms) if norm == 1 else float(np.max(norms, initial=0.0))  # unlike max, keeps nan
