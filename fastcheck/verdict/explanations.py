"""What can explain a disagreement other than a mistake: too large an epsilon, a kink that the engine does not know of,
or digits that a right back-propagation loses.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .._constants import (
    NOISE_SIGMAS,
    NORM_SIGMAS,
    RESOLVED,
    ROUNDINGS,
    SMALLEST_NORMALS,
    SMALLEST_TERMS,
    UNIT_ROUNDOFF,
    UNIT_ROUNDOFFS,
)
from .._types import Array, Mask
from ..problems.gradients import AnalyticGradient, NumericalGradient
from ..runtime.cached_property import cached_property
from .comparison import Comparison, EntryChunk, two_norms
from .tolerance import tolerance_in

# Entries from which the usual bend of a tensor's cost is taken.
SAMPLE = 1 << 14
# The central difference may be off by this many times (bend / slope)^2, relatively.
TRUNCATION = 100.0
# A jump between the one-sided quotients is a kink's, not curvature's, if it is this many times the usual one.
OUTLIER = 30.0
# A gradient below this share of the other tensors' may be what is left of larger terms.
CANCELLED = 1e-3
# Noise of a numerical gradient that proves a tensor to be zero, in units of what a right gradient in double precision
# may keep: differences of costs lose the digits that their steps cost, 2^8 and more.  This is some 1e-9 of the other
# tensors' gradients; a mistake of a thousandth of what the terms would sum up to is a hundred thousand times as large.
PROVEN = 2.0**20
# ... or this share of what a right gradient may keep, where that is in less than double precision.
PROVEN_LOW = 2.0**-6
# What cancels may be larger than the other tensors' gradients (by a gain, by samples that were summed): in double
# precision there is room for that, thirteen digits below any mistake.
ROOM = 16.0
# The noise of exact differences is measured from a handful of values, which may have it this many times too little.
SHY = 64.0
# Where several kinks meet, gradients of other branches are looked for as far from the interval as this many times its
# length: kinks nearly cancel along a line now and then, but seldom to a thirtieth of each.
BRANCHES = 32.0


@dataclass(frozen=True)
class Evidence:
    """What everything is judged from.

    Parameters
    ----------
    subject, differences : gradients and cost differences.
    epsilon : the perturbation, one for all or one per checked position.
    norm : 1, 2 or infinity.
    tolerance : as asked for, None for the default.
    comparisons : one per tensor.
    """

    subject: AnalyticGradient
    differences: NumericalGradient
    epsilon: float | Array
    norm: float
    tolerance: float | None
    comparisons: Sequence[Comparison]

    @property
    def smallest(self) -> float:
        """Derivatives below this are lost: the costs' differences then fall below the smallest normal number."""
        if self.differences.smallest is not None:
            return self.differences.smallest
        return SMALLEST_NORMALS["float64"] / float(np.min(self.epsilon))

    def promised_rms(self, comparison: Comparison) -> float:
        """Return the root mean square of a tensor's whole gradient, as it was handed in."""
        promised = self.subject.gradient[comparison.tensor.start : comparison.tensor.stop]
        return two_norms(promised, promised).gradient / math.sqrt(max(promised.size, 1))

    @property
    def scale_anywhere(self) -> float:
        """The largest root mean square of a tensor's gradient."""
        return max((self.promised_rms(c) for c in self.comparisons), default=0.0)

    def scale_beside(self, comparison: Comparison) -> float:
        """The largest root mean square of the other tensors' numerical gradients that noise leaves their digits."""
        others = [c for c in self.comparisons if c.tensor is not comparison.tensor and c.resolved]
        return max((c.approx_rms for c in others), default=0.0)


@dataclass(frozen=True)
class Bend:
    """How far the cost bends within epsilon, from the one-sided quotients (J+ - J)/epsilon and (J - J-)/epsilon.

    usual : their usual distance in the tensor.
    truncation : by how much the bend lets a central difference be off.
    """

    usual: float
    truncation: float


