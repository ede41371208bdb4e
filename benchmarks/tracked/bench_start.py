"""A fresh process: importing, the first check with kernels on disk, the first check ever; and its peak memory.

Not judged by the gate: a process takes seconds, so that sixty rounds of it would take minutes.
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
FIRST_CHECK = """
import resource, sys
from benchmarks.data.networks import case
made = case([784, 512, 256, 10], "relu", 128)
import fastcheck as fc
print(fc.check(made.net, made.parameters, made.gradients, made.X, made.Y).verdict)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""


def child(code: str, **environment: str) -> list[str]:
    """What a fresh Python prints."""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env={**os.environ, **environment}, check=True,
                          capture_output=True, text=True)
    return done.stdout.split()


@pytest.mark.parametrize("module", ["numpy", "fastcheck"])
def test_import(benchmark: Any, module: str) -> None:
    found = benchmark.pedantic(child, (f"import {module}; print({module}.__name__)",), rounds=9, warmup_rounds=1)
    assert found == [module]


def test_warm_start(benchmark: Any) -> None:
    """Import, 784-512-256-10 on 128 images, check: all kernels on disk."""
    verdict, peak = benchmark.pedantic(child, (FIRST_CHECK,), rounds=5, warmup_rounds=1)
    benchmark.extra_info["peak MiB"] = int(peak) >> 20
    assert verdict == "pass"


def test_cold_start(benchmark: Any, tmp_path: Path) -> None:
    """The same where nothing was ever compiled."""
    if benchmark.disabled:
        pytest.skip("compiles every kernel again, which the tests do anyway in an empty cache; run by scripts/bench")
    verdict, _ = benchmark.pedantic(child, (FIRST_CHECK,), {"NUMBA_CACHE_DIR": str(tmp_path)}, rounds=1)
    assert verdict == "pass"
