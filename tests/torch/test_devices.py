"""Everything on a CUDA device, where there is one; FASTCHECK_TEST_DEVICE=cpu runs the same tests without."""

import os

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import fastcheck as fc
import fastcheck.torch as ft
from benchmarks.data.torch_models import GPT, LSTM, ResNet, next_word

DEVICE = os.environ.get("FASTCHECK_TEST_DEVICE", "cuda")
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(DEVICE == "cuda" and not torch.cuda.is_available(), reason="no CUDA device"),
]


def small(name, dtype=torch.float64):
    torch.manual_seed(0)
    if name == "ResNet":
        found = ResNet((4, 8, 8), nn.ReLU()), F.cross_entropy, torch.randn(4, 3, 8, 8), torch.randint(0, 10, (4,))
    elif name == "LSTM":
        found = LSTM(), F.cross_entropy, torch.randint(0, 50, (4, 6)), torch.randint(0, 10, (4,))
    else:
        words = torch.randint(0, 20, (2, 9))
        found = GPT(20, 16, 2, 8), next_word, words[:, :-1], words[:, 1:]
    module, loss, inputs, targets = found
    inputs = inputs.to(dtype) if inputs.is_floating_point() else inputs
    return module.to(DEVICE, dtype), loss, inputs.to(DEVICE), targets.to(DEVICE)


@pytest.mark.parametrize("name", ["ResNet", "LSTM", "GPT"])
@pytest.mark.parametrize("method", ["directional", "sample"])
def test_modules_are_checked_where_they_are(name, method):
    module, loss, inputs, targets = small(name)
    options = {"samples": 30} if method == "sample" else {}
    report = ft.check_module(module, loss, inputs, targets, method=method, **options)
    assert report.verdict == "pass", str(report)
    assert report.engine == "program"
    assert all(p.device.type == DEVICE for p in module.parameters())
    next(p for n, p in module.named_parameters() if n.endswith("head.weight")).register_hook(lambda g: g * 1.001)
    report = ft.check_module(module, loss, inputs, targets, method=method, **options)
    assert [t.name for t in report.failures] == ["head.weight"]


def test_dropout_with_the_device_generators_state():
    module = nn.Sequential(nn.Linear(6, 8), nn.Dropout(0.5), nn.Linear(8, 3)).double().to(DEVICE)
    x, y = torch.randn(5, 6, device=DEVICE).double(), torch.randint(0, 3, (5,), device=DEVICE)
    assert ft.check_module(module, F.cross_entropy, x, y, randomness="frozen").ok


def test_gradcheck_of_tensors_on_the_device():
    x = torch.randn(3, 4, device=DEVICE, dtype=torch.float64, requires_grad=True)
    assert ft.gradcheck(lambda a: a.sin() * a, (x,))
    assert ft.gradgradcheck(lambda a: a**3, (x,))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_the_watch(dtype):
    module, loss, inputs, targets = small("ResNet", dtype)
    watch = ft.Watch(module, loss, inputs, targets, overhead=1e9)
    for step in range(6):
        if step == 5:
            module.head.weight.register_hook(lambda g: g * 1.2)
        module.zero_grad()
        loss(module(inputs), targets).backward()
        if step < 5:
            watch(inputs, targets)
        else:
            with pytest.raises(fc.GradientMismatch, match="head.weight"):
                watch(inputs, targets)
    assert watch.failures == 1
