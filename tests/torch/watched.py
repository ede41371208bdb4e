"""A module that is trained and watched, for the tests of ``fastcheck.torch.Watch``."""

import torch
from torch import nn
from torch.nn import functional as F

ALWAYS = 1e9  # an overhead with which every step is looked at


def net(*middle, dtype=torch.float64):
    return nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), *middle, nn.Linear(8, 3)).to(dtype)


def batch(dtype=torch.float64, count=12):
    return torch.randn(count, 6, dtype=dtype), torch.randint(0, 3, (count,))


def trained(module, watch, steps, *, zero=True, dtype=torch.float64, before=lambda step: None):
    """Train for some steps, each on data of its own."""
    optimizer = torch.optim.SGD(module.parameters(), 0.05)
    for step in range(steps):
        before(step)
        x, y = batch(dtype, 8 + step % 3)
        optimizer.zero_grad(set_to_none=zero)
        F.cross_entropy(module(x), y).backward()
        watch(x, y)
        optimizer.step()


def spoil(parameter, factor=1.001):
    return parameter.register_hook(lambda g: g * factor)
