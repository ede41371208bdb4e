"""Kernels of the response engine: columns of exact differences carried through one sample's network.

A *column* is a change ``x`` of one pre-activation of one unit; both ``r(x)`` and ``r(-x)`` are evaluated.  Rows are the
units of the layer being crossed.  Everything here runs without the GIL on arrays that ``Flat`` holds.
"""

import math
from typing import Any, NamedTuple

import numpy as np

from .. import activations, costs, polynomial
from ..activations import ACTIVATIONS, Array
from ..jit import FAST, compiled, compiled_namespace, inner, switch
from ..polynomial import REACH, STEPS

_functions = compiled_namespace(polynomial, activations, costs)
fit = _functions["fit"]
softmax_difference = _functions["softmax_difference"]
activation_difference = switch(
    {code: _functions[e.difference.__name__] for code, e in enumerate(ACTIVATIONS.values()) if e.elementwise}, "z, d"
)
cost_columns = switch(
    {code: _functions[e.columns.__name__] for code, e in enumerate(costs.COSTS.values())}, "z, a, y, d, out"
)

CLEAN, AT_KINK, NEAR_KINK, FAR = 0, 1, 2, 3  # what a column met; the worst counts
# Largest change of a pre-activation for which r is a quadratic, and a quartic, to a relative 1e-13.
QUADRATIC_REACH = 2e-7
QUARTIC_REACH = 1e-3
TINY = 1e-100  # a step that crosses no kink but those it stands on
PANEL = 256  # rows of a gathered weight matrix at a time
NARROW = 24  # rows of a product up to which our own loop beats BLAS


class Flat(NamedTuple):
    """A network at one block of samples, as kernels see it; layers are counted from 0.

    theta : (n,); offsets : (L,) place of each W in theta; widths : (L + 1,); starts : (L,) place of each layer's units
    in the arrays below; codes, linear : (L,) activation code, and whether it is straight between breakpoints.
    row_sum, row_max : (U,) sum and maximum of |W| over each unit's row.  cost : code; logits : whether the cost is
    taken from the pre-activation; softmax : whether the output activation is one.
    z : (m, U) pre-activations; out : (m, n_L) output activations; y : (m, n_L) targets.
    series : (m, U, 4) coefficients of the activation's difference; gap : (m, U) distance to the nearest breakpoint;
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


def _largest(values: Array) -> float:
    """Largest magnitude; unspecified where one is NaN, which stays NaN whatever is then done with it."""
    largest = 0.0
    for c in range(values.size):
        size = abs(values[c])
        largest = size if size > largest else largest
    return largest


def _scale(values: Array, factor: float) -> None:
    for c in range(values.size):
        values[c] *= factor


def _short(values: Array, c1: float, c2: float, c3: float, c4: float) -> None:
    for c in range(values.size):
        x = values[c]
        values[c] = x * (c1 + x * (c2 + x * (c3 + x * c4)))


def _clear(block: Array) -> None:
    for r in range(block.shape[0]):
        for c in range(block.shape[1]):
            block[r, c] = 0.0


clear = inner(_clear)
largest = inner(_largest, flags=FAST | {"nnan"})  # without it the comparison does not vectorize
scale = inner(_scale, flags=FAST)
short = inner(_short, flags=FAST)


def _prepare(net: Flat, breakpoints: Array, first: int, last: int) -> None:
    """Fill series and gap for samples first to last; breakpoints (L, 2), NaN where there are fewer."""
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
                if net.linear[k]:
                    side = z if gap > 0.0 else z - 1e-3
                    step = min(gap, 1.0) * 0.25 if gap > 0.0 else 1e-4
                    series[0] = slope_of(net.codes[k], side, step)
                    series[1] = series[2] = series[3] = 0.0
                elif gap > REACH and k > 0:  # no column ever crosses the first layer from below
                    for i in range(4):
                        series[i] = activation_difference(net.codes[k], z, STEPS[i])
                    series[0], series[1], series[2], series[3] = fit(series[0], series[1], series[2], series[3])


def _slope_of(code: int, z: float, step: float) -> float:
    """Slope of a piecewise linear activation; a power of two as step keeps the quotient exact."""
    step = 2.0 ** math.floor(math.log2(step))
    return float(activation_difference(code, z, step) / step)


slope_of = inner(_slope_of)
prepare = compiled(_prepare)


def _met(gap: float, slack: float, size: float) -> int:
    """What a change of that size meets at a unit that far from its kink."""
    if size == 0.0 or size < gap - slack:
        return CLEAN
    return AT_KINK if gap == 0.0 else NEAR_KINK


def _moved(z: float, gap: float, slack: float, side: int) -> float:
    """z, taken to the wanted side of the kink it stands on (side 0: left where it is)."""
    if side != 0 and gap <= slack:
        return z + side * (gap + slack)
    return z


met = inner(_met)
moved = inner(_moved)


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
    z = moved(z, gap, slack, side)
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


def _gather(weights: Array, units: Any, columns: Array, both: Array) -> None:
    """One row's weights of the perturbed units, in one copy or two; ``columns`` is the first part of ``both``."""
    first = units[0]
    if units[units.size - 1] - first == units.size - 1:
        run = weights[first : first + units.size]
        for c in range(units.size):
            columns[c] = run[c]
    else:
        for c in range(units.size):
            columns[c] = weights[units[c]]
    if both.size > units.size:
        tail = both[units.size :]
        for c in range(units.size):
            tail[c] = columns[c]


