"""GradBugs: fastcheck's default call is right about the cases in PyTorch and JAX."""

from collections import Counter

import pytest

from benchmarks.gradbugs.case import load
from benchmarks.gradbugs.outcome import outcome_of

CASES = load()
FRAMEWORKS = [case for case in CASES if case.name.startswith(("torch_", "jax_"))]


@pytest.mark.parametrize("case", FRAMEWORKS, ids=lambda case: case.name)
def test_the_wrong_version_fails_and_the_right_one_passes(case):
    outcome = outcome_of(case, "fastcheck")
    if case.missed:
        assert (outcome.wrong.opinion, outcome.right.opinion) == ("right", "right"), "it is found by now: say so"
    else:
        assert not outcome.mistaken, f"{outcome.wrong.text}\n{outcome.right.text}"


def test_no_kind_has_more_than_five_cases():
    kinds = Counter(case.kind for case in CASES)
    assert max(kinds.values()) <= 5, kinds.most_common(3)
