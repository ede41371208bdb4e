"""A selective scan whose padding behind the sequence decays what is carried back."""

import torch

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.making import custom, normal, tensors
from benchmarks.gradbugs.subjects import TorchFunction

LENGTH, BLOCK, BIAS = 5, 8, 0.4


def forward(delta, x):
    decay, state, out = torch.exp(-torch.nn.functional.softplus(delta + BIAS)), torch.zeros_like(x[0]), []
    for t in range(LENGTH):
        state = decay[t] * state + x[t]
        out.append(state)
    return torch.stack(out)


def backward(upstream, delta, x, padded):
    step = torch.nn.functional.softplus(delta + BIAS)
    decay, states = torch.exp(-step), forward(delta, x)
    carried, dx, ddelta = torch.zeros_like(x[0]), torch.zeros_like(x), torch.zeros_like(delta)
    for t in reversed(range(LENGTH)):
        now = upstream[t] + carried
        dx[t] = now
        before = states[t - 1] if t else torch.zeros_like(now)
        ddelta[t] = -now * before * decay[t] * torch.sigmoid(delta[t] + BIAS)
        ahead = torch.nn.functional.softplus(torch.tensor(BIAS)) if padded and t == LENGTH - 1 else 0.0
        carried = now * decay[t] * torch.exp(torch.as_tensor(-ahead))
    return ddelta, dx


def right(upstream, delta, x):
    return backward(upstream, delta, x, False)


def wrong(upstream, delta, x):
    return backward(upstream, delta, x, True)


CASE = Case(
    source="state-spaces/mamba#368",
    mistake="Steps behind the end are zero before the softplus and not after it, so that they decay the "
    "reverse scan.",
    kind="padding",
    precision="float64",
    wrong=("input 0", "input 1"),
    says=r"last|step|time|rows?",
    third=3,
    subject=TorchFunction(
        forward, custom(forward, right), custom(forward, wrong), lambda: tensors(*normal((5, 3), (5, 3), seed=133))
    ),
)