class Explanations:
    """What may explain disagreements in one tensor; worked out only when asked for.

    Parameters
    ----------
    given : all there is to judge from.
    comparison : the tensor's entries.
    dtype : the precision of its gradient, if that is not float64.
    """

    def __init__(self, given: Evidence, comparison: Comparison, dtype: str | None) -> None:
        self.given, self.comparison, self.dtype = given, comparison, dtype
        self.unit = UNIT_ROUNDOFFS.get(dtype or "float64", UNIT_ROUNDOFF)

    @cached_property
    def bend(self) -> Bend:
        """How far the cost bends within epsilon."""
        return bend(self.comparison, self.given.differences, self.given.epsilon)

    @cached_property
    def lost(self) -> float:
        """Derivatives below this are lost in the range of the costs' differences, or in that of the gradient's dtype.

        In the latter the terms that were summed are lost: they are as much larger as the other gradients are.
        """
        if self.dtype is None:
            return self.given.smallest
        terms = tolerance_in(self.dtype, self.given.subject) / self.unit
        scale = max(1.0, self.comparison.approx_rms, self.given.scale_beside(self.comparison))
        return max(self.given.smallest, terms * scale * SMALLEST_TERMS.get(self.dtype, 0.0))

    @cached_property
    def zero(self) -> float:
        """Rounding that a right gradient which is zero in theory may keep, by the size of the other tensors' gradients.

        A gradient that cancels (of a bias in front of a normalisation, of a key bias in attention) is a sum of terms
        as large as those of which the other gradients are made; their rounding does not cancel.
        """
        tolerance = tolerance_in(self.dtype, self.given.subject) if self.dtype else ROOM * tolerance_in(
            "float64", self.given.subject
        )
        return tolerance * self.given.scale_beside(self.comparison)

    @property
    def presumed(self) -> bool:
        """Whether the gradient is taken to round as what was differenced does, where nothing else tells."""
        return self.given.subject.rounding is None

    @cached_property
    def rounding(self) -> Array | None:
        """Standard errors that rounding leaves in a right gradient of the tensor, where that can be told.

        What is rounded inside what was differenced is a part of its noise in double precision, and what runs again with
        more digits is not presumed to lose anything there: they tell.
        """
        c, differences = self.comparison, self.given.differences
        if self.given.subject.rounding is not None:
            errors = self.given.subject.rounding(c.tensor.name, self.unit)
            return errors if c.where is None else errors[c.where]
        presumed = differences.lost if self.dtype is None else differences.inside
        if presumed is None or (self.dtype is None and self._has_more_digits):
            return None
        return np.asarray(presumed[c.first : c.first + c.checked] * (self.unit / UNIT_ROUNDOFF))

    @property
    def _has_more_digits(self) -> bool:
        """Whether the pass that gave the gradient can be had with more digits.

        One that casts to double precision first gives the same numbers but for a few roundings; zeros tell nothing.
        """
        c, again = self.comparison, self.given.subject.again
        if again is None or again.sharper is None:
            return False
        plain, sharp = map(c.entries_of, again.sharper)
        return not plain.any() or bool((np.abs(sharp - plain) > ROUNDINGS * UNIT_ROUNDOFF * np.abs(plain)).any())

    @property
    def zero_in_theory(self) -> bool:
        """Whether the numerical gradient is zero to within its noise, hardly larger than rounding of the others."""
        c = self.comparison
        if not c.noise.size:
            return False
        noise, double = NOISE_SIGMAS * c.noise, UNIT_ROUNDOFF / self.unit
        if not float(np.max(noise)) <= self.zero * max(PROVEN * double, PROVEN_LOW if self.dtype else 0.0):
            return False
        return bool(np.all(np.abs(c.derivative) <= SHY * noise))

    @property
    def cancels(self) -> bool:
        """Whether the tensor is zero in theory, as far as can be seen, and its gradient no more than rounding.

        The gradient must be zero to within the rounding of its precision.
        """
        if (self.dtype is None and not self.presumed) or not self.zero_in_theory:
            return False
        c, double = self.comparison, UNIT_ROUNDOFF / self.unit
        known: Array | float = 0.0
        if self.rounding is not None:  # how far the gradient is from the same in double precision, which rounds as well
            known = NOISE_SIGMAS * self.rounding + ROOM * double * self.zero
        rounding = np.maximum(self.zero, known)
        return bool(np.all(np.abs(c.gradient) <= rounding + NOISE_SIGMAS * c.noise))

    @property
    def nearly_cancels(self) -> bool:
        """Whether a gradient in low precision is off by no more than what is lost where terms nearly cancel.

        The weights in front of a normalisation have such gradients: small beside the other tensors', not zero.
        """
        c, scale = self.comparison, self.given.scale_beside(self.comparison)
        if self.dtype is None or self.given.subject.rounding is not None or c.approx_rms > CANCELLED * scale:
            return False
        return bool(np.all(np.abs(c.gradient - c.derivative) <= self.zero + NOISE_SIGMAS * c.noise))

    @cached_property
    def noise_norm(self) -> float:
        """Norm of the noise of all entries, in the tensor's unit."""
        noise = self.comparison.noise * self.comparison.unit
        if noise.size == 1:
            return self.norm_of_equal(float(noise[0]))
        with np.errstate(over="ignore"):
            return float(np.linalg.norm(noise, self.given.norm))

    @cached_property
    def seen(self) -> float:
        """The norm of what there is to see in the tensor, in its unit.

        That is the gradient's; of a gradient that is zero, what would be small beside the other tensors' gradients.
        """
        c = self.comparison
        sizes = c.norms(self.given.norm)
        beside = self.norm_of_equal(RESOLVED * self.given.scale_beside(c) * c.unit)
        if c.tensor.name in self.given.differences.limits:  # directions see all entries, not only those checked here
            beside = max(beside, self.norm_of_equal(self.given.promised_rms(c) * c.unit))
        return max(sizes.gradient * c.unit, sizes.approx * c.unit, beside, self.at_kinks)

    @property
    def at_kinks(self) -> float:
        """The largest derivative to either side of a kink, in the tensor's unit.

        Where a convention makes the gradient zero, the cost moves none the less.
        """
        kinks = self.comparison.kinks
        if kinks is None:
            return 0.0
        return float(np.max(np.abs(np.concatenate([kinks.low, kinks.high])), initial=0.0)) * self.comparison.unit

    def norm_of_equal(self, entry: float) -> float:
        """Norm of a vector of the tensor's checked entries that are all the same."""
        count = self.comparison.checked
        if math.isinf(self.given.norm):
            return entry
        return entry * (count if self.given.norm == 1 else math.sqrt(count))

    @property
    def sigmas(self) -> float:
        """Standard errors that noise may reach in the norm of the tensor; of a single entry as many as of any."""
        if math.isinf(self.given.norm):
            return NOISE_SIGMAS
        return NORM_SIGMAS + (NOISE_SIGMAS - NORM_SIGMAS) / math.sqrt(self.comparison.checked)

    @property
    def rounding_norm(self) -> float:
        """Their norm, in the tensor's unit."""
        if self.rounding is None:
            return 0.0
        return float(np.linalg.norm(self.rounding, self.given.norm)) * self.comparison.unit

    def rounding_of(self, part: EntryChunk) -> Array:
        """Return the same for a chunk, in its unit; zeros where it cannot be told."""
        if self.rounding is None:
            return np.zeros(part.error.size)
        return self.rounding[part.first : part.first + part.error.size] * self.comparison.unit

    def by_kinks(self, part: EntryChunk, wrong: Mask, allowed: Array) -> Mask:
        """Tell which of a chunk's wrong entries are at kinks whose other branches the engine does not know."""
        found, kinks = np.zeros_like(wrong), self.comparison.kinks
        if kinks is None or not kinks.of_line:
            return found
        chosen = (kinks.where >= part.first) & (kinks.where < part.first + wrong.size)
        places = kinks.where[chosen] - part.first
        reach = BRANCHES * (kinks.high - kinks.low)[chosen] * self.comparison.unit
        if kinks.single is not None and self.dtype is None:  # low precision may carry others across their kinks
            reach[kinks.single[chosen]] = 0.0
        found[places] = wrong[places] & (part.error[places] <= allowed[places] + reach)
        return found

    def by_step(self, part: EntryChunk, wrong: Mask, allowed: Array) -> Mask:
        """Tell which of a chunk's wrong entries so large an epsilon, or a kink within it, could explain."""
        differences = self.given.differences
        if differences.settled or differences.truncation is not None:
            return np.zeros_like(wrong)
        found = wrong & (part.error <= allowed + self.bend.truncation * self.comparison.unit)
        if differences.kinks is None:
            rest = wrong & ~found
            found |= at_kink(self.comparison, part, differences, self.given.epsilon, self.bend.usual, rest)
        return found


