"""What a check will cost: operations, seconds and bytes, on one machine or several workers."""

from dataclasses import dataclass

from ..._names import Engine
from ..._validation import integer, known
from ...runtime.quantities import readable_bytes, readable_seconds
from ...runtime.resources import available_bytes, memory_of, threads_of
from .network import Network
from .operations import unit_operations

# Multiply-adds a second of one thread; seconds of a call per layer and evaluation, and of an activation, by engine.
# Measured by processor time on one core of an Intel Xeon (family 6, model 207); ``benchmarks/studies/cluster.py``
# holds them against runs.
RATES = {"response": 1.5e10, "full": 1.2e10, "reference": 1.2e10}
CALLS = {"response": 0.0, "full": 3e-7, "reference": 1.2e-5}
ELEMENTS = {"response": 1.5e-9, "full": 1e-8, "reference": 2e-8}
# Seconds of the response engine for the loss of a unit's sample to one side.
SECONDS_PER_COLUMN = 2e-7
# Share of the work left for piecewise-linear hidden layers: one sign follows from the other, and inactive units are
# skipped.
PIECEWISE_SHARE = 0.1
# Seconds that the smallest check takes, ...
LEAST_SECONDS = 2e-3
# ... and that judging takes for each parameter, in passes over the vectors of n numbers.
SECONDS_PER_PARAMETER = 3e-8
# Vectors of n doubles: theta, gradients, gradapprox, both costs, and temporaries.
VECTORS = 6
# Bytes a second between the caller and its workers: pickled, through a pipe or a network.
BYTES_PER_SECOND = 2e8
# Bytes that come back for each parameter.
RESULTS = 24


def evaluation_seconds(net: Network, samples: int, engine: str) -> float:
    """Return the seconds of one forward propagation by an engine that makes two for every parameter."""
    elements = samples * sum(net.widths[1:]) * ELEMENTS[engine]
    return net.size * samples / RATES[engine] + len(net.layers) * CALLS[engine] + elements


def engine_seconds(net: Network, samples: int, engine: str) -> float:
    """Return the seconds that all parameters take one thread of an ordinary machine."""
    if engine != "response":
        return 2.0 * net.size * evaluation_seconds(net, samples, engine)
    widths = net.widths
    columns = [2.0 * samples * n for n in widths[1:]]
    elements = ELEMENTS[engine] * sum(count * sum(widths[k + 2 :]) for k, count in enumerate(columns))
    share = PIECEWISE_SHARE if all(entry.linear for entry in net.activation_entries[:-1]) else 1.0
    work = operations(net, samples, engine) / RATES[engine] + elements
    return share * work + SECONDS_PER_COLUMN * sum(columns)


@dataclass(frozen=True)
class Estimate:
    """What checking every parameter of a network takes, to within a factor of two or three.

    Attributes
    ----------
    parameters, samples, engine, threads, workers : what it is for.
    operations : multiply-adds.
    seconds : on an ordinary machine.
    memory : bytes at most, of this process, on top of what the caller holds.
    worker_memory : bytes at most, of each worker; 0 without any.
    """

    parameters: int
    samples: int
    engine: str
    threads: int
    workers: int
    operations: float
    seconds: float
    memory: int
    worker_memory: int

    def __str__(self) -> str:
        where = f"{self.workers} workers" if self.workers else f"{self.threads} threads"
        each = f", {readable_bytes(self.worker_memory)} for each worker" if self.workers else ""
        return (f"{self.parameters:,} parameters, {self.samples:,} samples, engine {self.engine}, {where}: about "
                f"{readable_seconds(self.seconds)} and {readable_bytes(self.memory)} of memory{each}")


def estimate(
    net: Network, samples: int, *, engine: Engine = "response", threads: int | None = None,
    memory_limit: int | None = None, workers: int = 0,
) -> Estimate:
    """Return how long a check of every parameter will take, and how much memory.

    Parameters
    ----------
    net : the network; samples : m, the number of columns of X.
    engine, threads, memory_limit : as in ``check``.
    workers : of an executor, one thread each; 0 for none.

    Returns
    -------
    Estimate : ``print`` it, or read ``seconds`` and ``memory``.

    Examples
    --------
    >>> from fastcheck import Dense
    >>> net = Network([Dense(784, 512, "relu"), Dense(512, 10, "softmax")], cost="cross_entropy")
    >>> found = estimate(net, 128, threads=2, memory_limit=2**30)
    >>> found.parameters, found.seconds < 10, estimate(net, 128, engine="reference").seconds > 600
    (407050, True, True)
    """
    if not isinstance(net, Network):
        raise TypeError(f"net: expected a fastcheck.Network, got {type(net).__name__}")
    samples, workers = integer("samples", samples, 1), integer("workers", workers, 0)
    known("engine", engine, RATES)
    limit, cores = memory_of(memory_limit), threads_of(threads)
    alone = engine_seconds(net, samples, engine)
    seconds = LEAST_SECONDS + alone / (workers or cores) + SECONDS_PER_PARAMETER * net.size
    if workers:
        seconds += net.size * (8 * workers + RESULTS) / BYTES_PER_SECOND
    vectors = 8 * net.size
    return Estimate(
        net.size, samples, engine, cores, workers, operations(net, samples, engine), seconds,
        VECTORS * vectors + (0 if workers else limit), vectors + limit if workers else 0,
    )


def require_memory(net: Network, memory_limit: int) -> None:
    """Refuse a check of all parameters that does not fit this machine's memory.

    Raises
    ------
    MemoryError : with the numbers, and what would fit.
    """
    free = available_bytes()
    needed = (VECTORS - 2) * 8 * net.size  # two are there already: parameters and gradients
    if free is not None and needed + memory_limit > free:
        raise MemoryError(
            f"memory: expected room for the results of {net.size:,} parameters and for memory_limit, "
            f"{readable_bytes(needed)} and {readable_bytes(memory_limit)}, got {readable_bytes(free)} free; lower "
            "memory_limit, or use "
            'method="sample", which needs a small part of that, or method="directional", which needs less'
        )


def operations(net: Network, samples: int, engine: str) -> float:
    """Multiply-adds to difference the cost at every parameter."""
    if engine != "response":
        return 2.0 * net.size * net.size * samples
    widths = net.widths
    return sum(n * unit_operations(widths, layer, samples) for layer, n in enumerate(widths[1:]))
