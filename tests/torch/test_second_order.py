"""Losses with gradients in them: penalties on gradients, physics in the loss, steps of learners inside of learners."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import fastcheck.torch as ft
from fastcheck.torch.program.program import TorchProgram
from tests.torch.second_orders import LAYERS, ONCE
from tests.torch.support import function, tensor

STEP = 1e-9


def weighted(out):
    """One number of many, none of which counts as another does."""
    return (out.sin() * torch.arange(1.0, 1.0 + out.numel()).double().view(out.shape)).sum()


def penalty(call, create_graph=True):
    """A number made of the gradients of ``weighted(call(...))``; without a graph they are found in other ways."""
    def loss(*inputs):
        given = [i if i.requires_grad else i.requires_grad_() for i in inputs]
        gradients = torch.autograd.grad(weighted(call(*given)), given, create_graph=create_graph,
                                        allow_unused=True)
        return sum(weighted(0.1 * g) for g in gradients)
    return loss


FUNCTIONS = {f"gradients of {name}": (penalty(call), shapes) for name, (call, shapes) in LAYERS.items()} | {
    name: ((lambda *inputs, call=call: weighted(call(*inputs))), shapes)
    for name, (call, shapes) in (LAYERS | ONCE).items()}


def point(shapes):
    torch.manual_seed(0)
    return [torch.randn(*shape, dtype=torch.float64) for shape in shapes]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_central_differences_are_autograds_derivatives(name):
    """Along a direction through all inputs, to some roundings of the terms."""
    call, shapes = FUNCTIONS[name]
    inputs = point(shapes)
    leaves = [i.clone().requires_grad_() for i in inputs]
    gradients = [g.numpy() for g in torch.autograd.grad(call(*leaves), leaves)]
    program = TorchProgram(call, inputs)
    generator = np.random.default_rng(0)
    directions = [generator.standard_normal(g.shape) for g in gradients]
    moved = program.run({k: np.stack([STEP * d, -STEP * d]) for k, d in enumerate(directions)})
    found = float(moved.changes[0][0] - moved.changes[0][1]) / (2.0 * STEP)
    terms = [np.sum(g * d) for g, d in zip(gradients, directions, strict=True)]
    size = sum(np.abs(g * d).sum() for g, d in zip(gradients, directions, strict=True))
    assert abs(found - sum(terms)) <= 2e-12 * size
    assert not moved.crossed.any()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_each_input_alone_and_a_batch_give_what_subtraction_gives(name):
    """No derivative in disguise: changes of a hundredth, of one input at a time."""
    call, shapes = FUNCTIONS[name]
    inputs = point(shapes)
    program, generator = TorchProgram(call, inputs), np.random.default_rng(1)
    before = float(call(*[i.clone() for i in inputs]).detach())
    for k, value in enumerate(inputs):
        steps = 1e-2 * generator.standard_normal((2, *value.shape))
        moved = program.run({k: steps})
        found = np.zeros(2) if moved.changes[0] is None else moved.changes[0]
        for step, change, crossed in zip(steps, found, moved.crossed, strict=True):
            if crossed:  # another entry is the largest of its window
                continue
            after = [i + torch.from_numpy(step) if j == k else i.clone() for j, i in enumerate(inputs)]
            literal = float(call(*after).detach()) - before
            assert abs(change - literal) <= 1e-11 * (abs(before) + abs(literal) + 1.0), (k, change, literal)


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("call", [
    torch.linalg.det, lambda a: torch.linalg.slogdet(a)[1], lambda a: torch.linalg.solve(a, torch.ones(3).double()),
    lambda a: torch.linalg.lu_factor(a)[0],
], ids=["det", "slogdet", "solve", "lu_factor"])
def test_factors_of_symmetric_matrices_are_those_of_the_matrix_that_was_factored(call, transposed):
    """PyTorch factors the transposed matrix at times, which the values of a symmetric one do not show."""
    loss = penalty(lambda a: call(a.mT) if transposed else call(a))
    a = torch.tensor([[4.0, 1.0, 0.5], [1.0, 3.0, -0.3], [0.5, -0.3, 5.0]], dtype=torch.float64)
    leaf = a.clone().requires_grad_()
    gradient, = torch.autograd.grad(loss(leaf), leaf)
    steps = STEP * np.eye(9).reshape(9, 3, 3)
    program = TorchProgram(penalty(lambda a: call(a.mT) if transposed else call(a), create_graph=False), [a])
    moved = program.run({0: np.concatenate([steps, -steps])}).changes[0]
    found = (moved[:9] - moved[9:]).reshape(3, 3) / (2.0 * STEP)
    np.testing.assert_allclose(found, gradient.numpy(), atol=1e-12 * float(gradient.abs().max()))


class Critic(nn.Module):
    """A convolutional critic whose loss has a penalty on its gradient by the input."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.GroupNorm(2, 4), nn.SiLU(), nn.AvgPool2d(2),
                                  nn.Conv2d(4, 6, 3), nn.Softplus(), nn.Flatten(), nn.LayerNorm(24), nn.Linear(24, 1))

    def forward(self, x):
        x = x.detach().requires_grad_()
        value = self.body(x)
        gradient, = torch.autograd.grad(value.sum(), x, create_graph=True)
        return value, gradient.flatten(1).norm(dim=1)


