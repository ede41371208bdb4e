"""Kernels of the response engine: each unit's response to each sample as a short polynomial, or at every step."""

from typing import Any

import numpy as np

from ..._types import Array
from ...runtime.jit import compiled, inner
from .columns import AT_KINK, CLEAN, FAR, NEAR_KINK, Flat, buffers, respond

# Largest change of a pre-activation for which r is a quadratic, and a quartic, to a relative 1e-13.
QUADRATIC_REACH = 2e-7
QUARTIC_REACH = 1e-3
TINY = 1e-100  # a step that crosses no kink but those it stands on


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


def _respond_literally(net: Flat, layer: int, unit: int, samples: Any, a: Array, start: int, epsilon: float, block: int,
                       odd: Array, even: Array, kinked: Any) -> None:
    """Add (r(x) - r(-x)) / 2 and (r(x) + r(-x)) / 2 at x = epsilon a[s, j], summed over the samples, to odd and even.

    a : (m, n + 1); odd, even, kinked : (J,), of its columns from ``start`` on; the last set where one met a kink.
    """
    block = min(block, odd.size)
    work = buffers(net, block)
    losses = np.empty(2 * block)
    for s in samples:
        steps = epsilon * a[s, start : start + odd.size]
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


respond_block = compiled(_respond_block)
respond_literally = compiled(_respond_literally)