def _product(one: Array, other: Array, out: Array) -> None:
    for c in range(out.size):
        out[c] = one[c] * other[c]


def _short_product(one: Array, other: Array, c1: float, c2: float, c3: float, c4: float, out: Array) -> None:
    for c in range(out.size):
        x = one[c] * other[c]
        out[c] = x * (c1 + x * (c2 + x * (c3 + x * c4)))


def _multiply_narrow(weights: Array, changes: Array, into: Array) -> None:
    """into = weights @ changes for few rows of weights, where BLAS spends its time on packing: 2 x 4 at a time."""
    rows, inputs = weights.shape
    clear(into)
    for j in range(0, inputs - inputs % 4, 4):
        for r in range(0, rows - 1, 2):
            add_two_by_four(weights, r, j, changes, into)
        if rows % 2:
            add_one_by_four(weights, rows - 1, j, changes, into)
    for j in range(inputs - inputs % 4, inputs):
        for r in range(rows):
            add_one(weights[r, j], changes[j], into[r])


def _add_two_by_four(weights: Array, r: int, j: int, changes: Array, out: Array) -> None:
    a1, a2, a3, a4 = weights[r, j], weights[r, j + 1], weights[r, j + 2], weights[r, j + 3]
    b1, b2, b3, b4 = weights[r + 1, j], weights[r + 1, j + 1], weights[r + 1, j + 2], weights[r + 1, j + 3]
    for c in range(out.shape[1]):
        x1, x2, x3, x4 = changes[j, c], changes[j + 1, c], changes[j + 2, c], changes[j + 3, c]
        out[r, c] += a1 * x1 + a2 * x2 + a3 * x3 + a4 * x4
        out[r + 1, c] += b1 * x1 + b2 * x2 + b3 * x3 + b4 * x4


def _add_one_by_four(weights: Array, r: int, j: int, changes: Array, out: Array) -> None:
    w1, w2, w3, w4 = weights[r, j], weights[r, j + 1], weights[r, j + 2], weights[r, j + 3]
    for c in range(out.shape[1]):
        out[r, c] += w1 * changes[j, c] + w2 * changes[j + 1, c] + w3 * changes[j + 2, c] + w4 * changes[j + 3, c]


def _add_one(weight: float, changes: Array, out: Array) -> None:
    for c in range(out.size):
        out[c] += weight * changes[c]


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


product = inner(_product, flags=FAST)
short_product = inner(_short_product, flags=FAST)
gather = inner(_gather)
add_two_by_four = inner(_add_two_by_four, flags=FAST)
add_one_by_four = inner(_add_one_by_four, flags=FAST)
add_one = inner(_add_one, flags=FAST)
multiply_narrow = inner(_multiply_narrow, flags=FAST)
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
        z = moved(net.z[s, u], gap, slack, side)
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


