"""One subject timed against the frozen reference, in alternation: the ratio says how fast it is on any day.

On a shared machine the time of the same code varies by half or doubles; what slows it slows its neighbour in time as
well.  Each round times the reference, then the subject; the benchmark's number is the median of the rounds' ratios.

Two choices were measured in one process, on a machine with twice as many busy processes as cores, as the best of some
three dozen ways: how far apart the two halves of its rounds lie, mean of all benchmarks of the gate.  Medians of the
rounds' ratios, which compare neighbours in time only: 2.9 %; ratios of the two medians: 4.1 %.  By processor time,
which leaves out what other processes took: 1.4 and 2.8 %.  Hence processor time, for one thread as for several; what
only waits is not seen.  How ratios spread from process to process is for the baseline to say.

No result is kept while the next is made, or a process that does not keep its memory (see ``runner``) would get it anew
for every other check of a middle-sized network, and the median fall on either side.
"""

import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture
from threadpoolctl import threadpool_limits

from benchmarks.data.networks import Array
from benchmarks.gate.reference import MIXTURES

ROUNDS = 60
WARM_ROUNDS = 3
ROUND_SECONDS = 0.005  # at least, where one call takes less

CLOCK = time.process_time
TIMED = pytest.mark.benchmark(timer=CLOCK)
# The marks of every module whose benchmarks are judged.
GATE = [pytest.mark.gate, TIMED]

# "1.3:NAME,NAME" makes benchmarks whose names contain one of these slower, for trials of the gate itself.
SLOWDOWN = "FASTCHECK_BENCH_SLOWDOWN"


class Paired:
    """Times a subject and the reference in turn.

    Parameters
    ----------
    benchmark : pytest-benchmark's fixture, which keeps the subject's times and ``extra_info``.
    slowdown : how many times its own time the subject is to take, really working; 1 but in trials of the gate.
    """

    def __init__(self, benchmark: BenchmarkFixture, slowdown: float = 1.0) -> None:
        self.benchmark, self.slowdown = benchmark, slowdown

    def __call__(self, subject: Callable[[], Any], mixture: str) -> Any:
        """Run, record and return the subject's last result.

        Parameters
        ----------
        subject : no arguments; warm, that is compiled, after one call.
        mixture : of ``reference.MIXTURES``, the one whose ratio is most alike in all processes, idle and busy.  As
            measured: "products" for loops over elements, "calls" for small costs and printing, "mixed" for checks.
        """
        reference = MIXTURES[mixture]
        with threadpool_limits(1, user_api="blas"):
            if self.benchmark.disabled:
                reference()
                return self.benchmark.pedantic(subject)
            subject()
            calls, units = self._repeats(subject), self._repeats(reference)
            theirs: list[float] = []
            self.benchmark.pedantic(
                lambda: self._round(subject, calls), setup=lambda: theirs.append(self._time(reference, units)),
                rounds=ROUNDS, warmup_rounds=WARM_ROUNDS,
            )
            result = subject()
        ours = np.array(self.benchmark.stats.stats.data) / calls
        self.benchmark.extra_info.update(summary(ours, np.array(theirs[WARM_ROUNDS:]) / units))
        self.benchmark.extra_info.update(mixture=mixture, calls=calls, units=units)
        return result

    def _repeats(self, function: Callable[[], Any]) -> int:
        """How many calls make a round: the best of three, or a slow moment would make rounds too short."""
        calls = 1
        while (seconds := min(self._time(function, calls) for _ in range(3))) < ROUND_SECONDS:
            calls = min(10 * calls, 1 + int(calls * 1.1 * ROUND_SECONDS / max(seconds, 1e-9)))
        return calls

    def _time(self, function: Callable[[], Any], times: int) -> float:
        start = CLOCK()
        for _ in range(times):
            function()
        return CLOCK() - start

    def _round(self, subject: Callable[[], Any], calls: int) -> None:
        start = CLOCK()
        for _ in range(calls):
            subject()
        if self.slowdown > 1.0:
            end = start + self.slowdown * (CLOCK() - start)
            while CLOCK() < end:
                MIXTURES["elements"]()


def summary(ours: Array, theirs: Array) -> dict[str, float]:
    """Ratio (median of the rounds'), their spread (half their middle half, relative), and the medians of both."""
    low, ratio, high = (float(q) for q in np.quantile(ours / theirs, [0.25, 0.5, 0.75]))
    subject, reference = float(np.median(ours)), float(np.median(theirs))
    return {"ratio": ratio, "spread": (high - low) / 2.0 / ratio, "ratio of medians": subject / reference,
            "seconds": subject, "reference": reference}


def planted(name: str) -> float:
    """The slowdown asked for in the environment for the benchmark of that name; 1 for none."""
    factor, _, names = os.environ.get(SLOWDOWN, "").partition(":")
    return float(factor) if any(part and part in name for part in names.split(",")) else 1.0
