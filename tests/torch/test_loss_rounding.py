"""``fastcheck.torch.loss_rounding``: what rounding of the loss's own derivative adds to a step's gradients."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import fastcheck as fc
import fastcheck.torch as ft
from fastcheck._constants import UNIT_ROUNDOFFS
from fastcheck.torch.case import Case, detached
from fastcheck.torch.look import IN_DOUBLE, true_gradients
from fastcheck.torch.loss_rounding import loss_rounding
from fastcheck.torch.watch import AGREES
from tests.torch.watched import ALWAYS, spoil


def sure(size=12.0):
    """Return a classifier, inputs, and labels of which it is sure: their outputs exceed others by about a size."""
    torch.manual_seed(4)
    module, x = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3)), 2.0 * torch.randn(500, 6)
    with torch.no_grad():
        module[2].bias.zero_()
        first, second = module(x).topk(2, dim=1).values.T
        x = x[(first - second).argsort()[-12:]]
        module[2].weight *= size / (first - second).max()
        return module, x, module(x).argmax(1)


def off(module, loss, x, y):
    """Return what a step is off by, as a share of each tensor's norm: without what the loss rounds, and with it."""
    case = Case.of(module, loss, x, y, frozen=True)
    case.coarse = UNIT_ROUNDOFFS["float32"]
    own = case.gradients(detached, [p.detach().clone() for p in case.parameters.values()])
    truth, shared = true_gradients(case), loss_rounding(case, 1)
    left = {name: truth[name] + shared.get(name, 0.0) for name in truth}
    return [max(np.linalg.norm(one - right) / np.linalg.norm(right) for one, right in
                zip(own, found.values(), strict=True)) for found in (truth, left)], shared


@pytest.mark.parametrize("size", [11.0, 15.0])
def test_a_perfect_fit_is_off_by_what_its_loss_rounds(size):
    module, x, y = sure(size)
    (alone, left), _ = off(module, F.cross_entropy, x, y)
    assert alone > 1e-4
    assert left < 3e-6


class Several(nn.Module):
    """Gives its outputs in a dictionary, beside numbers that are whole and a tuple."""

    def __init__(self, module):
        super().__init__()
        self.module = module

    def forward(self, x):
        found = self.module(x)
        return {"logits": found, "best": found.argmax(1), "more": (x.sum(), found.square())}


def test_outputs_may_be_a_structure():
    module, x, y = sure()
    for loss in (lambda out, t: F.cross_entropy(out["logits"], t),
                 lambda out, t: F.cross_entropy(out["more"][1].sqrt() * out["logits"].sign(), t)):
        (alone, left), _ = off(Several(module), loss, x, y)
        assert alone > 1e-4
        assert left < 1e-5
    (alone, left), shared = off(Several(module), lambda out: F.cross_entropy(out["logits"], y), x, None)
    assert shared
    assert left < 3e-6 < alone


class Entropy(torch.autograd.Function):
    """Cross-entropy; its backward is wrong in single precision alone, by a change of the right one."""

    @staticmethod
    def forward(ctx, outputs, targets, change):
        ctx.save_for_backward(outputs, targets)
        ctx.change = change
        return F.cross_entropy(outputs, targets)

    @staticmethod
    def backward(ctx, upstream):
        outputs, targets = ctx.saved_tensors
        found = (outputs.softmax(1) - F.one_hot(targets, outputs.shape[1])) / len(outputs)
        return upstream * (ctx.change(found) if outputs.dtype == torch.float32 else found), None, None


def a_row(gradient, factor=1.05):
    found = gradient.clone()
    found[gradient.norm(dim=1).argmax()] *= factor
    return found


CHANGES = {"nothing": lambda g: g, "a factor": lambda g: 1.003 * g, "a row": a_row, "its sign": lambda g: -g}


@pytest.mark.parametrize("kind", CHANGES)
def test_a_mistake_of_the_loss_is_no_rounding_of_it(kind):
    module, x, y = sure(9.0)
    (_, left), shared = off(module, lambda out, t: Entropy.apply(out, t, CHANGES[kind]), x, y)
    assert bool(shared) == (kind == "nothing")
    assert (left < 1e-5) == (kind == "nothing")


def of_history(out, t):
    """Return a loss that a gradient penalty may be part of: it asks what the outputs came from."""
    if out.is_leaf:
        raise RuntimeError("outputs without a history")
    return F.cross_entropy(out, t)


@pytest.mark.parametrize("loss", [of_history, lambda out, t: F.cross_entropy(out.mul_(1.0), t)])
def test_a_loss_that_wants_more_than_numbers_is_left_alone(loss):
    module, x, y = sure()
    case = Case.of(module, loss, x, y, frozen=True)
    case.coarse = UNIT_ROUNDOFFS["float32"]
    assert loss_rounding(case, 1) == {}


def test_a_perfect_fit_leads_to_no_check_and_hides_no_mistake():
    module, x, y = sure()
    watch = ft.Watch(module, F.cross_entropy, x, y, overhead=ALWAYS)

    def step(scale):
        module.zero_grad()
        F.cross_entropy(module(scale * x), y).backward()
        watch(scale * x, y)

    for number in range(20):
        step(1.0 + 0.01 * number)
    assert (watch.looks, watch.checks) == (20, 0)
    hook = spoil(module[0].weight, 1.003)
    with pytest.raises(fc.GradientMismatch) as caught:
        step(1.05)
    assert [t.name for t in caught.value.report.failures] == ["0.weight"]
    hook.remove()
    step(1.06)
    assert watch.failures == 1


def test_a_check_near_a_perfect_fit_calls_a_row_wrong():
    """Runs of the check are without the loss's rounding as well, which would excuse that row."""
    module, x, y = sure(14.0)
    watch = ft.Watch(module, F.cross_entropy, x, y, overhead=ALWAYS)
    module[2].weight.register_hook(lambda g: a_row(g, 1.02))
    F.cross_entropy(module(x), y).backward()
    with pytest.raises(fc.GradientMismatch) as caught:
        watch(x, y)
    assert [t.name for t in caught.value.report.failures] == ["2.weight"]


def test_double_precision_rounds_a_perfect_fit_too():
    module, x, y = sure(17.0)
    module, x = module.double(), x.double()
    watch = ft.Watch(module, F.cross_entropy, x, y, overhead=ALWAYS)
    for number in range(5):
        module.zero_grad()
        here = (1.0 + 0.01 * number) * x
        F.cross_entropy(module(here), y).backward()
        watch(here, y)
    assert IN_DOUBLE < watch.worst < AGREES
    assert watch.checks == 0
