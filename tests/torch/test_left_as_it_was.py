"""What ``check_module`` leaves as it was beside the module, and what each frozen run begins with."""

import functools

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations
from torch.utils.checkpoint import checkpoint

import fastcheck as fc
import fastcheck.torch as ft

D = torch.float64


class Learned(nn.Module):
    """A loss with a parameter and buffers."""

    def __init__(self):
        super().__init__()
        self.scale, self.norm = nn.Parameter(torch.ones(3)), nn.BatchNorm1d(3)

    def forward(self, o, t):
        return F.mse_loss(self.norm(o) * self.scale, t)


class Holder:
    """Has a loss among its attributes."""

    def __init__(self, loss):
        self.loss = loss

    def cost(self, o, t):
        return self.loss(o, t)


def around(loss, o, t):
    return loss(o, t)


WAYS = {"itself": lambda c: c, "a method": lambda c: c.forward, "a closure": lambda c: lambda o, t: c(o, t),
        "a list": lambda c: (lambda those: lambda o, t: those[0](o, t))([c]),
        "partial": lambda c: functools.partial(around, c), "an object": lambda c: Holder(c).cost}


def data(dtype=D):
    return torch.randn(6, 5, dtype=dtype), torch.randn(6, 3, dtype=dtype)


@pytest.mark.parametrize(("way", "dtype"), [*((way, D) for way in WAYS), *((way, torch.float32) for way in WAYS),
                                            ("itself", torch.bfloat16)], ids=str)
@pytest.mark.parametrize("randomness", [None, "frozen"])
def test_a_loss_with_parameters_is_afterwards_as_before(way, randomness, dtype):
    loss = Learned().to(dtype)
    had = loss.norm.bias.grad = torch.full((3,), 0.5, dtype=dtype)
    report = ft.check_module(nn.Linear(5, 3).to(dtype), WAYS[way](loss), *data(dtype), randomness=randomness)
    assert report.verdict != "fail", str(report)
    assert loss.scale.grad is None
    assert loss.norm.bias.grad is had
    assert torch.equal(had, torch.full((3,), 0.5, dtype=dtype))
    assert loss.norm.num_batches_tracked == 0
    assert not loss.norm.running_mean.any()


def test_a_tensor_that_a_loss_holds_keeps_its_gradient():
    scale = torch.ones(3, dtype=D, requires_grad=True)
    assert ft.check_module(nn.Linear(5, 3).double(), lambda o, t: F.mse_loss(o * scale, t), *data()).ok
    assert scale.grad is None


class Taught(nn.Module):
    """Keeps a teacher in a list, out of its own parameters' way."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(5, 3)
        self._teachers = [nn.Sequential(nn.Linear(5, 3), nn.BatchNorm1d(3))]

    def forward(self, x):
        return self.linear(x) - self._teachers[0](x)


@pytest.mark.parametrize("randomness", [None, "frozen"])
def test_a_module_that_is_kept_in_a_list_is_afterwards_as_before(randomness):
    module = Taught().double()
    teacher = module._teachers[0].double()
    assert ft.check_module(nn.Sequential(module), nn.MSELoss(), *data(), randomness=randomness).ok
    assert all(p.grad is None for p in teacher.parameters())
    assert teacher[1].num_batches_tracked == 0


def test_targets_get_no_gradients():
    x, y = data()
    y.requires_grad_()
    assert ft.check_module(nn.Linear(5, 3).double(), nn.MSELoss(), x, y).ok
    assert y.grad is None


class Shifting(nn.Module):
    """Writes to its input."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(5, 3)

    def forward(self, x):
        return self.linear(x.add_(1.0))