def penalised(outputs):
    """Wasserstein's loss with a gradient penalty."""
    value, norms = outputs
    return value.mean() + 10.0 * ((norms - 1.0) ** 2).mean()


def test_a_critic_with_a_gradient_penalty_is_proven_exactly():
    torch.manual_seed(0)
    module, x = Critic().double(), torch.randn(3, 1, 8, 8).double()
    report = ft.check_module(module, penalised, x)
    assert report.verdict == "pass"
    assert report.engine == "program"
    assert report.difference < 1e-10
    double = function(lambda w: w * 1.0, lambda g, w: 1.001 * g)
    nn.utils.parametrize.register_parametrization(module.body[4], "weight", Wrong(double), unsafe=True)
    assert ft.check_module(module, penalised, x).verdict == "fail"


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_a_critic_is_watched(dtype):
    """What autograd keeps of its outputs has no history of its own, and is not detached for that."""
    torch.manual_seed(0)
    module, x = Critic().to(dtype), torch.randn(3, 1, 8, 8).to(dtype)
    watch = ft.Watch(module, penalised, x, overhead=100.0)
    for _ in range(3):
        module.zero_grad()
        penalised(module(x)).backward()
        watch(x)
    assert watch.looks >= 2
    assert watch.checks == 0
    assert watch.worst < 1e-12


class Learner(nn.Module):
    """Takes a step down its own loss, and is judged by what it then says."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, 4).double())
        self.rate = nn.Parameter(torch.tensor(0.1).double())

    def forward(self, x, y):
        gradient, = torch.autograd.grad(F.mse_loss(x @ self.weight, y), self.weight, create_graph=True)
        return x @ (self.weight - self.rate * gradient) - y


def test_a_learner_inside_a_learner_is_proven_exactly():
    """Parameters that the forward pass differentiates by require gradients while it is recorded."""
    torch.manual_seed(0)
    report = ft.check_module(Learner(), lambda out: out.pow(2).sum(), (torch.randn(5, 3).double(),
                                                                      torch.randn(5, 4).double()))
    assert report.verdict == "pass"
    assert report.engine == "program"


class Wrong(nn.Module):
    """A parametrization whose backward is wrong."""

    def __init__(self, double):
        super().__init__()
        self.double = double

    def forward(self, w):
        return self.double(w)


def test_large_convolutions_are_proven_twice_over():
    """gradgradcheck follows convolution_backward, where subtraction leaves doubt."""
    inputs = tensor(2, 3, 10, 10), tensor(4, 3, 3, 3)
    assert ft.gradgradcheck(lambda x, w: F.conv2d(x, w, padding=1), inputs)
