"""Kinds of modules that people write: right ones pass with exact differences, and one wrong entry is found."""

import pytest
import torch
import torch.utils.checkpoint
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations, rnn
from torch.utils._pytree import tree_leaves

import fastcheck.torch as ft

DOUBLE = torch.float64


class Shared(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(6, 6)
        self.second = self.first

    def forward(self, x):
        return self.second(torch.tanh(self.first(x)))


class Containers(nn.Module):
    """Parameters in a list and a dictionary; outputs in a dictionary of tuples."""

    def __init__(self):
        super().__init__()
        self.list = nn.ParameterList([torch.randn(6) for _ in range(2)])
        self.named = nn.ParameterDict({"u": torch.randn(6), "v": torch.randn(6)})

    def forward(self, x):
        hidden = torch.sin(x * self.list[0] + self.list[1])
        return {"a": (hidden, hidden * self.named["u"]), "b": [{"c": hidden**2 + self.named["v"]}]}


class Complex(nn.Module):
    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.randn(6, 4, dtype=torch.complex128))

    def forward(self, x):
        return (x.to(torch.complex128) @ self.w).abs()


class Attention(nn.Module):
    def __init__(self, **options):
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True, **options)

    def forward(self, x):
        return self.attention(x, x, x, need_weights=False)[0]


