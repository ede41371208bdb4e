"""What a report says about one tensor, and about single entries.  Computed when asked for."""

from collections.abc import Callable, Iterable

import numpy as np

from .._constants import NOISE_SIGMAS
from .._types import Array
from ..problems.gradients import NumericalGradient
from ..runtime.cached_property import cached_property
from ..verdict.comparison import Comparison, EntryChunk
from ..verdict.judgement import TensorVerdict
from ..verdict.outcome import Cause, Verdict
from .data import Entry


class TensorReport:
    """One tensor of a report.

    Parameters
    ----------
    found, differences : its verdict, and what the engine found.
    diagnose : says what is wrong with it, or "", when asked.

    Attributes
    ----------
    name, shape : of the tensor.
    checked : number of entries checked.
    verdict : "pass", "fail" or "inconclusive".
    difference : ||grad - gradapprox|| / (||grad|| + ||gradapprox||) in the report's norm.
    tolerance : what it was held to.
    wrong : number of entries that disagree beyond tolerance and noise.
    max_relative_error, worst : the largest relative error of an entry (see ``Entry``), and that entry's index.
    noise_floor : the smallest gradient error that the rounding of the cost lets a difference resolve.
    kinks : number of entries at kinks, as far as the engine knows them.
    zeros : number of entries that are exactly zero on both sides.
    dead : number of units (rows, columns of weights (inputs, outputs)) whose numerical gradient is exactly zero.
    diagnosis : what is wrong, in words, or "".
    """

    def __init__(
        self, found: TensorVerdict, differences: NumericalGradient, diagnose: Callable[[TensorVerdict], str]
    ) -> None:
        self._found, self._differences, self._diagnose = found, differences, diagnose
        self.name = found.name
        self.shape = found.comparison.tensor.shape
        self.checked = found.comparison.checked
        self.verdict: Verdict = found.verdict
        self.difference = found.difference
        self.tolerance = found.tolerance
        self.wrong = int(found.entries.wrong.size)

    def __repr__(self) -> str:
        return f"<{self.name}: {self.verdict}, difference {self.difference:.3g}>"

    @property
    def size(self) -> int:
        """Number of entries, checked or not."""
        return self._found.comparison.tensor.stop - self._found.comparison.tensor.start

    @cached_property
    def max_relative_error(self) -> float:
        """The largest relative error of an entry."""
        entries = self.entries(1)
        return entries[0].relative_error if entries else 0.0

    @cached_property
    def worst(self) -> tuple[int, ...] | None:
        """Index of the entry that disagrees most."""
        entries = self.entries(1)
        return entries[0].index if entries else None

    @cached_property
    def noise_floor(self) -> float:
        """Root mean square of the standard error of the numerical gradient."""
        return self._found.comparison.noise_floor

    @cached_property
    def relative_noise(self) -> float:
        """The difference that noise of this size makes by itself."""
        sizes, count = self._found.comparison.sizes, self.checked**0.5
        total = sizes.gradient + sizes.approx
        return self.noise_floor * count / total if total else 0.0

    @cached_property
    def kinks(self) -> int:
        """Number of entries at kinks."""
        kinks = self._found.comparison.kinks
        return 0 if kinks is None else int(kinks.where.size)

    @property
    def moved(self) -> bool:
        """Whether random directions through the tensor, which see every entry, moved the cost."""
        return self._found.moved

    @property
    def loose(self) -> int:
        """Number of entries at kinks that are right by the interval of one-sided derivatives alone."""
        return int(self._found.comparison.loose.size)

    @cached_property
    def zeros(self) -> int:
        """Number of entries that are exactly zero on both sides."""
        return self._found.comparison.zeros

    @cached_property
    def dead(self) -> int:
        """Number of units whose numerical gradient is exactly zero throughout; 0 where not all was checked."""
        if len(self.shape) != 2 or self.checked < self.size:
            return 0
        alive = self._found.comparison.approx.reshape(self.shape).any(axis=1 - self._found.comparison.tensor.units)
        return alive.size - int(np.count_nonzero(alive))

    @property
    def unmoved(self) -> bool:
        """Whether the numerical gradient is exactly zero wherever it was checked."""
        return not self._found.comparison.approx.any()

    @property
    def units(self) -> int:
        """Number of a layer's units, where this is the weights of one."""
        return self.shape[self._found.comparison.tensor.units]

    @cached_property
    def diagnosis(self) -> str:
        """What is wrong, in words, or "" where the numbers prove nothing."""
        return self._diagnose(self._found)

    @cached_property
    def relative_error(self) -> Array:
        """Relative error of every entry, in the tensor's shape; NaN where not checked."""
        c = self._found.comparison
        return self._shaped(np.concatenate([np.empty(0), *(_relative(e) for e in c.entries())]))

    def gradapprox(self) -> Array:
        """Numerical gradient in the tensor's shape; NaN where not checked."""
        return self._shaped(self._found.comparison.approx)

    def _shaped(self, values: Array) -> Array:
        where = self._found.comparison.where
        if where is None:
            return values.reshape(self.shape)
        whole = np.full(self.size, np.nan)
        whole[where] = values
        return whole.reshape(self.shape)

    @property
    def pair(self) -> tuple[Array, Array]:
        """Gradient and numerical gradient at the checked entries; views where all are checked."""
        return self._found.comparison.gradient, self._found.comparison.approx

    @property
    def cause(self) -> Cause:
        """What the verdict rests on beside the figures (see ``TensorVerdict``)."""
        return self._found.cause

    @property
    def power(self) -> float:
        """The relative error that would be seen with probability 0.999, where the spread of rounding was measured."""
        return self._found.power

    @property
    def noisy(self) -> int:
        """Number of entries that agree only within noise."""
        return int(self._found.entries.noisy.size)

    def entries(self, count: int) -> list[Entry]:
        """Return the entries that disagree most, worst first."""
        return [entry for _, entry in self.ranked(count)]

    def ranked(self, count: int) -> list[tuple[float, Entry]]:
        """Return the same with what they are ranked by, so that tensors can be merged."""
        c = self._found.comparison
        keys, places, errors = [np.empty(0)], [np.empty(0, np.intp)], [np.empty(0)]
        for part in c.entries():
            relative = _relative(part)
            key = self._rank(part, relative)
            top = np.argpartition(-key, count)[:count] if key.size > count else np.arange(key.size)
            keys.append(key[top])
            places.append(part.first + top)
            errors.append(relative[top])
        key, place, error = np.concatenate(keys), np.concatenate(places), np.concatenate(errors)
        order = np.argsort(-key, kind="stable")[:count]
        return [(float(key[k]), self._entry(c, int(place[k]), float(error[k]))) for k in order]

    def _rank(self, part: EntryChunk, relative: Array) -> Array:
        """Return entries that are not finite first, then the wrong ones, then those beyond noise, then the others.

        Wrong ones and those beyond noise are ranked by how far beyond it they are.
        """
        with np.errstate(all="ignore"):
            beyond = np.maximum(part.error - NOISE_SIGMAS * part.noise, 0.0) / part.size
        key = np.where(beyond > 0.0, 1.0 + np.minimum(beyond, 1.0), relative)
        wrong = self._found.entries.wrong
        first, last = np.searchsorted(wrong, (part.first, part.first + key.size))
        key[wrong[first:last] - part.first] += 1.0
        key[~np.isfinite(part.error)] = 4.0
        return key

    def at_kinks(self, count: int) -> list[Entry]:
        """Return the first entries at kinks."""
        c = self._found.comparison
        if c.kinks is None:
            return []
        chosen = [int(k) for k in c.kinks.where[:count]]
        errors = self.relative_error.reshape(-1)
        return [self._entry(c, k, float(errors[k if c.where is None else c.where[k]])) for k in chosen]

    def _entry(self, c: Comparison, place: int, error: float) -> Entry:
        d, at = self._differences, c.first + place
        costs = (float(v[at]) if at < v.size else float("nan") for v in (d.J_plus, d.J_minus))
        return Entry(self.name, c.index(place), float(c.gradient[place]), float(c.approx[place]), error, *costs)


def merge(reports: Iterable[TensorReport], count: int) -> list[Entry]:
    """Return the entries that disagree most over several tensors, worst first."""
    ranked = [pair for report in reports for pair in report.ranked(count)]
    return [entry for _, entry in sorted(ranked, key=lambda pair: -pair[0])[:count]]


def _relative(part: EntryChunk) -> Array:
    with np.errstate(all="ignore"):
        relative = np.minimum(part.error / part.size, 1.0)
    relative[part.error == 0.0] = 0.0
    return relative
