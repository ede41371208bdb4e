"""Kernels of the response engine: each unit's response to each sample as a short polynomial, or at every step."""

from typing import Any, NamedTuple

from ..._types import Array, Indices
from ...runtime.jit import compiled, inner
from .columns import AT_KINK, CLEAN, FAR, NEAR_KINK, respond
from .kernel_arrays import GAP, LINEAR, SERIES, SLACK, START, Buffers, Change, KernelArrays
from .responses import QUADRATIC_REACH, QUARTIC_REACH, TINY

# Columns of one block where every change is evaluated by itself.
LITERAL_COLUMNS = 256


def _coefficients(units: Indices, s: int, h: float, kinds: Any, far: Array, near: Array, quartic: bool,
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


def _one_sided(units: Indices, s: int, h: float, kinds: Any, far: Array, near: Array, powers: Array) -> None:
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


def _widen(units: Indices, s: int, kinds: Any, losses: Array, start: bool, bounds: Array) -> None:
    """Take the slopes at x = 0 of one branch, from losses at +-TINY, into the bounds (2, m, units)."""
    columns = units.size
    for c in range(columns):
        if kinds[c] == CLEAN:
            continue
        i = units[c]
        up, down = losses[c] / TINY, -losses[columns + c] / TINY
        low, high = (down, up) if down < up else (up, down)
        if start or low < bounds[0, s, i]:
            bounds[0, s, i] = low
        if start or high > bounds[1, s, i]:
            bounds[1, s, i] = high


coefficients = inner(_coefficients)
one_sided = inner(_one_sided)
widen = inner(_widen)


def _silent(net: KernelArrays, s: int, layer: int, unit: int, h: float) -> bool:
    """Tell whether a change of at most h at that unit cannot leave it: a flat branch, no kink within reach."""
    its = net.units[s, net.layers[layer, START] + unit]
    return bool(net.layers[layer, LINEAR] and its[SERIES] == 0.0 and h < its[GAP] - its[SLACK])


silent = inner(_silent, inline=True)


class Filled(NamedTuple):
    """What is found about the units of one layer, all samples.

    powers : (6, m, units) coefficients of x, x^2, x^3, x^4, |x|, x|x|.
    bounds : (2, m, units) one-sided derivatives at kinks.
    kinds : (m, units) what each unit met.
    """

    powers: Array
    bounds: Array
    kinds: Any


# Looks at one sample's units, in turn: at both ends of the reach, and half way for a quartic; then, where kinks were
# met, half way and at the ends with both signs, and at the slopes of both branches and of the kink itself.
ENDS, HALF_WAY, HALF_WAY_TO_BOTH, BOTH_ENDS, BELOW, AT, ABOVE = range(7)


def _wanted(look: int, reach: float, worst: int) -> bool:
    """Tell whether a look is worth while, from the reach and the worst kind that the first one has found."""
    if look == ENDS:
        return True
    if look == HALF_WAY:
        return QUADRATIC_REACH < reach <= QUARTIC_REACH
    if look <= BOTH_ENDS:
        return worst > CLEAN and reach <= QUADRATIC_REACH
    return worst > CLEAN


def _listed(net: KernelArrays, s: int, layer: int, chosen: Any, h: float, units: Indices) -> int:
    """List the units whose change can be felt; return their number."""
    count = 0
    for unit in chosen:
        if not silent(net, s, layer, unit, h):
            units[count] = unit
            count += 1
    return count


def _worst(reach: float, kinds: Any) -> int:
    """Raise what units met where their steps are too long for a polynomial; return the worst."""
    worst = CLEAN
    for c in range(kinds.size):
        if not reach <= QUARTIC_REACH:  # too far, or not a number
            kinds[c] = FAR
        elif kinds[c] == AT_KINK and reach > QUADRATIC_REACH:
            kinds[c] = NEAR_KINK
        worst = kinds[c] if kinds[c] > worst else worst
    return worst


wanted = inner(_wanted)
listed = inner(_listed)
worst_of = inner(_worst)


def _respond_block(net: KernelArrays, layer: int, chosen: Any, first: int, last: int, h: Array, mirror: bool,
                   work: Buffers, filled: Filled) -> int:
    """Fill in some units and the samples from first to last, whose changes are +-h (m,).

    Returns the highest degree used: 2, 4, or 6 when one-sided powers are in use.
    """
    degree = 2
    for s in range(first, last):
        count = listed(net, s, layer, chosen, h[s], work.units)
        if count == 0:
            continue
        units, steps, kinds = work.units[:count], work.steps[:count], work.kinds[:count]
        far, near = work.far[: 2 * count], work.near[: 2 * count]
        for c in range(count):
            kinds[c] = CLEAN
        reach, worst = 0.0, CLEAN
        for look in range(7):
            if not wanted(look, reach, worst):
                continue
            half_way = look in (HALF_WAY, HALF_WAY_TO_BOTH)
            step = TINY if look >= BELOW else 0.5 * h[s] if half_way else h[s]
            for c in range(count):
                steps[c] = step
            change = Change(layer, units, steps, mirror and look <= HALF_WAY, look - AT if look >= BELOW else 0)
            # one call in a loop: every call is compiled into its place
            seen = respond(net, s, change, work, kinds if look == ENDS else work.ignored[:count],
                           near if half_way else far)
            if look == ENDS:
                reach = seen
                worst = worst_of(reach, kinds)
            if (look == ENDS and reach <= QUADRATIC_REACH) or look == HALF_WAY:
                coefficients(units, s, h[s], kinds, far, near, look == HALF_WAY, filled.powers)
                if look == HALF_WAY and degree == 2:
                    degree = 4
            elif look == BOTH_ENDS:
                one_sided(units, s, h[s], kinds, far, near, filled.powers)
                degree = 6
            elif look >= BELOW:
                widen(units, s, kinds, far, look == BELOW, filled.bounds)
        for c in range(count):
            filled.kinds[s, units[c]] = kinds[c]
    return degree


class Totals(NamedTuple):
    """Sums over samples, (J,) each: odd and even parts of the responses, and whether one met a kink."""

    odd: Array
    even: Array
    kinked: Any


def _respond_literally(net: KernelArrays, layer: int, unit: int, samples: Indices, a: Array, epsilon: float,
                       work: Buffers, totals: Totals) -> None:
    """Add (r(x) - r(-x)) / 2 and (r(x) + r(-x)) / 2 at x = epsilon a[s, j] of some samples s to the totals.

    a : (m, J).
    """
    block = work.units.size
    for s in samples:
        for first in range(0, a.shape[1], block):
            count = block if a.shape[1] - first > block else a.shape[1] - first
            units, steps, kinds = work.units[:count], work.steps[:count], work.kinds[:count]
            losses = work.far[: 2 * count]
            for c in range(count):
                units[c], steps[c], kinds[c] = unit, epsilon * a[s, first + c], CLEAN
            respond(net, s, Change(layer, units, steps, False, 0), work, kinds, losses)
            for c in range(count):
                totals.odd[first + c] += 0.5 * (losses[c] - losses[count + c])
                totals.even[first + c] += 0.5 * (losses[c] + losses[count + c])
                if kinds[c] != CLEAN:
                    totals.kinked[first + c] = True


respond_block = compiled(_respond_block, allocates=False)
respond_literally = compiled(_respond_literally, allocates=False)
