"""``check_module`` of operators whose gradient is by design another: samples of Gamma, fake quantisation."""

import pytest
import torch
from torch import distributions, nn
from torch.ao.quantization import FakeQuantize, MovingAverageMinMaxObserver, disable_fake_quant

import fastcheck.torch as ft
from tests.torch.support import function

D = torch.float64
flipped = function(lambda x: x.clone(), lambda g, x: -g)
DISTRIBUTIONS = {
    "Gamma": lambda a: distributions.Gamma(a, 1.0), "Beta": lambda a: distributions.Beta(a, 2.0),
    "Dirichlet": distributions.Dirichlet, "StudentT": distributions.StudentT, "Chi2": distributions.Chi2,
}


class Sampling(nn.Module):
    """A layer beside samples of a learned distribution."""

    def __init__(self, make, sign=1.0):
        super().__init__()
        self.shape, self.linear, self.make, self.sign = nn.Parameter(torch.tensor(0.3)), nn.Linear(5, 3), make, sign

    def forward(self, x):
        samples = self.make(self.shape.exp() * torch.ones(50, dtype=self.shape.dtype)).rsample()
        out = self.linear(x)
        return (out if self.sign > 0 else flipped(out)).mean() + samples.square().mean()


@pytest.mark.parametrize("dtype", [D, torch.float32], ids=str)
@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_what_acts_through_samples_alone_is_left_open_with_the_reason(name, dtype):
    report = ft.check_module(Sampling(DISTRIBUTIONS[name]).to(dtype), lambda o: o, torch.randn(6, 5, dtype=dtype),
                             randomness="frozen")
    assert report.verdict == "inconclusive", str(report)
    assert [t.name for t in report.tensors if t.verdict != "pass"] == ["shape"]
    assert "rejection sampler" in report.summary


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_mistakes_beside_samples_are_found(name):
    report = ft.check_module(Sampling(DISTRIBUTIONS[name], -1.0).double(), lambda o: o, torch.randn(6, 5, dtype=D),
                             randomness="frozen")
    assert {t.name for t in report.failures} == {"linear.weight", "linear.bias"}
    assert report.verdict == "fail"


def test_samples_that_are_only_scaled_are_proven():
    report = ft.check_module(Sampling(lambda a: distributions.Normal(a, 1.0)).double(), lambda o: o,
                             torch.randn(6, 5, dtype=D), randomness="frozen")
    assert report.ok, str(report)


def test_samples_without_gradients_excuse_nothing():
    module = Sampling(lambda a: distributions.Gamma(a.detach(), a * 0.0 + 1.0)).double()
    module.shape.register_hook(lambda g: g + 1.0)
    report = ft.check_module(module, lambda o: o, torch.randn(6, 5, dtype=D), randomness="frozen")
    assert [t.name for t in report.failures] == ["shape"]


def quantised(factor=1.0):
    """Fake quantisation between layers, and a last layer whose gradient is off by a factor."""
    middle = FakeQuantize(observer=MovingAverageMinMaxObserver, quant_min=0, quant_max=255)
    last = nn.Linear(5, 3)
    if factor != 1.0:
        last.weight.register_hook(lambda g: factor * g)
    return nn.Sequential(nn.Linear(4, 5), middle, nn.ReLU(), last).double()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_fake_quantisation_is_left_open_with_the_reason():
    x, y = torch.randn(8, 4, dtype=D), torch.randint(0, 3, (8,))
    report = ft.check_module(quantised(), nn.CrossEntropyLoss(), x, y)
    assert report.verdict == "inconclusive", str(report)
    assert {t.name: t.cause for t in report.tensors if t.verdict != "pass"} == {
        "0.weight": "straight", "0.bias": "straight"}
    assert "fake quantisation" in report.summary


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_mistakes_behind_fake_quantisation_are_found():
    x, y = torch.randn(8, 4, dtype=D), torch.randint(0, 3, (8,))
    report = ft.check_module(quantised(1.01), nn.CrossEntropyLoss(), x, y)
    assert [t.name for t in report.failures] == ["3.weight"]


@pytest.mark.filterwarnings("ignore")
def test_quantisation_that_is_switched_off_is_proven():
    module = quantised().apply(disable_fake_quant)
    assert ft.check_module(module, nn.CrossEntropyLoss(), torch.randn(8, 4, dtype=D), torch.randint(0, 3, (8,))).ok


class Table(nn.Module):
    """An embedding whose rows are no longer than one, and a layer."""

    def __init__(self, length):
        super().__init__()
        self.table, self.linear = nn.Embedding(6, 4, max_norm=1.0), nn.Linear(4, 3)
        with torch.no_grad():
            self.table.weight.mul_(length / self.table.weight.norm(dim=-1, keepdim=True))

    def forward(self, rows):
        return self.linear(self.table(rows).mean(1))


