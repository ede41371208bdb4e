"""``check_module`` where a loss, or a plain list in a module, holds the parameters themselves."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import fastcheck.torch as ft
from tests.torch.support import function

D = torch.float64
flipped = function(lambda x: x.clone(), lambda g, x: -g)


class Tied(nn.Module):
    """Uses a weight twice, the second time from a plain list."""

    def __init__(self):
        super().__init__()
        self.a, self.o = nn.Linear(5, 5), nn.Linear(5, 3)
        self._again = [self.a.weight]

    def forward(self, x):
        return self.o(torch.tanh(F.linear(torch.tanh(self.a(x)), self._again[0])))


class Decay(nn.Module):
    """A loss that is a module and has the model in it."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, o, t):
        return F.mse_loss(o, t) + 0.1 * sum((p**2).sum() for p in self.model.parameters())


class Registered(nn.Module):
    """A loss that has a weight of the model for a parameter of its own."""

    def __init__(self, model):
        super().__init__()
        self.weight = model.weight

    def forward(self, o, t):
        return F.mse_loss(o, t) + self.weight.square().mean()


def of_list(m):
    params = list(m.parameters())
    return lambda o, t: F.mse_loss(o, t) + 0.1 * sum((p**2).sum() for p in params)


def of_wanted(m):
    params = list(m.parameters())
    return lambda o, t: F.mse_loss(o, t) + 0.1 * sum((p**2).sum() for p in params if p.requires_grad)


def of_vector(m):
    params = list(m.parameters())
    return lambda o, t: F.mse_loss(o, t) + nn.utils.parameters_to_vector(params).cos().mean()


def of_optimizer(m):
    groups = torch.optim.SGD(m.parameters(), lr=0.1).param_groups
    return lambda o, t: F.mse_loss(o, t) + sum(torch.linalg.vector_norm(p) for p in groups[0]["params"])


def of_many(m):
    params = list(m.parameters())
    return lambda o, t: F.mse_loss(o, t) + torch.cat([p.flatten() for p in params]).abs().sqrt().sum() + torch.hstack(
        [p.reshape(-1) for p in params]).cos().sum()


def of_slopes(m):
    params = list(m.parameters())

    def loss(o, t):
        slopes = torch.autograd.grad(F.mse_loss(o, t), params, create_graph=True)
        return F.mse_loss(o, t) + sum(g.square().sum() for g in slopes)

    return loss


HOLDING = [of_list, of_wanted, of_vector, of_optimizer, of_many, of_slopes, Decay, Registered]


def data(dtype=D):
    return torch.randn(6, 5, dtype=dtype), torch.randn(6, 3, dtype=dtype)


@pytest.mark.parametrize("method", ["all", "directional"])
@pytest.mark.parametrize("hold", HOLDING, ids=lambda hold: hold.__name__)
def test_a_loss_may_hold_parameters(hold, method):
    m = nn.Linear(5, 3).double()
    report = ft.check_module(m, hold(m), *data(), method=method)
    assert report.ok, str(report)
    assert report.engine == "program"


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("hold", [of_list, of_vector, Decay, Registered], ids=lambda hold: hold.__name__)
def test_a_loss_may_hold_parameters_in_low_precision(hold, dtype):
    m = nn.Linear(5, 3).to(dtype)
    report = ft.check_module(m, hold(m), *data(dtype))
    assert report.ok, str(report)


@pytest.mark.parametrize("dtype", [D, torch.float32, torch.bfloat16])
def test_a_module_may_keep_a_parameter_in_a_list(dtype):
    report = ft.check_module(Tied().to(dtype), nn.MSELoss(), *data(dtype))
    assert report.ok, str(report)


def test_it_may_be_differenced_by_subtraction():
    m = nn.Linear(5, 3).double()
    held = m.weight

    def loss(o, t):
        return F.mse_loss(o, t) + 0.1 * held.pow(2).sum() * float(torch.ones(()).numpy()) + torch.lgamma(
            held[0, 0].square() + 1.0) + torch.special.i1(held).sum()

    report = ft.check_module(m, loss, *data())
    assert report.ok, str(report)


def test_checkpointed_blocks_may_use_held_parameters():
    m = nn.Linear(5, 3).double()
    held = m.weight

    def loss(o, t):
        return F.mse_loss(o, t) + torch.utils.checkpoint.checkpoint(lambda z: (held @ z.mT).tanh().mean(), o @ held,
                                                                    use_reentrant=False)

    report = ft.check_module(m, loss, *data())
    assert report.ok, str(report)


@pytest.mark.parametrize("dtype", [D, torch.float32, torch.bfloat16])
def test_wrong_gradients_of_held_parameters_fail_where_they_are(dtype):
    m = nn.Linear(5, 3).to(dtype)
    held = m.bias
    report = ft.check_module(m, lambda o, t: F.mse_loss(o, t) + 3.0 * flipped(held * 1.0).sum(), *data(dtype))
    assert [t.name for t in report.failures] == ["bias"]


def test_a_term_that_is_detached_by_mistake_is_found():
    m = nn.Linear(5, 3).double()
    held = m.weight
    report = ft.check_module(m, lambda o, t: F.mse_loss(o, t) + held.data.square().sum(), *data())
    assert [t.name for t in report.failures] == ["weight"]


class Spoiled(Tied):
    """The same with a sign lost where the weight comes from the list."""

    def forward(self, x):
        return self.o(torch.tanh(F.linear(torch.tanh(self.a(x)), flipped(self._again[0] * 1.0))))


def test_a_wrong_gradient_of_a_tied_weight_is_found():
    report = ft.check_module(Spoiled().double(), nn.MSELoss(), *data())
    assert [t.name for t in report.failures] == ["a.weight"]


class TiedClassifier(Tied):
    """Made in two processes and one."""


def made_tied():
    torch.manual_seed(0)
    return TiedClassifier()


@pytest.mark.slow
def test_check_distributed_follows_a_parameter_in_a_list():
    batches = [(torch.randn(4, 5), torch.randint(0, 3, (4,))) for _ in range(2)]
    assert ft.check_distributed(made_tied, nn.CrossEntropyLoss(), batches).ok
