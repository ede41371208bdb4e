"""Kernels of the response engine: columns of exact differences carried through one sample's network.

A *column* is a change ``x`` of one pre-activation of one unit; both ``r(x)`` and ``r(-x)`` are evaluated.  Rows are the
units of the layer being crossed.  Everything here runs without the GIL on the arrays of ``KernelArrays``.

Derivation
----------
With z_k = W_k a_{k-1} + b_k and a_k = g_k(z_k), and everything but z_l[i] as it is, a change x of z_l[i] leads to

    source        da_l[i]  = D_l(z_l[i], x),        D(z, d) = g(z + d) - g(z)
    first layer   dz_{l+1} = W_{l+1}[:, i] da_l[i]                            one weight times one number a row
    next layers   dz_{k+1} = W_{k+1} da_k                                     a matrix product over all columns
    each row      da_k     = D_k(z_k, dz_k)
    loss          r(x)     = loss(z_L + dz_L) - loss(z_L)

No two values of the cost are subtracted: the affine steps are linear in the change, and D and the loss's difference are
computed by identities that do not cancel (``rules``).  So r has the relative accuracy of its operations at any x.

Three things keep the work small, and each is exact to rounding:

- *Series.*  Where no kink lies within REACH and |d| <= REACH, D(z, d) is a polynomial of degree four in d, whose
  coefficients ``prepare`` has fitted once per unit and sample; a product and a polynomial vectorise over the columns.
- *Living rows.*  On a flat branch (a ReLU below zero) D is zero until d reaches the kink.  With |dz[u]| bounded by
  max_j |W[u, j]| times the largest source in the first layer, and by sum_j |W[u, j]| times the largest change in the
  next ones, the rows that no column can wake are left out: of this product, and as inputs of the next.
- *Mirror.*  Where all functions on the way are straight and no kink is met, dz(-x) = -dz(x): only the positive columns
  are carried to the output, and negated there.  A column that meets a kink on the way says so (``kinds``), and is then
  evaluated again with both signs.
"""

from typing import Any

import numpy as np

from ..._types import Array, Indices
from ...rules.short_series import REACH
from ...runtime.jit import call_at, inner
from .kernel_arrays import (
    GAP,
    INPUTS,
    LINEAR,
    MOST,
    OFFSET,
    OUTPUTS,
    PANEL,
    SERIES,
    SLACK,
    START,
    SUM,
    Buffers,
    Change,
    KernelArrays,
    Z,
)
from .loops import NARROW, clear, gather, largest, multiply_narrow, product, scale, short, short_product

# What a column has met; the worst counts.
CLEAN, AT_KINK, NEAR_KINK, FAR = 0, 1, 2, 3


def _met(gap: float, slack: float, size: float) -> int:
    """Return what a change of that size meets at a unit that far from its kink."""
    if size == 0.0 or size < gap - slack:
        return CLEAN
    return AT_KINK if gap == 0.0 else NEAR_KINK


def _on_side(z: float, gap: float, slack: float, side: int) -> float:
    """z, taken to one side of the kink it stands on (side 0: left where it is)."""
    if side != 0 and gap <= slack:
        return z + side * (gap + slack)
    return z


def _raise_to(kinds: Any, c: int, kind: int) -> None:
    """Note what a column has met: the worst counts.  (Numba compiles ``max`` anew for each pair of types.)"""
    if kind > kinds[c]:
        kinds[c] = kind


met = inner(_met)
raise_to = inner(_raise_to)
on_side = inner(_on_side)


# --- the perturbed units ----------------------------------------------------------------------------------------


def _source_changes(net: KernelArrays, s: int, change: Change, mirror: bool, sources: Array, kinds: Any) -> float:
    """Changes of the perturbed units' activations (of the output's pre-activations where losses need those)."""
    columns, layer = change.units.size, change.layer
    reach = 0.0
    raw = layer == net.differences.size - 1 and (net.logits or net.softmax or not net.separable)
    for c in range(columns):
        unit = net.units[s, net.layers[layer, START] + change.units[c]]
        x = change.steps[c]
        if raw:
            reach = abs(x) if abs(x) > reach else reach
            sources[c] = x
            if not mirror:
                sources[columns + c] = -x
            continue
        gap, slack = unit[GAP], unit[SLACK]
        raise_to(kinds, c, met(gap, slack, abs(x)))
        z = on_side(unit[Z], gap, slack, change.side)
        # one call in a loop: every call of the dispatch is compiled into its place
        for at in range(c, sources.size, columns):
            sources[at] = call_at(net.differences[layer], (z, x if at == c else -x))
        if not net.layers[layer, LINEAR]:
            reach = abs(x) if abs(x) > reach else reach
    return reach


def _spread(net: KernelArrays, units: Indices, sources: Array, into: Array) -> int:
    """Write the changes of perturbed outputs into a block of all outputs, zero elsewhere; return their number."""
    outputs: int = net.ends.shape[2]
    block = into[: outputs * sources.size].reshape(outputs, sources.size)
    clear(block)
    for c in range(sources.size):
        block[units[c % units.size], c] = sources[c]
    return outputs


