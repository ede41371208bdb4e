"""Kernels of the response engine: each unit's response to each sample as a short polynomial, or at every step."""

from typing import Any, NamedTuple

import numpy as np

from ..._types import Array
from ...runtime.jit import compiled, inner
from .columns import AT_KINK, CLEAN, FAR, NEAR_KINK, respond
from .kernel_arrays import Change, KernelArrays, buffers

# Up to this change of a pre-activation r is a quadratic to a relative 1e-13, ...
QUADRATIC_REACH = 2e-7
# ... and up to this one a quartic.
QUARTIC_REACH = 1e-3
# A step that crosses no kink but those it stands on.
TINY = 1e-100
# Columns of one block where every change is evaluated by itself.
LITERAL_COLUMNS = 256


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


def _silent(net: KernelArrays, s: int, layer: int, unit: int, h: float) -> bool:
    """Tell whether a change of at most h at that unit cannot leave it: a flat branch, no kink within reach."""
    u = net.starts[layer] + unit
    return bool(net.linear[layer] and net.series[s, u, 0] == 0.0 and h < net.gap[s, u] - net.slack[s, u])


silent = inner(_silent)


class Filled(NamedTuple):
    """What is found about the units of one layer, all samples.

    powers : (6, m, units) coefficients of x, x^2, x^3, x^4, |x|, x|x|.
    bounds : (2, m, units) one-sided derivatives at kinks.
    kinds : (m, units) what each unit met.
    """

    powers: Array
    bounds: Array
    kinds: Any


def _respond_block(net: KernelArrays, layer: int, chosen: Any, first: int, last: int, h: Array, mirror: bool,
                   filled: Filled) -> int:
    """Fill in some units and the samples from first to last, whose changes are +-h (m,).

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
        both_signs, as_it_is = np.bool_(False), np.int64(0)
        reach = respond(net, s, Change(layer, units, steps, mirror, as_it_is), work, kinds, far)
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
                respond(net, s, Change(layer, units, steps, mirror, as_it_is), work, ignored, near)
                degree = max(degree, 4)
            coefficients(units, s, h[s], kinds, far, near, reach > QUADRATIC_REACH,
                         filled.powers)
        if worst > CLEAN:
            if reach <= QUADRATIC_REACH:
                respond(net, s, Change(layer, units, steps, both_signs, as_it_is), work, ignored, near)
                for c in range(count):
                    steps[c] = h[s]
                respond(net, s, Change(layer, units, steps, both_signs, as_it_is), work, ignored, far)
                one_sided(units, s, h[s], kinds, far, near, filled.powers)
                degree = 6
            for c in range(count):
                steps[c] = TINY
            for side in range(-1, 2):
                respond(net, s, Change(layer, units, steps, both_signs, side), work, ignored, far)
                widen(units, s, kinds, far, side == -1, filled.bounds)
        for c in range(count):
            filled.kinds[s, units[c]] = kinds[c]
    return degree


class Totals(NamedTuple):
    """Sums over samples, (J,) each: odd and even parts of the responses, and whether one met a kink."""

    odd: Array
    even: Array
    kinked: Any


def _respond_literally(net: KernelArrays, layer: int, unit: int, samples: Any, a: Array, epsilon: float,
                       totals: Totals) -> None:
    """Add (r(x) - r(-x)) / 2 and (r(x) + r(-x)) / 2 at x = epsilon a[s, j] of some samples s to the totals.

    a : (m, J).
    """
    block = min(LITERAL_COLUMNS, a.shape[1])
    work = buffers(net, block)
    losses = np.empty(2 * block)
    for s in samples:
        steps = epsilon * a[s]
        for first in range(0, steps.size, block):
            count = min(block, steps.size - first)
            units = np.full(count, unit, np.int64)
            kinds = np.zeros(count, np.uint8)
            change = Change(layer, units, steps[first : first + count], np.bool_(False), np.int64(0))
            respond(net, s, change, work, kinds, losses[: 2 * count])
            for c in range(count):
                totals.odd[first + c] += 0.5 * (losses[c] - losses[count + c])
                totals.even[first + c] += 0.5 * (losses[c] + losses[count + c])
                if kinds[c] != CLEAN:
                    totals.kinked[first + c] = True


respond_block = compiled(_respond_block)
respond_literally = compiled(_respond_literally)
