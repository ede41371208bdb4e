"""PyTorch's slow gradcheck beside ``fastcheck.torch``: one MLP, every parameter, timed in turn.

    python -m benchmarks.studies.frameworks [--threads 1 2] [--rounds 5] [--samples 8]
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import nn
from torch.func import functional_call

import fastcheck.torch as ft

WIDTHS = (100, 100, 10)


def seconds_of(call: Callable[[], Any]) -> float:
    """Wall time of one call, which must say that the gradients are right."""
    start = time.perf_counter()
    result = call()
    seconds = time.perf_counter() - start
    if not (result is True or result.ok):
        raise AssertionError(str(result))
    return seconds


def network(samples: int) -> tuple[nn.Module, Callable[..., torch.Tensor], tuple[torch.Tensor, ...], Any]:
    """The MLP, its loss as a function of its parameters, the parameters, and the data."""
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(*WIDTHS[:2]), nn.Tanh(), nn.Linear(*WIDTHS[1:])).double()
    X, Y = torch.randn(samples, WIDTHS[0], dtype=torch.float64), torch.randint(0, WIDTHS[-1], (samples,))
    names = [name for name, _ in module.named_parameters()]

    def loss(*parameters: torch.Tensor) -> torch.Tensor:
        return nn.functional.cross_entropy(
            functional_call(module, dict(zip(names, parameters, strict=True)), (X,)), Y)

    return module, loss, tuple(p.detach().clone().requires_grad_() for p in module.parameters()), (X, Y)


def measure(samples: int, threads: int, rounds: int) -> list[list[str]]:
    """Rows of the table, all ways in turn in each round."""
    module, loss, parameters, (X, Y) = network(samples)
    ways: dict[str, Callable[[], Any]] = {
        "torch.autograd.gradcheck": lambda: torch.autograd.gradcheck(loss, parameters),
        "fastcheck.torch.gradcheck": lambda: ft.gradcheck(loss, parameters),
        "the same, fast_mode=True": lambda: ft.gradcheck(loss, parameters, fast_mode=True),
        "fastcheck.torch.check_module": lambda: ft.check_module(module, nn.CrossEntropyLoss(), X, Y, threads=threads),
    }
    torch.set_num_threads(threads)
    for way in list(ways.values())[1:]:
        way()
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            times[name].append(seconds_of(way))
    theirs = times["torch.autograd.gradcheck"]
    rows = []
    for name, ours in times.items():
        ratios = [a / b for a, b in zip(theirs, ours, strict=True)]
        rows.append([name, str(threads), f"{statistics.median(ours):.3g} s", f"{statistics.median(ratios):,.1f}",
                     f"{min(ratios):,.1f}-{max(ratios):,.1f}"])
    return rows


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, nargs="*", default=[1, os.cpu_count() or 1])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--samples", type=int, default=8)
    arguments = parser.parse_args()
    table = Table("check", "threads", "median", "times faster than torch", "spread")
    for threads in arguments.threads:
        for row in measure(arguments.samples, threads, arguments.rounds):
            table.add_row(*row)
    size = sum(a * b + b for a, b in pairwise(WIDTHS))
    console = Console(width=120)
    console.print(table)
    console.print(f"{'-'.join(map(str, WIDTHS))}, {size:,} parameters, {arguments.samples} samples, float64")


if __name__ == "__main__":
    main()
