"""A small network's differences in as few calls of NumPy as they take, where the usual case can be told at once.

The usual case: all parameters, steps so short that three powers of a change say everything (see ``powers``), no change
within reach of a kink, and literal subtraction that agrees with the parameter it is tried on.  In any other the engine
goes its usual way, which takes a few times as long.  Every bound here is as tight as there, or tighter.
"""

import math
from itertools import accumulate, pairwise
from typing import Any
from zlib import crc32

import numpy as np

from ..._constants import UNIT_ROUNDOFF
from ..._types import Array
from ...problems.gradients import CostsOnDemand, Kinks, NumericalGradient
from ...problems.networks.network import Network
from ...problems.networks.problem import Problem
from ...rules.activation_changes import ACTIVATION_CHANGES
from ...rules.loss_changes import LOSS_CHANGES, LOSS_POWERS
from ...rules.small import SHORT
from .point import NODES, STEP, Series, fitted, series_of
from .powers import ONE_THREAD, Powers, largest_change, onwards, through
from .spot_check import CLOSE, SAFETY

# Up to this many numbers of all layers' columns, the columns of all layers travel together.
TOGETHER = 1 << 16
# The least distance to a kink that is one, as in ``point``.
LEAST_SLACK = 1e-30
# An index that gives coefficients (units, m) an axis for columns.
LIFTED = (slice(None), None)


def differences_at_once(problem: Problem, epsilon: float) -> NumericalGradient | None:
    """Return all perturbed costs (see ``engine.differences``); None where this is not the usual case.

    Parameters
    ----------
    problem : of a network that ``engine.has_rules`` for.
    """
    net = problem.network
    cost = net.cost_entry
    mixing = not (cost.separable and net.activation_entries[-1].elementwise)
    if mixing and cost.name not in LOSS_POWERS:
        return None
    if epsilon > SHORT or not fits(net, problem.m):
        return None
    with np.errstate(all="ignore"):
        point = SmallPoint(problem, epsilon)
        powers = _responses(point, mixing)
        return None if powers is None else _Found(point, powers).differences()


def fits(net: Network, samples: int) -> bool:
    """Whether a network and its samples are so small that all columns travel together, and one thread does it all."""
    units = net.widths[1:]
    return samples * sum(units) * max(units) <= TOGETHER and (
        samples * max(a * b for a, b in pairwise(net.widths)) <= ONE_THREAD)


class SmallPoint:
    """A network at theta with its samples, propagated.

    Attributes
    ----------
    Z, A : by layer, (units, m).
    reads : what each layer reads, (units, m) of all layers one after the other; squares, cubes : of them.
    step : the largest change of a pre-activation.
    """

    def __init__(self, problem: Problem, epsilon: float) -> None:
        self.problem, self.epsilon, self.m = problem, epsilon, problem.m
        self.net = problem.network
        self.entries, self.cost = self.net.activation_entries, self.net.cost_entry
        theta, a = problem.theta, problem.X
        self.weights, self.biases, self.Z, self.A = [], [], [], []
        for place, entry in zip(self.net.places, self.entries, strict=True):
            weights, bias = place.tensors["W"], place.tensors["b"]
            W, b = theta[weights.start : weights.stop].reshape(weights.shape), theta[bias.start : bias.stop, None]
            z = W.dot(a)
            z += b
            a = entry.value(z)
            self.weights.append(W)
            self.biases.append(b)
            self.Z.append(z)
            self.A.append(a)
        self.losses = self.cost.losses(z, a, problem.Y)
        self.reads = np.concatenate([problem.X, *self.A[:-1]])
        self.squares = self.reads * self.reads
        self.step = epsilon * max(1.0, float(np.maximum.reduce(self.squares, axis=None)) ** 0.5)
        self.scale = self.cost.scale(self.m, self.net.widths[-1])

    def series(self, k: int, size: float) -> Series | None:
        """Return how layer k's activation answers changes up to ``size``; None where one may reach a kink."""
        entry, z = self.entries[k], self.Z[k]
        gap = None
        if entry.breakpoints:
            gap = np.abs(z - entry.breakpoints[0])
            for kink in entry.breakpoints[1:]:
                gap = np.minimum(gap, np.abs(z - kink))
            top = self.step / self.epsilon
            sums = float(np.maximum.reduce(np.add.reduce(np.abs(self.weights[k]), axis=1)))
            slack = 8.0 * UNIT_ROUNDOFF * (sums * top + float(np.maximum.reduce(np.abs(self.biases[k]), axis=None)))
            if not size + slack + LEAST_SLACK < float(np.minimum.reduce(gap, axis=None)):
                return None
        return series_of(entry, ACTIVATION_CHANGES[entry.name], z, self.A[k], gap)


