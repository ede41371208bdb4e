"""One tensor's gradient beside its numerical gradient: sizes, errors entry by entry, in chunks and without overflow."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from .._constants import NEGLIGIBLE, NOISE_SIGMAS, RESOLVED, TOLERANCE
from .._types import Array, Indices
from ..problems.parameters.tensor import Tensor
from ..runtime.cached_property import cached_property
from ..runtime.threads import run_all
from .kinks import Settled, TensorKinks

# Entries worked on at a time: a few arrays of this size stay in the processor's cache.
CHUNK = 1 << 15
# Entries that one thread adds up before the next may take over, and in one go: short calls of NumPy by several threads
# hold each other up.
SHARE, GO = 1 << 17, 1 << 16
# Sums of squares within these bounds have neither overflowed nor lost digits to underflow.
SAFE_SQUARES = (1e-180, 1e280)


@dataclass(frozen=True)
class Sizes:
    """Norms of the gradient, of the numerical gradient and of their difference."""

    gradient: float
    approx: float
    error: float

    @property
    def finite(self) -> bool:
        """Whether every entry was finite."""
        return math.isfinite(self.gradient) and math.isfinite(self.approx)


@dataclass(frozen=True)
class EntryChunk:
    """A chunk of a comparison, times the power of two that brings the tensor near one.

    first : position of the chunk within the tensor's checked entries.
    approx : the numerical gradient, without the error of a large step where that is known.
    error : what is judged: |gradient - approx|, at kinks the distance to what is right there.
    size : |gradient| + |approx|, or the least size that counts where that is larger.
    noise : standard error of approx.
    """

    first: int
    gradient: Array
    approx: Array
    error: Array
    size: Array
    noise: Array


class Comparison:
    """The checked entries of one tensor.

    Parameters
    ----------
    tensor : name, shape and place in theta.
    first : position of its first checked entry within the checked indices.
    where : positions of the checked entries within the tensor (flat), or None for all of them.
    gradient, approx : the two gradients at the checked entries.
    noise : standard error of approx, one per entry or one for all.
    truncation : approx less the derivative, None where they agree to rounding.
    kinks : the entries at kinks, None where there are none.
    tolerance, negligible : what the entries are held to: the largest relative difference, and the least size that
        counts as a share of the tensor's root mean square.
    """

    def __init__(
        self, tensor: Tensor, first: int, where: Indices | None, gradient: Array, approx: Array, noise: Array,
        truncation: Array | None, kinks: TensorKinks | None, tolerance: float = TOLERANCE,
        negligible: float = NEGLIGIBLE,
    ) -> None:
        self.tensor = tensor
        self.first = first
        self.where = where
        self.gradient = gradient
        self.approx = approx
        self.noise = noise
        self.truncation = truncation
        self.kinks = kinks
        self.tolerance = tolerance
        self.negligible = negligible

    def held(self, tolerance: float, negligible: float) -> "Comparison":
        """Return the same entries held to something else."""
        return Comparison(self.tensor, self.first, self.where, self.gradient, self.approx, self.noise, self.truncation,
                          self.kinks, tolerance, negligible)

    @property
    def checked(self) -> int:
        """Number of entries compared."""
        return self.approx.size

    def entries_of(self, found: Array) -> Array:
        """Return the columns of the checked entries, of gradients (..., n) of all tensors laid end to end."""
        own = found[..., self.tensor.start : self.tensor.stop]
        return own if self.where is None else own[..., self.where]

    def index(self, position: int) -> tuple[int, ...]:
        """Return the index, in the tensor's shape, of a position among the checked entries."""
        flat = position if self.where is None else int(self.where[position])
        return self.tensor.index(flat)

    @cached_property
    def settled(self) -> Settled | None:
        """What the gradient is held against at kinks."""
        if self.kinks is None:
            return None
        noise = self.noise if self.noise.size == 1 else self.noise[self.kinks.where]
        return self.kinks.settle(self.gradient[self.kinks.where], self.tolerance, NOISE_SIGMAS * noise)

    @property
    def loose(self) -> Indices:
        """Positions of the entries that are right by an interval of derivatives alone (see ``Settled``)."""
        if self.kinks is None or self.settled is None:
            return np.empty(0, np.int64)
        return self.kinks.where[self.settled.loose]

    @property
    def mostly_loose(self) -> bool:
        """Whether so much is right by intervals of derivatives along single lines alone that it proves nothing.

        Entries that are zero on both sides prove no more than that: what counts are the others.
        """
        if self.kinks is None or not self.kinks.of_line or not self.loose.size:
            return False
        shown = (self.gradient != 0.0) | (self.reference != 0.0)
        shown[self.loose] = True
        return 2 * self.loose.size > int(np.count_nonzero(shown))

    @cached_property
    def reference(self) -> Array:
        """The numerical gradient; at kinks the derivative nearest to the gradient that is right there."""
        if self.kinks is None or self.settled is None:
            return self.approx
        reference = self.approx.copy()
        reference[self.kinks.where] = self.settled.nearest
        return reference

    @cached_property
    def sizes(self) -> Sizes:
        """Euclidean norms, with the reference for the numerical gradient."""
        return two_norms(self.gradient, self.reference)

    @cached_property
    def largest_error(self) -> float:
        """The largest difference of the gradient and the reference."""
        peak = 0.0
        with np.errstate(over="ignore", invalid="ignore"):
            for start in range(0, self.checked, CHUNK):
                part = slice(start, start + CHUNK)
                errors = self.gradient[part] - self.reference[part]
                peak = max(peak, float(errors.max()), -float(errors.min()))
        return peak

    @cached_property
    def root_mean_square(self) -> float:
        """Root mean square of the larger of the two gradients."""
        return max(self.sizes.gradient, self.sizes.approx) / math.sqrt(self.checked) if self.checked else 0.0

    @cached_property
    def approx_rms(self) -> float:
        """Root mean square of the numerical gradient."""
        return self.sizes.approx / math.sqrt(self.checked) if self.checked else 0.0

    @property
    def resolved(self) -> bool:
        """Whether noise leaves the numerical gradient its digits."""
        return math.isfinite(self.approx_rms) and self.noise_floor <= RESOLVED * self.approx_rms

    @cached_property
    def unit(self) -> float:
        """The power of two that brings the tensor near one."""
        return power_towards_one(self.root_mean_square)

    @cached_property
    def noise_floor(self) -> float:
        """Root mean square of the standard error of the numerical gradient."""
        if self.noise.size == 1 or not self.checked:
            return float(self.noise[0]) if self.noise.size else 0.0
        return two_norms(self.noise, self.noise).gradient / math.sqrt(self.noise.size)

    @cached_property
    def derivative(self) -> Array:
        """The reference without the error of a large step, where that is known."""
        if self.truncation is None:
            return self.reference
        derivative = self.reference - self.truncation
        if self.kinks is not None:
            derivative[self.kinks.where] = self.reference[self.kinks.where]
        return derivative

    @cached_property
    def zeros(self) -> int:
        """Number of entries that are exactly zero on both sides: agreement that proves little."""
        count = 0
        for start in range(0, self.checked, CHUNK):
            part = slice(start, start + CHUNK)
            count += int(np.count_nonzero((self.gradient[part] == 0.0) & (self.approx[part] == 0.0)))
        return count

    def norms(self, norm: float) -> Sizes:
        """Return the sizes in norm 1, 2 or infinity."""
        if norm == 2 or not self.sizes.finite:
            return self.sizes
        gradient, approx, error = [], [], []
        for part in self.entries(judged=False):
            gradient.append(float(np.linalg.norm(part.gradient, norm)))
            approx.append(float(np.linalg.norm(part.approx, norm)))
            error.append(float(np.linalg.norm(part.error, norm)))
        join = sum if norm == 1 else max
        totals = [float(join(values)) / self.unit if values else 0.0 for values in (gradient, approx, error)]
        return Sizes(*totals)

    def entries(self, *, judged: bool = True) -> Iterator[EntryChunk]:
        """Yield the comparison entry by entry, in chunks.

        Parameters
        ----------
        judged : take the step's error into account; else plainly gradient and reference.
        """
        least = self.negligible * self.root_mean_square * self.unit if self.sizes.finite else 0.0
        approx_of = self.derivative if judged else self.reference
        for start in range(0, self.checked, CHUNK):
            part = slice(start, start + CHUNK)
            gradient, approx = self.gradient[part] * self.unit, approx_of[part] * self.unit
            with np.errstate(invalid="ignore"):  # infinity less infinity
                error = np.abs(gradient - approx)
            size = np.maximum(np.abs(gradient) + np.abs(approx), least)
            noise = (self.noise if self.noise.size == 1 else self.noise[part]) * self.unit
            yield EntryChunk(start, gradient, approx, error, size, noise)

    def kinks_within(self, first: int, size: int) -> Indices:
        """Return the entries at kinks among ``size`` of them from ``first`` on, counted from there."""
        if self.kinks is None:
            return np.empty(0, np.int64)
        where = self.kinks.where
        return where[(where >= first) & (where < first + size)] - first


