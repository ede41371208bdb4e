"""The cost model of ``fastcheck.estimate`` against measured runs, and what it says of a billion parameters.

Every network is checked in this process on one thread, and by one and two workers: processes of the standard library,
and Dask's where ``distributed`` is installed.

    python -m benchmarks.studies.cluster [--rounds 3]
"""

import argparse
import multiprocessing
import statistics
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager, nullcontext
from importlib.util import find_spec
from itertools import pairwise
from typing import Any

from rich.console import Console
from rich.table import Table

import fastcheck as fc
from benchmarks.data.networks import case
from benchmarks.measure import processor, readable, seconds_of
from fastcheck.runtime.quantities import readable_bytes, readable_seconds

# Widths, activation, samples and engine.
MEASURED = (
    ([784, 512, 256, 10], "relu", 128, "response"), ([784, 512, 256, 10], "tanh", 128, "response"),
    ([1024, 1024, 1024, 1024, 10], "relu", 32, "response"), ([1024, 1024, 1024, 1024, 10], "tanh", 32, "response"),
    ([4096, 4096, 4096, 10], "relu", 8, "response"), ([256, 32, 16, 10], "relu", 64, "full"),
    ([64, 32, 16, 10], "relu", 32, "reference"),
)
BILLION, SAMPLES = [18258, 18258, 18258, 18258, 10], 16
MANY = (1, 8, 64, 256)


@contextmanager
def processes(count: int) -> Iterator[Executor]:
    """So many workers of the standard library."""
    with ProcessPoolExecutor(count, multiprocessing.get_context("spawn")) as executor:
        yield executor


@contextmanager
def dask(count: int) -> Iterator[Executor]:
    """So many workers of Dask, one thread each."""
    from distributed import Client, LocalCluster

    with LocalCluster(
        n_workers=count, threads_per_worker=1, dashboard_address=None, silence_logs=50
    ) as cluster, Client(cluster) as client:
        yield client.get_executor()


WAYS: dict[str, Callable[[int], Any]] = {"processes": processes}
if find_spec("distributed"):
    WAYS["Dask"] = dask


def measure(widths: list[int], hidden: str, samples: int, engine: str, rounds: int) -> Iterator[list[str]]:
    """Rows of the table: one for each way and number of workers."""
    made = case(widths, hidden, samples)
    for way, workers in (("this process", 0), *((way, count) for way in WAYS for count in (1, 2))):
        with WAYS[way](workers) if workers else nullcontext() as executor:

            def check(executor: Any = executor) -> None:
                fc.check(made.net, made.parameters, made.gradients, made.X, made.Y, engine=engine, threads=1,
                         executor=executor)

            check()  # workers begin, and kernels are loaded
            seconds = statistics.median(seconds_of(check) for _ in range(rounds))
        expected = fc.estimate(made.net, samples, engine=engine, threads=1, workers=workers).seconds
        yield [f"{made.name} ({samples}), {engine}", way if not workers else f"{way}, {workers}",
               readable(expected), readable(seconds), f"{seconds / expected:.2f}"]


def billion() -> Table:
    """What a network of a billion parameters would take."""
    layers = [fc.Dense(a, b, "relu") for a, b in pairwise(BILLION[:-1])]
    net = fc.Network([*layers, fc.Dense(BILLION[-2], BILLION[-1], "softmax")], cost="cross_entropy")
    table = Table("workers", "time", "memory of each", "memory of the caller",
                  title=f"{'-'.join(map(str, BILLION))}, {SAMPLES} samples: {net.size:,} parameters")
    for workers in MANY:
        found = fc.estimate(net, SAMPLES, threads=1, workers=workers)
        table.add_row(str(workers), readable_seconds(found.seconds), readable_bytes(found.worker_memory),
                      readable_bytes(found.memory))
    return table


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    console = Console(width=120)
    table = Table("network (samples), engine", "workers", "estimate", "measured", "measured / estimate")
    for given in MEASURED:
        for row in measure(*given, arguments.rounds):
            table.add_row(*row)
    console.print(table)
    console.print(billion())
    console.print(processor(), highlight=False)


if __name__ == "__main__":
    main()
