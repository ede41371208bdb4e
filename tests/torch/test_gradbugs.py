"""GradBugs: fastcheck's default call is right about the cases in PyTorch and JAX."""

from collections import Counter

import pytest
import torch

from benchmarks.gradbugs.case import load
from benchmarks.gradbugs.outcome import outcome_of
from benchmarks.gradbugs.table import counts

CASES = load()
FRAMEWORKS = [case for case in CASES if case.name.startswith(("torch_", "jax_"))]


@pytest.mark.parametrize("case", FRAMEWORKS, ids=lambda case: case.name)
def test_the_wrong_version_fails_and_the_right_one_passes(case):
    outcome = outcome_of(case, "fastcheck")
    assert not outcome.mistaken, f"{outcome.wrong.text}\n{outcome.right.text}"


def test_no_kind_has_more_than_five_cases():
    kinds = Counter(case.kind for case in CASES)
    assert max(kinds.values()) <= 5, kinds.most_common(3)


def test_there_are_at_least_a_hundred_from_every_area():
    areas = Counter(case.area for case in CASES)
    assert len(CASES) >= 100
    least = {"kernels": 30, "layers": 30, "precision": 10, "training": 10, "adjoints": 10}
    assert {area: areas[area] for area, count in least.items() if areas[area] < count} == {}
    assert "cases: " in counts(CASES)


def test_a_case_set_apart_is_as_near_to_the_truth_as_eager_pytorch():
    """The gradient of PyTorch's own indexing, at the inputs at which the case's wrong version was reported."""
    (case,) = load(apart=True)
    inputs, targets = case.subject.data()
    ids = torch.arange(8).repeat_interleave(257)

    def error(gradient):
        truth = inputs.double()[:257].sum(0).expand(8, 4)
        return float((gradient.double() - truth).norm() / truth.norm())

    table = torch.randn(8, 4, dtype=torch.float16, requires_grad=True)
    eager = error(torch.autograd.grad((table[ids] * inputs).double().sum(), table)[0])
    wrong, right = (
        error(torch.autograd.grad(case.subject.loss(module(inputs), targets), list(module.parameters()))[0])
        for module in (case.subject.make("wrong"), case.subject.make("right"))
    )
    assert right < 0.1 * wrong
    assert wrong == pytest.approx(eager, rel=0.05)
