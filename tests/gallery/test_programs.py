"""The gallery's cases are programs whose differences are exact: gradapprox is the truth, to rounding."""

import pytest

import fastcheck as fc

from . import CASES, NAMED, truth
from .case import Case, Layer
from .truth import distance


def checked(case: Case) -> tuple[fc.Report, tuple]:
    """The report of the right backward pass, and the cotangents that the check has chosen."""
    seen = []

    def backward(*arguments):
        seen.append(arguments[0])
        return case.backward(*arguments)

    report = case.check(backward)
    if not isinstance(case, Layer):
        return report, (1.0,)
    return report, seen[0] if isinstance(seen[0], tuple) else (seen[0],)


@pytest.mark.parametrize("name", NAMED)
def test_gradapprox_is_the_truth(name):
    case = NAMED[name]
    report, cotangents = checked(case)
    wanted = truth.gradients(truth.jacobian(case), case, cotangents)
    exact = report.engine == "program"
    assert exact or any("no exact difference of" in note for note in report.notes)
    for tensor in case.tensors:
        assert distance(report.gradapprox_of(tensor), wanted[tensor]) < (1e-12 if exact else 1e-6), tensor


def test_nearly_all_are_programs():
    """The promise is 28 of 30."""
    programs = [case.name for case in CASES if checked(case)[0].engine == "program"]
    assert 30 * len(programs) >= 28 * len(CASES)