@pytest.mark.parametrize("length", [0.5, 2.0])
@pytest.mark.parametrize("factor", [1.0, 1.01])
def test_rows_that_are_shortened_in_place(length, factor):
    """Of those that are too long the gradient is another by design; others are judged."""
    torch.manual_seed(0)
    module, rows = Table(length).double(), torch.randint(0, 6, (5, 3))
    module.table.weight.register_hook(lambda g: factor * g)
    report = ft.check_module(module, nn.CrossEntropyLoss(), rows, torch.randint(0, 3, (5,)))
    if length > 1.0:
        assert {t.name: t.cause for t in report.tensors if t.verdict != "pass"} == {"table.weight": "shortened"}
        assert report.verdict == "inconclusive"
        assert "max_norm" in report.summary
    else:
        assert [t.name for t in report.failures] == ([] if factor == 1.0 else ["table.weight"]), str(report)
        assert report.ok == (factor == 1.0)
    assert torch.allclose(module.table.weight.norm(dim=-1), torch.tensor(length, dtype=D))


def looking_up(repeated):
    rows = torch.tensor([[0, 3, 2], [6, 6, 1]] if repeated else [[0, 3, 2], [6, 5, 1]])
    return nn.Sequential(nn.Embedding(7, 3, scale_grad_by_freq=True), nn.Tanh()).double(), rows


@pytest.mark.parametrize("repeated", [True, False])
def test_gradients_that_are_divided_by_counts_are_left_open(repeated):
    module, rows = looking_up(repeated)
    report = ft.check_module(module, lambda out: out.square().mean(), rows)
    assert report.verdict == ("inconclusive" if repeated else "pass")
    assert ("scale_grad_by_freq" in report.summary) == repeated


NORMALISED = {"parametrised": nn.utils.parametrizations.spectral_norm, "hooked": nn.utils.spectral_norm}


@pytest.mark.parametrize("dtype", [D, torch.float32], ids=str)
@pytest.mark.parametrize("name", NORMALISED)
def test_spectral_norms_in_training_are_left_open_and_pass_in_evaluation(name, dtype):
    torch.manual_seed(0)
    module = nn.Sequential(NORMALISED[name](nn.Linear(8, 5)), nn.Linear(5, 3)).to(dtype)
    x = torch.randn(6, 8, dtype=dtype)
    report = ft.check_module(module, lambda out: out.square().mean(), x, randomness="frozen")
    assert report.verdict == "inconclusive"
    assert "module.eval()" in str(report)
    assert ft.check_module(module.eval(), lambda out: out.square().mean(), x).ok


def test_mistakes_beside_a_spectral_norm_are_found():
    torch.manual_seed(0)
    module = nn.Sequential(nn.utils.spectral_norm(nn.Linear(8, 5)), nn.Linear(5, 3)).double()
    module[1].weight.register_hook(lambda g: 1.01 * g)
    report = ft.check_module(module, lambda out: out.square().mean(), torch.randn(6, 8, dtype=D), randomness="frozen")
    assert [t.name for t in report.failures] == ["1.weight"]


@pytest.mark.parametrize("kind", [tuple, torch.tensor], ids=["numbers", "tensors"])
def test_alignments_of_what_is_no_probability_say_so(kind):
    labels = torch.tensor([[1, 2], [2, 2]])
    for normalised in (False, True):
        def loss(out, normalised=normalised):
            scores = out.log_softmax(-1) if normalised else out
            return nn.functional.ctc_loss(scores, labels, kind([6, 5]), kind([2, 2]))

        torch.manual_seed(0)
        report = ft.check_module(nn.Linear(6, 4).double(), loss, torch.randn(6, 2, 6, dtype=D))
        assert report.verdict == ("pass" if normalised else "fail"), str(report)
        assert any("log_softmax" in note for note in report.notes) != normalised


@pytest.mark.parametrize("dtype", [D, torch.float32], ids=str)
@pytest.mark.parametrize("scale", [0.1, 60.0, 100.0])
def test_outputs_whose_cross_entropy_is_clamped_are_left_open_with_the_reason(dtype, scale):
    """Labels that are right, and wrong ones: both divide by what is not p (1 - p)."""
    torch.manual_seed(0)
    module, x = nn.Sequential(nn.Linear(4, 1), nn.Sigmoid()).to(dtype), torch.randn(8, 4, dtype=dtype)
    with torch.no_grad():
        module[0].weight.mul_(scale)
    y = torch.tensor([0.0, 1.0] * 4, dtype=dtype)[:, None]
    report = ft.check_module(module, nn.BCELoss(), x, y)
    assert report.verdict == ("pass" if scale < 1.0 else "inconclusive"), str(report)
    assert scale < 1.0 or "binary_cross_entropy_with_logits" in str(report)
    module[0].weight.register_hook(lambda g: 1.5 * g)
    assert ft.check_module(module, nn.BCELoss(), x, y).verdict != "pass"


@pytest.mark.parametrize("scale", [60.0, 100.0])
@pytest.mark.parametrize("seed", range(6))
def test_training_steps_whose_cross_entropy_is_clamped_go_on(seed, scale):
    torch.manual_seed(seed)
    module, x = nn.Sequential(nn.Linear(4, 1), nn.Sigmoid()), torch.randn(8, 4)
    with torch.no_grad():
        module[0].weight.mul_(scale)
    loss, y = nn.BCELoss(), torch.tensor([0.0, 1.0] * 4)[:, None]
    watch = ft.Watch(module, loss, x, y)
    loss(module(x), y).backward()
    watch(x, y)
    assert not watch.failures
