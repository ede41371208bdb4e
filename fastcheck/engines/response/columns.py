"""Kernels of the response engine: columns of exact differences carried through one sample's network.

A *column* is a change ``x`` of one pre-activation of one unit; both ``r(x)`` and ``r(-x)`` are evaluated.  Rows are the
units of the layer being crossed.  Everything here runs without the GIL on arrays that ``Flat`` holds.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from ..._types import Array
from ...rules import activations, losses, short_series
from ...rules.activations import ACTIVATIONS
from ...rules.short_series import REACH, STEPS
from ...runtime.jit import compiled, compiled_namespace, inner, switch
from .loops import NARROW, clear, gather, largest, multiply_narrow, product, scale, short, short_product

_functions = compiled_namespace(short_series, activations, losses)
fit = _functions["fit"]
softmax_difference = _functions["softmax_difference"]
activation_difference = switch(
    {code: _functions[e.difference.__name__] for code, e in enumerate(ACTIVATIONS.values()) if e.elementwise}, "z, d"
)
cost_columns = switch(
    {code: _functions[e.columns.__name__] for code, e in enumerate(losses.COSTS.values())}, "z, a, y, d, out"
)

CLEAN, AT_KINK, NEAR_KINK, FAR = 0, 1, 2, 3  # what a column met; the worst counts
PANEL = 256  # rows of a gathered weight matrix at a time


class Flat(NamedTuple):
    """A network at one block of samples, as kernels see it; layers are counted from 0.

    theta : (n,); offsets : (L,) place of each W in theta; widths : (L + 1,); starts : (L,) place of each layer's units
    in the arrays below; codes, linear : (L,) activation code, and whether it is straight between breakpoints.
    row_sum, row_max : (U,) sum and maximum of |W| over each unit's row.  cost : code; logits : whether the cost is
    taken from the pre-activation; softmax : whether the output activation is one.
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
    logits: bool
    softmax: bool
    z: Array
    out: Array
    y: Array
    series: Array
    gap: Array
    slack: Array


class Work(NamedTuple):
    """Buffers of one task: two blocks of columns, a panel of weights, rows that are alive, the sources' changes and
    weights.
    """

    first: Array
    second: Array
    panel: Array
    alive: Any
    sources: Array
    weights: Array


def _prepare(net: Flat, breakpoints: Array, first: int, last: int) -> None:
    """Fill gap, and the series of curved activations, for samples first to last.

    breakpoints : (L, 2), NaN where there are fewer.
    """
    layers = net.codes.size
    for s in range(first, last):
        for k in range(layers):
            if k == layers - 1 and (net.logits or net.softmax):
                continue
            for u in range(net.starts[k], net.starts[k] + net.widths[k + 1]):
                z = net.z[s, u]
                gap = math.inf
                for b in breakpoints[k]:
                    if abs(z - b) < gap:
                        gap = abs(z - b)
                net.gap[s, u] = gap if z == z else z
                series = net.series[s, u]
                if not net.linear[k] and gap > REACH and k > 0:  # no column ever crosses the first layer from below
                    for i in range(4):
                        series[i] = activation_difference(net.codes[k], z, STEPS[i])
                    series[0], series[1], series[2], series[3] = fit(series[0], series[1], series[2], series[3])


prepare = compiled(_prepare)


def _met(gap: float, slack: float, size: float) -> int:
    """What a change of that size meets at a unit that far from its kink."""
    if size == 0.0 or size < gap - slack:
        return CLEAN
    return AT_KINK if gap == 0.0 else NEAR_KINK


def _on_side(z: float, gap: float, slack: float, side: int) -> float:
    """z, taken to the wanted side of the kink it stands on (side 0: left where it is)."""
    if side != 0 and gap <= slack:
        return z + side * (gap + slack)
    return z


met = inner(_met)
on_side = inner(_on_side)


def _activate(code: int, linear: bool, z: float, gap: float, slack: float, series: Array, side: int, kinds: Any,
              values: Array) -> float:
    """Turn one row's changes of a pre-activation into changes of the activation; return the reach of a curved unit."""
    size = float(largest(values))
    if size < gap - slack:
        if linear:
            if series[0] != 1.0:
                scale(values, series[0])
            return 0.0
        if size <= REACH and gap > REACH:
            short(values, series[0], series[1], series[2], series[3])
            return size
    columns = kinds.size
    z = on_side(z, gap, slack, side)
    for c in range(values.size):
        kinds[c % columns] = max(kinds[c % columns], met(gap, slack, abs(values[c])))
        values[c] = activation_difference(code, z, values[c])
    return 0.0 if linear else size


