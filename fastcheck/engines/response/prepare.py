"""Some samples of a problem, propagated and laid out as the kernels of ``columns`` need them."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..._constants import UNIT_ROUNDOFF
from ..._types import Array
from ...problems.networks.problem import BYTES_PER_UNIT, Problem
from ...rules.activations import ACTIVATIONS, CODES as ACTIVATION_CODES
from ...rules.losses import CODES as COST_CODES
from ...runtime.run import Run
from ...runtime.threads import run_all
from . import loops
from .block import Block
from .kernel_arrays import KernelArrays, prepare

# Samples propagated together, whatever the number of threads: the bits are the same each time.
FORWARD_SAMPLES = 64
def blocks(problem: Problem, epsilon: float, run: Run) -> Iterator[Block]:
    """Yield the problem in blocks of samples small enough for half the memory limit."""
    per_sample = BYTES_PER_UNIT * sum(problem.network.widths)
    samples = max(FORWARD_SAMPLES, run.memory_limit // 2 // per_sample)
    name, kept = ("block", epsilon), problem.kept if samples >= problem.m else None
    if kept and name in kept:
        yield kept[name]
        return
    norms = _row_norms(problem)
    for first in range(0, problem.m, samples):
        block = _block(problem, epsilon, run, norms, first, min(first + samples, problem.m))
        if kept is not None:
            kept[name] = block
        yield block


def _row_norms(problem: Problem) -> tuple[Array, Array]:
    """Sum and maximum of |W| over each unit's row, all layers end to end."""
    units = sum(problem.network.widths[1:])
    sums, largest = np.empty(units), np.empty(units)
    loops.row_norms(problem.theta, *_layout(problem)[:3], sums, largest)
    return sums, largest


def _layout(problem: Problem) -> tuple[Any, Any, Any]:
    """Return the places of the weights in theta, widths, places of each layer's units."""
    widths = np.array(problem.network.widths, np.int64)
    offsets = np.array([place.tensors["W"].start for place in problem.network.places], np.int64)
    return offsets, widths, np.concatenate([[0], np.cumsum(widths[1:])])[:-1]


def _block(problem: Problem, epsilon: float, run: Run, norms: tuple[Array, Array], first: int, last: int) -> Block:
    net, m = problem.network, last - first
    arrays = _empty_arrays(problem, norms, m)
    arrays.y[:] = problem.Y[:, first:last].T
    inputs = [np.ones((m, n + 1)) for n in net.widths[:-1]]
    losses = np.empty(m)
    most = max(len(entry.breakpoints) for entry in net.activation_entries)
    breakpoints = np.full((len(net.layers), most), np.nan)
    for k, entry in enumerate(net.activation_entries):
        breakpoints[k, : len(entry.breakpoints)] = entry.breakpoints

    def propagate(start: int) -> None:
        stop = min(start + FORWARD_SAMPLES, m)
        with np.errstate(all="ignore"):  # NumPy keeps this per thread
            data = problem.X[:, first + start : first + stop]
            run = net.forward(problem.parameters, data)
            targets = problem.Y[:, first + start : first + stop]
            losses[start:stop] = net.cost_entry.losses(run.Z[-1], run.A[-1], targets)
            arrays.out[start:stop] = run.A[-1].T
            for k, b in enumerate(_biases(problem)):
                a = run.inputs_of(k)
                inputs[k][start:stop, :-1] = a.T
                units = slice(arrays.starts[k], arrays.starts[k] + net.widths[k + 1])
                arrays.z[start:stop, units] = run.Z[k].T
                if arrays.linear[k]:
                    arrays.series[start:stop, units, 0] = net.activation_entries[k].derivative(run.Z[k]).T
                arrays.slack[start:stop, units] = _slack(arrays.row_sum[units], np.abs(a).max(axis=0), np.abs(b))
            prepare(arrays, breakpoints, start, stop)

    run_all(propagate, range(0, m, FORWARD_SAMPLES), run.threads)
    return Block(problem, epsilon, first, last, inputs, losses, arrays, net.cost_entry.scale(problem.m, net.widths[-1]))


def _biases(problem: Problem) -> list[Array]:
    biases = (place.tensors["b"] for place in problem.network.places)
    return [problem.theta[t.start : t.stop] for t in biases]


def _slack(row_sum: Array, largest_input: Array, bias: Array) -> Array:
    """Return how far rounding may have moved each pre-activation, (m, units); never zero."""
    return np.asarray(8.0 * UNIT_ROUNDOFF * (np.outer(largest_input, row_sum) + bias) + 1e-30)


def _empty_arrays(problem: Problem, norms: tuple[Array, Array], m: int) -> KernelArrays:
    net = problem.network
    offsets, widths, starts = _layout(problem)
    units = sum(net.widths[1:])
    return KernelArrays(
        theta=problem.theta, offsets=offsets, widths=widths, starts=starts,
        codes=np.array([ACTIVATION_CODES[layer.activation] for layer in net.layers], np.int64),
        linear=np.array([entry.linear for entry in net.activation_entries]),
        row_sum=norms[0], row_max=norms[1], cost=COST_CODES[net.cost], separable=net.cost_entry.separable,
        logits=net.cost_entry.output is not None,
        softmax=not ACTIVATIONS[net.layers[-1].activation].elementwise,
        z=np.empty((m, units)), out=np.empty((m, widths[-1])), y=np.empty((m, widths[-1])),
        series=np.empty((m, units, 4)), gap=np.empty((m, units)), slack=np.empty((m, units)),
    )  # fmt: skip