source_changes = inner(_source_changes)
spread = inner(_spread)


# --- layers -----------------------------------------------------------------------------------------------------


def _living(net: KernelArrays, s: int, k: int, norm: int, bound: float, alive: Any) -> int:
    """List the units of layer k that a change bounded by ``bound`` times a norm of its row reaches; return how many."""
    count = 0
    last = k == net.differences.size - 1
    for unit in range(net.layers[k, OUTPUTS]):
        u = net.layers[k, START] + unit
        dead = not last and net.layers[k, LINEAR] and net.units[s, u, SERIES] == 0.0
        if not (dead and bound * net.rows[u, norm] < net.units[s, u, GAP] - net.units[s, u, SLACK]):
            alive[count] = unit
            count += 1
    return count


def _activate(difference: int, linear: bool, unit: Array, side: int, kinds: Any, values: Array) -> float:
    """Turn one row's changes of a pre-activation into changes of the activation; return the reach of a curved unit."""
    size, gap, slack = float(largest(values)), unit[GAP], unit[SLACK]
    if size < gap - slack:
        if linear:
            if unit[SERIES] != 1.0:
                scale(values, unit[SERIES])
            return 0.0
        if size <= REACH and gap > REACH:
            short(values, unit[SERIES], unit[SERIES + 1], unit[SERIES + 2], unit[SERIES + 3])
            return size
    columns = kinds.size
    z = on_side(unit[Z], gap, slack, side)
    for c in range(values.size):
        raise_to(kinds, c % columns, met(gap, slack, abs(values[c])))
        values[c] = call_at(difference, (z, values[c]))
    return 0.0 if linear else size


living = inner(_living)
activate = inner(_activate)


def _first_layer(net: KernelArrays, s: int, change: Change, sources: Array, work: Buffers, kinds: Any,
                 into: Array) -> tuple[int, float]:
    """Cross the layer behind the perturbed one: every row is one weight times one number, column by column.

    Returns the number of living rows, listed in ``work.alive``, and the reach.
    """
    k, columns, width = change.layer + 1, change.units.size, sources.size
    last = net.differences.size - 1
    far, linear = largest(sources), net.layers[k, LINEAR] != 0
    alive = work.alive[k % 2]
    count = living(net, s, k, MOST, far, alive)
    block = into[: count * width].reshape(count, width)
    first = change.units[0]
    neighbours = change.units[columns - 1] - first == columns - 1
    weights = net.theta if neighbours else work.weights
    reach = 0.0
    for r in range(count):
        u = net.layers[k, START] + alive[r]
        row, unit = block[r], net.units[s, u]
        gap, slack = unit[GAP], unit[SLACK]
        start = net.layers[k, OFFSET] + alive[r] * net.layers[k, INPUTS]
        if neighbours:
            start += first
        else:
            gather(net.theta, start, change.units, work.weights)
            start = 0
        bound = far * net.rows[u, MOST]
        if k < last and not linear and bound <= REACH and gap > REACH and bound < gap - slack:
            for c in range(0, width, columns):  # positive columns, and negative ones where there are any
                short_product(weights[start : start + columns], sources[c : c + columns], unit[SERIES],
                              unit[SERIES + 1], unit[SERIES + 2], unit[SERIES + 3], row[c : c + columns])
            reach = bound if bound > reach else reach
            continue
        for c in range(0, width, columns):
            product(weights[start : start + columns], sources[c : c + columns], row[c : c + columns])
        if k == last or (linear and unit[SERIES] == 1.0 and bound < gap - slack):
            continue
        seen = activate(net.differences[k], linear, unit, change.side, kinds, row)
        reach = seen if seen > reach else reach
    return count, reach


def _next_layer(net: KernelArrays, s: int, k: int, side: int, block: Array, work: Buffers, kinds: Any,
                into: Array) -> tuple[int, float]:
    """Cross a further layer, from the living rows of the one before: a matrix product.

    Returns the number of living rows, listed in ``work.alive``, and the reach.
    """
    rows, width = block.shape
    before, alive = work.alive[(k - 1) % 2][:rows], work.alive[k % 2]
    count = living(net, s, k, SUM, largest(block.reshape(block.size)), alive)
    changes = into[: count * width].reshape(count, width)
    if rows == 0:
        clear(changes)
    else:
        multiply(net, k, before, alive[:count], block, work.panel, changes)
    reach = 0.0
    if k < net.differences.size - 1:
        for r in range(count):
            unit = net.units[s, net.layers[k, START] + alive[r]]
            seen = activate(net.differences[k], net.layers[k, LINEAR] != 0, unit, side, kinds, changes[r])
            reach = seen if seen > reach else reach
    return count, reach


def _matrix_product(W: Array, changes: Array, into: Array) -> None:
    np.dot(W, changes, into)


matrix_product = inner(_matrix_product, allocates=True)  # Numba's dot does, where it fails


