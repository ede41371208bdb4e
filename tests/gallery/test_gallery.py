"""Every right backward pass is right by the complex step; both engines pass it, and fail each wrong one by name."""

import numpy as np
import pytest

from tests.gallery import CASES, NAMED, truth
from tests.gallery.truth import cotangents, distance

# Together they take long, whether or not each of them does.
pytestmark = pytest.mark.slow

WRONG = [(case.name, mistake) for case in CASES for mistake in case.wrong]
ENGINES = [None, "differences"]


def test_names_are_unique():
    assert len(NAMED) == len(CASES)


@pytest.mark.parametrize("name", NAMED)
def test_the_right_backward_pass_is_right(name):
    case = NAMED[name]
    if case.analytic is not None:
        for plain, analytic in zip(case.call(case.forward, {}), case.call(case.analytic, {}), strict=True):
            np.testing.assert_allclose(plain, analytic, rtol=1e-12, atol=1e-13)
    d = cotangents(case)
    wanted = truth.gradients(truth.jacobian(case), case, d)
    found = case.gradients(case.backward, d)
    for tensor in case.tensors:
        assert distance(found[tensor], wanted[tensor]) < 1e-12


@pytest.mark.parametrize(("name", "mistake"), WRONG)
def test_a_wrong_backward_pass_is_wrong_where_it_says(name, mistake):
    case = NAMED[name]
    backward, spoiled = case.wrong[mistake]
    d = cotangents(case)
    wanted, found = case.gradients(case.backward, d), case.gradients(backward, d)
    assert {tensor for tensor in case.tensors if distance(found[tensor], wanted[tensor]) > 1e-6} == set(spoiled.split())


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", NAMED)
def test_the_right_one_passes(name, engine):
    report = NAMED[name].check(NAMED[name].backward, engine=engine)
    assert report.verdict == "pass", str(report)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("name", "mistake"), WRONG)
def test_a_wrong_one_fails_and_its_tensors_are_named(name, mistake, engine):
    backward, spoiled = NAMED[name].wrong[mistake]
    report = NAMED[name].check(backward, engine=engine)
    assert {t.name for t in report.failures} == set(spoiled.split()), str(report)