def _responses(point: SmallPoint, mixing: bool) -> Powers | None:
    """Responses (columns, m) of the losses to the columns of all layers; None where powers do not say everything."""
    logits, last, outputs = point.cost.output is not None, len(point.entries) - 1, point.net.widths[-1]
    block: Powers | None = None
    ends: Powers | None = None
    for k in range(last if logits else last + 1):
        size = point.step if block is None else max(point.step, largest_change(block, point.step))
        series = point.series(k, size) if size <= SHORT else None
        if series is None:
            return None
        block = None if block is None else through(series.of(LIFTED), block)
        rows = Powers(series.c1, series.c2, series.c3)
        if k < last:
            block = onwards(point.weights[k + 1], block, rows, outputs if mixing and k + 1 == last else 0)
        else:
            ends = rows
    if not (point.step if block is None else max(point.step, largest_change(block, point.step))) <= SHORT:
        return None
    if mixing:
        return Powers(*LOSS_POWERS[point.cost.name](point.A[-1], point.problem.Y, *_with_ends(point, block)))
    values = LOSS_CHANGES[point.cost.name](point.Z[-1], point.A[-1], point.problem.Y, STEP * NODES)
    return _separate(fitted(values, STEP), block, ends)


def _with_ends(point: SmallPoint, block: Powers | None) -> Powers:
    """Columns of single outputs in the room that was left for them."""
    outputs = point.net.widths[-1]
    if block is None:
        return Powers(np.repeat(np.eye(outputs)[:, :, None], point.m, axis=2))
    places = np.arange(outputs)
    block.first[places, places - outputs] = 1.0
    return block


def _separate(series: Series, block: Powers | None, ends: Powers | None) -> Powers:
    """Responses of a loss that is a sum over outputs, to changes of all of them and to those of single ones."""
    alone = Powers(series.c1, series.c2, series.c3) if ends is None else through(series, ends)
    if block is None:
        return alone
    behind = through(series.of(LIFTED), block)
    return Powers(*(np.concatenate([np.add.reduce(of_all, axis=0), of_one])
                    for of_all, of_one in zip(behind, alone, strict=True)))


