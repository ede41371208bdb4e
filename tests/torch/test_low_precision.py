"""Mistakes that only the low-precision code makes: found and named where the stated power reaches them."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import fastcheck.torch as ft
from fastcheck.torch.case import Case
from fastcheck.torch.low_precision import Point, Twin
from fastcheck.torch.widened import Widened

HALVES = [torch.bfloat16, torch.float16]


class Mistaken(torch.autograd.Function):
    """x W^T whose gradients a mistake changes, in low precision alone."""

    @staticmethod
    def forward(ctx, x, w, mistake):
        ctx.save_for_backward(x, w)
        ctx.mistake = mistake
        return x @ w.mT

    @staticmethod
    def backward(ctx, upstream):
        x, w = ctx.saved_tensors
        dx, dw = upstream @ w, upstream.flatten(0, -2).mT @ x.flatten(0, -2)
        return (dx, dw, None) if x.dtype == torch.float64 else (*ctx.mistake(dx, dw), None)


class Layer(nn.Module):
    def __init__(self, mistake):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(24, 16) / 4)
        self.mistake = mistake

    def forward(self, x):
        return Mistaken.apply(x, self.weight, self.mistake)


def right(dx, dw):
    return dx, dw


def factor(dx, dw):
    return dx, dw * 1.02


def last_row(dx, dw):
    dw = dw.clone()
    dw[-1] = 0
    return dx, dw


def one_head(dx, dw):
    dw = dw.clone()
    dw[8:16] *= 2
    return dx, dw


def one_entry(dx, dw):
    dw = dw.clone()
    dw.view(-1)[dw.abs().argmax()] = 0
    return dx, dw


def block_dropped(dx, dw):
    return dx, dw.mT.contiguous().index_fill(0, torch.arange(12, 16), 0.0).mT


def negated_input(dx, dw):
    return -dx, dw


def module_with(mistake, dtype):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(10, 16), nn.SiLU(), Layer(mistake), nn.ReLU(), nn.Linear(24, 4)).to(dtype)


def report_of(mistake, dtype):
    generator = torch.Generator().manual_seed(1)
    x, y = torch.randn(96, 10, generator=generator), torch.randint(0, 4, (96,), generator=generator)
    return ft.check_module(module_with(mistake, dtype), nn.CrossEntropyLoss(), x.to(dtype), y)


@pytest.mark.parametrize("dtype", HALVES, ids=str)
def test_the_right_backward_pass_passes(dtype):
    report = report_of(right, dtype)
    assert report.verdict == "pass", str(report)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", HALVES, ids=str)
@pytest.mark.parametrize("mistake", [factor, last_row, one_head, one_entry, block_dropped], ids=lambda m: m.__name__)
def test_a_mistake_of_low_precision_alone_fails_in_its_own_tensor(mistake, dtype):
    report = report_of(mistake, dtype)
    assert report.verdict == "fail", str(report)
    assert [tensor.name for tensor in report.failures] == ["2.weight"]
    assert report.failures[0].diagnosis


def test_the_sentence_says_the_factor_or_the_row():
    assert "is 1.02 times the truth" in report_of(factor, torch.float16).failures[0].diagnosis
    assert "[23, :] (the last)" in report_of(last_row, torch.float16).failures[0].diagnosis


def test_what_is_passed_back_wrongly_shows_in_front_of_it():
    report = report_of(negated_input, torch.bfloat16)
    assert {tensor.name for tensor in report.failures} == {"0.weight", "0.bias"}


def test_a_gradient_that_is_zero_in_theory_passes():
    torch.manual_seed(3)
    module = nn.Sequential(nn.Linear(10, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 4)).bfloat16()
    report = ft.check_module(module, nn.MSELoss(), torch.randn(48, 10).bfloat16(), torch.randn(48, 4).bfloat16())
    assert report.verdict == "pass", str(report)
    assert any("zero but for rounding" in note for note in report.notes)


class Casting(torch.autograd.Function):
    """A scale whose backward pass sums in single precision, as kernels do."""

    @staticmethod
    def forward(ctx, x, w):
        ctx.save_for_backward(x, w)
        return x * w

    @staticmethod
    def backward(ctx, upstream):
        x, w = ctx.saved_tensors
        return upstream * w, (upstream * x).float().sum(0).to(w.dtype)


def zeroed(dx, dw):
    return dx, torch.zeros_like(dw)


def test_a_gradient_that_is_zero_throughout_fails_and_says_so():
    report = report_of(zeroed, torch.float16)
    assert report.verdict == "fail"
    assert "exactly zero" in report.failures[0].diagnosis


@pytest.mark.parametrize("dtype", HALVES, ids=str)
def test_backward_passes_that_cast_by_themselves_and_losses_of_one_gradient_pass(dtype):
    """The gradient of a linear loss is rounded alike in every run, unless its factor moves too."""
    class Scale(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.randn(8, generator=torch.Generator().manual_seed(5)))

        def forward(self, x):
            return Casting.apply(x, self.weight)

    weights = torch.linspace(0.5, 1.5, 512 * 8).reshape(512, 8).double()
    x = torch.randn(512, 8, generator=torch.Generator().manual_seed(6)).to(dtype)
    report = ft.check_module(Scale().to(dtype), lambda out: (out.double() * weights).sum(), x)
    assert report.verdict == "pass", str(report)


def test_nothing_is_left_changed():
    module = module_with(right, torch.bfloat16)
    before = [parameter.detach().clone() for parameter in module.parameters()]
    state = torch.get_rng_state()
    ft.check_module(module, nn.MSELoss(), torch.randn(8, 10).bfloat16(), torch.zeros(8, 4).bfloat16())
    assert all(torch.equal(a, b) for a, b in zip(before, module.parameters(), strict=True))
    assert all(parameter.grad is None for parameter in module.parameters())
    assert torch.get_rng_state().numel() == state.numel()


class Rotary(nn.Module):
    """Attention whose queries and keys are turned by angles that it keeps in plain attributes."""

    def __init__(self, factor=1.0):
        super().__init__()
        self.q, self.k, self.v = (nn.Linear(8, 8, bias=False) for _ in range(3))
        angles = torch.outer(torch.arange(6.0), 10.0 ** -torch.arange(4.0)).repeat(1, 2)
        self.cos, self.sin = angles.cos().bfloat16(), angles.sin().bfloat16()
        self.factor = factor

    def turned(self, x):
        one, other = x.chunk(2, -1)
        return x * self.cos[: x.shape[-2]] + torch.cat([-other, one], -1) * self.sin[: x.shape[-2]]

    def forward(self, x):
        v = Mistaken.apply(x, self.v.weight, lambda dx, dw: (dx, self.factor * dw))
        return torch.softmax(self.turned(self.q(x)) @ self.turned(self.k(x)).mT, -1) @ v


def test_constants_in_low_precision_are_the_same_in_the_truth():
    """What is made of them alone is no rounding of what moves."""
    x = torch.randn(4, 5, 8, generator=torch.Generator().manual_seed(3)).bfloat16()
    for factor in (1.0, 1.05):
        torch.manual_seed(0)
        report = ft.check_module(Rotary(factor).bfloat16(), lambda out: out.float().square().mean(), x)
        assert [t.name for t in report.failures] == ([] if factor == 1.0 else ["v.weight"]), str(report)
        assert report.verdict == ("pass" if factor == 1.0 else "fail"), str(report)


def test_a_module_that_cannot_be_copied_stays_inconclusive():
    class Fixed(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.randn(4, 10).bfloat16())

        def forward(self, x):
            if x.dtype != torch.bfloat16:
                raise TypeError("this kernel exists in bfloat16 only")
            return F.linear(x, self.weight)

    report = ft.check_module(Fixed(), nn.MSELoss(), torch.randn(8, 10).bfloat16(), torch.zeros(8, 4).bfloat16())
    assert report.verdict == "inconclusive"
    assert any("bfloat16 only" in note for note in report.notes)


CASTS = {
    "float": lambda x: x.float(),
    "to": lambda x: x.to(torch.bfloat16),
    "softmax": lambda x: torch.softmax(x, -1, dtype=torch.float32),
    "sum": lambda x: x.sum(-1, dtype=torch.float32),
    "zeros": lambda x: torch.zeros(3, 4).copy_(x),
    "type_as": lambda x: x.type_as(torch.zeros(1)),
    "half": lambda x: x.half(),
}


@pytest.mark.parametrize("name", CASTS)
def test_casts_to_less_leave_double_precision_double(name):
    x = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    with Widened():
        out = CASTS[name](x)
    assert out.dtype == torch.float64
    out.sum().backward()
    assert x.grad.dtype == torch.float64


@pytest.mark.parametrize("scale", [1.0, 1.001])
def test_a_module_that_casts_by_itself_is_exact(scale):
    class RMSNorm(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(6))

        def forward(self, x):
            wide = x.float()
            return self.weight * (wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + 1e-6)).type_as(x)

    for seed in range(4):  # its rounding is that of single precision
        torch.manual_seed(seed)
        module = nn.Sequential(nn.Linear(5, 6), RMSNorm(), nn.Linear(6, 2)).double()
        module[0].weight.register_hook(lambda g: scale * g)
        report = ft.check_module(module, nn.MSELoss(), torch.randn(7, 5).double(), torch.zeros(7, 2).double())
        assert report.engine == "program", report.notes
        assert report.verdict == ("pass" if scale == 1.0 else "fail"), str(report)


@pytest.mark.parametrize("dtype", [torch.float32, *HALVES], ids=str)
@pytest.mark.parametrize("functional", [False, True])
def test_constants_that_follow_the_precision_are_kept_in_the_truth(dtype, functional):
    """RMS normalisation takes another epsilon in double precision, which counts where activations are small."""
    class Functional(nn.Module):
        def forward(self, x):
            return F.rms_norm(x, (16,), eps=None)

    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(12, 16), Functional() if functional else nn.RMSNorm(16)).to(dtype)
    with torch.no_grad():
        for parameter in module[0].parameters():
            parameter.mul_(1e-3)
    report = ft.check_module(module, nn.MSELoss(), torch.randn(32, 12).to(dtype), torch.randn(32, 16).to(dtype))
    assert report.verdict == "pass", str(report)


def test_a_module_of_double_precision_has_its_own_constants():
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(12, 16), nn.RMSNorm(16)).double()
    with torch.no_grad():
        for parameter in module[0].parameters():
            parameter.mul_(1e-7)
    report = ft.check_module(module, nn.MSELoss(), torch.randn(32, 12).double(), torch.randn(32, 16).double())
    assert report.verdict == "pass", str(report)


def beside_a_kink(linear):
    """Inputs whose pre-activation of unit 0 is negative in single precision and positive in double, or the reverse."""
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(4096, 10, generator=generator)
    with torch.no_grad():
        w, b = linear.weight[0].double(), linear.bias[0].double()
        x[:, 0] = ((x[:, 1:].double() @ w[1:] + b) / -w[0]).float()
        sides = (linear(x)[:, 0] > 0) != (x.double() @ w + b > 0)
    return x[sides]


class Masked(nn.Module):
    def forward(self, x):
        return torch.where(x > 0, x, torch.zeros_like(x))


@pytest.mark.parametrize("factor", [1.0, 1.02])
@pytest.mark.parametrize("relu", [nn.ReLU, Masked])
def test_a_mask_that_flips_in_single_precision_passes_and_a_factor_fails(relu, factor):
    torch.manual_seed(1)
    module = nn.Sequential(nn.Linear(10, 12), relu(), nn.Linear(12, 2))
    x = torch.cat([beside_a_kink(module[0])[:8], torch.randn(16, 10)])
    assert len(x) == 24
    module[2].weight.register_hook(lambda g: factor * g)
    report = ft.check_module(module, nn.MSELoss(), x, torch.randn(24, 2))
    assert report.verdict == ("pass" if factor == 1.0 else "fail"), str(report)
    assert [t.name for t in report.failures] == ([] if factor == 1.0 else ["2.weight"])


def test_the_truths_at_all_points_at_once_are_those_one_by_one():
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(10, 12), nn.BatchNorm1d(12), nn.GELU(), nn.Linear(12, 2)).bfloat16()
    case = Case.of(module, nn.MSELoss(), torch.randn(8, 10).bfloat16(), torch.randn(8, 2).bfloat16(), frozen=False)
    case.coarse = 2.0**-8
    twin = Twin(case)
    generator = torch.Generator().manual_seed(0)
    points = [Point.of(case), *(Point.of(case, generator) for _ in range(3))]
    single = [np.concatenate([g.ravel() for g in twin.run(point)[1].values()]) for point in points]
    stacked = twin._stacked(points)
    assert stacked is not None
    np.testing.assert_allclose(stacked, single, rtol=1e-12, atol=1e-14)


def test_truths_that_cannot_be_stacked_come_one_by_one():
    class Branching(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(10, 3)

        def forward(self, x):
            z = self.linear(x)
            return z * (2.0 if float(z.detach().sum()) > -1e9 else 3.0)

    torch.manual_seed(0)
    report = ft.check_module(Branching().bfloat16(), nn.MSELoss(), torch.randn(8, 10).bfloat16(),
                             torch.randn(8, 3).bfloat16())
    assert report.verdict == "pass", str(report)


def learned(seed):
    """A convolutional network that has learned its labels by heart, in single precision: 1 - p consists of rounding."""
    torch.manual_seed(seed)
    module = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(128, 4))
    given, labels, loss = torch.randn(24, 1, 4, 4), torch.randint(0, 4, (24,)), nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(module.parameters(), lr=0.02)
    for _ in range(400):
        optimizer.zero_grad()
        loss(module(given), labels).backward()
        optimizer.step()
    return module, loss, given, labels


@pytest.mark.parametrize("seed", range(3))
def test_near_a_perfect_fit_rounding_that_all_runs_share_is_no_mistake(seed):
    module, *rest = learned(seed)
    assert ft.check_module(module, *rest).verdict == "pass"


@pytest.mark.parametrize("spoil", [lambda g: 1.01 * g, torch.neg, lambda g: torch.cat([0 * g[:1], g[1:]])])
def test_near_a_perfect_fit_a_mistake_is_still_seen(spoil):
    module, *rest = learned(0)
    for name in ("0.weight", "1.weight", "4.weight", "4.bias"):
        hook = module.get_parameter(name).register_hook(spoil)
        report = ft.check_module(module, *rest)
        hook.remove()
        assert report.verdict == "fail", name
        assert report.failures[0].name == name
