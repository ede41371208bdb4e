"""Modules whose normalisation gets what hardly varies: the bias before it has a gradient of nothing but rounding."""

import numpy as np
import pytest
import torch
from torch import nn

import fastcheck.torch as ft

MODULES = {
    "batch norm": (lambda: nn.Sequential(nn.Linear(5, 6), nn.BatchNorm1d(6), nn.Linear(6, 2)), (12, 5)),
    "instance norm": (lambda: nn.Sequential(nn.Conv1d(3, 4, 3), nn.InstanceNorm1d(4), nn.Flatten(), nn.Linear(24, 2)),
                      (3, 3, 8)),
    "batch norm of images": (lambda: nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.Flatten(),
                                                   nn.Linear(64, 2)), (3, 2, 6, 6)),
}  # fmt: skip
SEEDS = (0, 2, 3, 8, 35)


def case(name, dtype, seed):
    torch.manual_seed(seed)
    build, shape = MODULES[name]
    module, x = build().to(dtype), torch.randn(shape) * 10.0 ** np.random.default_rng(seed).uniform(-4.0, -1.0)
    labels = torch.randint(0, 2, shape[:1])
    return module, lambda outputs: nn.functional.cross_entropy(outputs, labels), x.to(dtype)


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("method", [None, "directional"])
def test_right_modules_pass(name, dtype, method):
    for seed in SEEDS:
        report = ft.check_module(*case(name, dtype, seed), method=method)
        assert report.verdict == "pass", str(report)


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_a_bias_gradient_that_is_wrongly_not_zero_does_not(name, dtype):
    failed = 0
    for seed in SEEDS:
        module, loss, x = case(name, dtype, seed)
        loss(module(x)).backward()
        size = 1e-3 * max(float(p.grad.square().mean().sqrt()) for p in module.parameters())
        module.zero_grad()
        module[0].bias.register_hook(lambda g, size=size: g + size * torch.eye(len(g), dtype=g.dtype)[1])
        report = ft.check_module(module, loss, x)
        assert report.verdict != "pass", str(report)
        failed += [t.name for t in report.failures] == ["0.bias"]
    assert failed >= (len(SEEDS) if dtype is torch.float64 else len(SEEDS) - 1)


def test_nothing_warns_where_the_truth_is_zero(recwarn):
    module, loss, x = case("batch norm", torch.float64, 0)
    module[0].bias.register_hook(lambda g: g + 1e-3)
    assert ft.check_module(module, loss, x).verdict == "fail"
    assert not [w for w in recwarn if issubclass(w.category, RuntimeWarning)]
