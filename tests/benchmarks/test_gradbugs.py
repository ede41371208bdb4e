"""GradBugs: the cases are what they say, and fastcheck's default call is right about each of those in NumPy."""

import re
from collections import Counter

import numpy as np
import pytest

from benchmarks.gradbugs.case import load
from benchmarks.gradbugs.checkers.answer import Answer
from benchmarks.gradbugs.checkers.scalar import scalar_problem
from benchmarks.gradbugs.outcome import Outcome, outcome_of
from benchmarks.gradbugs.table import misses

CASES = load(frameworks=False)
SOURCE = re.compile(r"[\w.-]+/[\w.-]+(#\d+|@[0-9a-f]{7,40})|https://\S+")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_wrong_version_fails_and_the_right_one_passes(case):
    outcome = outcome_of(case, "fastcheck")
    assert not outcome.mistaken, f"{outcome.wrong.text}\n{outcome.right.text}"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_versions_differ_in_the_tensors_that_the_case_names(case):
    right, wrong = (scalar_problem(case.subject, version) for version in ("right", "wrong"))
    assert right.theta.size == wrong.theta.size
    assert not np.allclose(right.gradient, wrong.gradient, rtol=1e-9, atol=0.0, equal_nan=False)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_case_says_where_it_was_reported_and_what_was_wrong(case):
    assert SOURCE.fullmatch(case.source)
    assert case.mistake.endswith(".")
    assert case.wrong
    re.compile(case.says)


def test_no_kind_has_more_than_five_cases():
    kinds = Counter(case.kind for case in CASES)
    assert max(kinds.values()) <= 5, kinds.most_common(3)


def test_misses_are_listed_with_their_reason():
    case = CASES[0]
    unnamed = Outcome(case, "fastcheck", Answer("wrong", "something is wrong", ("elsewhere",)), Answer("right"))
    missed = Outcome(case, "fastcheck", Answer("right"), Answer("wrong"))
    assert "names elsewhere" in misses([unnamed])
    assert "cause not said" in misses([unnamed])
    assert "wrong version: right; right version: wrong" in misses([missed])
    assert missed.mistaken
