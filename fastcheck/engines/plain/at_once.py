"""A small network's differences in as few calls of NumPy as they take, where the usual case can be told at once.

The usual case: all parameters, steps so short that three powers of a change say everything (see ``powers``), no change
within reach of a kink, and literal subtraction that agrees with the parameter it is tried on.  In any other the engine
goes its usual way, which takes a few times as long.  Every bound here is as tight as there, or tighter.
"""

import math
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np

from ..._constants import UNIT_ROUNDOFF
from ..._types import Array
from ...problems.gradients import CostsOnDemand, Kinks, NumericalGradient
from ...problems.networks.network import Network
from ...problems.networks.problem import Problem
from ...rules.activation_changes import ACTIVATION_CHANGES
from ...rules.loss_changes import LOSS_POWERS
from ...rules.power_series import LOSS_SERIES
from ...runtime.cached_property import cached_property
from ...runtime.threads import ONE_THREAD
from ..response.literal_losses import CLOSE, SAFETY
from .last_layers import HIDDEN, last_responses
from .point import DRAWN_BY, Series, series_of
from .powers import (
    Powers,
    Responses,
    across,
    from_steps,
    largest_change,
    largest_of,
    onwards,
    summed,
    through,
)

# Up to this many numbers of all layers' columns, the columns of all layers travel together.
TOGETHER = 1 << 16
# Up to this change three powers give the odd part to rounding: what is left out is a share of its fourth power.  They
# are taken from four differences at a step and twice that, of whose fourth power 4 times as much is left in the first,
# and of whose square 5 times as much in the third, which rounding leaves as many digits.
LONGEST, STEP = 3e-5, 2.0**-14
# The least distance to a kink that is one, as in ``point``.
LEAST_SLACK = 1e-30
NO_KINKS = Kinks(np.empty(0, np.int64), np.empty(0), np.empty(0))
# An index that gives coefficients (units, m) an axis for columns.
LIFTED = (slice(None), None)


def differences_at_once(problem: Problem, epsilon: float) -> NumericalGradient | None:
    """Return all perturbed costs (see ``engine.differences``); None where this is not the usual case.

    Parameters
    ----------
    problem : of a network that ``fits`` and that the engine ``has_rules`` for.
    """
    net, cost = problem.network, problem.network.cost_entry
    mixing = not cost.separable or net.layers[-1].activation == "softmax"
    if epsilon > LONGEST or cost.name not in (LOSS_POWERS if mixing else LOSS_SERIES):
        return None
    with np.errstate(all="ignore"):
        point = SmallPoint(problem, epsilon)
        responses = _responses(point, mixing)
        return None if responses is None else _Found(point, responses).differences()


def fits(net: Network, samples: int) -> bool:
    """Whether a network and its samples are so small that all columns travel together, and one thread does it all."""
    units = net.widths[1:]
    return samples * sum(units) * max(units) <= TOGETHER and samples * net.largest_matrix <= ONE_THREAD


class SmallPoint:
    """A network at theta with its samples, propagated, and one parameter's perturbed costs with it.

    Attributes
    ----------
    Z, A : by layer, (units, m).
    loss : sum of the losses; odd, even : parts of its change at the parameter that is tried (see ``Tried``), by plain
        propagation of theta, theta + epsilon e and theta - epsilon e side by side.
    inputs : (inputs of all layers, 2 m): what they read, ``reads``, and behind it the cubes; squares : of reads.
    step : the largest change of a pre-activation.
    """

    def __init__(self, problem: Problem, epsilon: float) -> None:
        self.problem, self.epsilon, self.m = problem, epsilon, problem.m
        self.net, self.tried = problem.network, Tried.of(problem)
        self.entries, self.cost = self.net.activation_entries, self.net.cost_entry
        self.weights: list[Array] = []
        self.biases: list[Array] = []
        self.Z: list[Array] = []
        self.A: list[Array] = []
        z, a = self._propagate()
        m, targets = self.m, np.concatenate([problem.Y] * 3, axis=1)
        here, up, down = np.add.reduce(self.cost.losses(z, a, targets).reshape(3, m), axis=1).tolist()
        self.loss, self.odd, self.even = here, 0.5 * (up - down), 0.5 * (up + down) - here
        self.inputs = np.empty((sum(self.net.widths[:-1]), 2 * m))
        self.reads = self.inputs[:, :m]
        np.concatenate([problem.X, *self.A[:-1]], out=self.reads)
        self.squares = self.reads * self.reads
        np.multiply(self.squares, self.reads, out=self.inputs[:, m:])
        self.step = epsilon * max(1.0, float(np.maximum.reduce(self.squares, axis=None)) ** 0.5)
        self.scale = self.cost.scale(m, self.net.widths[-1])

    def _propagate(self) -> tuple[Array, Array]:
        """Fill the lists; return pre-activations and activations of the outputs, (outputs, 3 m)."""
        theta, m, z, a = self.problem.theta, self.m, self.problem.X, self.problem.X
        for k, (span, entry) in enumerate(zip(self.net.spans, self.entries, strict=True)):
            W, b = theta[span.weights].reshape(span.shape), theta[span.bias, None]
            z = W.dot(a)
            z += b
            if k == self.tried.layer:
                z = np.concatenate([z, z, z], axis=1)
                z[self.tried.unit] = self.tried.moved(W, b, a, self.epsilon)
            a = entry.value(z)
            self.weights.append(W)
            self.biases.append(b)
            self.Z.append(z[:, :m])
            self.A.append(a[:, :m])
        return z, a

    def series(self, k: int, size: float) -> Series | None:
        """Return how layer k's activation answers changes up to ``size``; None where one may reach a kink."""
        entry, z, gap = self.entries[k], self.Z[k], None
        if entry.breakpoints:
            gap = np.abs(z - entry.breakpoints[0] if entry.breakpoints[0] else z)
            for kink in entry.breakpoints[1:]:
                gap = np.minimum(gap, np.abs(z - kink))
            slack = 8.0 * UNIT_ROUNDOFF * self.highest * (1.0 + self.step / self.epsilon * self.net.widths[k])
            if not size + slack + LEAST_SLACK < float(np.minimum.reduce(gap, axis=None)):
                return None
        return series_of(entry, ACTIVATION_CHANGES[entry.name], z, self.A[k], gap, STEP)

    @cached_property
    def highest(self) -> float:
        """The largest parameter."""
        return largest_of(self.problem.theta)


