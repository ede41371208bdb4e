"""Jacobians entry by entry: differences of a function against what automatic differentiation gave."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..._constants import CANCELLED, NOISE_SIGMAS, UNIT_ROUNDOFF
from ..._types import Array, Indices, Mask
from ...engines.finite.difference_table import table
from ...engines.finite.stencils import power_of_two
from ...engines.finite.steps import first_step, refine
from ...engines.second_looks import SecondLooks
from .mismatch import BETWEEN, NOISY, Mismatch
from .point import ROUNDINGS, SHARE, Part, Point, Tolerances

# Entries looked at again in the first batch, and in each later one at most.
FIRST_LOOK, LOOK = 64, 4096
# A difference whose costs never moved may hide a derivative of this many unit roundoffs: the values that the function
# works with in between are rounded, too.
UNSEEN = 1e3
# Outputs computed at once, to both sides.
BLOCK = 1 << 22
# Entries along which the noise of an output is measured, and at which steps, relative to them or to this size.
MEASURED, SPACINGS, LEAST = 3, (1e-10, 1e-7, 1e-5), 1e-6


def numerical_jacobian(point: Point, eps: float) -> Array:
    """Return central differences (M, n) with one step for each entry, as the function's precision holds it."""
    found = np.empty((point.value.size, point.theta.size))
    steps = np.concatenate([np.empty(0), *(point.steps(part, eps) for part in point.inputs)])
    size = max(1, min(steps.size, BLOCK // max(point.value.size, 1)))
    for start in range(0, steps.size, size):
        some = np.arange(start, min(start + size, steps.size))
        step, theta = steps[some], point.theta[some]
        above, below = (point.function.rounded(some, theta + by) for by in (step, -step))
        both = point.function.outputs_at(np.concatenate([some, some]), np.concatenate([above, below]))
        with np.errstate(all="ignore"):
            apart = np.where(np.isfinite(theta), above - below, 2.0 * step)  # infinity does not move
            found[:, some] = ((both[: some.size] - both[some.size :]) / apart[:, None]).T
    return found


def compare(
    point: Point, analytical: Array, numerical: Array, limits: Tolerances, *, exact: bool = False
) -> Mismatch | None:
    """Judge a Jacobian by its numerical one; None where they agree.

    Parameters
    ----------
    analytical, numerical : (M, n); entries of the second that are looked at again are overwritten by better ones.
    exact : whether the numerical one has no noise: nothing is allowed for it, and nothing looked at again.
    """
    broken = np.argwhere(~(np.isfinite(analytical) & np.isfinite(numerical)))
    if broken.size:
        return Mismatch(point, analytical, numerical, broken)
    judge = _Judge(point, analytical, numerical, limits, exact)
    excess = np.empty_like(analytical)
    for output, of in point.blocks():
        block = (output.span, of.span)
        with np.errstate(all="ignore"):
            excess[block] = np.abs(analytical[block] - numerical[block]) / judge.allowed(output, of)
    excess[np.isnan(excess)] = 0.0  # nothing is off where nothing is allowed
    doubted = np.argwhere(excess > 1.0)
    if not doubted.size:
        return None
    worst_first = doubted[np.argsort(-excess[tuple(doubted.T)], kind="stable")]
    return Mismatch(point, analytical, numerical, worst_first) if exact else judge.looked_again(worst_first)


def _size(numerical: Array, of: Part) -> Array:
    """Return the sizes of the entries; of a complex input's derivatives, those of the complex numbers."""
    if not of.is_complex:
        return np.abs(numerical)
    return np.repeat(np.hypot(numerical[:, ::2], numerical[:, 1::2]), 2, axis=1)


@dataclass(frozen=True)
class _Line:
    """One output along single entries of theta, as ``refine`` asks for it."""

    point: Point
    row: int

    def __call__(self, which: Indices, distances: Array) -> tuple[Array, Array]:
        start = self.point.theta[which][:, None]
        positions = np.repeat(which, distances.shape[1])
        values = self.point.function.rounded(positions, (start + distances).reshape(-1))
        costs = self.point.function.outputs_at(positions, values)[:, self.row]
        return values.reshape(distances.shape) - start, costs.reshape(distances.shape)


class _Judge:
    """One Jacobian held against its numerical one.

    analytical, numerical : (M, n); the second is overwritten where better differences are found.
    error : standard errors of those (M, n), NaN where none were looked for.
    exact : whether the numerical one has no noise.
    """

    def __init__(
        self, point: Point, analytical: Array, numerical: Array, limits: Tolerances, exact: bool = False
    ) -> None:
        self.point, self.analytical, self.numerical, self.limits = point, analytical, numerical, limits
        self.exact = exact
        self.error = np.full_like(numerical, np.nan)
        self.largest = float(np.max(np.abs(numerical), initial=0.0))
        sizes = np.abs(point.theta)
        self._largest_input = float(np.max(sizes, initial=0.0, where=np.isfinite(sizes)))

    def allowed(self, output: Part, of: Part, rows: slice | None = None) -> Array:
        """Return how far the entries of a block, or of some of its rows, may be off."""
        numerical, limits = self.numerical[rows or output.span, of.span], self.limits
        unit = ROUNDINGS * max(output.unit, of.unit, limits.unit)
        rtol, size = max(limits.rtol, unit), _size(numerical, of)
        share = max(SHARE, rtol) * size.max(axis=1, keepdims=True, initial=0.0)
        # Noise that is a large part of the derivatives excuses nothing here: the second look has to tell.
        noise = np.minimum(self._noise(output, self.point.steps(of, limits.eps)), share)
        terms = max(1.0, self.largest, self._largest_input)
        rounding = max(unit * self.largest, min(limits.atol, CANCELLED * UNIT_ROUNDOFF * terms))
        return np.asarray(rtol * size + np.minimum(limits.atol, share) + noise + rounding)

    def _noise(self, output: Part, steps: Array) -> Array:
        """Return what the rounding of the outputs may do to a difference."""
        if self.exact:
            return np.zeros_like(steps)
        return NOISE_SIGMAS * self.point.rounding(output) / steps

    def looked_again(self, doubted: NDArray[np.intp]) -> Mismatch | None:
        """Look with better steps at entries in doubt, worst first, until some are wrong beyond doubt."""
        unsure: list[NDArray[np.intp]] = [doubted[:0]]
        loose: list[NDArray[np.intp]] = [doubted[:0]]
        for rows in SecondLooks([np.arange(len(doubted))], FIRST_LOOK, LOOK // FIRST_LOOK, most=LOOK):
            batch, wrong = doubted[rows], np.zeros(rows.size, dtype=bool)
            for row in np.unique(batch[:, 0]):
                here = np.flatnonzero(batch[:, 0] == row)
                wrong[here], hidden, between = self._row(int(row), batch[here, 1])
                unsure.append(batch[here[hidden]])
                loose.append(batch[here[between]])
            if wrong.any():
                # One mistake is enough for a verdict: the others in doubt are counted as the first look had them.
                return self._mismatch(np.concatenate([batch[wrong], doubted[rows[-1] + 1 :]]))
        left = np.concatenate(unsure)
        return self._by_interval_alone(np.concatenate(loose)) or (self._together(left) if left.size else None)

    def _by_interval_alone(self, loose: NDArray[np.intp]) -> Mismatch | None:
        """Return entries at kinks that are no branch's slope, where they stand in more than half of an input."""
        columns = np.unique(loose[:, 1])
        for of in self.point.inputs:
            span = of.tensor
            if 2 * np.count_nonzero((columns >= span.start) & (columns < span.stop)) > span.size:
                return self._mismatch(loose, BETWEEN)
        return None

    def _row(self, row: int, columns: Indices) -> tuple[Mask, Mask, Mask]:
        """Tell which entries of a row are wrong, which may be, by no more than noise, and which lie between two slopes.

        Better differences are written.
        """
        point = self.point
        output = point.output_of(row)
        noise = np.full(columns.size, output.unit * abs(float(point.value[row])) + point.jitter)
        steps = np.concatenate([point.steps(of, self.limits.eps) for of in point.inputs])[columns]
        start = np.maximum(first_step(point.theta[columns]), power_of_two(steps))
        slopes = refine(_Line(point, row), columns, start, float(point.value[row]), noise,
                        measure=lambda: np.full(columns.size, self._measured_noise(row, columns)))
        at_kink, blurred = slopes.kinked()
        given, first = self.analytical[row, columns], self.numerical[row, columns]
        with np.errstate(all="ignore"):
            low, high = np.fmin(slopes.left, slopes.right), np.fmax(slopes.left, slopes.right)
            known = np.isfinite(slopes.error) & ~at_kink
            better = np.where(at_kink, np.clip(given, low, high), np.where(known, slopes.slope, first))
            # Where an output is made of nothing but rounding, better steps contradict each other: of the rounding of
            # values near one, it seems.
            first_error = max(output.unit, point.rounding(output)) / steps
            error = np.where(at_kink, blurred, np.where(known, slopes.error, first_error))
        self.numerical[row, columns] = np.where(at_kink, first, better)
        self.error[row, columns] = error
        off, plain, allowed = np.abs(given - better), np.empty(columns.size), np.empty(columns.size)
        for of in point.inputs:
            here = np.flatnonzero((columns >= of.tensor.start) & (columns < of.tensor.stop))
            if here.size:
                block, where = slice(row, row + 1), columns[here] - of.tensor.start
                size = np.maximum(_size(self.numerical[block, of.span], of)[0, where], np.abs(better[here]))
                plain[here] = self.limits.atol + self.limits.rtol * size
                allowed[here] = self.allowed(output, of, block)[0, where]
        still = known & (slopes.slope == 0.0) & (slopes.error == 0.0)
        allowed[still] += min(self.limits.atol, UNSEEN * max(output.unit, self.limits.unit))
        # An output that is small because large ones cancel in it is rounded as they are.
        unseen = np.where(known, point.rounding(output) / slopes.step, 0.0)
        allowed += NOISE_SIGMAS * np.maximum(error, unseen)
        wrong = ~(off <= allowed)
        with np.errstate(invalid="ignore"):
            inside = (given > low + allowed) & (given < high - allowed)
            between = at_kink & inside & ~(np.abs(given - 0.5 * (low + high)) <= allowed)
        return wrong, ~wrong & (off > plain), between

    def _measured_noise(self, row: int, columns: Indices) -> float:
        """Return the standard deviation of one value of an output, from lines along a few of the entries.

        The highest differences of a smooth function vanish at steps as short as these; those of its rounding stay, and
        those of a kink shrink with the step, so that the least of them is nearest to the rounding.
        """
        line, value, which = _Line(self.point, row), float(self.point.value[row]), columns[:MEASURED]
        sizes = np.maximum(np.abs(self.point.theta[which]), LEAST)
        levels = [table(line, which, step * sizes, value, np.zeros(which.size)).level for step in SPACINGS]
        seen = np.array([np.where(level > 0.0, level, np.inf) for level in levels]).min(axis=0)
        return float(np.max(seen, initial=0.0, where=np.isfinite(seen)))

    def _together(self, hidden: NDArray[np.intp]) -> Mismatch | None:
        """Return entries that noise hides each by itself: what all entries together say.

        Notes
        -----
        With derivatives a, differences n and their standard errors e, the factor sum(a n / e^2) / sum(a^2 / e^2) is one
        for right derivatives, to 1 / sqrt(sum(a^2 / e^2)), and sum((n - a)^2 / e^2) is their number k, to sqrt(2 k).
        Where the differences themselves cannot be told from noise, nothing can be said.
        """
        with np.errstate(all="ignore"):
            weight = 1.0 / self._standard_errors()
            a, n = (np.nan_to_num(j * weight, posinf=0.0, neginf=0.0) for j in (self.analytical, self.numerical))
        spread = NOISE_SIGMAS * math.sqrt(2.0 * a.size)
        norm = float(np.linalg.norm(a))
        off = abs(float(np.sum(a * n)) / norm**2 - 1.0) * norm if norm else 0.0
        if off > NOISE_SIGMAS or float(np.sum((n - a) ** 2)) > a.size + spread:
            return self._mismatch(hidden)
        return None if float(np.sum(n**2)) > a.size + spread else self._mismatch(hidden, NOISY)

    def _standard_errors(self) -> Array:
        """Of all differences (M, n): as found where they were looked at again, else what is allowed for."""
        found = np.empty_like(self.error)
        for output, of in self.point.blocks():
            noise = self._noise(output, self.point.steps(of, self.limits.eps)) / NOISE_SIGMAS
            found[output.span, of.span] = np.hypot(self.allowed(output, of), noise)
        better = np.hypot(self.error, self.limits.rtol * np.abs(self.numerical))
        return np.where(np.isnan(self.error), found, better)

    def _mismatch(self, places: NDArray[np.intp], unsettled: str = "") -> Mismatch:
        return Mismatch(self.point, self.analytical, self.numerical, places, unsettled)
