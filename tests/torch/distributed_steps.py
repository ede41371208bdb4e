"""Training steps of data parallel workers, right and wrong, in a module that the workers can import."""

import atexit
import os

import torch
from torch import distributed, nn

GENERATOR = 0


def make():
    torch.manual_seed(GENERATOR)
    return nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 3))


def batches(sizes=(6, 6)):
    generator = torch.Generator().manual_seed(1)
    return [(torch.randn(size, 5, generator=generator), torch.randint(0, 3, (size,), generator=generator))
            for size in sizes]


def bare(module):
    return module


def reduced(module, change=lambda gradient: gradient):
    for parameter in module.parameters():
        distributed.all_reduce(parameter.grad)
        parameter.grad.copy_(change(parameter.grad))


def by_hand(module, loss, inputs, targets):
    loss(module(inputs), targets).backward()
    reduced(module, lambda gradient: gradient / distributed.get_world_size())


def no_all_reduce(module, loss, inputs, targets):
    loss(module(inputs), targets).backward()


def divided_twice(module, loss, inputs, targets):
    (loss(module(inputs), targets) / distributed.get_world_size()).backward()
    reduced(module, lambda gradient: gradient / distributed.get_world_size())


def summed(module, loss, inputs, targets):
    loss(module(inputs), targets).backward()
    reduced(module)


def one_dropped(module, loss, inputs, targets):
    (loss(module(inputs), targets) * (0.0 if distributed.get_rank() == 1 else 1.0)).backward()
    reduced(module, lambda gradient: gradient / distributed.get_world_size())


def weighted(module, loss, inputs, targets):
    total = torch.tensor(float(len(targets)))
    distributed.all_reduce(total)
    (loss(module(inputs), targets) * len(targets) / total).backward()
    reduced(module)


def one_parameter_left_out(module, loss, inputs, targets):
    loss(module(inputs), targets).backward()
    for name, parameter in module.named_parameters():
        if name != "2.bias":
            distributed.all_reduce(parameter.grad)
            parameter.grad /= distributed.get_world_size()


def accumulated(module, loss, inputs, targets):
    """Two unequal micro-batches, with the mean of their means."""
    for part in (slice(0, 2), slice(2, None)):
        (loss(module(inputs[part]), targets[part]) / 2).backward()


def aborting_at_the_end(module, loss, inputs, targets):
    """The usual step, in a process that is brought down when all is done."""
    atexit.register(os.abort)
    loss(module(inputs), targets).backward()


def aborting(module, loss, inputs, targets):
    """A process that is brought down in the middle."""
    os.abort()


def failing(module, loss, inputs, targets):
    raise ValueError("no such batch")


def sharded(module):
    from torch.distributed.fsdp import fully_shard

    return fully_shard(module)


class HalfUsed(nn.Module):
    """A module with a layer that takes no part in its output."""

    def __init__(self):
        super().__init__()
        self.used, self.unused = nn.Linear(5, 3), nn.Linear(5, 3)

    def forward(self, x):
        return self.used(x)


def half_used():
    torch.manual_seed(GENERATOR)
    return HalfUsed()