@pytest.mark.parametrize("dtype", [D, torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("make", [lambda: nn.Sequential(nn.ReLU(inplace=True), nn.Linear(5, 3)), Shifting])
def test_inputs_that_a_module_writes_to_are_afterwards_as_before(make, dtype):
    x, y = data(dtype)
    before, module = x.clone(), make().to(dtype)
    report = ft.check_module(module, lambda o, t: F.mse_loss(o, t.mul_(2.0)), x, y)
    assert report.ok, str(report)
    assert torch.equal(x, before)


class Counting(nn.Module):
    """Moves a buffer with each call, in place or not."""

    def __init__(self, in_place):
        super().__init__()
        self.linear, self.in_place = nn.Linear(5, 3), in_place
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x):
        if self.in_place:
            self.calls += 1.0
        else:
            self.calls = self.calls + 1.0
        return self.linear(x) * self.calls


@pytest.mark.parametrize("dtype", [D, torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("in_place", [True, False])
def test_each_frozen_run_begins_with_the_same_buffers(in_place, dtype):
    module = Counting(in_place).to(dtype)
    module.calls.fill_(2.0)
    if dtype != torch.bfloat16:
        with pytest.raises(fc.NondeterministicError, match="frozen"):
            ft.check_module(module, nn.MSELoss(), *data(dtype))
    report = ft.check_module(module, nn.MSELoss(), *data(dtype), randomness="frozen")
    assert report.ok, str(report)
    assert module.calls == 2.0


def test_each_frozen_run_begins_with_the_same_buffers_of_the_loss():
    counting = Counting(True).double()
    counting.linear = nn.Identity()
    report = ft.check_module(nn.Linear(5, 3).double(), lambda o, t: F.mse_loss(counting(o), t), *data(),
                             randomness="frozen")
    assert report.ok, str(report)
    assert counting.calls == 0.0


def test_spectral_norm_in_training_is_differenced_where_it_is_frozen():
    """Its power iteration runs without autograd and depends on the weight: the report says so, and leaves that open."""
    module = nn.Sequential(parametrizations.spectral_norm(nn.Linear(5, 4)), nn.Tanh(), nn.Linear(4, 3)).double()
    report = ft.check_module(module, nn.MSELoss(), *data(), randomness="frozen")
    assert {t.name for t in report.failures} <= {"0.parametrizations.weight.original"}
    assert report.ok or "spectral normalisation in training" in report.summary


def test_what_changes_although_it_is_frozen_is_told_what_to_do():
    class Drifting(nn.Linear):
        calls = 0

        def forward(self, x):
            self.calls += 1
            return super().forward(x) * self.calls

    with pytest.raises(fc.NondeterministicError, match="register_buffer"):
        ft.check_module(Drifting(5, 3).double(), nn.MSELoss(), *data(), randomness="frozen")


@pytest.mark.parametrize("check", [ft.gradcheck, ft.gradgradcheck])
def test_the_random_state_of_a_caller_of_gradcheck(check):
    """torch's tests of batches of gradients draw numbers, and so may the function."""
    x = torch.randn(3, dtype=torch.float64, requires_grad=True)
    state = torch.get_rng_state()
    assert check(torch.sin, (x,), check_batched_grad=True)
    assert torch.equal(torch.get_rng_state(), state)


class Recomputed(nn.Module):
    """Dropout in a part that is computed again in the backward pass."""

    def __init__(self, kept):
        super().__init__()
        self.first, self.last, self.kept = nn.Linear(4, 6), nn.Linear(6, 2), kept

    def forward(self, x):
        return self.last(checkpoint(lambda z: F.dropout(z.tanh(), 0.5), self.first(x), use_reentrant=False,
                                    preserve_rng_state=self.kept))


@pytest.mark.parametrize("dtype", [D, torch.float32], ids=str)
@pytest.mark.parametrize("kept", [True, False])
def test_what_a_frozen_backward_pass_draws_comes_after_what_the_forward_pass_drew(kept, dtype):
    """As in training: it would else be the same mask by chance."""
    torch.manual_seed(0)
    report = ft.check_module(Recomputed(kept).to(dtype), lambda out: (out**2).mean(), torch.randn(5, 4, dtype=dtype),
                             randomness="frozen")
    assert {t.name for t in report.failures} == (set() if kept else {"first.weight", "first.bias"})
    assert report.ok == kept