activate = inner(_activate)


def _living(net: Flat, s: int, k: int, bound_of_row: Array, bound: float, alive: Any) -> int:
    """List the units of layer k that a change bounded by ``bound * bound_of_row`` can reach; return their number."""
    count = 0
    last = k == net.codes.size - 1
    for unit in range(net.widths[k + 1]):
        u = net.starts[k] + unit
        dead = not last and net.linear[k] and net.series[s, u, 0] == 0.0
        if not (dead and bound * bound_of_row[u] < net.gap[s, u] - net.slack[s, u]):
            alive[count] = unit
            count += 1
    return count


living = inner(_living)


def _multiply(net: Flat, k: int, before: Any, alive: Any, changes: Array, panel: Array, into: Array) -> None:
    """into = W[alive][:, before] @ changes, gathering a panel of rows at a time unless W is wanted whole."""
    inputs, outputs = net.widths[k], net.widths[k + 1]
    start = net.offsets[k]
    if alive.size <= NARROW:
        for r in range(alive.size):
            row = start + alive[r] * inputs
            for c in range(before.size):
                panel[r * before.size + c] = net.theta[row + before[c]]
        multiply_narrow(panel[: alive.size * before.size].reshape(alive.size, before.size), changes, into)
        return
    if before.size == inputs and alive.size == outputs:
        np.dot(net.theta[start : start + inputs * outputs].reshape(outputs, inputs), changes, into)
        return
    for first in range(0, alive.size, PANEL):
        rows = min(PANEL, alive.size - first)
        part = panel[: rows * before.size].reshape(rows, before.size)
        for r in range(rows):
            row = start + alive[first + r] * inputs
            for c in range(before.size):
                part[r, c] = net.theta[row + before[c]]
        np.dot(part, changes, into[first : first + rows])


multiply = inner(_multiply)


def _source_changes(net: Flat, s: int, layer: int, units: Any, steps: Array, mirror: bool, side: int, sources: Array,
                    kinds: Any) -> float:
    """Changes of the perturbed units' activations (of their logits in an output layer that needs those)."""
    columns = units.size
    reach = 0.0
    raw = layer == net.codes.size - 1 and (net.logits or net.softmax)
    for c in range(columns):
        u = net.starts[layer] + units[c]
        x = steps[c]
        if raw:
            reach = max(reach, abs(x))
            sources[c] = x
            if not mirror:
                sources[columns + c] = -x
            continue
        gap, slack = net.gap[s, u], net.slack[s, u]
        kinds[c] = max(kinds[c], met(gap, slack, abs(x)))
        z = on_side(net.z[s, u], gap, slack, side)
        # one call in a loop: every call of the dispatch is compiled into its place
        for at in range(c, sources.size, columns):
            sources[at] = activation_difference(net.codes[layer], z, x if at == c else -x)
        if not net.linear[layer]:
            reach = max(reach, abs(x))
    return reach


source_changes = inner(_source_changes)


def _output_alone(net: Flat, s: int, units: Any, sources: Array, losses: Array) -> None:
    """Losses' differences where the perturbed unit is an output and the loss is a sum over outputs."""
    columns = units.size
    layer = net.codes.size - 1
    change, loss = np.empty((1, 2)), np.empty(2)
    for c in range(columns):
        i = units[c]
        u = net.starts[layer] + i
        change[0, 0], change[0, 1] = sources[c], sources[columns + c]
        cost_columns(net.cost, net.z[s, u : u + 1], net.out[s, i : i + 1], net.y[s, i : i + 1], change, loss)
        losses[c], losses[columns + c] = loss[0], loss[1]


def _losses(net: Flat, s: int, changes: Array, side: int, kinds: Any, losses: Array) -> float:
    """Losses' differences from the changes (n_L, columns) of the output's pre-activations, changed in place."""
    layer = net.codes.size - 1
    reach = 0.0
    outputs = changes.shape[0]
    if net.logits:
        for k in range(outputs):
            reach = max(reach, largest(changes[k]))
    elif net.softmax:
        column, step = np.empty(outputs), np.empty(outputs)
        for k in range(outputs):
            reach = max(reach, largest(changes[k]))
        for c in range(changes.shape[1]):
            for k in range(outputs):
                step[k] = changes[k, c]
            softmax_difference(net.out[s], step, column)
            for k in range(outputs):
                changes[k, c] = column[k]
    else:
        for k in range(outputs):
            u = net.starts[layer] + k
            found = activate(net.codes[layer], net.linear[layer], net.z[s, u], net.gap[s, u], net.slack[s, u],
                             net.series[s, u], side, kinds, changes[k])
            reach = max(reach, found)
    start = net.starts[layer]
    cost_columns(net.cost, net.z[s, start : start + outputs], net.out[s], net.y[s], changes, losses)
    return reach


