"""check_module's time limit and Ctrl-C: on every path, and everything is afterwards as before."""

import time

import pytest
import torch
from torch import nn

import fastcheck.torch as ft

# Seconds beside the limit: one evaluation or a block, on a busy machine, and a recording.
LATE = 0.6


class Slow(nn.Module):
    """Takes its time in each pass."""

    def __init__(self, seconds, leave=False):
        super().__init__()
        self.seconds, self.leave, self.passes = seconds, leave, 0
        self.inner = nn.Linear(6, 6)

    def forward(self, x):
        self.passes += 1
        time.sleep(self.seconds)
        x = torch.tanh(self.inner(x))
        return x * x.mean().item() ** 0 if self.leave else x


def of_rows(inner):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(40, 6), inner, nn.BatchNorm1d(6), nn.Linear(6, 3)).double()


def data():
    return torch.randn(8, 40).double(), torch.randint(0, 3, (8,))


@pytest.fixture(scope="module", autouse=True)
def _imported():
    """The first check of a process imports what PyTorch needs to record."""
    ft.check_module(of_rows(nn.GELU()), nn.CrossEntropyLoss(), *data(), method="all")


def state_of(module):
    tensors = [*module.state_dict().values(), *(p.grad for p in module.parameters() if p.grad is not None)]
    return [t.clone() for t in tensors], [m.training for m in module.modules()], torch.get_rng_state()


def same(before, after):
    return (all(torch.equal(a, b) for a, b in zip(before[0], after[0], strict=True)) and before[1] == after[1]
            and torch.equal(before[2], after[2]))


@pytest.mark.parametrize("wrong", [False, True])
@pytest.mark.parametrize(("leave", "method"), [(False, "all"), (False, "directional"), (True, "all"), (True, None)])
def test_a_time_limit_holds_on_every_path(leave, method, wrong):
    module = of_rows(Slow(0.02, leave))
    if wrong:
        module[0].weight.register_hook(lambda g: 1.5 * g)
    X, y = data()
    before, started = state_of(module), time.perf_counter()
    report = ft.check_module(module, nn.CrossEntropyLoss(), X, y, method=method, time_limit=0.5)
    assert time.perf_counter() - started < 0.5 + LATE
    assert report.verdict != "pass" if wrong else report.verdict != "fail"
    assert same(before, state_of(module))


class Stopped(KeyboardInterrupt):
    pass


class Stopping(nn.Module):
    """Raises in one of its passes, as Ctrl-C would."""

    def __init__(self, number):
        super().__init__()
        self.number, self.passes = number, 0

    def forward(self, x):
        self.passes += 1
        if self.passes == self.number:
            raise Stopped
        return x * x.mean().item() ** 0 if self.number > 5 else torch.tanh(x)


@pytest.mark.parametrize("number", [1, 2, 3, 4, 6, 9, 20])
def test_ctrl_c_leaves_everything_as_before(number):
    module = of_rows(Stopping(number))
    X, y = data()
    nn.CrossEntropyLoss()(module[3](module[2](torch.randn(8, 6).double())), y).backward()
    before = state_of(module)
    with pytest.raises(Stopped):
        ft.check_module(module, nn.CrossEntropyLoss(), X, y, method="directional")
    assert same(before, state_of(module))
    assert not module._forward_hooks
    assert not module[0]._forward_pre_hooks
    assert torch.is_grad_enabled()


def test_ctrl_c_while_the_operation_is_looked_for_leaves_no_hook_behind(monkeypatch):
    from fastcheck.torch import operations

    def stop(*given):
        raise Stopped

    monkeypatch.setattr(operations, "_sentences", stop)
    module = of_rows(nn.Tanh())
    module[0].weight.register_hook(lambda g: 1.5 * g)
    X, y = data()
    before = state_of(module)
    with pytest.raises(Stopped):
        ft.check_module(module, nn.CrossEntropyLoss(), X, y)
    assert same(before, state_of(module))
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in module.modules())


def test_progress_may_stop_a_check():
    module = of_rows(nn.GELU())
    X, y = data()
    before = state_of(module)

    def stop(done, total):
        if done:
            raise Stopped

    with pytest.raises(Stopped):
        ft.check_module(module, nn.CrossEntropyLoss(), X, y, method="all", progress=stop)
    assert same(before, state_of(module))