def power_towards_one(value: float) -> float:
    """Return a power of two that brings ``value`` near one, as far as the exponents reach."""
    if not math.isfinite(value) or value == 0.0:
        return 1.0
    return math.ldexp(1.0, max(-1000, min(1000, -math.frexp(value)[1])))


def measure(compared: Sequence[Comparison], threads: int) -> None:
    """Work out the sizes of comparisons on some threads; each keeps its own."""
    shares = [(one, part) for one in compared for part in _shares(one.reference.size)]
    found = iter(run_all(lambda share: _added(share[0].gradient, share[0].reference, share[1]), shares, threads))
    for one in compared:
        sums = list(islice(found, len(_shares(one.checked))))
        one.sizes = _from_sums(one.gradient, one.reference, sums)


def two_norms(gradient: Array, approx: Array) -> Sizes:
    """Return Euclidean norms of two vectors and of their difference; inf or nan where an entry is not finite."""
    return _from_sums(gradient, approx, [_added(gradient, approx, part) for part in _shares(gradient.size)])


def _shares(size: int) -> list[slice]:
    return [slice(start, min(start + SHARE, size)) for start in range(0, size, SHARE)]


def _from_sums(gradient: Array, approx: Array, sums: list[Sizes]) -> Sizes:
    """The norms, from sums of squares of the shares; in another unit where these have overflowed or lost digits."""
    sizes = _together(sums)
    low, high = SAFE_SQUARES
    if low < sizes.gradient < high and low < sizes.approx < high and sizes.error < high:
        return _roots(sizes, 1.0)
    peak = 0.0
    for vector in (gradient, approx):
        if vector.size:
            peak = max(float(vector.max()), -float(vector.min()), peak, key=_nan_first)
    if peak == 0.0 or not math.isfinite(peak):
        return Sizes(peak, peak, peak)
    unit = power_towards_one(peak)
    return _roots(_together([_added(gradient, approx, part, unit) for part in _shares(gradient.size)]), unit)


