"""Responses to short changes, from the outputs down and some samples at a time.

A change d of the activation of unit i of layer k moves the outputs' pre-activations by J_k[:, i] d, where

    J_k = J_{k+1} diag(c1 of layer k + 1) W_{k+1}

so that one product of matrices says what becomes of all of a layer's units, and what some samples take stays in a
processor's cache.  The loss makes of it a series l1 d + l2 d^2 + l3 d^3 (see ``loss_changes.cross_entropy_cumulants``).
Where layer k + 1 is curved it adds

    sum_r g_r c2_r W[r, i]^2 d^2 + sum_r g_r c3_r W[r, i]^3 d^3

where g_r is l1 of unit r of layer k + 1: products again, of one row for each sample.  What curved layers behind it
add to the second and third powers is found by ``bends_behind``, where it counts.  Changes d are themselves series in
changes x of pre-activations.

What that leaves out, second powers of the outputs' changes beside one, is less than rounding wherever ``carried`` takes
a layer, or found as well.  None is taken either where a change may meet a kink behind the next layer: those are left
to ``pairs``.
"""

from collections.abc import Callable

import numpy as np

from ..._types import Array, Mask
from ...rules.loss_changes import LOSS_CUMULANTS, moments, relative_to_targets
from ...runtime.run import Run
from ...runtime.threads import run_all
from ..response.responses import QUADRATIC_REACH, QUARTIC_REACH
from .bends_behind import Singles, bends_behind
from .carried import Carried
from .found import LayerFound
from .pieces import PIECE, evenly
from .point import CUBIC_REACH, SQUARE_IS_NOTHING, Point, Series
from .powers import largest_of

# Rows of one block of J: what a block takes stays in a processor's cache, and BLAS packs W anew for each.
ROWS = 320
# Bends further on are tried in one sample of a block first, where all of them take so many numbers, and left alone
# where what they make of odd parts is this part of what slopes make: gradients of such networks are off by more.
WORTH_TRYING, BENDS_ARE_NOTHING = 1 << 20, 6e-16
# Changes of outputs, and of units behind the next layer, up to which what they make is a cubic to rounding.
CUBIC_FURTHER_ON = 10.0 * CUBIC_REACH


