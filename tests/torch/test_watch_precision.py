"""``fastcheck.torch.Watch`` on steps in less than double precision: each tensor is judged by its own rounding."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import fastcheck as fc
import fastcheck.torch as ft
from tests.torch.watched import ALWAYS, batch, net, spoil, trained


def test_single_precision_is_judged_by_its_rounding():
    module = net(dtype=torch.float32)
    watch = ft.Watch(module, F.cross_entropy, *batch(torch.float32), overhead=ALWAYS)
    trained(module, watch, 20, dtype=torch.float32)
    assert watch.failures == 0
    assert watch.worst < 1e-11
    spoil(module[3].weight, 1.001)
    with pytest.raises(fc.GradientMismatch, match=r"3\.weight"):
        trained(module, watch, 3, dtype=torch.float32)


@pytest.mark.parametrize("way", ["autocast", "bfloat16"])
def test_bfloat16_is_judged_by_its_rounding(way):
    dtype = torch.float32 if way == "autocast" else torch.bfloat16
    module = nn.Sequential(nn.Linear(6, 32), nn.Tanh(), nn.Linear(32, 3)).to(dtype)
    loss = lambda o, t: F.cross_entropy(o.float(), t)  # noqa: E731
    watch = ft.Watch(module, loss, *batch(dtype), overhead=ALWAYS)
    for step in range(8):
        if step == 6:
            spoil(module[0].weight, 1.05)
        x, y = batch(dtype, 64)
        module.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=way == "autocast"):
            value = loss(module(x), y)
        value.backward()
        if step < 6:
            watch(x, y)
            assert watch.failures == 0
        else:
            with pytest.raises(fc.GradientMismatch):
                watch(x, y)
            break


@pytest.mark.parametrize("kind", ["row", "sign", "stale", "zero", "noise"])
def test_every_kind_of_corruption_is_found_in_single_precision(kind):
    """Hooks that change at every call too: what they do is not taken for the spread of rounding."""
    module = net(nn.Tanh(), dtype=torch.float32)
    watch = ft.Watch(module, F.cross_entropy, *batch(torch.float32), overhead=ALWAYS)
    last = [torch.zeros(8, 6)]

    def spoiled(gradient):
        before, last[0] = last[0], gradient.clone()
        row = gradient.clone()
        row[gradient.norm(dim=1).argmax()] = 0.0
        noise = 0.1 * gradient.norm() / gradient.numel() ** 0.5 * torch.randn(gradient.shape)
        return {"row": row, "sign": -gradient, "stale": before, "zero": 0.0 * gradient, "noise": gradient + noise}[kind]

    trained(module, watch, 3, dtype=torch.float32)
    module[0].weight.register_hook(spoiled)
    module.zero_grad()
    F.cross_entropy(module(batch(torch.float32)[0]), torch.zeros(12, dtype=torch.long)).backward()
    with pytest.raises(fc.GradientMismatch) as caught:
        trained(module, watch, 1, dtype=torch.float32)
    assert [t.name for t in caught.value.report.failures] == ["0.weight"]


def test_one_entry_in_single_precision_that_is_off_by_a_thousandth_of_the_norm():
    module = net(dtype=torch.float32)
    watch = ft.Watch(module, F.cross_entropy, *batch(torch.float32), overhead=ALWAYS)
    trained(module, watch, 3, dtype=torch.float32)

    def off(gradient):
        gradient = gradient.clone()
        gradient[1, 2] += 1e-3 * gradient.norm()
        return gradient

    module[3].weight.register_hook(off)
    with pytest.raises(fc.GradientMismatch, match=r"3\.weight"):
        trained(module, watch, 1, dtype=torch.float32)


class Rounded(torch.autograd.Function):
    """Twice x; its backward is wrong by a factor in every precision, or in single precision alone."""

    @staticmethod
    def forward(ctx, x, everywhere):
        ctx.everywhere = everywhere
        return 2.0 * x

    @staticmethod
    def backward(ctx, upstream):
        wrong = ctx.everywhere or upstream.dtype == torch.float32
        return (2.02 if wrong else 2.0) * upstream, None


@pytest.mark.parametrize("everywhere", [True, False])
def test_a_backward_function_that_is_wrong(everywhere):
    """Wrong in double precision too, the direction shows it; wrong in single precision alone, the comparison does."""

    class Module(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.last = nn.Linear(6, 8), nn.Linear(8, 3)

        def forward(self, x):
            return self.last(torch.tanh(Rounded.apply(self.first(x), everywhere)))

    module = Module()
    watch = ft.Watch(module, F.cross_entropy, *batch(torch.float32), overhead=ALWAYS)
    with pytest.raises(fc.GradientMismatch) as caught:
        trained(module, watch, 1, dtype=torch.float32)
    assert {t.name for t in caught.value.report.failures} == {"first.weight", "first.bias"}


class Noisy(nn.Module):
    """Adds normal and uniform noise, which double precision draws otherwise, and drops out."""

    def forward(self, x):
        return F.dropout(x + 0.3 * torch.randn_like(x) * torch.rand(x.shape, dtype=x.dtype), 0.4)


@pytest.mark.parametrize("way", ["float32", "bfloat16", "autocast"])
def test_noise_is_watched_as_the_step_drew_it(way):
    dtype = torch.bfloat16 if way == "bfloat16" else torch.float32
    module = nn.Sequential(nn.Linear(6, 16), Noisy(), nn.Tanh(), nn.Linear(16, 3)).to(dtype)
    loss = lambda o, t: F.cross_entropy(o.float(), t)  # noqa: E731
    watch = ft.Watch(module, loss, *batch(dtype, 32), overhead=ALWAYS)
    hook = None
    for step in range(8):
        if step == 7:
            hook = spoil(module[0].weight, 1.3)
        module.zero_grad()
        x, y = batch(dtype, 32)
        state = torch.get_rng_state()
        with torch.autocast("cpu", torch.bfloat16, enabled=way == "autocast"):
            value = loss(module(x), y)
        value.backward()
        after = torch.get_rng_state()
        if hook is None:
            watch(x, y)
            assert watch.checks == 0
            assert torch.equal(after, torch.get_rng_state())
            assert not torch.equal(after, state)
        else:
            with pytest.raises(fc.GradientMismatch, match=r"0\.weight"):
                watch(x, y)


def test_right_steps_that_a_check_looks_into_are_not_called_wrong():
    """Every step is checked as a suspicious one is: noise drawn, masks flipped, batch norm, a bias that is zero."""
    module = net(Noisy(), dtype=torch.float32)
    watch = ft.Watch(module, F.cross_entropy, *batch(torch.float32), overhead=ALWAYS)
    watch._rounding.beyond = lambda errors, spread: list(errors)
    trained(module, watch, 5, dtype=torch.float32)
    assert (watch.looks, watch.checks, watch.failures, watch.inconclusive) == (5, 5, 0, 0)


def test_a_step_whose_half_precision_overflowed_is_left_to_the_scaler():
    module = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3)).to(torch.float16)
    loss = lambda o, t: F.cross_entropy(o.float(), t)  # noqa: E731
    watch = ft.Watch(module, loss, *batch(torch.float16), overhead=ALWAYS)
    x, y = batch(torch.float16)
    (loss(module(x), y) * 2.0**40).backward()
    assert not torch.isfinite(module[0].weight.grad).all()
    watch(x, y, scale=2.0**40)
    assert (watch.looks, watch.failures) == (1, 0)


def test_a_number_that_is_none_is_found_in_single_precision():
    module = net(dtype=torch.float32)
    watch = ft.Watch(module, F.cross_entropy, *batch(torch.float32), overhead=ALWAYS)
    trained(module, watch, 2, dtype=torch.float32)
    spoil(module[3].weight, float("nan"))
    with pytest.raises(fc.GradientMismatch, match=r"3\.weight"):
        trained(module, watch, 1, dtype=torch.float32)


def test_accumulation_in_single_precision_with_a_bias_that_is_zero_but_for_rounding():
    """Most tensors decide which candidate is the step's: the bias before a normalisation consists of rounding."""
    module = net(dtype=torch.float32)
    watch = ft.Watch(module, lambda o, t: F.cross_entropy(o, t) / 2.0, *batch(torch.float32), overhead=ALWAYS)
    for step in range(4):
        if step == 3:
            spoil(module[3].weight, 1.02)
        module.zero_grad()
        for part in range(2):
            x, y = batch(torch.float32)
            (F.cross_entropy(module(x), y) / 2.0).backward()
            if step < 3:
                watch(x, y)
            elif part == 1:
                with pytest.raises(fc.GradientMismatch, match=r"3\.weight"):
                    watch(x, y)
    assert (watch.looks, watch.failures) == (7, 1)


def test_a_classifier_that_is_sure_of_itself():
    """1 - p is rounded to the precision of p, alike at every point a rounding beside: that is no mistake."""
    torch.manual_seed(4)
    module = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))
    for seed in range(3):
        x = torch.randn(12, 6)
        with torch.no_grad():
            y = module(x).argmax(1)
            module[2].weight *= 9.0 / module(x).amax(1).mean()
            module[2].bias.copy_(torch.zeros(3))
        watch = ft.Watch(module, F.cross_entropy, x, y, overhead=ALWAYS)
        watch._rounding.beyond = lambda errors, spread: list(errors)
        module.zero_grad()
        F.cross_entropy(module(8.0 * x), y).backward()
        watch(8.0 * x, y)
        assert (watch.checks, watch.failures) == (1, 0), seed
    spoil(module[0].weight, 1.02)
    module.zero_grad()
    F.cross_entropy(module(8.0 * x), y).backward()
    with pytest.raises(fc.GradientMismatch, match=r"0\.weight"):
        watch(8.0 * x, y)