class _Found:
    """What the responses make of the parameters, and whether literal subtraction agrees.

    Parameters
    ----------
    powers : (columns, m), of the units of all layers one after the other.
    """

    def __init__(self, point: SmallPoint, powers: Powers) -> None:
        self.point, self.powers = point, powers
        widths = point.net.widths
        ends = zip(pairwise(accumulate(widths[1:], initial=0)), pairwise(accumulate(widths[:-1], initial=0)))
        self.places = [(slice(*rows), slice(*reads)) for rows, reads in ends]

    def differences(self) -> NumericalGradient | None:
        """Return the differences; None where literal subtraction of one parameter does not agree."""
        point, net = self.point, self.point.net
        error, bound = self._spot_checked()
        cost = point.scale * float(np.add.reduce(point.losses))
        if not (error <= bound and math.isfinite(cost)):
            return None
        gradapprox = self._summed(point.scale, self.powers.first, point.reads)
        gradapprox += self._summed(point.scale * point.epsilon**2, self.powers.third, point.squares * point.reads)
        if net.l2:
            cost += net.penalty(point.problem.parameters, point.m)
            for tensor in net.penalised:
                part = slice(tensor.start, tensor.stop)
                gradapprox[part] += (net.l2 / point.m) * point.problem.theta[part]
        kept: list[Array] = []
        none = np.empty(0)

        def side(sign: float) -> CostsOnDemand:
            def cost_at(at: Any) -> Array:
                if not kept:
                    kept.append(self._even())
                return np.asarray(cost + (kept[0][at] + sign * point.epsilon * gradapprox[at]))

            return CostsOnDemand(cost_at, gradapprox.size)

        return NumericalGradient(
            cost, side(1.0), side(-1.0), gradapprox, self._noise(), Kinks(np.empty(0, np.int64), none, none),
            facts={"spot_checked": 1, "spot_check_error": error / bound if bound else 0.0},
        )

    def _summed(self, factor: float, responses: Array | None, inputs: Array) -> Array:
        """Sums over samples of responses times inputs, and of responses for biases, where they belong in theta."""
        if responses is None:
            raise AssertionError("expected responses with three powers, got fewer")  # every loss is curved
        net, total = self.point.net, np.empty(self.point.net.size)
        scaled = factor * responses
        sums = np.add.reduce(scaled, axis=1)
        for place, (rows, reads) in zip(net.places, self.places, strict=True):
            weights, bias = place.tensors["W"], place.tensors["b"]
            np.dot(scaled[rows], inputs[reads].T, out=total[weights.start : weights.stop].reshape(weights.shape))
            total[bias.start : bias.stop] = sums[rows]
        return total

    def _even(self) -> Array:
        """Even parts of the costs, of all parameters."""
        point, net = self.point, self.point.net
        with np.errstate(all="ignore"):
            total = self._summed(point.scale * point.epsilon**2, self.powers.second, point.squares)
        if net.l2:
            for tensor in net.penalised:
                total[tensor.start : tensor.stop] += 0.5 * net.l2 / point.m * point.epsilon**2
        return total

    def _noise(self) -> Array:
        """Rounding of each tensor's sums, and of the pre-activations that curved functions see (see ``engine``)."""
        point, first = self.point, self.powers.first
        seen = [z for z, entry in zip(point.Z[:-1], point.entries, strict=False) if not entry.linear]
        if point.cost.output is not None or not point.entries[-1].linear:
            seen.append(point.Z[-1])
        height = max([float(np.maximum.reduce(np.abs(z), axis=None)) for z in seen], default=0.0)
        steepest = np.maximum.reduceat(np.add.reduce(first * first, axis=1), [rows.start for rows, _ in self.places])
        largest = np.maximum.reduceat(np.add.reduce(point.squares, axis=1), [reads.start for _, reads in self.places])
        unit = 4.0 * UNIT_ROUNDOFF * (1.0 + height) * point.scale
        noise = np.empty((len(self.places), 2))
        np.sqrt(steepest * largest, out=noise[:, 0])
        np.sqrt(steepest * point.m, out=noise[:, 1])
        noise *= unit
        return noise.reshape(-1)

    def _spot_checked(self) -> tuple[float, float]:
        """How far literal subtraction is off at one parameter, drawn at random, and how far rounding lets it be.

        The bound leaves out what rounding of pre-activations does: it is the tighter half of ``spot_check``'s.
        """
        point, widths = self.point, self.point.net.widths
        draw = crc32(point.problem.theta[:4096].tobytes())
        layer = draw % len(self.places)
        unit, column = draw // 7 % widths[layer + 1], draw // 11 % (widths[layer] + 1)
        rows, reads = self.places[layer]
        own = self._own(rows.start + unit, None if column == widths[layer] else reads.start + column)
        literal = self._literal(layer, unit, column)
        size = float(np.add.reduce(np.abs(point.losses)))
        bound = SAFETY * (8.0 * UNIT_ROUNDOFF * size) + CLOSE * max(abs(own[0]), abs(own[1]))
        return max(abs(literal[0] - own[0]), abs(literal[1] - own[1])), bound

    def _own(self, row: int, read: int | None) -> tuple[float, float]:
        """Odd and even part of the losses' sum at one parameter, by the responses."""
        first, second, third = (part[row] for part in self.powers if part is not None)
        epsilon = self.point.epsilon
        if read is None:
            return (float(np.add.reduce(epsilon * first + epsilon**3 * third)),
                    epsilon**2 * float(np.add.reduce(second)))
        x = epsilon * self.point.reads[read]
        square = x * x
        return float(x.dot(first)) + float((square * x).dot(third)), float(square.dot(second))

    def _literal(self, layer: int, unit: int, column: int) -> tuple[float, float]:
        """The same by plain propagation of theta +- epsilon e."""
        point, m = self.point, self.point.m
        inputs = point.reads[self.places[layer][1]]
        weights, bias = point.weights[layer][unit], float(point.biases[layer][unit, 0])
        z = np.concatenate([point.Z[layer]] * 3, axis=1)
        for k, step in enumerate((point.epsilon, -point.epsilon, 0.0)):
            moved = weights
            if column < weights.size:
                moved = weights.copy()
                moved[column] += step
            z[unit, k * m : (k + 1) * m] = moved.dot(inputs) + (bias if column < weights.size else bias + step)
        for k in range(layer + 1, len(point.weights)):
            z = point.weights[k].dot(point.entries[k - 1].value(z))
            z += point.biases[k]
        Y = np.concatenate([point.problem.Y] * 3, axis=1)
        up, down, here = point.cost.losses(z, point.entries[-1].value(z), Y).reshape(3, m)
        return 0.5 * float(np.add.reduce(up - down)), float(np.add.reduce(0.5 * (up + down) - here))
