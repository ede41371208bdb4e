"""The response engine: every perturbed cost from the responses of single units, free of cancellation.

A change of W_l[i, j] by delta moves one pre-activation per sample, z_l[i, s], by delta * a_{l-1}[j, s].  With

    r_is(x) = l_s(z_l[i, s] + x) - l_s(z_l[i, s])

every perturbed cost of layer l is a sum of responses, J(theta + delta e_ij) - J = scale sum_s r_is(delta a[j, s]).
The kernels of ``columns`` carry x = +-h through the network as exact differences and give r_is as a short polynomial;
the sums over samples (``sums``) are matrix products of its coefficients with powers of the inputs.  Units with a kink
within reach, or steps too large for a quartic, are evaluated at every x literally.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..._types import Indices
from ...problems.gradients import NumericalGradient
from ...problems.networks.operations import column_operations
from ...problems.networks.problem import Problem
from ...runtime.run import Run
from ...runtime.threads import one_blas_thread, run_all
from . import unit_responses
from .block import Block
from .groups import COLUMNS_BYTES, bytes_per_column, columns, power_of_two
from .kernel_arrays import Buffers, buffers
from .prepare import blocks
from .responses import Responses
from .sample_sums import Sums
from .spot_check import spot_check

# Multiply-adds of a task, at least and at most: worth its buffers, and done soon enough for progress and Ctrl-C.
TASK_OPERATIONS = 2e6, 1e8
# Multiply-adds of a single sample's columns, at most; nearly all of them are matrix products.
WIDE_OPERATIONS = 1e9
# Units whose steps are far are propagated this often: for the losses, and for slopes on three sides.
FAR_LOOKS = 4.0
# Less work than this in all is not worth a thread.
INLINE_OPERATIONS = 1e6


@dataclass(frozen=True)
class Task:
    """Units of a layer and a range of samples: the smallest piece of work."""

    layer: int
    units: Indices
    first: int
    last: int


def differences(problem: Problem, indices: Indices | None, epsilon: float, run: Run) -> NumericalGradient:
    """Return all perturbed costs from the responses of single units (see the module's text)."""
    with one_blas_thread(), np.errstate(all="ignore"):
        sums = Sums(problem, indices, epsilon)
        facts = None
        for block in blocks(problem, epsilon, run):
            responses = respond(block, [place.units for place in sums.places], run)
            sums.add(block, responses, run)
            facts = facts or spot_check(block, responses, sums.value)
        return sums.finish(run, facts or {})


def respond(block: Block, units: list[Any], run: Run) -> list[Responses]:
    """Responses of the given units of every layer to every sample of the block."""
    widths = block.problem.network.widths
    width = columns(block.problem.network, min(COLUMNS_BYTES, run.memory_limit // 16))
    total = sum(block.m * len(chosen) * column_operations(widths, layer) for layer, chosen in enumerate(units))
    size = float(np.clip(total / (4 * run.threads), *TASK_OPERATIONS))
    tasks = [task for layer, chosen in enumerate(units) for task in _tasks(block, layer, chosen, width, size)]
    steps = [block.steps(layer) for layer in range(len(units))]
    mirrored = [block.mirrored(layer) for layer in range(len(units))]
    shapes = [(block.m, n) for n in widths[1:]]
    filled = [unit_responses.Filled(np.zeros((6, *shape)), np.zeros((2, *shape)), np.zeros(shape, np.uint8))
              for shape in shapes]

    pool: list[Buffers] = []

    def work(task: Task) -> int:
        k, own = task.layer, pool.pop() if pool else buffers(block.arrays, width)
        degree = unit_responses.respond_block(
            block.arrays, k, task.units, task.first, task.last, steps[k], mirrored[k], own, filled[k]
        )
        pool.append(own)
        return int(degree)

    done = _parameters_done(block, len(tasks), run)
    found = run_all(work, tasks, _threads(block, width, run) if total > INLINE_OPERATIONS else 1, done)
    degrees = [np.full(n, 2) for n in widths[1:]]
    for task, degree in zip(tasks, found, strict=True):
        degrees[task.layer][task.units] = np.maximum(degrees[task.layer][task.units], degree)
    return [Responses(chosen, f.powers, degree, f.bounds, f.kinds)
            for chosen, f, degree in zip(units, filled, degrees, strict=True)]


def _parameters_done(block: Block, tasks: int, run: Run) -> Any:
    """Progress in parameters, as the share of this block's tasks that are finished."""
    n, m = block.problem.network.size, block.problem.m
    return lambda count: run.progress(n * (block.first * tasks + block.m * count) // (m * tasks), n)


def _threads(block: Block, width: int, run: Run) -> int:
    """Return the number of threads whose buffers fit: half of the limit is the block's."""
    return max(1, min(run.threads, run.memory_limit // (2 * width * bytes_per_column(block.problem.network))))


def _tasks(block: Block, layer: int, units: Indices, width: int, size: float) -> list[Task]:
    """Return a layer's work in pieces of about ``size`` multiply-adds; how samples are shared out changes no digit."""
    far = block.far(layer)
    per_column = block.operations(layer) * (FAR_LOOKS if far else 1.0)
    width = power_of_two((TASK_OPERATIONS[1] if far else WIDE_OPERATIONS) / per_column, width)
    tasks = []
    for start in range(0, len(units), width):
        chosen = units[start : start + width]
        samples = max(1, int(size / (per_column * len(chosen))))
        for first in range(0, block.m, samples):
            last = min(first + samples, block.m)
            tasks.append(Task(layer, chosen, first, last))
    return tasks