def responses(
    point: Point, layers: list[Carried], run: Run, told: Callable[[int, int], None]
) -> list[tuple[LayerFound, Mask | None]]:
    """Return polynomials of the layers that they are good for, and in which samples they do not hold (units, m).

    Parameters
    ----------
    layers : as ``carried`` has them, at least one.
    told : called with how many blocks of samples are done, and of how many.
    """
    down = _Descent(point, layers)
    rows = point.m * point.net.widths[-1]
    blocks = evenly(point.m, min(rows // ROWS, rows * sum(W.size for W in down.weights.values()) // PIECE))
    reaches = run_all(down.some_samples, blocks, run.threads, lambda done: told(done, len(blocks)))
    furthest = {k: float(np.max([each[k] for each in reaches])) for k in down.layers}  # NaN where one is
    found = (down.found(layer, furthest[layer.layer]) for layer in layers)
    return [(one, layer.met) for one, layer in zip(found, layers, strict=True) if one is not None]


class _Descent:
    """The way down from the outputs, some samples at a time."""

    def __init__(self, point: Point, layers: list[Carried]) -> None:
        self.point = point
        self.layers = {layer.layer: layer for layer in layers}
        self.lowest = min(self.layers)
        passed = range(self.lowest, point.last)
        self.series = {k: _by_sample(point.series(k)) for k in (*passed, point.last) if point.passes(k)}
        self.weights = {k: point.weights[k + 1] for k in passed}
        if self.lowest < point.last:
            units = self.layers[self.lowest].units
            self.weights[self.lowest] = self.weights[self.lowest][:, units]
            self.series[self.lowest] = self.series[self.lowest].of((slice(None), units))
        bent = [k for k in self.layers if k + 1 < point.last and point.curved(k + 1)]
        self.powers_of_weights = {k: self._powers_of_weights(k) for k in bent}
        self.deep = [k for k, layer in self.layers.items() if layer.deep]
        self.singles = Singles(point, {k: self.weights[k] for k in self.deep})
        behind = [k for k in range(min(self.deep, default=point.last) + 2, point.last) if point.curved(k)]
        self.remembered = {*self.deep, *behind, *(k + 1 for k in bent if k in self.deep)}
        self._take_losses()
        self._lay_out(sorted({*self.layers, *(k + 1 for k in bent), *behind}))

    def _take_losses(self) -> None:
        """What the losses' powers weigh the outputs' changes by, and which changes those are."""
        point, Y = self.point, self.point.problem.Y
        self.mixing = not point.net.cost_entry.separable
        of_outputs = [point.run.A[-1]] * 4 if self.mixing else point.loss_series.all
        self.of_outputs = [np.ascontiguousarray(part.T) for part in of_outputs if part is not None]
        weight = Y.sum(axis=0)
        self.weight = weight[:, None] if self.mixing and bool((weight != 1.0).any()) else None
        self.others: Mask | None = None
        if self.mixing and len(Y) > 1 and bool((np.count_nonzero(Y, axis=0) == 1).all()):
            self.others = Y.T == 0.0  # relative to itself the only target does not change
            self.of_outputs = [self.of_outputs[0][self.others].reshape(point.m, len(Y) - 1)] * 4

    def _lay_out(self, wanted: list[int]) -> None:
        """Make room for powers of these layers side by side, (m, columns) each."""
        widths = {k: W.shape[1] for k, W in self.weights.items()} | {self.point.last: self.point.net.widths[-1]}
        self.wanted, self.widths = wanted, [widths[k] for k in wanted]
        edges = np.cumsum([0, *self.widths]).tolist()
        self.columns = dict(zip(wanted, map(slice, edges, edges[1:]), strict=True))
        shape = self.point.m, edges[-1]
        self.powers = [np.empty(shape), np.empty(shape), *(np.zeros(shape) for _ in self.of_outputs[2:])]

    def _powers_of_weights(self, k: int) -> list[Array]:
        """W^2 and, where that may count, W^3 from layer k to the next."""
        W = self.weights[k]
        square = W * W
        return [square, square * W] if self.layers[k].beyond > SQUARE_IS_NOTHING else [square]

    def some_samples(self, s: slice) -> dict[int, float]:
        """Go down with some samples; return the largest change further on that each layer's steps make."""
        some = _Some(self, s)
        with np.errstate(all="ignore"):  # NumPy keeps this per thread
            J = self._at_outputs(s)
            for k in range(self.point.last, self.lowest - 1, -1):
                if k < self.point.last:
                    J = self._below(k, J, s)
                if k in self.columns:
                    some.take(k, J)
            some.finish()
        return some.reaches

    def _at_outputs(self, s: slice) -> Array:
        """Changes of the outputs by one of each, as the loss sees them, (samples, outputs, outputs)."""
        y = self.point.problem.Y[:, s]
        if not self.mixing:
            return np.repeat(np.eye(len(y))[None], y.shape[1], axis=0)
        J = relative_to_targets(y)
        return J if self.others is None else J[self.others[s]].reshape(len(J), -1, len(y))

    def _below(self, k: int, J: Array, s: slice) -> Array:
        """J_k from J_{k + 1}, which is used up."""
        if k + 1 < self.point.last:
            J *= self.series[k + 1].c1[s][:, None]
        W = self.weights[k]
        return np.asarray((J.reshape(-1, len(W)) @ W).reshape(*J.shape[:2], W.shape[1]))

    def of_bends(self, weights: list[Array], u: Array, s: Array) -> list[Array]:
        """What second powers s of outputs' changes (samples, outputs, units) add to the loss's second and third.

        Parameters
        ----------
        weights : (samples, outputs) of the loss's powers; of probabilities where it mixes the outputs.
        u : first powers.
        """
        second = np.matmul(weights[0][:, None], s)[:, 0]
        third = np.matmul(weights[1][:, None], u * s)[:, 0]
        if self.mixing:
            third -= np.matmul(weights[0][:, None], u)[:, 0] * second
            return [second, third]
        return [second, 2.0 * third]

    def keeps_thirds(self, layer: Carried) -> bool:
        """Tell whether a layer's third powers are the last that are found."""
        return layer.reach > 0.0 or layer.deep or not self.mixing

    def found(self, layer: Carried, furthest: float) -> LayerFound | None:
        """Return what was found of a layer; None where two or four powers do not say it.

        Parameters
        ----------
        furthest : the largest change of an output, or of a curved unit behind the next layer, or NaN.
        """
        k, powers = layer.layer, [power[:, self.columns[layer.layer]] for power in self.powers]
        if self.keeps_thirds(layer):
            if not furthest <= CUBIC_FURTHER_ON:
                return None
            first, second, third, *_ = powers
            if max(furthest, layer.reach) <= QUADRATIC_REACH:
                powers = [first + third * np.square(self.point.steps[k])[:, None], second]
            else:
                powers = [first, second, third, np.zeros_like(first)]
        elif furthest <= QUADRATIC_REACH:
            powers = powers[:2]
        elif not furthest <= QUARTIC_REACH:
            return None
        by_unit = [(power if k == self.lowest < self.point.last else power[:, layer.units]).T for power in powers]
        if layer.met is not None:
            for power in by_unit:
                power[layer.met] = 0.0
        return LayerFound(k, layer.units, by_unit)


class _Some:
    """Some samples on the way down: sums over outputs, of all layers side by side, and what they come to."""

    def __init__(self, down: _Descent, s: slice) -> None:
        self.down, self.s = down, s
        self.powers = [power[s] for power in down.powers[:2]]
        self.powers += [np.empty_like(self.powers[0]) for _ in down.powers[2:]]
        self.reaches: dict[int, float] = {}
        self.degrees = dict.fromkeys(down.wanted, 2)
        self.summed = dict.fromkeys(down.wanted, 2)
        self.bends: dict[int, list[Array]] = {}
        self.J: dict[int, Array] = {}

    def take(self, k: int, J: Array) -> None:
        """Take the sums that a layer's J makes, and what the curved layer behind it adds to them."""
        down = self.down
        layer = down.layers.get(k)
        if layer is not None:
            self.reaches[k] = largest_of(J) * layer.largest
            self.degrees[k], self.summed[k] = self._degrees(layer, self.reaches[k])
        its = self._of(k)[: self.summed[k]]
        moments([part[self.s] for part in down.of_outputs], J, its)
        if k in down.remembered:
            self.J[k] = J.copy()
        if k in down.powers_of_weights:
            slopes, behind = self._of(k + 1)[0], down.series[k + 1].of(self.s)
            bends = [(slopes * c) @ W for c, W in zip(behind.all[1:], down.powers_of_weights[k], strict=False)
                     if c is not None]
            self.bends[k] = [np.zeros_like(bends[0]), *bends[1:]] if k in down.deep else bends

    def finish(self) -> None:
        """Turn sums over outputs into powers of changes of pre-activations, and hand them over."""
        down, most = self.down, max(self.degrees.values())
        powers = self.powers[:most]
        if down.mixing:
            LOSS_CUMULANTS[down.point.net.cost](powers)
        for k, summed in self.summed.items():
            for power in self._of(k)[summed:most]:
                power[:] = 0.0
        for k, bends in self.bends.items():
            for power, bend in zip(self._of(k)[1:most], bends, strict=False):
                power += bend
        for k in down.deep:
            self._add_bends(k)
        if down.weight is not None:
            for power in powers:
                power *= down.weight[self.s]
        self._compose(most)
        for k in filter(self._keeps, self.degrees):
            its = slice(2, self.degrees[k])
            for whole, power in zip(down.powers[its], self._of(k)[its], strict=True):
                whole[self.s, down.columns[k]] = power

    def _add_bends(self, k: int) -> None:
        """Add what bends behind a layer make of its second and third power, if it counts."""
        down, slopes, c2 = self.down, self._of(k)[0], self.down.series[k].of(self.s).c2
        layers = [down.singles.passed(j, self.s, down.series[j].of(self.s), self.J.get(j), self._slopes(j))
                  for j in range(k + 2, down.point.last)]

        def found(samples: slice, *, cubic: bool = True) -> tuple[Array, Array, Array, float]:
            outputs = self.J[k].shape[1]
            bends, third, steepest = bends_behind(down.singles.first[k], layers, samples, outputs, cubic=cubic)
            if k in down.powers_of_weights:
                bends += self._bends_next(k, samples)
            weights = [part[self.s][samples] for part in down.of_outputs]
            second, of_loss = down.of_bends(weights, self.J[k][samples], bends)
            return second, of_loss, third, steepest

        def is_nothing(odd: Array) -> bool:
            return _is_nothing(odd * self._usual_squares(k, tried), slopes[tried])

        everything, tried, cubic = slice(0, len(slopes)), self._telling(k), True
        if slopes.size * sum(len(layer.weights) for layer in layers) > WORTH_TRYING:
            second, of_loss, third, _ = found(tried)
            bent = 0.0 if c2 is None else 2.0 * c2[tried] * second
            if is_nothing(bent + of_loss + third):
                return
            cubic = not is_nothing(third)
        second, of_loss, third, steepest = found(everything, cubic=cubic)
        self.reaches[k] = float(np.maximum(self.reaches[k], steepest * down.layers[k].largest))
        for power, added in zip(self._of(k)[1:3], (second, of_loss + third), strict=True):
            power += added
            if not largest_of(added) < np.inf:  # too large for single precision
                self.reaches[k] = np.inf

    def _telling(self, k: int) -> slice:
        """The sample in which bends are likely to make most of a layer's gradient: steps and slopes are large there."""
        slopes = self._of(k)[0]
        cubes = np.einsum("su,su->s", slopes, slopes) * self._squares(k)[:, 0] ** 3
        at = int(np.argmax(cubes))
        return slice(at, at + 1)

    def _bends_next(self, k: int, samples: slice) -> Array:
        """The second powers (samples, outputs, units) of outputs' changes that come of layer k + 1."""
        c2, squares = self.down.series[k + 1].of(self.s).c2, self.down.powers_of_weights[k][0]
        J = self.J[k + 1][samples] * np.asarray(c2)[samples, None]
        return np.asarray(np.matmul(J.reshape(-1, len(squares)), squares).reshape(*J.shape[:2], squares.shape[1]))

    def _compose(self, most: int) -> None:
        """Turn powers of changes d of activations into those of x, where d is a series in x.

        Where that series is curved two powers make three.  A third power that is the last one counts for little: it is
        taken at the layers' steps, and added to the first.
        """
        down, s = self.down, self.s
        inner = {k: down.series[k].of(s) for k in down.layers if down.point.passes(k)}
        curved: dict[int, tuple[Array, Array]] = {}
        for k, series in inner.items():
            if series.c2 is not None and series.c3 is not None:
                first, second, *_ = self._of(k)
                curved[k] = first * series.c2, 2.0 * second * series.c1 * series.c2 + first * series.c3
        ones = {k: np.ones((len(self.powers[0]), width)) for k, width in zip(down.wanted, down.widths, strict=True)
                if k not in inner}
        slopes = np.concatenate([ones[k] if k in ones else inner[k].c1 for k in down.wanted], axis=1)
        factor = slopes
        for number, power in enumerate(self.powers[:most]):
            if number:
                factor = factor * slopes
            power *= factor
        for k, (second, third) in curved.items():
            self._of(k)[1][:] += second
            if most > 2:
                self._of(k)[2][:] += third
            else:
                self._of(k)[0][:] += third * self._squares(k)
        if most == 3:
            squares = np.concatenate([self._squares(k) * (not self._keeps(k)) for k in down.wanted], axis=1)
            self.powers[0] += self.powers[2] * np.repeat(squares, down.widths, axis=1)
        elif most > 3:
            for k in [k for k in self.degrees if not self._keeps(k)]:
                self._of(k)[0][:] += self._of(k)[2] * self._squares(k)

    def _slopes(self, k: int) -> Array | None:
        """The losses' slopes in a layer's activations; None where nobody asks for them."""
        return self._of(k)[0] if k in self.down.columns else None

    def _of(self, k: int) -> list[Array]:
        """The powers of one layer."""
        return [power[:, self.down.columns[k]] for power in self.powers]

    def _squares(self, k: int) -> Array:
        """Squares of a layer's steps, (samples, 1)."""
        h = self.down.point.steps[k][self.s, None]
        return np.asarray(h * h)

    def _keeps(self, k: int) -> bool:
        """Tell whether a layer's third power is kept until all samples are done, rather than added to the first."""
        layer, degree = self.down.layers.get(k), self.degrees[k]
        return degree > 3 or (degree == 3 and layer is not None and self.down.keeps_thirds(layer))

    def _usual_squares(self, k: int, samples: slice) -> Array:
        """Squares of a layer's steps as they count in its gradient, (samples, 1): third powers beside first ones."""
        squares = np.square(self.down.point.inputs[k][:, self.s][:, samples])
        of_biases = 1.0
        means = (np.square(squares).sum(axis=0) + of_biases) / (squares.sum(axis=0) + of_biases)
        return np.asarray(self.down.point.epsilon**2 * means[:, None])

    def _degrees(self, layer: Carried, size: float) -> tuple[int, int]:
        """How many powers count where a layer's steps make changes of outputs up to ``size``, and how many sums do.

        Where the changes of outputs are nothing but the steps are not, only the layer's own bends make third powers.
        """
        if layer.deep:
            return 3, 3
        if max(size, layer.beyond) <= SQUARE_IS_NOTHING:
            return (2, 2) if layer.reach <= QUADRATIC_REACH else (3, 2)
        degree = 3 if size <= QUADRATIC_REACH or self.down.keeps_thirds(layer) else 4
        return degree, degree


def _is_nothing(bends: Array, slopes: Array) -> bool:
    """Tell whether what bends make of slopes is too little to count, in the mean of squares."""
    return bool(np.vdot(bends, bends) <= BENDS_ARE_NOTHING**2 * np.vdot(slopes, slopes))


def _by_sample(series: Series) -> Series:
    """Return the same with samples first, (m, units)."""
    c2, c3 = (None if part is None else np.ascontiguousarray(part.T) for part in (series.c2, series.c3))
    return Series(np.ascontiguousarray(series.c1.T), c2, c3)
