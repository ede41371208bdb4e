"""A network at theta with its samples, and what each layer's units do to a change that passes through them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..._constants import UNIT_ROUNDOFF
from ..._types import Array
from ...rules.power_series import ACTIVATION_POWERS, LOSS_SERIES
from ...rules.small import SHORT
from ...runtime.cached_property import cached_property

# Changes up to twice this are cubics to rounding, and short for the rules too.
STEP = 0.5 * SHORT
# Up to this change of a pre-activation r is a cubic to rounding, and single precision is enough for its higher powers.
CUBIC_REACH = 1e-5
# Changes up to which their squares, beside one, are less than rounding.
SQUARE_IS_NOTHING = 3e-8
# What is made of each output for each sample: more outputs than this many times the units cost more than they save.
WORTHWHILE = 4
# Numbers in one block of columns: what stays in a processor's cache.
BLOCK = 1 << 17
# The parameter that is tried by literal subtraction is drawn by this many of theta's numbers.
DRAWN_BY = 512
NODES = np.array([-2.0, -1.0, 1.0, 2.0])[:, None, None]


@dataclass(frozen=True)
class Series:
    """D(z, d) = d (c1 + d (c2 + d c3)) of every unit and sample, (units, m) each; no c2, c3 where it is straight."""

    c1: Array
    c2: Array | None = None
    c3: Array | None = None

    @property
    def all(self) -> tuple[Array, Array | None, Array | None]:
        """All three."""
        return self.c1, self.c2, self.c3

    def bound(self, longest: Array) -> Array:
        """Return a bound of what changes up to ``longest`` become, in each unit and sample."""
        changes = np.abs(self.c1) * longest
        if self.c2 is not None and self.c3 is not None:
            square = longest * longest
            changes += np.abs(self.c2) * square
            changes += np.abs(self.c3) * (square * longest)
        return np.asarray(changes)

    def of(self, rows: Any) -> "Series":
        """Return those of some units, or with an axis for columns, by an index."""
        return Series(self.c1[rows], None if self.c2 is None else self.c2[rows],
                      None if self.c3 is None else self.c3[rows])


class Passed:
    """A layer's parameters, what it reads, and the arrays that its units are written to.

    Attributes
    ----------
    z, a : (units, m), pre-activations and activations.
    sums : (units,), sums of magnitudes of a unit's weights.
    tops : (units,), the largest of them; None for the first layer, before which there is no unit.
    """

    def __init__(self, W: Array, b: Array, entry: Any, reads: Array, *, first: bool) -> None:
        self.W, self.b, self.entry, self.reads = W, b, entry, reads
        self.z, self.a = (np.empty((len(W), reads.shape[1])) for _ in range(2))
        self.sums, self.tops = np.empty(len(W)), None if first else np.empty(len(W))

    def propagate(self, units: slice) -> None:
        """Propagate some units."""
        with np.errstate(all="ignore"):  # NumPy keeps this per thread
            W, z = self.W[units], self.z[units]
            np.matmul(W, self.reads, out=z)
            z += self.b[units]
            np.abs(W).sum(axis=1, out=self.sums[units])
            if self.tops is not None:
                np.maximum(W.max(axis=1), -W.min(axis=1), out=self.tops[units])
            if self.entry.elementwise:
                self.a[units] = self.entry.value(z)


class Point:
    """A network at theta and its samples; arrays are (units, m), lists by layer.

    Parameters
    ----------
    problem : the network, theta and data (a ``Problem``).
    epsilon : the perturbation.
    changes : the array rule of each layer's activation.
    loss_change : the loss's exact difference (see ``rules.loss_changes``).
    loss_parts : the same for both signs of a short change of logits at once, where the loss mixes the outputs.
    forward : propagates forward, and calls what it is given with each layer's number and what it has become.

    Attributes
    ----------
    run : forward propagation at theta.
    inputs : what each layer reads.
    weight_sums, weight_tops : (units,) each, the sum and the largest of magnitudes of a unit's weights; no largest for
        the first layer.
    steps : (m,) each, h: the largest change of a pre-activation of the layer, epsilon max(1, max |a|).
    slacks : how far rounding may have moved each pre-activation; never zero.
    margins : distance to the nearest kink less that, infinite where there is none; None for layers without kinks.
    curved : whether a layer's activation is neither straight nor taken together with the loss.
    """

    def __init__(
        self, problem: Any, epsilon: float, changes: list[Callable[..., Any]], loss_change: Callable[..., Array],
        loss_parts: Callable[..., tuple[Array, Array]] | None,
        forward: Callable[[Callable[[int, Passed], None]], Any],
    ) -> None:
        net = self.net = problem.network
        self.changes, self.loss_change, self.loss_parts = changes, loss_change, loss_parts
        self.problem, self.epsilon, self.m = problem, epsilon, problem.m
        self.last = len(net.layers) - 1
        self.entries = net.activation_entries
        self.weights = [problem.parameters[place.tensors["W"].name] for place in net.places]
        # the loss is differenced at the last pre-activations, or at the activations that are its changes of these
        self.logits = net.cost_entry.output is not None
        self.softmax = not self.entries[-1].elementwise
        self.inputs: list[Array] = []
        self.weight_sums: list[Array] = []
        self.weight_tops: list[Array | None] = []
        self.steps: list[Array] = []
        self.slacks: list[Array] = []
        self.gaps: list[Array | None] = []
        self.margins: list[Array | None] = []
        self.least_margins: list[float] = []
        self._series: dict[int, Series] = {}
        self.run = forward(self._look)

    @np.errstate(all="ignore")  # NumPy keeps this per thread
    def _look(self, k: int, layer: Passed) -> None:
        """Take up what a layer has become."""
        largest = np.abs(layer.reads).max(axis=0)
        slack, gap = _slack(layer, largest), self._gap(k, layer.z)
        margin = None if gap is None else gap - slack
        self.inputs.append(layer.reads)
        self.weight_sums.append(layer.sums)
        self.weight_tops.append(layer.tops)
        self.steps.append(self.epsilon * np.maximum(1.0, largest))
        self.slacks.append(slack)
        self.gaps.append(gap)
        self.margins.append(margin)
        self.least_margins.append(np.inf if margin is None else float(margin.min()))
        if self.passes(k) and (self.entries[k].linear or self.steps[k].max() <= SHORT):
            self._series[k] = series_of(self.entries[k], self.changes[k], layer.z, layer.a, gap)

    @property
    def losses(self) -> Array:
        """(m,) at theta."""
        losses: Array = self.net.cost_entry.losses(self.run.Z[-1], self.run.A[-1], self.problem.Y)
        return losses

    @cached_property
    def scale(self) -> float:
        """The cost's factor before the sum over samples."""
        return float(self.net.cost_entry.scale(self.m, self.net.widths[-1]))

    def passes(self, k: int) -> bool:
        """Whether layer k has an activation that changes pass through, rather than a loss of its pre-activations."""
        return bool(k < self.last or not (self.logits or self.softmax))

    def curved(self, k: int) -> bool:
        """Tell whether that activation is not straight between its kinks."""
        return not bool(self.entries[k].linear)

    def _gap(self, k: int, z: Array) -> Array | None:
        """Distance of each pre-activation to the nearest kink."""
        points = self.entries[k].breakpoints
        if not points or not self.passes(k):
            return None
        gap: Array | None = None
        for point in points:
            one = np.abs(z - point if point else z)
            gap = one if gap is None else np.minimum(gap, one)
        return gap

    def difference(self, k: int, z: Array, a: Array, d: Array) -> Array:
        """D(z, d) of layer k's activation by its array rule; shapes broadcast."""
        return np.asarray(self.changes[k](np, (z,), (d,), a, None))

    def softmax_difference(self, z: Array, a: Array, d: Array) -> Array:
        """Changes of the output's probabilities; outputs first, as many axes everywhere."""
        return np.asarray(self.changes[-1](np, (z,), (d,), a, None, axes=(-d.ndim,)))

    def series(self, k: int) -> Series:
        """Return how layer k's activation answers short changes."""
        if k not in self._series:
            self._series[k] = self._fitted(k)
        return self._series[k]

    def _fitted(self, k: int) -> Series:
        return series_of(self.entries[k], self.changes[k], self.run.Z[k], self.run.A[k], self.gaps[k])

    @cached_property
    def loss_series(self) -> Series:
        """How each output's share of a separable loss answers short changes of what the loss is differenced at."""
        z, a, y = self.run.Z[-1], self.run.A[-1], self.problem.Y
        if self.net.cost in LOSS_SERIES:
            return Series(*LOSS_SERIES[self.net.cost](z, a, y))
        return fitted(self.loss_change(z, a, y, STEP * NODES), STEP)

    @cached_property
    def loss_slope(self) -> float:
        """The loss's slope in one output, as a root mean square, one at most: small where a network fits its data."""
        if self.net.cost_entry.separable:
            slopes = self.loss_series.c1
        else:
            slopes = self.run.A[-1] - self.problem.Y
        return min(1.0, float(np.sqrt(np.mean(slopes * slopes))))


