"""Some samples of a problem, propagated and laid out as the kernels of ``columns`` need them."""

from collections.abc import Iterator
from itertools import accumulate, pairwise
from typing import Any

import numpy as np

from ..._constants import UNIT_ROUNDOFF
from ..._types import Array
from ...problems.networks.problem import BYTES_PER_UNIT, Problem
from ...runtime.run import Run
from ...runtime.threads import run_all
from ..machine_code import activation_differences, loss_differences, mixed_differences
from .block import Block
from .kernel_arrays import LINEAR, MOST, OUTPUTS, SERIES, SLACK, START, SUM, KernelArrays, Z, prepare

# Samples propagated together, whatever the number of threads: the bits are the same each time.
FORWARD_SAMPLES = 64
# Numbers of a W whose magnitudes are taken together.
NORM_NUMBERS = 1 << 16


def blocks(problem: Problem, epsilon: float, run: Run) -> Iterator[Block]:
    """Yield the problem in blocks of samples small enough for half the memory limit."""
    per_sample = BYTES_PER_UNIT * sum(problem.network.widths)
    samples = max(FORWARD_SAMPLES, run.memory_limit // 2 // per_sample)
    name, kept = ("block", epsilon), problem.kept if samples >= problem.m else None
    if kept and name in kept:
        yield kept[name]
        return
    layers, norms = _layout(problem), _row_norms(problem)
    for first in range(0, problem.m, samples):
        block = _block(problem, epsilon, run, layers, norms, first, min(first + samples, problem.m))
        if kept is not None:
            kept[name] = block
        yield block


def _row_norms(problem: Problem) -> Array:
    """Sum and maximum of |W| over each unit's row (U, 2), all layers end to end; some rows at a time."""
    found = np.empty((sum(problem.network.widths[1:]), 2))
    start = 0
    for place in problem.network.places:
        W = problem.parameters[place.tensors["W"].name]
        step = max(1, NORM_NUMBERS // W.shape[1])
        for first in range(0, len(W), step):
            sizes = np.abs(W[first : first + step])
            rows = slice(start + first, start + first + len(sizes))
            sizes.sum(axis=1, out=found[rows, SUM])
            sizes.max(axis=1, out=found[rows, MOST])
        start += len(W)
    return found


def _layout(problem: Problem) -> Any:
    """Return the layers of ``KernelArrays``."""
    net = problem.network
    starts = accumulate((0, *net.widths[1:-1]))
    return np.array([
        (place.tensors["W"].start, inputs, outputs, start, place.activation.linear)
        for place, (inputs, outputs), start in zip(net.places, pairwise(net.widths), starts, strict=True)
    ])


def _block(problem: Problem, epsilon: float, run: Run, layers: Any, norms: Array, first: int, last: int) -> Block:
    net, m = problem.network, last - first
    arrays = _empty_arrays(problem, layers, norms, m)
    arrays.ends[:, 2] = problem.Y[:, first:last].T
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
            arrays.ends[start:stop, 0], arrays.ends[start:stop, 1] = run.Z[-1].T, run.A[-1].T
            for k, b in enumerate(_biases(problem)):
                a = run.inputs_of(k)
                inputs[k][start:stop, :-1] = a.T
                units = slice(layers[k, START], layers[k, START] + layers[k, OUTPUTS])
                its = arrays.units[start:stop, units]
                its[:, :, Z] = run.Z[k].T
                if layers[k, LINEAR]:
                    its[:, :, SERIES] = net.activation_entries[k].derivative(run.Z[k]).T
                its[:, :, SLACK] = _slack(norms[units, SUM], np.abs(a).max(axis=0), np.abs(b))
            prepare(arrays, breakpoints, start, stop)

    run_all(propagate, range(0, m, FORWARD_SAMPLES), run.threads)
    return Block(problem, epsilon, first, last, inputs, losses, arrays, net.cost_entry.scale(problem.m, net.widths[-1]))


def _biases(problem: Problem) -> list[Array]:
    biases = (place.tensors["b"] for place in problem.network.places)
    return [problem.theta[t.start : t.stop] for t in biases]


def _slack(row_sum: Array, largest_input: Array, bias: Array) -> Array:
    """Return how far rounding may have moved each pre-activation, (m, units); never zero."""
    return np.asarray(8.0 * UNIT_ROUNDOFF * (np.outer(largest_input, row_sum) + bias) + 1e-30)


def _empty_arrays(problem: Problem, layers: Any, norms: Array, m: int) -> KernelArrays:
    net = problem.network
    return KernelArrays(
        theta=problem.theta, layers=layers, rows=norms,
        differences=np.array([activation_differences.at(layer.activation) for layer in net.layers]),
        loss=loss_differences.at(net.cost),
        mixed=0 if net.cost_entry.output else mixed_differences.at(net.layers[-1].activation),
        separable=net.cost_entry.separable, logits=net.cost_entry.output is not None,
        softmax=not net.activation_entries[-1].elementwise,
        units=np.empty((m, len(norms), 7)), ends=np.empty((m, 3, net.widths[-1])),
    )  # fmt: skip
