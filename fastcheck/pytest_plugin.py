"""A plugin for pytest: reports of failed checks, a ``gradcheck`` fixture, and a line in the terminal's summary.

Where fastcheck is installed pytest loads this file by itself; else ``-p fastcheck.pytest_plugin`` does.  Nothing of
fastcheck is imported before a test uses it.
"""

import re
import sys
import time
import zlib
from collections.abc import Callable, Generator, Iterable
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .report.report import Report

PROPERTY = "fastcheck"
MARKER = "gradcheck(seed=None, time_limit=None): the seed and the seconds of the gradcheck fixture in this test"
# Seconds that all checks of one test may take together, unless the ini file or a marker says otherwise.
TIME_LIMIT = 60.0
REPORT = "fastcheck report"


class GradCheck:
    """Gradient checks of one test: each asserts, with the test's own seed and what is left of its time.

    Parameters
    ----------
    seed : of all random choices of the checks in this test.
    time_limit : seconds that all of them may take together.
    record : is told of each report.

    Attributes
    ----------
    rng : a NumPy Generator of the same seed, for the test's data.
    """

    def __init__(self, seed: int, time_limit: float, record: Callable[["Report"], None]) -> None:
        self.seed, self.time_limit, self._record = seed, time_limit, record
        self._spent = 0.0

    @property
    def rng(self) -> Any:
        """A new NumPy Generator of the test's seed."""
        import numpy as np

        return np.random.default_rng(self.seed)

    def gradients(self, net: Any, parameters: Any, gradients: Any, X: Any, Y: Any, **options: Any) -> "Report":
        """As ``fastcheck.check``."""
        __tracebackhide__ = True
        from .checks.network import check

        return self._checked(check, net, parameters, gradients, X, Y, **options)

    def function(
        self, cost: Any, parameters: Any, gradients: Any, args: tuple[Any, ...] = (), **options: Any
    ) -> "Report":
        """As ``fastcheck.check_function``."""
        __tracebackhide__ = True
        from .checks.function import check_function

        return self._checked(check_function, cost, parameters, gradients, args, **options)

    def vjp(self, forward: Any, backward: Any, inputs: Any, **options: Any) -> "Report":
        """As ``fastcheck.check_vjp``."""
        __tracebackhide__ = True
        from .checks.function import check_vjp

        return self._checked(check_vjp, forward, backward, inputs, **options)

    def layer(self, make: Any, inputs: Any, **options: Any) -> "Report":
        """As ``fastcheck.check_layer``."""
        __tracebackhide__ = True
        from .checks.function import check_layer

        return self._checked(check_layer, make, inputs, **options)

    def module(self, module: Any, loss: Any, inputs: Any, targets: Any = None, **options: Any) -> "Report":
        """As ``fastcheck.torch.check_module``."""
        __tracebackhide__ = True
        # by its name: the door for PyTorch, which not everybody has, stands beside this one and not below it
        return self._checked(resolve_name("fastcheck.torch:check_module"), module, loss, inputs, targets, **options)

    def _checked(self, check: Callable[..., "Report"], *arguments: Any, **options: Any) -> "Report":
        __tracebackhide__ = True
        left = max(self.time_limit - self._spent, 1e-3)
        started = time.perf_counter()
        try:
            report = check(*arguments, **{"seed": self.seed, "time_limit": left, **options})
        finally:
            self._spent += time.perf_counter() - started
        self._record(report)
        report.raise_if_wrong()
        return report


@pytest.fixture
def gradcheck(request: pytest.FixtureRequest) -> GradCheck:
    """Gradient checks that assert, with a seed made of the test's name, within the test's time limit.

    ``gradcheck.gradients``, ``.function``, ``.vjp``, ``.layer`` and ``.module`` take what ``fastcheck.check`` and its
    fellows take.  ``@pytest.mark.gradcheck(seed=1, time_limit=10)`` sets other ones.
    """
    marker = request.node.get_closest_marker("gradcheck")
    given = {} if marker is None else marker.kwargs
    unknown = set(given) - {"seed", "time_limit"}
    if unknown or (marker is not None and marker.args):
        raise pytest.UsageError(f"gradcheck: expected seed and time_limit by name, got {marker}")
    seed = given.get("seed")
    limit = given.get("time_limit")
    if limit is None:
        limit = request.config.getini("gradcheck_time_limit") or TIME_LIMIT
    seconds = float(limit)

    def record(report: "Report") -> None:
        line = f"{report.verdict} {report.gradapprox.size} {report.difference:.3g} {report.seconds:.3g}"
        request.node.user_properties.append((PROPERTY, line))

    return GradCheck(zlib.crc32(request.node.nodeid.encode()) if seed is None else seed, seconds, record)


def pytest_addoption(parser: pytest.Parser) -> None:
    """The ini file's ``gradcheck_time_limit``."""
    parser.addini("gradcheck_time_limit", f"seconds that the checks of one test may take ({TIME_LIMIT:g})", default="")


def pytest_configure(config: pytest.Config) -> None:
    """The marker ``gradcheck``."""
    config.addinivalue_line("markers", MARKER)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Shows the whole report where ``assert report`` failed, whose message has its first line only."""
    made = yield
    if call.excinfo is not None and call.excinfo.errisinstance(AssertionError):
        for report in _asserted(call.excinfo):
            add = getattr(made.longrepr, "addsection", None)  # under --tb=native it is plain text
            if add is not None:
                add(REPORT, str(report))
    return made


def _asserted(error: pytest.ExceptionInfo[BaseException]) -> list[Any]:
    """The reports that an assertion was about: what its statement names, and its own intermediate values."""
    loaded = sys.modules.get("fastcheck.report.report")
    if loaded is None:  # nothing was checked
        return []
    entry, told = error.traceback[-1], str(error.value)
    named = set(re.findall(r"\w+", str(entry.statement)))
    found = {id(value): value for name, value in entry.frame.f_locals.items()
             if isinstance(value, loaded.Report) and (name in named or name.startswith("@py_"))}
    return [report for report in found.values() if str(report) not in told]


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """One line on all checks of the fixture."""
    lines = [line.split() for line in _lines(terminalreporter)]
    if not lines:
        return
    verdicts = [line[0] for line in lines]
    counts = ", ".join(f"{verdicts.count(verdict)} {verdict}" for verdict in ("pass", "inconclusive", "fail")
                       if verdict in verdicts)
    checked, seconds = sum(int(line[1]) for line in lines), sum(float(line[3]) for line in lines)
    passed = [float(line[2]) for line in lines if line[0] == "pass"]
    worst = f"worst difference of a pass {max(passed):.1e}, " if passed else ""
    plural = "" if len(lines) == 1 else "s"
    terminalreporter.write_line(
        f"fastcheck: {len(lines)} gradient check{plural} ({counts}), {checked:,} derivatives, {worst}{seconds:.2g} s"
    )


def _lines(terminalreporter: Any) -> Iterable[str]:
    """What the tests have recorded, in whatever process they ran."""
    for reports in terminalreporter.stats.values():
        for report in reports:
            if getattr(report, "when", "") == "call":
                yield from (value for name, value in report.user_properties if name == PROPERTY)
