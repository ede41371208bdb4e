"""Settings of all tests, benchmarks and doctests, made before anything imports Numba.

pyproject.toml hands this module to pytest as a plugin, whatever files it is to collect.
"""

import gc
import hashlib
import os
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from fastcheck.runtime.kernel_sources import kernel_sources
from tests.support.repository import ROOT

# Tests and doctests are collected by importing the module they stand in: without its framework it is left out.
NEEDS = {"fastcheck/torch": "torch", "fastcheck/jax": "jax", "tests/torch": "torch", "tests/jax": "jax",
         "fastcheck/problems/files/torch_chain.py": "torch",
         "tests/reliability/mutants.py": "cosmic_ray"}

# A test that takes more processor seconds than this, those of its child processes included, is to bear the mark slow.
QUICK = 2.0
UNMARKED = "long without the mark slow"
_began = pytest.StashKey[float]()
_unmarked: dict[str, float] = {}


def kernel_digest() -> str:
    """Digest of everything that machine code is made from.

    Numba's own cache notices neither a change in a called file nor one in its settings, some of which change the code
    (bounds checks).
    """
    digest = hashlib.blake2b(digest_size=8)
    for path in kernel_sources():
        digest.update(path.read_bytes())
    settings = {name: value for name, value in os.environ.items() if name.startswith("NUMBA_")}
    digest.update(repr(sorted((settings | {"NUMBA_CACHE_DIR": ""}).items())).encode())
    return digest.hexdigest()


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave out modules that cannot be imported here, because what they need is not installed."""
    lacking = [ROOT / place for place, needed in NEEDS.items() if find_spec(needed) is None]
    return True if any(collection_path.is_relative_to(place) for place in lacking) else None


def pytest_collection_finish() -> None:
    """Spare the garbage collector what was imported and collected: looking it all through takes a third of a second.

    That would fall into whatever a test was measuring.
    """
    gc.collect()
    gc.freeze()


def processor_seconds() -> float:
    """What this process and the children that it waited for have spent."""
    return sum(os.times()[:4])


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Note when the test began."""
    item.stash[_began] = processor_seconds()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Say in its last report what the test took, if that is long and it does not say so.

    What compiles a kernel first may be among them by chance.
    """
    report = yield
    taken = processor_seconds() - item.stash.get(_began, processor_seconds())
    if call.when == "teardown" and taken > QUICK and item.get_closest_marker("slow") is None:
        report.user_properties.append((UNMARKED, taken))
    return report


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Gather what the reports say: they come from the processes that ran the tests."""
    for name, value in report.user_properties:
        if name == UNMARKED:
            _unmarked[report.nodeid] = value


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """List those tests, so that nobody lengthens ``-m "not slow"`` unseen."""
    if _unmarked:
        terminalreporter.section(f"over {QUICK:g} processor seconds without the mark slow")
        for name, seconds in sorted(_unmarked.items(), key=lambda pair: -pair[1]):
            terminalreporter.write_line(f"{seconds:6.1f} s  {name}")


os.environ["NUMBA_CACHE_DIR"] = str(ROOT / ".pytest_cache" / f"numba-{kernel_digest()}")
os.environ.setdefault("MPLBACKEND", "Agg")
