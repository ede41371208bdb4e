"""A network at a block of samples, and the buffers of one task, as arrays that compiled code can hold."""

import math
from typing import Any, NamedTuple

import numpy as np

from ..._types import Array
from ...rules import activations, losses, short_series
from ...rules.activations import ACTIVATIONS
from ...rules.short_series import REACH, STEPS
from ...runtime.jit import compiled, compiled_namespace, inner, switch

functions = compiled_namespace(short_series, *activations.FAMILIES, activations, losses)
fit = functions["fit"]
softmax_difference = functions["softmax_difference"]
activation_difference = switch(
    {code: functions[e.difference.__name__] for code, e in enumerate(ACTIVATIONS.values()) if e.elementwise}, "z, d"
)
cost_columns = switch(
    {code: functions[e.columns.__name__] for code, e in enumerate(losses.COSTS.values())}, "z, a, y, d, out"
)

# Rows of a gathered weight matrix at a time.
PANEL = 256


class KernelArrays(NamedTuple):
    """A network at one block of samples, as kernels see it; layers are counted from 0.

    theta : (n,); offsets : (L,) place of each W in theta; widths : (L + 1,); starts : (L,) place of each layer's units
    in the arrays below; codes, linear : (L,) activation code, and whether it is straight between breakpoints.
    row_sum, row_max : (U,) sum and maximum of |W| over each unit's row.
    cost : code; separable : whether the loss is a sum over outputs; logits : whether it is taken from the
    pre-activation; softmax : whether the output activation is one.
    z : (m, U) pre-activations; out : (m, n_L) output activations; y : (m, n_L) targets.
    series : (m, U, 4) coefficients of the activation's difference (a linear one's slope alone);
    gap : (m, U) distance to the nearest breakpoint;
    slack : (m, U) how far rounding may have moved z.
    """

    theta: Array
    offsets: Any
    widths: Any
    starts: Any
    codes: Any
    linear: Any
    row_sum: Array
    row_max: Array
    cost: int
    separable: bool
    logits: bool
    softmax: bool
    z: Array
    out: Array
    y: Array
    series: Array
    gap: Array
    slack: Array


class Change(NamedTuple):
    """What is changed in one sample: steps[c] added to, and taken from, the pre-activation of units[c] of a layer.

    layer : counted from 0.
    units, steps : (C,), one for each column; units ascending.
    mirror : whether only the positive columns are carried through hidden layers, whose differences are odd there.
    side : the branch that units standing exactly on a kink are taken to: -1, 1, or 0 for where they are.
    """

    layer: int
    units: Any
    steps: Array
    mirror: Any
    side: Any


class Buffers(NamedTuple):
    """What one task writes to.

    first, second : two blocks of columns, for the layer before and the one at hand.
    panel : rows of a weight matrix.
    alive : (2, widest) units that a change can reach, of these two layers.
    sources : changes of the perturbed units' activations; weights : of one row to those units, gathered.
    """

    first: Array
    second: Array
    panel: Array
    alive: Any
    sources: Array
    weights: Array


def _prepare(net: KernelArrays, breakpoints: Array, first: int, last: int) -> None:
    """Fill gap, and the series of curved activations, for samples first to last.

    breakpoints : (L, most), NaN where a layer's activation has fewer.
    """
    layers = net.codes.size
    for s in range(first, last):
        for k in range(layers):
            if k == layers - 1 and (net.logits or net.softmax):
                continue
            # No column ever crosses the first layer from below, unless it is the output of a loss that needs them all.
            crossed = k > 0 or not net.separable
            for u in range(net.starts[k], net.starts[k] + net.widths[k + 1]):
                z = net.z[s, u]
                gap = math.inf
                for b in breakpoints[k]:
                    if abs(z - b) < gap:
                        gap = abs(z - b)
                net.gap[s, u] = gap if z == z else z
                series = net.series[s, u]
                if not net.linear[k] and gap > REACH and crossed:
                    for i in range(4):
                        series[i] = activation_difference(net.codes[k], z, STEPS[i])
                    series[0], series[1], series[2], series[3] = fit(series[0], series[1], series[2], series[3])


prepare = compiled(_prepare)


def _buffers(net: KernelArrays, columns: int) -> Buffers:
    """Buffers for blocks of this many columns."""
    layers = net.codes.size
    widest, panel = 1, 1
    for k in range(layers):
        widest = max(widest, net.widths[k + 1])
        if k > 0:
            panel = max(panel, min(PANEL, net.widths[k + 1]) * net.widths[k])
    return Buffers(
        np.empty(widest * 2 * columns),
        np.empty(widest * 2 * columns),
        np.empty(panel if layers > 2 else 1),
        np.empty((2, widest), np.int64),
        np.empty(2 * columns),
        np.empty(columns),
    )


buffers = inner(_buffers)
