"""A network at a block of samples, and the buffers of one task, as arrays that compiled code can hold."""

import math
from typing import Any, NamedTuple

import numpy as np

from ..._types import Array, Indices
from ...rules.short_series import REACH, STEPS
from ...runtime.jit import call_at, compiled
from ..machine_code import functions

fit = functions["fit"]

# Rows of a gathered weight matrix at a time.
PANEL = 256


class KernelArrays(NamedTuple):
    """A network at one block of samples, as kernels see it; layers are counted from 0.

    Few arrays hold much each: every array here makes every call that hands the network on longer to compile.

    theta : (n,).
    layers : (L, 5) of each layer the place of W in theta (OFFSET), its inputs and units (INPUTS, OUTPUTS), the place of
    its units in the arrays below (START), and whether its activation is straight between breakpoints (LINEAR).
    differences : (L,) where the activation's exact difference lies.
    rows : (U, 2) sum and maximum of |W| over each unit's row (SUM, MOST).
    loss, mixed : where the differences of the loss lie, and those of an output activation that mixes its inputs;
    separable : whether the loss is a sum over outputs; logits : whether it is taken from the pre-activation;
    softmax : whether the output activation is one that mixes.
    units : (m, U, 7) the pre-activation (Z), its distance to the nearest breakpoint (GAP), how far rounding may have
    moved it (SLACK), and the coefficients of the activation's difference (from SERIES on; a linear one's slope alone).
    ends : (m, 3, n_L) pre-activations, activations and targets of the outputs.
    """

    theta: Array
    layers: Any
    differences: Any
    rows: Array
    loss: Any
    mixed: Any
    separable: bool
    logits: bool
    softmax: bool
    units: Array
    ends: Array


OFFSET, INPUTS, OUTPUTS, START, LINEAR = range(5)
SUM, MOST = np.int64(0), np.int64(1)  # typed: plain literals would have functions compiled for each value
Z, GAP, SLACK, SERIES = range(4)


class Change(NamedTuple):
    """What is changed in one sample: steps[c] added to, and taken from, the pre-activation of units[c] of a layer.

    layer : counted from 0.
    units, steps : (C,), one for each column; units ascending.
    mirror : whether only the positive columns are carried through hidden layers, whose differences are odd there.
    side : the branch that units standing exactly on a kink are taken to: -1, 1, or 0 for where they are.
    """

    layer: int
    units: Indices
    steps: Array
    mirror: Any
    side: Any


class Buffers(NamedTuple):
    """What one task writes to.

    first, second : two blocks of columns, for the layer before and the one at hand.
    panel : rows of a weight matrix.
    alive : (2, widest) units that a change can reach, of these two layers.
    sources : changes of the perturbed units' activations; weights : of one row to those units, gathered.
    column : one column's changes, before and after an activation that mixes its inputs.
    units, steps : what is changed; far, near : losses at both signs; kinds, ignored : what each column met.
    """

    first: Array
    second: Array
    panel: Array
    alive: Any
    sources: Array
    weights: Array
    column: Array
    units: Indices
    steps: Array
    far: Array
    near: Array
    kinds: Any
    ignored: Any


def _prepare(net: KernelArrays, breakpoints: Array, first: int, last: int) -> None:
    """Fill gap, and the series of curved activations, for samples first to last.

    breakpoints : (L, most), NaN where a layer's activation has fewer.
    """
    layers = net.differences.size
    for s in range(first, last):
        for k in range(layers):
            if k == layers - 1 and (net.logits or net.softmax):
                continue
            # No column ever crosses the first layer from below, unless it is the output of a loss that needs them all.
            crossed = k > 0 or not net.separable
            for u in range(net.layers[k, START], net.layers[k, START] + net.layers[k, OUTPUTS]):
                unit = net.units[s, u]
                z = unit[Z]
                gap = math.inf
                for b in breakpoints[k]:
                    if abs(z - b) < gap:
                        gap = abs(z - b)
                unit[GAP] = gap if z == z else z
                if not net.layers[k, LINEAR] and gap > REACH and crossed:
                    for i in range(4):
                        unit[SERIES + i] = call_at(net.differences[k], (z, STEPS[i]))
                    c = fit(unit[SERIES], unit[SERIES + 1], unit[SERIES + 2], unit[SERIES + 3])
                    unit[SERIES], unit[SERIES + 1], unit[SERIES + 2], unit[SERIES + 3] = c


prepare = compiled(_prepare, allocates=False)


def buffers(net: KernelArrays, columns: int) -> Buffers:
    """Buffers for blocks of this many columns."""
    widest = int(net.layers[:, OUTPUTS].max())
    panel = int((np.minimum(net.layers[1:, OUTPUTS], PANEL) * net.layers[1:, INPUTS]).max(initial=1))
    return Buffers(
        first=np.empty(widest * 2 * columns), second=np.empty(widest * 2 * columns), panel=np.empty(panel),
        alive=np.empty((2, widest), np.int64), sources=np.empty(2 * columns), weights=np.empty(columns),
        column=np.empty(2 * max(widest, 2)), units=np.empty(columns, np.int64), steps=np.empty(columns),
        far=np.empty(2 * columns), near=np.empty(2 * columns), kinds=np.empty(columns, np.uint8),
        ignored=np.empty(columns, np.uint8),
    )  # fmt: skip