def _coefficients(units: Any, s: int, h: float, kinds: Any, far: Array, near: Array, quartic: bool,
                  powers: Array) -> None:
    """Write the coefficients of x, x^2 (x^3, x^4) of clean units from their losses at +-h (and +-h/2)."""
    columns = units.size
    for c in range(columns):
        if kinds[c] != CLEAN:
            continue
        i = units[c]
        odd = (far[c] - far[columns + c]) / (2.0 * h)
        even = (far[c] + far[columns + c]) / (2.0 * h * h)
        if quartic:
            odd_near = (near[c] - near[columns + c]) / h
            even_near = (near[c] + near[columns + c]) * 2.0 / (h * h)
            powers[2, s, i] = (odd - odd_near) / (0.75 * h * h)
            powers[3, s, i] = (even - even_near) / (0.75 * h * h)
            odd = odd_near - powers[2, s, i] * (0.25 * h * h)
            even = even_near - powers[3, s, i] * (0.25 * h * h)
        powers[0, s, i] = odd
        powers[1, s, i] = even


def _one_sided(units: Any, s: int, h: float, kinds: Any, far: Array, near: Array, powers: Array) -> None:
    """Coefficients of x, x^2, |x| and x|x| for units that stand exactly on a kink and have no other within reach."""
    columns = units.size
    for c in range(columns):
        if kinds[c] != AT_KINK:
            continue
        i = units[c]
        slope_up = (4.0 * near[c] - far[c]) / h
        bend_up = (far[c] - 2.0 * near[c]) * 2.0 / (h * h)
        slope_down = (far[columns + c] - 4.0 * near[columns + c]) / h
        bend_down = (far[columns + c] - 2.0 * near[columns + c]) * 2.0 / (h * h)
        powers[0, s, i] = 0.5 * (slope_up + slope_down)
        powers[1, s, i] = 0.5 * (bend_up + bend_down)
        powers[4, s, i] = 0.5 * (slope_up - slope_down)
        powers[5, s, i] = 0.5 * (bend_up - bend_down)


def _widen(units: Any, s: int, kinds: Any, losses: Array, start: bool, bounds: Array) -> None:
    """Take the slopes at x = 0 of one branch, from losses at +-TINY, into the bounds (2, m, units)."""
    columns = units.size
    for c in range(columns):
        if kinds[c] == CLEAN:
            continue
        i = units[c]
        up, down = losses[c] / TINY, -losses[columns + c] / TINY
        low, high = min(up, down), max(up, down)
        if not start:
            low, high = min(low, bounds[0, s, i]), max(high, bounds[1, s, i])
        bounds[0, s, i], bounds[1, s, i] = low, high


coefficients = inner(_coefficients)
one_sided = inner(_one_sided)
widen = inner(_widen)


def _silent(net: Flat, s: int, layer: int, unit: int, h: float) -> bool:
    """Whether a change of at most h at that unit cannot leave it: a flat branch, no kink within reach."""
    if layer == net.codes.size - 1 and (net.logits or net.softmax):
        return False
    u = net.starts[layer] + unit
    return bool(net.linear[layer] and net.series[s, u, 0] == 0.0 and h < net.gap[s, u] - net.slack[s, u])


silent = inner(_silent)


