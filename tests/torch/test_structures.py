"""Modules in other forms: outputs in structures, parametrizations, checkpointing, custom Functions, several inputs."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

import fastcheck.torch as ft
from tests.torch.support import function


class Several(nn.Module):
    """Two inputs, and outputs as a tuple or a dictionary."""

    def __init__(self, as_dictionary):
        super().__init__()
        self.first, self.second, self.as_dictionary = nn.Linear(4, 3), nn.Linear(5, 3), as_dictionary

    def forward(self, a, b):
        one, two = torch.tanh(self.first(a)), self.second(b).sin()
        return {"sum": one + two, "each": (one, two)} if self.as_dictionary else (one + two, (one, two))


def loss_of(outputs, labels):
    total, (one, two) = outputs.values() if isinstance(outputs, dict) else outputs
    return F.cross_entropy(total, labels) + (one * two).mean()


class Checkpointed(nn.Module):
    def __init__(self, reentrant):
        super().__init__()
        self.body, self.head, self.reentrant = nn.Sequential(nn.Linear(4, 6), nn.Tanh()), nn.Linear(6, 3), reentrant

    def forward(self, x):
        x = x.clone().requires_grad_() if self.reentrant else x
        return self.head(checkpoint(self.body, x, use_reentrant=self.reentrant))


class Custom(nn.Module):
    def __init__(self, factor=1.0):
        super().__init__()
        self.linear = nn.Linear(4, 3)
        self.apply_cube = function(lambda x: x**3, lambda g, x: factor * 3.0 * x**2 * g)

    def forward(self, x):
        return self.apply_cube(self.linear(x))


def parametrized(register):
    module = nn.Sequential(nn.Linear(4, 6), nn.LayerNorm(6), nn.Linear(6, 3)).double().eval()
    register(module[0])
    return module


FORMS = {
    "weight norm": lambda: parametrized(nn.utils.parametrizations.weight_norm),
    "spectral norm": lambda: parametrized(nn.utils.parametrizations.spectral_norm),
    "checkpointing": lambda: Checkpointed(False).double(),
    "reentrant checkpointing": lambda: Checkpointed(True).double(),
    "a custom Function": lambda: Custom().double(),
}


@pytest.mark.parametrize("method", ["all", "directional"])
@pytest.mark.parametrize("name", FORMS)
def test_other_forms_pass_and_a_mistake_in_them_is_named(name, method):
    module = FORMS[name]()
    x, y = torch.randn(7, 4).double(), torch.randint(0, 3, (7,))
    names = [n for n, _ in module.named_parameters()]
    report = ft.check_module(module, nn.CrossEntropyLoss(), x, y, method=method)
    assert report.verdict == "pass", str(report)
    assert report.engine == "program"
    assert [t.name for t in report.tensors] == names
    dict(module.named_parameters())[names[0]].register_hook(lambda g: g * 1.001)
    report = ft.check_module(module, nn.CrossEntropyLoss(), x, y, method=method)
    assert [t.name for t in report.failures] == [names[0]]


@pytest.mark.parametrize("as_dictionary", [True, False])
def test_several_inputs_and_outputs_in_structures(as_dictionary):
    module = Several(as_dictionary).double()
    inputs, labels = (torch.randn(6, 4).double(), torch.randn(6, 5).double()), torch.randint(0, 3, (6,))
    report = ft.check_module(module, loss_of, inputs, labels)
    assert report.verdict == "pass", str(report)
    assert [t.name for t in report.tensors] == ["first.weight", "first.bias", "second.weight", "second.bias"]
    module.second.bias.register_hook(lambda g: -g)
    report = ft.check_module(module, loss_of, inputs, labels)
    assert [t.name for t in report.failures] == ["second.bias"]


# The rows of the table of blind spots that concern modules (tests/README.md).


def test_views_and_writing_in_place():
    class Views(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(4, 6)

        def forward(self, x):
            out = self.linear(x)
            left, right = out[:, :3], out[:, 3:]
            left = left.clone()
            left[:, 1:] *= right[:, 1:]
            return left.view(-1)

    report = ft.check_module(Views().double(), lambda out: out.sin().sum(), torch.randn(5, 4).double())
    assert report.verdict == "pass", str(report)


def test_a_bias_before_a_normalisation():
    """Its gradient is zero but for rounding: right ones pass by all entries and by directions, a wrong one fails."""
    module = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 3)).double()
    x, y = torch.randn(9, 4).double(), torch.randint(0, 3, (9,))
    for method in ("all", "directional"):
        assert ft.check_module(module, nn.CrossEntropyLoss(), x, y, method=method).verdict == "pass"
    module[0].bias.register_hook(lambda g: g + 1e-6)
    for method in ("all", "directional"):
        report = ft.check_module(module, nn.CrossEntropyLoss(), x, y, method=method)
        assert [t.name for t in report.failures] == ["0.bias"], str(report)
