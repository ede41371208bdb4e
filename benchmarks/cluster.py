"""The cost model of `fastcheck.estimate` beside measured checks, and what it says of a network of 1e9 parameters.

    python -m benchmarks.cluster [--rounds 3] [--large]

Checks run on the workers of pools of processes, one thread each, and of a Dask cluster on this machine where
`distributed` is installed; the engines of loops run on one thread of this process.  --large: the model's table only.
"""

import argparse
import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from importlib.util import find_spec
from itertools import pairwise
from statistics import median

from rich.console import Console
from rich.table import Table

import fastcheck as fc
from fastcheck.estimate import Estimate, readable_bytes, readable_seconds

from .measure import processor, seconds_of
from .networks import Case, case

CONSOLE = Console(width=120)
WORKERS = 1, 2
# Widths, samples.
NETWORKS = ([784, 512, 256, 10], 128), ([1024, 1024, 1024, 1024, 10], 32), ([2048, 2048, 10], 16)
LOOPS = {"full": ([64, 32, 16, 10], 32), "reference": ([64, 32, 16, 10], 32)}
# Four square layers of 16,384 units: 1.07e9 parameters, with so many samples, on so many workers.
LARGE, LARGE_SAMPLES, MANY = [16384] * 5, 16, (1, 8, 64, 256)
MEMORY = 1 << 30


@contextmanager
def dask(count: int) -> Iterator[Executor]:
    """The executor of a Dask cluster of so many processes."""
    from distributed import Client, LocalCluster

    cluster = LocalCluster(n_workers=count, threads_per_worker=1, dashboard_address=":0", silence_logs=50)
    with cluster, Client(cluster) as client:
        yield client.get_executor()


def pool(count: int) -> Executor:
    """A pool of so many fresh processes, as on other machines."""
    return ProcessPoolExecutor(count, multiprocessing.get_context("spawn"))


KINDS: dict[str, Callable[[int], AbstractContextManager[Executor]]] = {"processes": pool}
if find_spec("distributed"):
    KINDS["Dask"] = dask


def measured(given: Case, rounds: int, engine: str, executor: Executor | None) -> float:
    """Seconds of a check, the median of some."""
    arguments = given.net, given.parameters, given.gradients, given.X, given.Y

    def check() -> None:
        fc.check(*arguments, engine=engine, epsilon=1e-5, threads=1, memory_limit=MEMORY, executor=executor)

    check()  # workers import and compile
    return median(seconds_of(check) for _ in range(rounds))


def row(given: Case, engine: str, workers: str, expected: Estimate, seconds: float) -> list[str]:
    """A row of the table of comparisons."""
    return [f"{given.name} ({given.X.shape[1]})", engine, workers, f"{expected.seconds:.3g} s", f"{seconds:.3g} s",
            f"{expected.seconds / seconds:.2f}"]


def comparisons(rounds: int) -> Iterator[list[str]]:
    """Predicted and measured seconds: of every network on every kind of workers, and of the loops."""
    given = [case(widths, "relu", samples) for widths, samples in NETWORKS]
    for kind, make in KINDS.items():
        for count in WORKERS:
            with make(count) as executor:
                for each in given:
                    expected = fc.estimate(each.net, each.X.shape[1], workers=count, memory_limit=MEMORY)
                    yield row(each, "response", f"{count} {kind}", expected,
                              measured(each, rounds, "response", executor))
    for engine, (widths, samples) in [*LOOPS.items(), *(("response", network) for network in NETWORKS)]:
        each = case(widths, "relu", samples)
        expected = fc.estimate(each.net, samples, engine=engine, threads=1, memory_limit=MEMORY)
        yield row(each, engine, "none", expected, measured(each, rounds, engine, None))


def large() -> Iterator[list[str]]:
    """What the model says of a network that no test can check."""
    net = fc.Network([fc.Dense(a, b, "relu") for a, b in pairwise(LARGE)], cost="squared_error")
    for count in MANY:
        found = fc.estimate(net, LARGE_SAMPLES, workers=count, memory_limit=MEMORY)
        yield [f"{net.size:,}", str(count), readable_seconds(found.seconds), readable_bytes(found.worker_memory),
               readable_bytes(found.memory)]


def shown(title: str, headings: str, rows: Iterator[list[str]]) -> None:
    """Print a table."""
    table = Table(title=title)
    for heading in headings.split("|"):
        table.add_column(heading.strip())
    for cells in rows:
        table.add_row(*cells)
    CONSOLE.print(table)


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--large", action="store_true", help="only what the model says of 1e9 parameters")
    chosen = parser.parse_args()
    if not chosen.large:
        shown(f"Model and runs, {processor()}", "network (samples) | engine | workers | predicted | measured | ratio",
              comparisons(chosen.rounds))
    shown(f"{LARGE_SAMPLES} samples, 4 layers of {LARGE[0]:,} units: by the model",
          "parameters | workers | time | memory of each | of the caller", large())


if __name__ == "__main__":
    main()