class Packed(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(8, 3, batch_first=True, bidirectional=True)

    def forward(self, x):
        packed = rnn.pack_padded_sequence(x, torch.tensor([5, 3]), batch_first=True)
        return rnn.pad_packed_sequence(self.lstm(packed)[0], batch_first=True)[0]


class Masked(nn.Module):
    """scaled_dot_product_attention with a mask."""

    def __init__(self, mask):
        super().__init__()
        self.heads, self.mask = nn.Linear(8, 24), mask

    def forward(self, x):
        q, k, v = (part.unflatten(-1, (2, 4)).transpose(1, 2) for part in self.heads(x).chunk(3, -1))
        return F.scaled_dot_product_attention(q, k, v, attn_mask=self.mask)


class Counting(nn.Module):
    """A buffer that each pass changes, and that the output does not depend on."""

    def __init__(self):
        super().__init__()
        self.register_buffer("passes", torch.zeros(()))
        self.linear = nn.Linear(6, 6)

    def forward(self, x):
        self.passes += 1
        return torch.tanh(self.linear(x))


class Differentiated(nn.Module):
    """The gradient of an energy: a backward pass inside the forward pass."""

    def __init__(self):
        super().__init__()
        self.energy = nn.Sequential(nn.Linear(6, 4), nn.Tanh(), nn.Linear(4, 1, bias=False))

    def forward(self, x):
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            return torch.autograd.grad(self.energy(x).sum(), x, create_graph=True)[0]


class Descending(nn.Module):
    """Steps down an energy, whose gradients the forward pass takes as anybody does: autograd is on."""

    def __init__(self):
        super().__init__()
        self.energy = nn.Sequential(nn.Linear(6, 4), nn.SiLU(), nn.Linear(4, 1, bias=False))

    def forward(self, x):
        for _ in range(2):
            x = x.requires_grad_()
            x = x - 0.1 * torch.autograd.grad(self.energy(x).sum(), x, create_graph=True)[0]
        return x


class Adapting(nn.Module):
    """An inner step of learning, by the gradient with respect to the module's own parameters, at a learned rate."""

    def __init__(self):
        super().__init__()
        self.net, self.rate = nn.Linear(6, 3), nn.Parameter(torch.tensor(0.3))

    def forward(self, x):
        own = dict(self.net.named_parameters())
        inner = torch.tanh(torch.func.functional_call(self.net, own, (x,))).pow(2).sum()
        steps = torch.autograd.grad(inner, list(own.values()), create_graph=True)
        moved = {name: p - self.rate * step for (name, p), step in zip(own.items(), steps, strict=True)}
        return torch.func.functional_call(self.net, moved, (x,))


class Physics(nn.Module):
    """Derivatives of a network by torch.func, under vmap."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(6, 4), nn.Tanh(), nn.Linear(4, 1, bias=False))

    def forward(self, x):
        return torch.func.vmap(torch.func.hessian(lambda row: self.net(row)[0]))(x)


class Scaled(nn.Module):
    """A parameter without axes, that has to broadcast."""

    def __init__(self):
        super().__init__()
        self.scale, self.linear = nn.Parameter(torch.tensor(0.7)), nn.Linear(6, 3)

    def forward(self, x):
        return torch.tanh(x @ (self.linear.weight * self.scale).t() + self.linear.bias * self.scale)


class Routed(nn.Module):
    """Experts whose rows are sorted, counted and split, with a bias that is looked up in that order."""

    def __init__(self):
        super().__init__()
        self.gate, self.experts = nn.Linear(6, 3), nn.Parameter(torch.randn(3, 6, 6) / 3)
        self.bias = nn.Parameter(torch.randn(4, 6))

    def forward(self, x):
        scores = self.gate(x).softmax(-1)
        best = scores.argmax(-1)
        order = scores.amax(-1).argsort()[best[scores.amax(-1).argsort()].argsort(stable=True)]
        parts = x[order].split(torch.bincount(best, minlength=3).tolist())
        found = torch.cat([torch.tanh(part @ expert) for part, expert in zip(parts, self.experts, strict=True)])
        return (found + self.bias[order]) * scores.amax(-1)[order, None]


class Checkpointed(nn.Module):
    def __init__(self, reentrant):
        super().__init__()
        self.body, self.reentrant = nn.Sequential(nn.Linear(6, 6), nn.Tanh()), reentrant

    def forward(self, x):
        return torch.utils.checkpoint.checkpoint(self.body, x.requires_grad_(), use_reentrant=self.reentrant)


class Listening(nn.Module):
    """Hooks that look at gradients on the way, and a forward pass that asks for a history."""

    def __init__(self):
        super().__init__()
        self.linear, self.seen = nn.Linear(6, 6), []

    def forward(self, x):
        hidden = torch.tanh(self.linear(x))
        if not hidden.requires_grad:
            raise ValueError("train this module only")
        hidden.register_hook(lambda gradient: self.seen.append(gradient.detach()))
        return hidden


def alone(layer, *others):
    return lambda: nn.Sequential(layer, *others)


CAUSAL = torch.ones(5, 5, dtype=torch.bool).tril()
ROWS, IMAGES, SIGNALS, SEQUENCES = (4, 6), (2, 4, 7, 7), (2, 4, 9), (2, 5, 8)
KINDS = {
    "a shared submodule": (Shared, ROWS), "containers": (Containers, ROWS), "complex numbers": (Complex, ROWS),
    "weight norm": (lambda: parametrizations.weight_norm(nn.Linear(6, 6)), ROWS),
    "spectral norm": (lambda: parametrizations.spectral_norm(nn.Linear(6, 6)).eval(), ROWS),
    "reflections": (lambda: parametrizations.orthogonal(nn.Linear(6, 6), orthogonal_map="householder"), ROWS),
    "running averages": (alone(nn.Linear(6, 6), nn.BatchNorm1d(6, momentum=None)), ROWS),
    "a counter": (Counting, ROWS), "a gradient inside": (Differentiated, ROWS),
    "listening": (Listening, ROWS), "descending": (Descending, ROWS), "adapting": (Adapting, ROWS),
    "physics": (Physics, ROWS), "routed": (Routed, ROWS), "a scale": (Scaled, ROWS),
    "gated": (lambda: nn.GRU(8, 3, batch_first=True, bidirectional=True), SEQUENCES),
    "checkpoint": (lambda: Checkpointed(False), ROWS), "reentrant checkpoint": (lambda: Checkpointed(True), ROWS),
    "attention's fast path": (lambda: Attention().eval(), SEQUENCES),
    "attention with a bias": (lambda: Attention(add_bias_kv=True, add_zero_attn=True), SEQUENCES),
    "encoder": (lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 8, batch_first=True), 1,
                                              enable_nested_tensor=False).eval(), SEQUENCES),
    "long short-term memory": (lambda: nn.LSTM(8, 4, 2, batch_first=True), SEQUENCES),
    "packed sequences": (Packed, SEQUENCES), "a mask of truths": (lambda: Masked(CAUSAL), SEQUENCES),
    "a mask of numbers": (lambda: Masked(torch.zeros(5, 5, dtype=DOUBLE).masked_fill(~CAUSAL, -torch.inf)), SEQUENCES),
    "one group": (alone(nn.Conv2d(4, 4, 3), nn.GroupNorm(1, 4)), IMAGES),
    "transposed": (lambda: nn.ConvTranspose2d(4, 3, 3, stride=2, padding=1, output_padding=1, dilation=2), IMAGES),
    "transposed in groups": (lambda: nn.ConvTranspose1d(4, 4, 3, stride=3, output_padding=2, groups=2), SIGNALS),
    "circular": (lambda: nn.Conv2d(4, 3, 3, padding=2, padding_mode="circular"), IMAGES),
}


def loss(out):
    """Every entry of every output weighs otherwise."""
    return sum((torch.linspace(0.3, 1.7, t.numel(), dtype=DOUBLE).view(t.shape) * t + 0.1 * t**3).sum()
               for t in tree_leaves(out))


@pytest.mark.parametrize("name", KINDS)
def test_right_ones_pass_and_a_wrong_entry_is_found(name):
    make, shape = KINDS[name]
    torch.manual_seed(0)
    module = make().double() if name != "complex numbers" else make()
    x = torch.randn(shape, dtype=DOUBLE)
    report = ft.check_module(module, loss, x)
    assert report.ok, str(report)
    assert report.engine in ("program", "response")
    victim, parameter = next((n, p) for n, p in module.named_parameters() if p.requires_grad)

    def spoil(gradient):
        gradient = gradient.clone()
        gradient.view(-1)[int(gradient.abs().argmax())] *= 1.001
        return gradient

    parameter.register_hook(spoil)
    assert [t.name for t in ft.check_module(module, loss, x).failures] == [victim]


def test_inputs_that_require_gradients():
    """A network whose forward pass differentiates by its inputs, as they were given."""
    class Field(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = nn.Sequential(nn.Linear(6, 4), nn.Tanh(), nn.Linear(4, 1))

        def forward(self, x):
            return torch.autograd.grad(self.net(x).sum(), x, create_graph=True)[0]

    torch.manual_seed(0)
    x = torch.randn(4, 6, dtype=DOUBLE, requires_grad=True)
    report = ft.check_module(Field().double(), loss, x)
    assert report.ok, str(report)
    assert report.engine == "program"
    assert x.grad is None