def step_at(comparison: Comparison, epsilon: float | Array, places: NDArray[np.intp]) -> float | Array:
    """Return the perturbation at positions of a tensor's checked entries."""
    if isinstance(epsilon, np.ndarray) and epsilon.size > 1:
        return np.asarray(epsilon[comparison.first + places])
    return epsilon


def one_sided(
    comparison: Comparison, differences: NumericalGradient, epsilon: float | Array, places: NDArray[np.intp]
) -> tuple[Array, Array, Array]:
    """Quotients above and below theta at positions of a tensor's checked entries, and the rounding of both."""
    where, step = comparison.first + places, step_at(comparison, epsilon, places)
    with np.errstate(all="ignore"):
        above = (differences.J_plus[where] - differences.cost) / step
        below = (differences.cost - differences.J_minus[where]) / step
        # One unit for each cost that was rounded, and as much for their difference.
        rounding = 4.0 * UNIT_ROUNDOFF * abs(differences.cost) / step
        noise = comparison.noise if comparison.noise.size == 1 else comparison.noise[places]
        return above, below, rounding + 16.0 * noise


def bend(comparison: Comparison, differences: NumericalGradient, epsilon: float | Array) -> Bend:
    """Return the usual bend of a tensor's cost, over entries that do something.

    Notes
    -----
    With s the inverse length over which slopes change, a slope g has a bend of about epsilon s g and a central
    difference an error of about (epsilon s)^2 g / 6: the square of the relative bend.  This needs no third derivative
    and holds at any scale of cost and parameters.
    """
    places = np.arange(0, comparison.checked, max(1, comparison.checked // SAMPLE))
    places = places[comparison.approx[places] != 0.0]
    slope = comparison.root_mean_square
    if not places.size or slope == 0.0:
        return Bend(0.0, 0.0)
    above, below, rounding = one_sided(comparison, differences, epsilon, places)
    usual = float(np.median(np.maximum(np.abs(above - below) - rounding, 0.0)))
    return Bend(usual, TRUNCATION * usual * (usual / slope))


def at_kink(
    comparison: Comparison, part: EntryChunk, differences: NumericalGradient, epsilon: float | Array, usual: float,
    wrong: Mask,
) -> Mask:
    """Which of a chunk's ``wrong`` entries lie between one-sided quotients that differ as only a kink makes them."""
    found = np.zeros_like(wrong)
    places = np.flatnonzero(wrong)
    above, below, rounding = one_sided(comparison, differences, epsilon, part.first + places)
    step = step_at(comparison, epsilon, part.first + places)
    gradient = comparison.gradient[part.first + places]
    between = (gradient >= np.minimum(above, below) - rounding) & (gradient <= np.maximum(above, below) + rounding)
    jump = np.abs(above - below)
    # The disagreement already exceeds the noise: a jump as large as that does too.
    large = (jump >= part.error[places] / comparison.unit) & (jump > 8.0 * UNIT_ROUNDOFF * abs(differences.cost) / step)
    found[places] = between & large & (jump > OUTLIER * usual)
    return found