class Tried(NamedTuple):
    """The parameter that is tried by literal subtraction, drawn by theta: column is the input, or last the bias."""

    layer: int
    unit: int
    column: int

    @classmethod
    def of(cls, problem: Problem) -> "Tried":
        """Draw it."""
        draw, widths = crc32(problem.theta[:DRAWN_BY].data), problem.network.widths
        layer = draw % (len(widths) - 1)
        return cls(layer, draw // 7 % widths[layer + 1], draw // 11 % (widths[layer] + 1))

    def moved(self, W: Array, b: Array, a: Array, epsilon: float) -> Array:
        """Its unit's pre-activations (3 m,) at theta, with epsilon added to it, and taken off."""
        rows, bias = np.empty((3, len(a))), float(b[self.unit, 0])
        rows[:] = W[self.unit]
        biases = bias, bias, bias
        if self.column == len(a):
            biases = bias, bias + epsilon, bias - epsilon
        else:
            rows[1, self.column] += epsilon
            rows[2, self.column] -= epsilon
        return np.asarray((rows.dot(a) + np.array(biases)[:, None]).reshape(-1))


def _responses(point: SmallPoint, mixing: bool) -> Responses | None:
    """Responses (columns, m) of the losses to the columns of all layers; None where powers do not say everything."""
    last = len(point.entries) - 1
    block: Powers | None = None
    starts: list[Series] = []
    largest = point.step  # of what begins so far
    for k in range(last if point.cost.output is not None else last + 1):
        size = _longest(point, block, largest)
        series = point.series(k, size) if size <= LONGEST else None
        if series is None:
            return None
        starts.append(series)
        if not point.entries[k].linear:  # what is straight is nowhere steeper than one
            largest = max(point.step * largest_of(series.c1), largest)
        if mixing and k == last - 1 < HIDDEN:
            break
        if block is not None and k < last and block.second is None and block.first.shape[2] == 1:
            block = across(series, block, point.weights[k + 1])
            continue
        if block is not None:
            block = through(series.of(LIFTED), block)
        if k < last:
            block = onwards(point.weights[k + 1], block)
    if mixing and last <= HIDDEN:
        found, furthest = last_responses(point.cost.name, point.A[-1], point.problem.Y, point.weights[1:],
                                         starts[-1] if starts else None)
        responses = found if furthest * largest <= LONGEST else None
    else:
        responses = _of_losses(point, block, mixing) if _longest(point, block, largest) <= LONGEST else None
    return responses if responses is None or not starts else from_steps(responses, starts)


def _longest(point: SmallPoint, block: Powers | None, largest: float) -> float:
    """Return a bound of the changes so far, where those of activations begin with ``largest``; NaN where there is one.

    Python's max returns its first argument where that is NaN, and passes over one that comes later.
    """
    step: float = point.step
    return step if block is None else max(largest_change(block, largest), step)


def _of_losses(point: SmallPoint, block: Powers | None, mixing: bool) -> Responses:
    """Responses (columns, m) of the losses, those of single outputs last."""
    a, y = point.A[-1], point.problem.Y
    if mixing:
        return Responses(*LOSS_POWERS[point.cost.name](a, y, *(block or ())))
    alone = Series(*LOSS_SERIES[point.cost.name](point.Z[-1], a, y))
    return summed(None if block is None else through(alone.of(LIFTED), block), alone)


class _Found:
    """What the responses make of the parameters.

    Parameters
    ----------
    responses : of the losses, to columns of the units of all layers one after the other.
    """

    def __init__(self, point: SmallPoint, responses: Responses) -> None:
        self.point, (self.first, self.second, self.third) = point, responses
        self.spans = point.net.spans

    def differences(self) -> NumericalGradient | None:
        """Return the differences; None where literal subtraction of one parameter does not agree."""
        point, net = self.point, self.point.net
        error, bound = self._spot_checked()
        cost = point.scale * point.loss
        if not (error <= bound and math.isfinite(cost)):
            return None
        m, epsilon = point.m, point.epsilon
        responses = np.empty((len(self.first), 2 * m))
        np.multiply(self.first, point.scale, out=responses[:, :m])
        np.multiply(self.third, point.scale * epsilon**2, out=responses[:, m:])
        gradapprox = self._summed(responses, point.inputs)
        if net.l2:
            cost += net.penalty(point.problem.parameters, m)
            for tensor in net.penalised:
                part = slice(tensor.start, tensor.stop)
                gradapprox[part] += (net.l2 / m) * point.problem.theta[part]
        kept: list[Array] = []

        def side(sign: float) -> CostsOnDemand:
            """Return the costs to one side of theta."""

            def cost_at(at: Any) -> Array:
                """Return those of some parameters, whose even parts are summed when somebody asks."""
                if not kept:
                    kept.append(self._even())
                return np.asarray(cost + (kept[0][at] + sign * epsilon * gradapprox[at]))

            return CostsOnDemand(cost_at, gradapprox.size)

        return NumericalGradient(
            cost, side(1.0), side(-1.0), gradapprox, self._noise(), NO_KINKS,
            facts={"spot_checked": 1, "spot_check_error": error / bound if bound else 0.0},
        )

    def _summed(self, responses: Array, inputs: Array) -> Array:
        """Sums over samples of responses times inputs, and of responses for biases, where they belong in theta."""
        total, sums = np.empty(self.point.net.size), np.add.reduce(responses, axis=1)
        for span in self.spans:
            np.dot(responses[span.units], inputs[span.inputs].T, out=total[span.weights].reshape(span.shape))
            total[span.bias] = sums[span.units]
        return total

    def _even(self) -> Array:
        """Even parts of the costs, of all parameters."""
        point, net = self.point, self.point.net
        total = self._summed((point.scale * point.epsilon**2) * self.second, point.squares)
        if net.l2:
            for tensor in net.penalised:
                total[tensor.start : tensor.stop] += 0.5 * net.l2 / point.m * point.epsilon**2
        return total

    def _noise(self) -> Array:
        """Rounding of each tensor's sums, and of the pre-activations that curved functions see (see ``engine``)."""
        point = self.point
        seen = [z for z, entry in zip(point.Z[:-1], point.entries, strict=False) if not entry.linear]
        if point.cost.output is not None or not point.entries[-1].linear:
            seen.append(point.Z[-1])
        height = max([largest_of(z) for z in seen], default=0.0)
        steepest = np.maximum.reduceat(np.add.reduce(self.first * self.first, axis=1), point.net.unit_starts)
        largest = np.maximum.reduceat(np.add.reduce(point.squares, axis=1), point.net.input_starts)
        unit = 4.0 * UNIT_ROUNDOFF * (1.0 + height) * point.scale
        noise = np.empty((len(self.spans), 2))
        np.multiply(steepest, largest, out=noise[:, 0])
        np.multiply(steepest, point.m, out=noise[:, 1])
        return np.asarray(unit * np.sqrt(noise).reshape(-1))

    def _spot_checked(self) -> tuple[float, float]:
        """How far literal subtraction is off at the parameter that is tried, and how far rounding lets it be.

        The bound leaves out what rounding of pre-activations does: it is a part of ``spot_check``'s.
        """
        point, (layer, unit, column) = self.point, self.point.tried
        row, epsilon = self.spans[layer].units.start + unit, point.epsilon
        biased = column == point.net.widths[layer]
        x = np.full(point.m, epsilon) if biased else epsilon * point.reads[self.spans[layer].inputs.start + column]
        square = x * x
        odd = float(x.dot(self.first[row])) + float((square * x).dot(self.third[row]))
        even = float(square.dot(self.second[row]))
        bound = SAFETY * (8.0 * UNIT_ROUNDOFF * abs(point.loss)) + CLOSE * max(abs(odd), abs(even))
        return max(abs(point.odd - odd), abs(point.even - even)), bound
