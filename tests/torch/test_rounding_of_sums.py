"""Backward passes in low precision that round more than autograd does of the same forward pass."""

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks.studies.by_hand import KINDS, report_on
from fastcheck.torch import check_kernel, check_module
from fastcheck.torch.by_autograd import by_autograd

HALVES = pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])


def added_in_turn(rows):
    total = torch.zeros_like(rows[0])
    for row in rows:
        total = total + row
    return total


def scaled(x, weight):
    return x * weight


class Sharp(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight):
        ctx.save_for_backward(x, weight)
        return scaled(x, weight)

    @staticmethod
    def backward(ctx, d):
        x, weight = ctx.saved_tensors
        return d * weight, (d * x).sum(0)


class InTurn(Sharp):
    """The weight's gradient is kept in the precision of the numbers that it adds up."""

    @staticmethod
    def backward(ctx, d):
        x, weight = ctx.saved_tensors
        return d * weight, added_in_turn(d * x)


class InParts(Sharp):
    @staticmethod
    def backward(ctx, d):
        x, weight = ctx.saved_tensors
        return d * weight, added_in_turn((d * x).float().unflatten(0, (256, -1)).sum(1).to(x.dtype))


class SetUp(torch.autograd.Function):
    """The other way to write one."""

    @staticmethod
    def forward(x, weight):
        return scaled(x, weight)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)

    backward = InTurn.backward


class InPlace(torch.autograd.Function):
    """What it is given is changed, and marked so."""

    @staticmethod
    def forward(ctx, x, weight):
        ctx.mark_dirty(x)
        ctx.save_for_backward(x.clone(), weight)
        return x.mul_(weight)

    backward = InTurn.backward


class ByNumPy(torch.autograd.Function):
    """Autograd cannot differentiate this forward pass."""

    @staticmethod
    def forward(ctx, x, weight):
        ctx.save_for_backward(x, weight)
        return torch.from_numpy(x.detach().double().numpy() * weight.detach().double().numpy()).to(x.dtype)

    backward = InTurn.backward


class Scale(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.kind, self.before = kind, nn.Linear(6, 6)
        self.weight = nn.Parameter(torch.randn(6))

    def forward(self, x):
        return self.kind.apply(self.before(x), self.weight)


def weighted(outputs):
    return (outputs.double() * torch.linspace(0.5, 1.5, outputs.numel()).reshape(outputs.shape)).sum()


def verdict_of(kind, dtype, rows=512):
    torch.manual_seed(0)
    return check_module(Scale(kind).to(dtype), weighted, torch.randn(rows, 6).to(dtype), None)


@HALVES
@pytest.mark.parametrize("kind", [InTurn, InParts, SetUp, InPlace])
def test_sums_that_are_kept_in_low_precision_are_doubted(kind, dtype):
    report = verdict_of(kind, dtype)
    assert report.verdict == "inconclusive", report
    assert [tensor.name for tensor in report.tensors if tensor.verdict != "pass"] == ["weight"]
    assert "rounds several times as much as automatic differentiation" in " ".join(str(report).split())


@HALVES
def test_what_autograd_leaves_as_well_passes(dtype):
    assert verdict_of(Sharp, dtype).verdict == "pass"


def test_single_precision_may_add_as_it_likes():
    assert verdict_of(InTurn, torch.float32).verdict == "pass"


def test_a_forward_pass_that_autograd_cannot_take_is_no_yardstick():
    report = verdict_of(ByNumPy, torch.bfloat16, rows=64)
    assert "several times as much" not in str(report), report


@HALVES
@pytest.mark.parametrize("kind", list(KINDS))
def test_a_backward_written_by_hand_in_low_precision_passes(kind, dtype):
    report = report_on(kind, dtype, seed=1)
    assert report.verdict == "pass", report


@pytest.mark.parametrize("kind", [Sharp, SetUp, InPlace])
def test_autograd_gives_the_same_gradients_and_the_class_stays_as_it_was(kind):
    generator = torch.Generator().manual_seed(0)
    x, weight = (torch.randn(*shape, generator=generator, dtype=torch.float64, requires_grad=True)
                 for shape in ((5, 3), (3,)))
    before = dict(vars(kind))
    found = []
    for own in (True, False):
        with by_autograd([] if own else [kind]):
            found.append(torch.autograd.grad((kind.apply(x.clone(), weight) ** 2).sum(), (x, weight)))
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-14)
    assert dict(vars(kind)) == before


@HALVES
@pytest.mark.parametrize("kind", [InTurn, SetUp])
def test_a_kernel_that_rounds_more_than_its_reference_is_doubted(kind, dtype):
    generator = torch.Generator().manual_seed(1)
    x, weight = torch.randn(256, 6, generator=generator).to(dtype), torch.randn(6, generator=generator).to(dtype)
    inputs = (x.requires_grad_(), weight.requires_grad_())
    report = check_kernel(kind.apply, scaled, inputs, contract=False)
    assert report.verdict == "inconclusive", report
    assert "differentiable input 1 rounds" in str(report)
    assert check_kernel(Sharp.apply, scaled, inputs).verdict == "pass"
