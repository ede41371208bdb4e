"""The full engine: the textbook's loop compiled, one whole forward propagation for each perturbed vector.

The 2n perturbed vectors are shared out over threads in blocks; there is no Python call for a parameter.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np

from .._types import Array, Indices
from ..problems.gradients import NumericalGradient
from ..problems.networks.problem import Problem
from ..runtime.jit import call_at, compiled
from ..runtime.run import Run
from ..runtime.threads import one_blas_thread, run_all
from .finite.noise import network_noise
from .machine_code import activation_values, sample_losses

# Multiply-adds of one block and thread: some tens of milliseconds.
BLOCK_OPERATIONS = 5e7
# Pieces per thread and block: each copies theta once, and threads that are done early take another.
PIECES = 4


def _forward_cost(theta: Array, widths: Any, values: Any, softmax: bool, loss: int, scale: float, penalty: float,
                  X: Array, Y: Array) -> float:
    """J(theta): forward propagation of all samples, X (m, n_x) and Y (m, n_L) sample by sample.

    values, loss : where each layer's activation lies, and the loss of one sample.
    """
    samples, start, squares = X.shape[0], 0, 0.0
    a, z = X, X
    for k in range(values.size):
        inputs, outputs = widths[k], widths[k + 1]
        W = theta[start : start + outputs * inputs].reshape(outputs, inputs)
        b = theta[start + outputs * inputs : start + outputs * (inputs + 1)]
        start += outputs * (inputs + 1)
        if penalty != 0.0:
            for w in W.flat:
                squares += w * w
        z = np.dot(a, W.T) + b
        a = np.empty_like(z)
        for s in range(samples):
            if softmax and k == values.size - 1:
                e = np.exp(z[s] - np.max(z[s]))
                a[s] = e / np.sum(e)
            else:
                for u in range(outputs):
                    a[s, u] = call_at(values[k], (z[s, u],))
    total = 0.0
    for s in range(samples):
        total += call_at(loss, (z[s], a[s], Y[s]))
    return scale * total + penalty * squares


forward_cost = compiled(_forward_cost)


def _perturbed_costs(theta: Array, positions: Any, epsilon: float, widths: Any, values: Any, softmax: bool, loss: int,
                     scale: float, penalty: float, X: Array, Y: Array, plus: Array, minus: Array) -> None:
    """Add costs at theta +- epsilon e_k for some positions."""
    own = theta.copy()
    for p in range(positions.size):
        k = positions[p]
        own[k] = theta[k] + epsilon
        plus[p] += forward_cost(own, widths, values, softmax, loss, scale, penalty, X, Y)
        own[k] = theta[k] - epsilon
        minus[p] += forward_cost(own, widths, values, softmax, loss, scale, penalty, X, Y)
        own[k] = theta[k]


perturbed_costs = compiled(_perturbed_costs)


def differences(problem: Problem, indices: Indices | None, epsilon: float, run: Run) -> NumericalGradient:
    """Return central differences of the compiled cost, all parameters at once."""
    positions = np.arange(problem.theta.size) if indices is None else indices
    theta, network, samples = problem.theta, problem.network, 0
    J_plus, J_minus = np.zeros(positions.size), np.zeros(positions.size)
    threads = run.threads if 2 * positions.size * (theta.size * problem.m + 100) > 1e5 else 1
    limit = run.memory_limit / 2
    threads = max(1, min(threads, int(limit // theta.nbytes)))  # each copies theta

    def parts() -> Iterator[tuple[Any, ...]]:
        return (_description(problem, part) for part in problem.parts(limit / threads))

    def cost_at(theta: Array) -> float:
        return sum(float(forward_cost(theta, *part)) for part in parts())

    with one_blas_thread():
        for part in parts():
            m = part[-1].shape[0]
            size = max(1, int(BLOCK_OPERATIONS * run.threads / (2 * (theta.size * m + 100))))
            for first in range(0, positions.size, size):
                here = slice(first, min(first + size, positions.size))
                _block(theta, positions[here], epsilon, part, J_plus[here], J_minus[here], threads)
                run.progress((samples * positions.size + m * here.stop) // problem.m, positions.size)
            samples += m
        cost = problem.once("full cost", lambda: cost_at(theta))
        noise = problem.once(
            ("full noise", epsilon),
            lambda: network_noise(cost_at, theta, network.tensors, epsilon, deadline=run.deadline),
        )
    with np.errstate(invalid="ignore"):
        gradapprox = (J_plus - J_minus) / (2.0 * epsilon)
    return NumericalGradient(cost, J_plus, J_minus, gradapprox, network.layout.spread(noise, indices))


def _description(problem: Problem, part: Problem) -> tuple[Any, ...]:
    """Return what ``forward_cost`` needs apart from theta; of the penalty, the part's share."""
    network = problem.network
    return (
        np.array(network.widths, np.int64),
        np.array([activation_values.at(layer.activation) for layer in network.layers]),
        not network.activation_entries[-1].elementwise, sample_losses.at(network.cost),
        network.cost_entry.scale(problem.m, network.widths[-1]), network.l2 / (2 * problem.m) * (part.m / problem.m),
        np.ascontiguousarray(part.X.T), np.ascontiguousarray(part.Y.T),
    )  # fmt: skip


def _block(theta: Array, positions: Indices, epsilon: float, description: Any, plus: Array, minus: Array,
           threads: int) -> None:
    """One block of perturbed vectors, in pieces for threads whose kernels hold no lock."""

    def work(piece: slice) -> None:
        perturbed_costs(theta, positions[piece], epsilon, *description, plus[piece], minus[piece])

    edges = np.linspace(0, positions.size, (PIECES * threads if threads > 1 else 1) + 1).astype(int)
    run_all(work, [slice(a, b) for a, b in pairwise(edges) if a < b], threads)
