"""``fastcheck.torch.Watch`` on modules that people have: right steps are left alone, a factor is found."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

import fastcheck as fc
import fastcheck.torch as ft
from tests.torch.watched import ALWAYS, batch, net, spoil, trained


class Checkpointed(nn.Module):
    """Runs its first half again in the backward pass."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Sequential(nn.Linear(6, 8), nn.Tanh()), nn.Linear(8, 3)

    def forward(self, x):
        return self.last(checkpoint(self.first, x, use_reentrant=False))


class Tied(nn.Module):
    """A table with a padding row, which is the head's weight as well: there that row has a gradient."""

    def __init__(self):
        super().__init__()
        self.table, self.middle = nn.Embedding(7, 5, padding_idx=0), nn.Linear(5, 5)

    def forward(self, words):
        return torch.tanh(self.middle(self.table(words).sum(1))) @ self.table.weight.T


class Average(nn.Module):
    """Subtracts a running average, which moves without autograd in each forward pass."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(6, 8), nn.Linear(8, 3)
        self.register_buffer("average", torch.zeros(8))

    def forward(self, x):
        hidden = self.first(x)
        with torch.no_grad():
            self.average.mul_(0.9).add_(0.1 * hidden.mean(0))
        return self.last(torch.tanh(hidden - self.average))


class StraightThrough(nn.Module):
    """Rounds, and passes gradients through as if it had not."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(6, 8), nn.Linear(8, 3)

    def forward(self, x):
        hidden = self.first(x)
        return self.last(hidden + (hidden.round() - hidden).detach())


def spectral():
    """A weight over its largest singular value, by a power iteration without autograd."""
    return nn.Sequential(nn.utils.parametrizations.spectral_norm(nn.Linear(6, 8)), nn.Tanh(), nn.Linear(8, 3))


def words():
    return torch.randint(0, 7, (6, 5)), torch.randint(0, 7, (6,))


MODULES = {"checkpoint": Checkpointed, "running average": Average, "straight through": StraightThrough,
           "spectral norm": spectral, "tied table": Tied}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", MODULES)
def test_right_steps_pass_even_where_everything_is_checked_and_a_wrong_one_is_found(name, dtype):
    torch.manual_seed(2)
    module = MODULES[name]().to(dtype)
    data = words if name == "tied table" else lambda: batch(dtype)
    watch = ft.Watch(module, F.cross_entropy, *data(), overhead=ALWAYS)
    watch._rounding.beyond = lambda errors, spread: list(errors)
    for step in range(4):
        if step == 3:
            spoil(max(module.parameters(), key=lambda p: p.numel()), 1.02)
        module.zero_grad()
        x, y = data()
        F.cross_entropy(module(x), y).backward()
        if step < 3:
            watch(x, y)
            assert (watch.failures, watch.inconclusive) == (0, 0)
        else:
            with pytest.raises(fc.GradientMismatch):
                watch(x, y)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_weights_of_a_loss(dtype):
    loss = nn.CrossEntropyLoss(weight=torch.tensor([0.2, 1.0, 2.0], dtype=dtype))
    module = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3)).to(dtype)
    x, y = batch(dtype)
    assert ft.check_module(module, loss, x, y).verdict == "pass"
    watch = ft.Watch(module, loss, x, y, overhead=ALWAYS)
    loss(module(x), y).backward()
    watch(x, y)
    assert (watch.looks, watch.checks) == (1, 0)
    assert loss.weight.dtype == dtype


def test_a_table_with_a_padding_row_that_is_the_heads_weight_too():
    module, (x, y) = Tied().double(), words()
    x[:, 0] = 0
    assert ft.check_module(module, F.cross_entropy, x, y).verdict == "pass"
    spoil(module.table.weight, torch.tensor([[1.01]] + 6 * [[1.0]], dtype=torch.float64))
    report = ft.check_module(module, F.cross_entropy, x, y)
    assert [tensor.name for tensor in report.failures] == ["table.weight"]


def test_sparse_gradients():
    module = nn.Sequential(nn.EmbeddingBag(7, 5, sparse=True), nn.Tanh(), nn.Linear(5, 7))
    watch = ft.Watch(module, F.cross_entropy, *words(), overhead=ALWAYS)
    watch._rounding.beyond = lambda errors, spread: list(errors)
    x, y = words()
    F.cross_entropy(module(x), y).backward()
    watch(x, y)
    assert (watch.checks, watch.failures, watch.inconclusive) == (1, 0, 0)


def test_checks_of_a_watched_module_are_no_steps_of_it():
    module = net(dtype=torch.float32)
    watch = ft.Watch(module, F.cross_entropy, *batch(torch.float32), overhead=ALWAYS)
    ft.Watch(module, F.cross_entropy, *batch(torch.float32), overhead=ALWAYS).remove()
    ft.check_module(module.eval(), F.cross_entropy, *batch(torch.float32))
    trained(module.train(), watch, 2, dtype=torch.float32)
    assert (watch.looks, watch.failures) == (2, 0)
