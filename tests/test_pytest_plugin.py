"""The pytest plugin: reports of failed assertions, the gradcheck fixture, the summary line, and what pytest makes."""

import subprocess
import sys
import xml.etree.ElementTree as ET
from importlib.metadata import entry_points

import numpy as np
import pytest

import fastcheck as fc

pytest_plugins = ["pytester"]
PLUGIN = "fastcheck.pytest_plugin"
INSTALLED = any(point.value == PLUGIN for point in entry_points(group="pytest11"))

OTHERS = ("cacheprovider", "benchmark", "hypothesispytest", "timeout")  # plugins that take longer than the tests

WRONG = """
import numpy as np
import fastcheck as fc

def report(factor=3.0):
    return fc.check_function(lambda x: np.sum(x**2), np.arange(1.0, 4.0), factor * np.arange(1.0, 4.0))
"""


@pytest.fixture(scope="module", autouse=True)
def loaded():
    """Runs inside this process forget what they import, and NumPy can be imported once only: so all of it before."""
    assert fc.check_function(lambda x: np.sum(np.tanh(x) ** 2), np.ones(2), np.ones(2)) is not None
    assert str(fc.check_vjp(np.tanh, lambda d, x: d, np.ones(2)))


@pytest.fixture
def run(pytester):
    """Runs pytest on a test file, inside this process: the plugin is the one that is tested here."""

    def call(source, *options):
        pytester.makepyfile(source)
        plugin = () if INSTALLED else ("-p", PLUGIN)
        others = [option for name in OTHERS for option in ("-p", f"no:{name}")]
        return pytester.runpytest_inprocess(*plugin, *others, *options)

    return call


SHOWN = [
    "assert report()", "found = report()\n    assert found", "assert report().ok", "assert report().verdict == 'pass'",
    "found = report()\n    assert found.difference < 1e-7",
]
NOT_SHOWN = ["found = report()\n    assert 1 == 2", "report().raise_if_wrong()", "raise AssertionError(str(report()))"]


def source_of(bodies):
    return WRONG + "".join(f"\ndef test_{place}():\n    {body}\n" for place, body in enumerate(bodies))


def test_the_whole_report_is_shown_where_an_assertion_fails(run):
    result = run(source_of(SHOWN))
    result.assert_outcomes(failed=len(SHOWN))
    text = result.stdout.str()
    assert text.count("- fastcheck report -") == text.count("FAIL  difference") == len(SHOWN)
    assert text.count("dtheta is 1.500 times the numerical gradient") == len(SHOWN)


def test_and_nowhere_else(run):
    result = run(source_of([*NOT_SHOWN, "assert report(2.0)", "found = report()\n    assert not found"]))
    result.assert_outcomes(failed=len(NOT_SHOWN), passed=2)
    result.stdout.no_fnmatch_line("*- fastcheck report -*")


@pytest.mark.parametrize("option", ["--tb=native", "--tb=short", "--assert=plain"])
def test_under_other_options(run, option):
    result = run(f"{WRONG}\ndef test_it():\n    assert report()\n", option)
    result.assert_outcomes(failed=1)
    assert result.stdout.str().count("- fastcheck report -") == 1


FIXTURE = """
import numpy as np
import pytest

x = np.arange(1.0, 4.0)

def test_right(gradcheck):
    assert gradcheck.function(lambda x: np.sum(x**2), x, 2 * x).seed == gradcheck.seed
    gradcheck.vjp(np.tanh, lambda d, x: d * (1 - np.tanh(x) ** 2), x)

def test_wrong(gradcheck):
    gradcheck.function(lambda x: np.sum(x**2), x, 3 * x)

@pytest.mark.gradcheck(seed=5, time_limit=2.5)
def test_settings(gradcheck):
    assert (gradcheck.seed, gradcheck.time_limit) == (5, 2.5)
    assert gradcheck.rng.random() == np.random.default_rng(5).random()

def test_seeds_differ(gradcheck, request):
    import zlib
    assert gradcheck.seed == zlib.crc32(request.node.nodeid.encode())

@pytest.mark.gradcheck(speed=1)
def test_misspelt(gradcheck):
    pass
"""


def test_fixture_and_summary(run):
    result = run(FIXTURE, "--strict-markers")
    result.assert_outcomes(passed=3, failed=1, errors=1)
    result.stdout.fnmatch_lines([
        "*gradcheck: expected seed and time_limit by name*", "*dtheta is 1.500 times the numerical*",
        "fastcheck: 3 gradient checks (2 pass, 1 fail), 9 derivatives, worst difference of a pass *e-*, * s",
    ])


def test_no_worst_difference_where_nothing_passed(run):
    result = run("""
        def test_it(gradcheck):
            gradcheck.function(lambda w: float(w @ w), [1.0, 2.0], [1.0, 2.0])
    """)
    result.stdout.fnmatch_lines(["fastcheck: 1 gradient check (1 fail), 2 derivatives, [0-9]* s"])


def test_no_line_where_nothing_was_checked(run):
    result = run("def test_it(): pass")
    result.stdout.no_fnmatch_line("fastcheck:*")


@pytest.mark.slow
def test_summary_across_processes(run):
    result = run(FIXTURE, "-n", "2")
    result.stdout.fnmatch_lines(["fastcheck: 3 gradient checks (2 pass, 1 fail), 9 derivatives, *"])


def test_junit_has_the_report(run, pytester):
    run(f"{WRONG}\ndef test_it():\n    assert report()\n{FIXTURE}", "--junitxml=junit.xml")
    cases = {case.get("name"): case for case in ET.parse(pytester.path / "junit.xml").iter("testcase")}
    assert "dtheta is 1.500 times the numerical gradient" in cases["test_it"].find("failure").text
    assert [one.get("value")[:6] for one in cases["test_right"].iter("property")] == ["pass 3", "pass 3"]


def test_the_time_limit_of_a_test_holds_for_its_checks_together(run):
    result = run("""
import time
import numpy as np
import pytest

def slow(x):
    time.sleep(0.02)
    return float(np.sum(x**2))

@pytest.mark.gradcheck(time_limit=0.5)
def test_it(gradcheck):
    x = np.arange(1.0, 301.0)
    started = time.perf_counter()
    for _ in range(2):
        try:
            gradcheck.function(slow, x, 2 * x, engine="differences")
        except AssertionError:
            pass
    assert time.perf_counter() - started < 3.0
""")
    result.assert_outcomes(passed=1)


def test_the_ini_file_has_a_time_limit(run, pytester):
    pytester.makeini("[pytest]\ngradcheck_time_limit = 7.5\n")
    run("def test_it(gradcheck): assert gradcheck.time_limit == 7.5").assert_outcomes(passed=1)


def test_the_plugin_brings_nothing_along():
    code = ("import sys, fastcheck.pytest_plugin\n"
            "print([name for name in sys.modules if name.startswith(('numpy', 'numba', 'fastcheck.'))])")
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(eval(ended.stdout)) == {"fastcheck._version", PLUGIN}