output_alone = inner(_output_alone)
losses_of = inner(_losses)


def _respond(net: Flat, s: int, layer: int, units: Any, steps: Array, mirror: bool, side: int, work: Work, kinds: Any,
             losses: Array) -> float:
    """Responses of one sample's loss to ``steps[c]`` (losses[c]) and ``-steps[c]`` (losses[C + c]) at ``units[c]``.

    ``mirror`` carries only the positive columns through hidden layers whose differences are odd.  ``side`` chooses
    the branch of units that stand on a kink.  ``kinds`` (C,) is raised to what each column met.  Returns the largest
    change that a curved function saw.
    """
    columns, layers = units.size, net.codes.size
    last = layers - 1
    if layer == last:
        mirror = False
    width = columns if mirror else 2 * columns
    sources = work.sources[:width]
    reach = float(source_changes(net, s, layer, units, steps, mirror, side, sources, kinds))
    if layer == last and not net.softmax:
        output_alone(net, s, units, sources, losses)
        return reach
    changes, spare = work.first, work.second
    alive = work.alive[0]
    count = net.widths[layers] if layer == last else 0
    block = changes[: count * width].reshape(count, width)
    if layer == last:
        clear(block)
        for c in range(width):
            block[units[c % columns], c] = sources[c]
    both, gathered = work.weights[:width], work.weights[:columns]
    for k in range(layer + 1, layers):
        before = work.alive[(k - 1) % 2][:count]
        alive = work.alive[k % 2]
        far = largest(sources) if k == layer + 1 else largest(block.reshape(block.size))
        norms = net.row_max if k == layer + 1 else net.row_sum
        count = living(net, s, k, norms, far, alive)
        target = (spare if (k - layer) % 2 else changes)[: count * width].reshape(count, width)
        if k > layer + 1:
            if before.size == 0:
                clear(target)
            else:
                multiply(net, k, before, alive[:count], block, work.panel, target)
        block = target
        code, linear = net.codes[k], net.linear[k]
        for r in range(count):
            u = net.starts[k] + alive[r]
            row, gap, slack, series = block[r], net.gap[s, u], net.slack[s, u], net.series[s, u]
            if k == layer + 1:
                begin = net.offsets[k] + alive[r] * net.widths[k]
                weights = net.theta[begin : begin + net.widths[k]]
                bound = far * norms[u]
                gather(weights, units, gathered, both)
                if k < last and not linear and bound <= REACH and gap > REACH and bound < gap - slack:
                    short_product(both, sources, series[0], series[1], series[2], series[3], row)
                    reach = max(reach, bound)
                    continue
                product(both, sources, row)
                if linear and series[0] == 1.0 and bound < gap - slack:
                    continue
            if k < last:
                reach = max(reach, activate(code, linear, net.z[s, u], gap, slack, series, side, kinds, row))
    if mirror:
        mirrored = (changes if (last - layer) % 2 else spare)[: count * 2 * columns].reshape(count, 2 * columns)
        for r in range(count):
            for c in range(columns):
                mirrored[r, c], mirrored[r, columns + c] = block[r, c], -block[r, c]
        block = mirrored
    return max(reach, float(losses_of(net, s, block, side, kinds, losses)))


respond = inner(_respond)


def _buffers(net: Flat, columns: int) -> Work:
    """Buffers for blocks of so many columns."""
    layers = net.codes.size
    widest, panel = 1, 1
    for k in range(layers):
        widest = max(widest, net.widths[k + 1])
        if k > 0:
            panel = max(panel, min(PANEL, net.widths[k + 1]) * net.widths[k])
    return Work(
        np.empty(widest * 2 * columns),
        np.empty(widest * 2 * columns),
        np.empty(panel if layers > 2 else 1),
        np.empty((2, widest), np.int64),
        np.empty(2 * columns),
        np.empty(2 * columns),
    )


buffers = inner(_buffers)
