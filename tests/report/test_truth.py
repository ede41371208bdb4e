"""A report as a truth value and as an assertion."""

import numpy as np
import pytest

from fastcheck import Report, check_function


def report_of(verdict):
    """A real report with this verdict."""
    if verdict == "inconclusive":
        return check_function(lambda x: float(np.sum(0.0 * x)), np.ones(3), np.zeros(3))
    return check_function(lambda x: float(np.sum(x**2)), np.ones(3), np.full(3, 2.0 if verdict == "pass" else 3.0))


@pytest.mark.parametrize("verdict", ["pass", "fail", "inconclusive"])
def test_a_report_is_true_exactly_where_it_is_ok(verdict):
    report = report_of(verdict)
    assert report.verdict == verdict
    assert bool(report) is report.ok is (verdict == "pass")


@pytest.mark.parametrize(("verdict", "inconclusive_ok", "raises"), [
    ("pass", False, False), ("pass", True, False), ("fail", False, True), ("fail", True, True),
    ("inconclusive", False, True), ("inconclusive", True, False),
])  # fmt: skip
def test_what_is_wrong_is_raised_with_the_report(verdict, inconclusive_ok, raises):
    report = report_of(verdict)
    assert isinstance(report, Report)
    if not raises:
        assert report.raise_if_wrong(inconclusive_ok) is None
        return
    with pytest.raises(AssertionError) as raised:
        report.raise_if_wrong(inconclusive_ok=inconclusive_ok)
    assert str(raised.value) == f"\n{report}"
