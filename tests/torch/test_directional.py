"""Modules of real size by directions: what they cost, what they show, what memory they take."""

import contextlib
import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

import fastcheck.torch as ft
from benchmarks.data.torch_models import model
from fastcheck.engines.program.runner import Runner


@contextlib.contextmanager
def counted(owner, name):
    """Collects the calls of a method meanwhile."""
    calls, method = [], getattr(owner, name)
    setattr(owner, name, lambda *given, **options: (calls.append(given), method(*given, **options))[1])
    try:
        yield calls
    finally:
        setattr(owner, name, method)


class Operators(TorchDispatchMode):
    """Counts operators, those left out that only look at memory."""

    def __init__(self):
        super().__init__()
        self.calls = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.calls += not func.is_view
        return func(*args, **(kwargs or {}))


def operators_of(call):
    counter = Operators()
    with counter:
        call()
    return counter.calls


def products_of(call):
    """Floating-point operations of matrix products and convolutions."""
    counter = FlopCounterMode(display=False)
    with counter:
        call()
    return counter.get_total_flops()


@pytest.fixture
def plain_attention():
    """PyTorch's fused attention of eval mode is one operator, whose work nobody counts."""
    torch.backends.mha.set_fastpath_enabled(False)
    yield
    torch.backends.mha.set_fastpath_enabled(True)


@pytest.mark.slow
@pytest.mark.usefixtures("plain_attention")
@pytest.mark.parametrize(("name", "count", "most"), [
    ("ResNet", products_of, 30), ("GPT", products_of, 30), ("LSTM", products_of, 60), ("LSTM", operators_of, 60),
])
def test_a_right_module_costs_few_forward_passes(name, count, most):
    """What a whole check takes, from the backward pass that is checked to the report, in forward passes."""
    module, loss, inputs, targets = model(name)
    with torch.no_grad():
        forward = count(lambda: loss(module(inputs), targets))
    reports = []
    whole = count(lambda: reports.append(ft.check_module(module, loss, inputs, targets, method="directional")))
    assert reports[0].ok, str(reports[0])
    assert reports[0].difference < 1e-12
    assert whole <= most * forward


def test_the_loss_is_recorded_once(monkeypatch):
    from fastcheck.torch.program import program as recorded

    calls, record = [], recorded.record
    monkeypatch.setattr(recorded, "record", lambda *given: (calls.append(1), record(*given))[1])
    module, loss, inputs, targets = model("LSTM")
    assert ft.check_module(module, loss, inputs, targets, method="directional").ok
    assert len(calls) == 1


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ResNet", "GPT", "LSTM"])
def test_one_entry_that_is_off_by_a_millionth_is_named(name):
    module, loss, inputs, targets = model(name)
    inputs, targets = inputs[:2], targets[:2]
    victims = {"ResNet": ("blocks.1.conv1.weight", (3, 0, 1, 1)), "GPT": ("layers.2.linear1.weight", (7, 5)),
               "LSTM": ("lstm.weight_hh_l0", (3, 9))}
    victim, entry = victims[name]

    def spoil(gradient):
        gradient = gradient.clone()
        gradient[entry] *= 1.0 + 1e-6
        return gradient

    dict(module.named_parameters())[victim].register_hook(spoil)
    report = ft.check_module(module, loss, inputs, targets, method="directional")
    assert [t.name for t in report.failures] == [victim]
    assert report.failures[0].worst == entry


def off_by(factors):
    """A small attention whose first gradient has entries that are off by factors, and the runs that its check takes."""
    torch.manual_seed(1)
    module = nn.TransformerEncoderLayer(8, 2, 16, 0.0, "gelu", batch_first=True).double()
    words = torch.randn(2, 5, 8, dtype=torch.float64)

    def spoil(gradient):
        gradient = gradient.clone()
        for place, factor in factors.items():
            gradient[place] *= factor
        return gradient

    module.self_attn.in_proj_weight.register_hook(spoil)
    with counted(Runner, "run") as runs:
        report = ft.check_module(module, lambda out: (out**3).mean(), words, method="directional")
    return report, len(runs)


@pytest.mark.parametrize("off", [1e-6, -0.5, 1e3])
def test_one_wrong_entry_is_read_off_the_directions(off):
    """A right gradient takes one run of all directions or, with entries apart, two."""
    report, runs = off_by({(3, 2): 1.0 + off})
    assert [(t.name, t.worst) for t in report.failures] == [("self_attn.in_proj_weight", (3, 2))]
    assert runs <= 3


def test_several_wrong_entries_are_looked_for():
    report, runs = off_by({(3, 2): 1.0 + 1e-6, (9, 1): 1.0 - 1e-6})
    assert [t.name for t in report.failures] == ["self_attn.in_proj_weight"]
    assert report.failures[0].worst in ((3, 2), (9, 1))
    assert runs > 3


@pytest.mark.slow
def test_a_relu_resnet_passes_by_directions():
    """Kinks are known exactly: none is crossed by the engine's step, and nothing is blamed on rounding."""
    module, loss, inputs, targets = model("ReLU ResNet")
    assert sum(p.numel() for p in module.parameters()) > 700_000
    report = ft.check_module(module, loss, inputs, targets)
    assert report.verdict == "pass", str(report)
    assert report.method == "directional"


CHILD = """
import resource, sys
import torch
import fastcheck.torch as ft
from benchmarks.data.torch_models import model
from fastcheck.engines.program.runner import Runner

torch.set_num_threads(1)
module, loss, inputs, targets = model({name!r})
ft.check_module(module, loss, inputs, targets, method="directional", memory_limit=1 << 20)
loss(module(inputs), targets).backward()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
report = ft.check_module(module, loss, inputs, targets, method={method!r}, memory_limit=256 << 20, time_limit=10)
assert report.verdict == "pass", str(report)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


@pytest.mark.slow
@pytest.mark.parametrize(("name", "method"), [("ResNet", "directional"), ("ResNet", None), ("LeNet", "all")])
def test_the_memory_limit_counts_activations(name, method):
    """Beside some 24 vectors of n numbers, as the option says."""
    child = subprocess.run([sys.executable, "-c", CHILD.format(name=name, method=method)], capture_output=True,
                           text=True, check=True)
    size = sum(p.numel() for p in model(name)[0].parameters())
    assert float(child.stdout) <= 256 + 24 * 8 * size / 2**20