def _respond_block(net: Flat, layer: int, chosen: Any, first: int, last: int, h: Array, mirror: bool, powers: Array,
                   bounds: Array, met_by: Any) -> int:
    """Fill powers (6, m, units), bounds (2, m, units) and met_by (m, units) for some units and a range of samples.

    Returns the highest degree used: 2, 4, or 6 when one-sided powers are in use.
    """
    work = buffers(net, chosen.size)
    units_all = np.empty(chosen.size, np.int64)
    steps_all, far_all, near_all = np.empty(chosen.size), np.empty(2 * chosen.size), np.empty(2 * chosen.size)
    kinds_all, ignored_all = np.empty(chosen.size, np.uint8), np.empty(chosen.size, np.uint8)
    degree = 2
    for s in range(first, last):
        count = 0
        for unit in chosen:
            if not silent(net, s, layer, unit, h[s]):
                units_all[count], steps_all[count], kinds_all[count] = unit, h[s], CLEAN
                count += 1
        if count == 0:
            continue
        units, steps, kinds, ignored = units_all[:count], steps_all[:count], kinds_all[:count], ignored_all[:count]
        far, near = far_all[: 2 * count], near_all[: 2 * count]
        # Typed zeros: plain literals would have ``respond`` compiled once for each of their values.
        reach = respond(net, s, layer, units, steps, mirror, np.int64(0), work, kinds, far)
        worst = CLEAN
        for c in range(count):
            if not reach <= QUARTIC_REACH:  # too far, or not a number
                kinds[c] = FAR
            elif kinds[c] == AT_KINK and reach > QUADRATIC_REACH:
                kinds[c] = NEAR_KINK
            worst = max(worst, kinds[c])
            steps[c] = 0.5 * h[s]
        if reach <= QUARTIC_REACH:
            if reach > QUADRATIC_REACH:
                respond(net, s, layer, units, steps, mirror, np.int64(0), work, ignored, near)
                degree = max(degree, 4)
            coefficients(units, s, h[s], kinds, far, near, reach > QUADRATIC_REACH, powers)
        if worst > CLEAN:
            if reach <= QUADRATIC_REACH:
                respond(net, s, layer, units, steps, np.bool_(False), np.int64(0), work, ignored, near)
                for c in range(count):
                    steps[c] = h[s]
                respond(net, s, layer, units, steps, np.bool_(False), np.int64(0), work, ignored, far)
                one_sided(units, s, h[s], kinds, far, near, powers)
                degree = 6
            for c in range(count):
                steps[c] = TINY
            for side in range(-1, 2):
                respond(net, s, layer, units, steps, np.bool_(False), side, work, ignored, far)
                widen(units, s, kinds, far, side == -1, bounds)
        for c in range(count):
            met_by[s, units[c]] = kinds[c]
    return degree


def _respond_literally(net: Flat, layer: int, unit: int, samples: Any, a: Array, epsilon: float, block: int, odd: Array,
                       even: Array, kinked: Any) -> None:
    """Add (r(x) - r(-x)) / 2 and (r(x) + r(-x)) / 2 at x = epsilon a[s, j], summed over the samples, to odd and even.

    a : (m, J); odd, even, kinked : (J,), the last set where a column met a kink.
    """
    block = min(block, a.shape[1])
    work = buffers(net, block)
    losses = np.empty(2 * block)
    for s in samples:
        steps = epsilon * a[s]
        for first in range(0, steps.size, block):
            count = min(block, steps.size - first)
            units = np.full(count, unit, np.int64)
            kinds = np.zeros(count, np.uint8)
            respond(net, s, layer, units, steps[first : first + count], np.bool_(False), np.int64(0), work, kinds,
                    losses[: 2 * count])
            for c in range(count):
                odd[first + c] += 0.5 * (losses[c] - losses[count + c])
                even[first + c] += 0.5 * (losses[c] + losses[count + c])
                if kinds[c] != CLEAN:
                    kinked[first + c] = True


def _row_norms(theta: Array, offsets: Any, widths: Any, starts: Any, sums: Array, most: Array) -> None:
    """Sum and maximum of |W| over every row of every layer, (all units,) each."""
    for k in range(offsets.size):
        for u in range(widths[k + 1]):
            total, biggest = 0.0, 0.0
            row = theta[offsets[k] + u * widths[k] : offsets[k] + (u + 1) * widths[k]]
            for j in range(row.size):
                size = abs(row[j])
                total += size
                biggest = size if size > biggest else biggest
            sums[starts[k] + u], most[starts[k] + u] = total, biggest


def _write_costs(theta: Array, places: Any, weights: Any, rate: float, epsilon: float, cost: float, first: int,
                 last: int, odd: Array, even: Array, minus: Array) -> None:
    """Turn odd and even parts into gradapprox, J_plus (in their places) and J_minus; add the penalty of weights.

    places : the checked positions of theta, empty for all; weights : (ranges, 2) of theta that are penalised;
    rate : l2 / m.
    """
    piece = 0
    for e in range(first, last):
        change, bend = odd[e], even[e]
        if rate != 0.0:
            place = places[e] if places.size else e
            while piece + 1 < weights.shape[0] and place >= weights[piece + 1, 0]:
                piece += 1
            if place < weights[piece, 1]:
                change += rate * epsilon * theta[place]
                bend += 0.5 * rate * epsilon * epsilon
        odd[e] = change / epsilon
        even[e] = cost + (bend + change)
        minus[e] = cost + (bend - change)


respond_block = compiled(_respond_block)
respond_literally = compiled(_respond_literally)
row_norms = compiled(_row_norms, flags=FAST)
write_costs = compiled(_write_costs)