def _slack(layer: Passed, largest: Array) -> Array:
    """How far rounding may have moved each pre-activation, where (m,) inputs are as large as that."""
    unit = 8.0 * UNIT_ROUNDOFF
    slack = np.asarray((unit * layer.sums)[:, None] * largest)
    slack += unit * np.abs(layer.b) + 1e-30
    return slack


def series_of(
    entry: Any, change: Callable[..., Any], z: Array, a: Array, gap: Array | None, longest: float = STEP
) -> Series:
    """Return how an activation answers short changes of z.

    Parameters
    ----------
    entry : the table's entry of the activation; change : its array rule.
    z, a : pre-activations and activations.
    gap : distance to the nearest kink; None where there is none.
    longest : the step that the series is taken from.
    """
    if entry.linear:
        return Series(entry.derivative(z))
    if entry.name in ACTIVATION_POWERS:
        return Series(*ACTIVATION_POWERS[entry.name](z, a))
    if gap is None:
        return fitted(np.asarray(change(np, (z,), (longest * NODES,), a, None)), longest)
    # short enough to stay on this side of the kink
    step = np.where(gap > 0.0, np.minimum(longest, 0.25 * gap), longest)
    return fitted(np.asarray(change(np, (z,), (NODES * step,), a, None)), step)


def fitted(values: Array, step: Any) -> Series:
    """Return the series through exact differences at -2, -1, 1 and 2 steps (see ``rules.short_series``)."""
    far_below, below, above, far_above = values
    near, far = (above - below) / (2.0 * step), (far_above - far_below) / (4.0 * step)
    rise = (far - near) / 3.0
    square = step * step
    even_near, even_far = (above + below) / (2.0 * square), (far_above + far_below) / (8.0 * square)
    return Series(near - rise, even_near - (even_far - even_near) / 3.0, rise / square)