def _multiply(net: KernelArrays, k: int, before: Any, alive: Any, changes: Array, panel: Array, into: Array) -> None:
    """into = W[alive][:, before] @ changes, gathering a panel of rows at a time unless all of W takes part."""
    inputs, outputs, start = net.layers[k, INPUTS], net.layers[k, OUTPUTS], net.layers[k, OFFSET]
    if alive.size <= NARROW:
        for r in range(alive.size):
            row = start + alive[r] * inputs
            for c in range(before.size):
                panel[r * before.size + c] = net.theta[row + before[c]]
        multiply_narrow(panel[: alive.size * before.size].reshape(alive.size, before.size), changes, into)
        return
    if before.size == inputs and alive.size == outputs:
        matrix_product(net.theta[start : start + inputs * outputs].reshape(outputs, inputs), changes, into)
        return
    for first in range(0, alive.size, PANEL):
        rows = PANEL if alive.size - first > PANEL else alive.size - first
        part = panel[: rows * before.size].reshape(rows, before.size)
        for r in range(rows):
            row = start + alive[first + r] * inputs
            for c in range(before.size):
                part[r, c] = net.theta[row + before[c]]
        matrix_product(part, changes, into[first : first + rows])


multiply = inner(_multiply)
first_layer = inner(_first_layer, inline=True)
next_layer = inner(_next_layer, inline=True)


# --- losses -----------------------------------------------------------------------------------------------------


def _output_alone(net: KernelArrays, s: int, units: Indices, sources: Array, column: Array, losses: Array) -> None:
    """Losses' differences where the perturbed unit is an output and the loss is a sum over outputs."""
    columns = units.size
    change, loss, ends = column[:2].reshape(1, 2), column[2:4], net.ends[s]
    for c in range(columns):
        i = units[c]
        change[0, 0], change[0, 1] = sources[c], sources[columns + c]
        call_at(net.loss, (ends[0, i : i + 1], ends[1, i : i + 1], ends[2, i : i + 1], change, loss))
        losses[c], losses[columns + c] = loss[0], loss[1]


def _losses(net: KernelArrays, s: int, changes: Array, side: int, column: Array, kinds: Any, losses: Array) -> float:
    """Losses' differences from the changes (n_L, columns) of the output's pre-activations, changed in place."""
    layer = net.differences.size - 1
    reach, ends = 0.0, net.ends[s]
    outputs = changes.shape[0]
    if net.logits:
        for k in range(outputs):
            seen = largest(changes[k])
            reach = seen if seen > reach else reach
    elif net.softmax:
        before, after = column[:outputs], column[outputs : 2 * outputs]
        for k in range(outputs):
            seen = largest(changes[k])
            reach = seen if seen > reach else reach
        for c in range(changes.shape[1]):
            for k in range(outputs):
                before[k] = changes[k, c]
            call_at(net.mixed, (ends[1], before, after))
            for k in range(outputs):
                changes[k, c] = after[k]
    else:
        for k in range(outputs):
            unit = net.units[s, net.layers[layer, START] + k]
            seen = activate(net.differences[layer], net.layers[layer, LINEAR] != 0, unit, side, kinds, changes[k])
            reach = seen if seen > reach else reach
    call_at(net.loss, (ends[0], ends[1], ends[2], changes, losses))
    return reach


def _mirrored(block: Array, into: Array) -> None:
    """Each row and, behind it, its negative."""
    columns = block.shape[1]
    for r in range(block.shape[0]):
        for c in range(columns):
            into[r, c], into[r, columns + c] = block[r, c], -block[r, c]


output_alone = inner(_output_alone)
losses_of = inner(_losses)
mirrored = inner(_mirrored)


# --- all of it --------------------------------------------------------------------------------------------------


def _respond(net: KernelArrays, s: int, change: Change, work: Buffers, kinds: Any, losses: Array) -> float:
    """Responses of one sample's loss to ``steps[c]`` (losses[c]) and ``-steps[c]`` (losses[C + c]) at ``units[c]``.

    ``kinds`` (C,) is raised to what each column met.  Returns the largest change that a curved function saw.
    """
    columns, last = change.units.size, net.differences.size - 1
    mirror = change.mirror and change.layer < last
    width = columns if mirror else 2 * columns
    sources = work.sources[:width]
    reach = float(source_changes(net, s, change, mirror, sources, kinds))
    if change.layer == last and net.separable and not net.softmax:
        output_alone(net, s, change.units, sources, work.column, losses)
        return reach
    here, spare = work.first, work.second
    if change.layer == last:
        count = spread(net, change.units, sources, here)
    else:
        count, seen = first_layer(net, s, change, sources, work, kinds, here)
        reach = seen if seen > reach else reach
        for k in range(change.layer + 2, last + 1):
            block = here[: count * width].reshape(count, width)
            count, seen = next_layer(net, s, k, change.side, block, work, kinds, spare)
            reach = seen if seen > reach else reach
            here, spare = spare, here
    block = here[: count * width].reshape(count, width)
    if mirror:
        both = spare[: count * 2 * columns].reshape(count, 2 * columns)
        mirrored(block, both)
        block = both
    seen = float(losses_of(net, s, block, change.side, work.column, kinds, losses))
    return seen if seen > reach else reach


respond = inner(_respond, inline=True)
