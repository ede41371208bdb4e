"""What every benchmark needs: times, their readable form, and what the machine and the scheme could do at best."""

import platform
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.data.networks import Case
from fastcheck.problems.networks.cost_model import operations as multiply_adds

LIBRARIES = ("numpy", "numba", "llvmlite", "scipy")


def seconds_of(call: Callable[[], Any]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def processor_seconds_of(call: Callable[[], Any]) -> float:
    """Processor time of one call, all threads together: what other work on the machine leaves nearly alone."""
    start = time.process_time()
    call()
    return time.process_time() - start


def readable(seconds: float) -> str:
    """A time with a unit that suits it."""
    for limit, factor, unit in ((1e-6, 1e9, "ns"), (1e-3, 1e6, "us"), (1.0, 1e3, "ms"), (120.0, 1.0, "s"),
                                (7200.0, 1 / 60, "min"), (172800.0, 1 / 3600, "h")):
        if seconds < limit:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds / 86400:.3g} days"


def readable_ratio(ratio: float) -> str:
    """Two digits of a small ratio, all before the point of a large one."""
    return f"{ratio:,.0f}" if ratio > 100.0 else f"{ratio:.2g}"


def dgemm_rate(size: int = 1024) -> float:
    """Multiply-adds per second of a large matrix product on as many cores as BLAS may use now."""
    a = np.random.default_rng(0).standard_normal((size, size))
    a @ a
    return size**3 / min(seconds_of(lambda: a @ a) for _ in range(7))


def operations(case: Case) -> float:
    """Multiply-adds of the scheme: both signs of every unit and sample through every later unit, and the sums."""
    return multiply_adds(case.net, case.X.shape[1], "response")


def processor() -> str:
    """The processor's name, and what tells apart processors of one name."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor() or platform.machine()
    facts = dict(line.split(":", 1) for line in text.split("\n\n")[0].splitlines() if ":" in line)
    found = {name.strip(): value.strip() for name, value in facts.items()}
    if "model name" not in found:
        return platform.machine()
    marks = [f"{name} {found[key]}" for name, key in (("family", "cpu family"), ("model", "model"),
                                                      ("stepping", "stepping")) if key in found]
    return ", ".join([found["model name"], *marks])


def versions() -> dict[str, str]:
    """Python's version and those of the libraries that the times depend on."""
    return {"python": platform.python_version(), **{name: version(name) for name in LIBRARIES}}
