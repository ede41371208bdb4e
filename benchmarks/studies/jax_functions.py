"""JAX's check_grads beside ``fastcheck.jax``: functions of several kinds, first and warm calls, timed in turn.

    python -m benchmarks.studies.jax_functions [--rounds 8]
"""

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.test_util import check_grads as by_jax
from rich.console import Console
from rich.table import Table

from fastcheck.jax import check_grads

RNG = np.random.default_rng(0)


def network(x: Any, w: Any) -> Any:
    """Compute the squared distance of a small network's outputs from one."""
    hidden = jax.nn.relu(x @ w @ w.T)
    return jnp.mean((jax.nn.gelu(hidden @ w) - 1.0) ** 2)


def convolved(x: Any, kernel: Any) -> Any:
    """Compute the means of channels after a convolution."""
    return jax.nn.relu(lax.conv(x, kernel, (1, 1), "SAME")).mean((2, 3))


FUNCTIONS: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "sin, 12 entries": (jnp.sin, (RNG.standard_normal((3, 4)),)),
    "log_softmax, 64 entries": (jax.nn.log_softmax, (RNG.standard_normal((4, 16)),)),
    "tanh(x @ w), 288 entries": (lambda x, w: jnp.tanh(x @ w).sum(0),
                                 (RNG.standard_normal((8, 16)), RNG.standard_normal((16, 10)))),
    "network, 288 entries": (network, (RNG.standard_normal((8, 16)), RNG.standard_normal((16, 10)))),
    "convolution, 492 entries": (convolved, (RNG.standard_normal((2, 3, 8, 8)), RNG.standard_normal((4, 3, 3, 3)))),
}


def seconds_of(call: Callable[..., None], f: Callable[..., Any], args: tuple[Any, ...]) -> float:
    """Measure the processor time of one check, which raises unless the derivatives are right."""
    start = time.process_time()
    call(f, args, order=1)
    return time.process_time() - start


def measure(rounds: int) -> Table:
    """Check every function by both, in turn."""
    table = Table("function", "JAX, first", "ours, first", "JAX, warm", "ours, warm", "ratio, warm")
    for name, (f, args) in FUNCTIONS.items():
        taken = [[seconds_of(call, f, args) for call in (by_jax, check_grads)] for _ in range(rounds + 1)]
        theirs, ours = (statistics.median(row[k] for row in taken[1:]) for k in (0, 1))
        table.add_row(name, *(f"{t:.2f} s" for t in taken[0]), *(f"{1e3 * t:.1f} ms" for t in (theirs, ours)),
                      f"{ours / theirs:.2f}")
    return table


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=8)
    arguments = parser.parse_args()
    with jax.enable_x64(True):
        Console().print(measure(arguments.rounds))


if __name__ == "__main__":
    main()