def _nan_first(value: float) -> float:
    return math.inf if math.isnan(value) else value


def _together(sums: list[Sizes]) -> Sizes:
    return Sizes(sum(one.gradient for one in sums), sum(one.approx for one in sums), sum(one.error for one in sums))


def _added(gradient: Array, approx: Array, share: slice, unit: float = 1.0) -> Sizes:
    """Return sums of squares of a share of two vectors, times ``unit``, and of their difference."""
    squares = other = errors = 0.0
    buffer = np.empty(min(GO, share.stop - share.start))
    with np.errstate(over="ignore", invalid="ignore"):
        for start in range(share.start, share.stop, GO):
            part = slice(start, min(start + GO, share.stop))
            g, a = gradient[part], approx[part]
            if unit != 1.0:
                g, a = g * unit, a * unit
            d = np.subtract(g, a, out=buffer[: g.size])
            squares += float(np.dot(g, g))
            other += float(np.dot(a, a))
            errors += float(np.dot(d, d))
    return Sizes(squares, other, errors)


def _roots(sizes: Sizes, unit: float) -> Sizes:
    return Sizes(*(math.sqrt(square) / unit for square in (sizes.gradient, sizes.approx, sizes.error)))


def relative(error: float, gradient: float, approx: float) -> float:
    """error / (gradient + approx) without overflow; 0/0 is 0, and what is not finite gives nan."""
    if error == 0.0:
        return 0.0
    largest = max(gradient, approx)
    if not (math.isfinite(error) and math.isfinite(largest)):
        return math.nan
    return (error / largest) / (gradient / largest + approx / largest)
