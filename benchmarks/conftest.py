"""Fixtures of the benchmarks that the gate judges."""

import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest

from benchmarks.gate.paired import Paired, planted

# The other modules are scripts, some of which import what the tests do without.
collect_ignore = ["__main__.py", "measure.py", "data", "gate", "gradbugs", "studies"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark all benchmarks as slow: run once untimed, as tests are, they take long together."""
    for item in items:
        if item.path.name.startswith("bench_"):
            item.add_marker("slow")


@pytest.fixture
def paired(benchmark: Any, request: pytest.FixtureRequest) -> Paired:
    """Times a subject in turn with the frozen reference: ``paired(subject, mixture)`` gives the subject's result."""
    return Paired(benchmark, planted(request.node.nodeid))


@pytest.fixture
def weighed(benchmark: Any) -> Callable[[Callable[[], Any], int], Any]:
    """Peak memory of a subject in units of so many bytes: ``weighed(subject, unit)`` gives the subject's result.

    What NumPy and Python allocate is counted, so that the number does not depend on the machine.
    """

    def weigh(subject: Callable[[], Any], unit: int) -> Any:
        subject()
        tracemalloc.start()
        try:
            result = benchmark.pedantic(subject)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        benchmark.extra_info.update(ratio=peak / unit, spread=0.0, seconds=0.0, reference=0.0, mixture="memory peak",
                                    bytes=peak)
        return result

    return weigh
