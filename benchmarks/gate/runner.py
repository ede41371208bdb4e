"""Benchmarks run in a fresh process: what pytest-benchmark wrote, by short names.

The process keeps the memory it has got.  Left to itself, glibc gives what a check of a middle-sized network frees back
to the system or not, by what happens to lie above it: the same check took 7.8 ms alone in a process, and after another
one 19 ms, with 7,264 page faults.  With memory kept it takes 7.8 to 8.0 ms wherever it stands.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
# Read by glibc, ignored elsewhere; 32 MiB is the most that mallopt(3) allows, and holds every vector of the benchmarks.
KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(32 << 20), "MALLOC_TRIM_THRESHOLD_": str(1 << 40)}


@dataclass(frozen=True)
class Measured:
    """One process's measurements.

    results : by short name: ``extra_info`` (ratio, spread, seconds, ...), with the median time where it has none.
    trouble : what pytest printed, if a benchmark failed or none was found; else empty.
    raw : pytest-benchmark's whole JSON.
    """

    results: dict[str, dict[str, Any]]
    trouble: str
    raw: dict[str, Any]


def short(node: str) -> str:
    """``benchmarks/tracked/bench_engines.py::test_response[course]`` as ``engines: response[course]``."""
    file, _, test = node.rpartition("::")
    return f"{Path(file).stem.removeprefix('bench_')}: {test.removeprefix('test_')}"


def node(name: str) -> str:
    """The pytest node of a short name."""
    file, _, test = name.partition(": ")
    return f"benchmarks/tracked/bench_{file}.py::test_{test}"


def measure(names: Sequence[str] = (), *, wanted: str = "", gated: bool = True) -> Measured:
    """Run benchmarks in a fresh process.

    Parameters
    ----------
    names : short names; none for all.
    wanted : pytest's ``-k`` expression.
    gated : only those that the gate judges.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "result.json"
        command = [sys.executable, "-m", "pytest", *(map(node, names) if names else ["benchmarks"]), "-q",
                   "--benchmark-enable", "--benchmark-only", "--benchmark-disable-gc", "--benchmark-json", str(path)]
        command += ["-m", "gate"] if gated else []
        command += ["-k", wanted] if wanted else []
        done = subprocess.run(command, cwd=ROOT, env={**os.environ, **KEEP_MEMORY}, capture_output=True, text=True)
        text = path.read_text() if path.exists() else ""
    raw = json.loads(text) if text.strip() else {"benchmarks": []}
    results = {
        short(found["fullname"]): {"seconds": found["stats"]["median"], **found["extra_info"]}
        for found in raw["benchmarks"]
    }
    return Measured(results, done.stdout + done.stderr if done.returncode else "", raw)
