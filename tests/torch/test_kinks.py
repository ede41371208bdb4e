"""Values exactly on kinks: what a convention gives is right, and nothing between two slopes is."""

import pytest
import torch
import torch.nn.functional as F

import fastcheck.torch as ft
from fastcheck.torch.program.program import TorchProgram
from tests.torch.support import function


def at(*values):
    return torch.tensor(values, dtype=torch.float64, requires_grad=True)


IMAGE = torch.tensor([[0, 1, 1, 0], [1, 1, 0, 0], [0, 0, 1, 1], [1, 0, 1, 1]], dtype=torch.float64)[None, None]
ONES = torch.ones(4, 2, dtype=torch.float64)

SAMPLES, NAN = torch.full((1, 1, 2), 0.4, dtype=torch.float64), torch.tensor([float("nan")], dtype=torch.float64)

# Right by PyTorch's own conventions, which differ from operator to operator.
RIGHT = {
    "relu": (F.relu, at(0, 0.5, -1)),
    "relu of a product": (lambda x: F.relu(x.reshape(2, 4) @ ONES).sum(), at(*[0] * 8)),
    "clamp at both edges": (lambda x: x.clamp(-1, 1).sum(), at(1, 0.5, -1)),
    "relu6 and hardtanh": (lambda x: (F.relu6(x) + F.hardtanh(x)).sum(), at(0, 6, 1, -1)),
    "clamp, max and relu": (lambda x: x.clamp(-1, 1).max() + F.relu(x).sum(), at(1, 1, 0)),
    "leaky_relu, relu6 and abs": (lambda x: (F.leaky_relu(x) + F.relu6(x) + x.abs()).sum(), at(0, 6, 0)),
    "max": (torch.max, at(1, 1, 1)),
    "amax": (lambda x: x.amax(0), at(1, 1, 0)),
    "max along an axis": (lambda x: x.max(0)[0], at(1, 1, 0)),
    "median of all": (torch.median, at(1, 1, 1, 1)),
    "kthvalue": (lambda x: x.kthvalue(3)[0], at(0, 1, 2, 3)),
    "sort": (lambda x: x.sort()[0] @ torch.arange(3.0, dtype=torch.float64), at(1, 1, 0)),
    "topk": (lambda x: x.topk(2)[0].sum(), at(1, 1, 1, 0)),
    "maximum of halves": (lambda x: torch.maximum(x[:2], x[2:]).sum(), at(1, 0, 1, 1)),
    "fmax of halves": (lambda x: torch.fmax(x[:2], x[2:]).sum(), at(1, 0, 1, 1)),
    "max_pool2d": (lambda x: F.max_pool2d(x, 2), IMAGE.clone().requires_grad_()),
    "max_pool2d, overlapping": (lambda x: F.max_pool2d(x, 3, 1).sum(), IMAGE.clone().requires_grad_()),
    "embedding_bag": (lambda w: F.embedding_bag(torch.tensor([[0, 1, 1]]), w[:, None], mode="max"), at(2, 1, 3)),
    "embedding_bag with ties": (lambda w: F.embedding_bag(torch.tensor([[0, 1]]), w[:, None], mode="max"), at(1, 1)),
    "cdist of p = 1": (lambda x: torch.cdist(x[:, None], x[:, None], p=1), at(1, 1, 2)),
    "fractional_max_pool2d": (lambda x: F.fractional_max_pool2d(x, 2, 2, _random_samples=SAMPLES),
                              IMAGE.clone().requires_grad_()),
    "multilabel_margin_loss": (lambda x: F.multilabel_margin_loss(x, torch.tensor([1, 0, -1])), at(0, 0, -1)),
    "median past holes": (lambda x: torch.cat((x, NAN)).nanmedian(), at(1, 1, 1, 2)),
    "norm": (torch.norm, at(0, 0, 0)),
}


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("name", list(RIGHT))
def test_what_autograd_gives_on_kinks_passes(name, fast):
    call, given = RIGHT[name]
    assert ft.gradcheck(call, (given,), fast_mode=fast)


