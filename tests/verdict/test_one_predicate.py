"""Verdict, diagnosis and report name the same wrong entries: they are decided in one place."""

import numpy as np
import pytest

from tests.support.fake_gradients import Made


@pytest.fixture
def one_wrong_one_doubtful():
    """dW2[0, 0] is wrong; dW2[0, 1] is off by no more than the rounding of a right gradient could explain."""
    made = Made(rounding=lambda name, unit: np.full(36, 1e-5))
    made.approx("W2")[0, :2] = 1.0
    made["W2"][0, :2] = 1.0 + np.array([1e-2, 5e-5])
    return made.report()


def test_the_diagnosis_names_the_entries_that_the_verdict_counts(one_wrong_one_doubtful):
    tensor = one_wrong_one_doubtful.tensor("W2")
    entries = one_wrong_one_doubtful.judgement.tensors[2].entries
    assert (entries.wrong.tolist(), entries.rounded.tolist(), tensor.wrong) == ([0], [1], 1)
    assert tensor.diagnosis.startswith("only one entry is wrong, dW2[0, 0]")


def test_wrong_entries_rank_before_doubtful_ones_that_are_further_off(one_wrong_one_doubtful):
    made = Made(rounding=lambda name, unit: np.where(np.arange(36) == 1, 1e-2, 1e-12))
    made.approx("W2")[0, :2] = 1.0
    made["W2"][0, :2] = 1.0 + np.array([1e-4, 5e-2])
    report = made.report()
    assert (report.tensor("W2").wrong, report.tensor("W2").worst) == (1, (0, 0))
    assert [entry.index for entry in report.worst(2)] == [(0, 0), (0, 1)]


def test_a_line_is_named_by_its_wrong_entries_alone():
    made = Made(rounding=lambda name, unit: np.full(36, 1e-5))
    made.approx("W2")[2] = 1.0
    made["W2"][2] = 1.0 + 1e-2 * np.arange(1, 7)
    made["W2"][4] = made.approx("W2")[4] + 5e-5
    assert made.report().tensor("W2").diagnosis.startswith("dW2 is wrong in row 2 of 6 only")
