"""The gallery's cases are programs whose differences are exact: gradapprox is the truth, to rounding."""

import numpy as np
import pytest

import fastcheck as fc
from tests.gallery import NAMED, truth
from tests.gallery.case import Case, Layer
from tests.gallery.normalization import bn_param
from tests.gallery.truth import distance


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
    assert report.engine == "program", report.notes
    wanted = truth.gradients(truth.jacobian(case), case, cotangents)
    for tensor in case.tensors:
        assert distance(report.gradapprox_of(tensor), wanted[tensor]) < 1e-12, tensor


def test_what_a_layer_keeps_from_call_to_call_stays_plain():
    NAMED["batch norm, short form"].check(NAMED["batch norm, short form"].backward)
    assert {type(bn_param[name]) for name in ("running_mean", "running_var")} == {np.ndarray}