def test_two_arguments_at_a_tie():
    """Each of them moves alone; what both get has to be of one convention."""
    given = at(1, 0), at(1, 1)
    for call in (torch.maximum, torch.fmax, torch.fmin, lambda x, y: torch.maximum(x, y).sum()):
        assert ft.gradcheck(call, given)
    one_and_both = function(torch.maximum, lambda g, x, y: (g, 0.5 * g))
    assert not ft.gradcheck(one_and_both, given, raise_exception=False)


TIED = {
    "max": (torch.max, at(1, 1, -1)),
    "median": (torch.median, at(1, 1, -1)),
    "max_pool1d": (lambda x: F.max_pool1d(x[None, None], 2), at(1, 1, 2, 2)),
    "relu": (F.relu, at(0, 0, -1)),
    "embedding_bag": (lambda w: F.embedding_bag(torch.tensor([[0, 1]]), w[:, None], mode="max"), at(1, 1, 0)),
    "fractional_max_pool2d": (lambda x: F.fractional_max_pool2d(x.view(1, 1, 2, 2), 2, 1, _random_samples=SAMPLES),
                              at(1, 1, 1, 0)),
    "multilabel_margin_loss": (lambda x: F.multilabel_margin_loss(x, torch.tensor([1, -1, 0])), at(0, 0, -1)),
    "cdist of p = 1": (lambda x: torch.cdist(x[:, None], x[:, None], p=1).sum(), at(1, 1, 1)),
}


@pytest.mark.parametrize("name", list(TIED))
@pytest.mark.parametrize("factor", [0.3, 0.7])
def test_what_lies_between_two_slopes_does_not_pass(name, factor):
    call, given = TIED[name]

    def backward(g, x):
        y = x.detach().requires_grad_()
        with torch.enable_grad():
            slopes = torch.autograd.grad(call(y), y, g)[0]
        return factor * slopes + (0.1 if not slopes.any() else 0.0)

    for fast in (False, True):
        assert not ft.gradcheck(function(call, backward), (given,), fast_mode=fast, raise_exception=False)


def test_kinks_are_noted_by_the_operator():
    given = at(0, 1, 1)
    program = TorchProgram(lambda x: F.relu(x).sum() + x.max(), [given.detach()])
    response = program.run({0: torch.eye(3, dtype=torch.float64).numpy() * 1e-9})
    assert {(name.split(".")[1], kind) for name, kind in response.met} == {("relu", "kink"), ("max", "tie")}


class Held(torch.autograd.Function):
    """A relu with a slope of its own at zero."""

    @staticmethod
    def forward(ctx, x, slope):
        ctx.save_for_backward(x)
        ctx.slope = slope
        return torch.relu(x)

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * torch.where(x == 0, ctx.slope, (x > 0).to(g.dtype)), None


class Layer(torch.nn.Module):
    def __init__(self, slope):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor([[1.0, 1.0], [2.0, -1.0], [2.0, 0.5]]))
        self.slope = slope

    def forward(self, x):
        return Held.apply(x @ self.weight.T, self.slope) @ torch.tensor([0.3, 1.0, -0.9], dtype=x.dtype)


@pytest.mark.parametrize(("slope", "verdict"), [(0.0, "pass"), (1.0, "pass"), (2.0, "fail"), (-0.5, "fail")])
def test_a_module_that_stands_on_one_kink(slope, verdict):
    inputs, targets = torch.tensor([[1.0, 2.0], [0.5, 0.3]]), torch.tensor([1.0, 2.0])
    assert ft.check_module(Layer(slope), torch.nn.MSELoss(), inputs, targets).verdict == verdict


@pytest.mark.parametrize("seed", [3, 5, 6])
def test_an_orthogonal_layer_stands_where_whole_numbers_jump(seed):
    """Householder's parametrization truncates its diagonal, and a margin has kinks of its own."""
    torch.manual_seed(seed)
    layer = torch.nn.utils.parametrizations.orthogonal(torch.nn.Linear(7, 3).double())
    inputs, targets = torch.randn(4, 7, dtype=torch.float64), torch.tensor([0, 2, 1, 1])
    loss = torch.nn.MultiMarginLoss()
    assert ft.check_module(layer, loss, inputs, targets).verdict == "pass"
    with layer.parametrizations.weight.original.register_hook(lambda g: 1.01 * g):
        assert ft.check_module(layer, loss, inputs, targets).verdict == "fail"
