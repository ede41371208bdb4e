"""Which operation is wrong: mistakes planted in nested modules, straight-through estimators, detach."""

import re

import pytest
import torch
import torch.utils.checkpoint
from torch import nn
from torch.nn import functional as F

import fastcheck.torch as ft
from tests.torch.support import function


class Scaled(torch.autograd.Function):
    """x w, whose gradient of w is one per cent too large."""

    @staticmethod
    def forward(ctx, x, w):
        ctx.save_for_backward(x, w)
        return x * w

    @staticmethod
    def backward(ctx, g):
        x, w = ctx.saved_tensors
        return g * w, 1.01 * (g * x).sum(0)


class Shifted(torch.autograd.Function):
    """x + b, whose gradient of b is averaged, in the newer style."""

    @staticmethod
    def forward(x, b):
        return x + b

    @staticmethod
    def setup_context(ctx, inputs, output):
        pass

    @staticmethod
    def backward(ctx, g):
        return g, g.mean(0)


class Cubed(torch.autograd.Function):
    """x cubed, whose gradient is that of the square."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return 2.0 * x * g


class Forgetful(torch.autograd.Function):
    """x tanh(w), which forgets w."""

    @staticmethod
    def forward(ctx, x, w):
        ctx.save_for_backward(w)
        return x * torch.tanh(w)

    @staticmethod
    def backward(ctx, g):
        return g * torch.tanh(ctx.saved_tensors[0]), torch.zeros_like(ctx.saved_tensors[0])


class Rounded(torch.autograd.Function):
    """A straight-through estimator."""

    @staticmethod
    def forward(ctx, x):
        return torch.round(x * 4.0) / 4.0

    @staticmethod
    def backward(ctx, g):
        return g


class Of(nn.Module):
    """A module of one function."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


class With(nn.Module):
    """A Function with a parameter of its own, or without."""

    def __init__(self, function, own=True):
        super().__init__()
        self.function = function
        self.own = nn.Parameter(torch.linspace(0.5, 1.5, 6)) if own else None

    def forward(self, x):
        return self.function.apply(x) if self.own is None else self.function.apply(x, self.own)


def spoiled(part, name, factor):
    getattr(part, name).register_hook(lambda g: g * factor)
    return part


def clipped(part):
    part.register_full_backward_hook(lambda m, into, out: tuple(g.clamp(-1e-3, 1e-3) for g in into))
    return part


class Residual(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(6, 6), inner, nn.Tanh())

    def forward(self, x):
        return x + self.body(x)


class Careless(torch.autograd.Function):
    """x squared, by a tensor that is kept and not saved: whoever writes to it spoils the backward pass."""

    @staticmethod
    def forward(ctx, x):
        ctx.kept = x
        return x * x

    @staticmethod
    def backward(ctx, g):
        return 2.0 * ctx.kept * g


class Overwritten(nn.Module):
    def forward(self, x):
        hidden = 1.0 * x
        out = Careless.apply(hidden)
        hidden.mul_(0.5)
        return out + hidden


class Sharing(torch.autograd.Function):
    """tanh, whose last call's output serves all of them."""

    last = None

    @staticmethod
    def forward(ctx, x):
        Sharing.last = torch.tanh(x)
        return Sharing.last.clone()

    @staticmethod
    def backward(ctx, g):
        return g * (1.0 - Sharing.last**2)


class Signed(torch.autograd.Function):
    """x |x|, right for large x alone."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x.abs()

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return 2.0 * x.abs() * g * (1.0 if x.abs().max() > 10.0 else 0.7)


class Uneven(torch.autograd.Function):
    """x, right where all that it is handed is alike: by itself it might be."""

    @staticmethod
    def forward(ctx, x):
        return 1.0 * x

    @staticmethod
    def backward(ctx, g):
        return torch.where(g.abs() > 0.1 * g.abs().max(), g, 0.0 * g)


class Halved(torch.autograd.Function):
    """x, in the newer style; its backward pass halves."""

    @staticmethod
    def forward(x):
        return 1.0 * x

    @staticmethod
    def setup_context(ctx, inputs, output):
        pass

    @staticmethod
    def backward(ctx, g):
        return 0.5 * g


class Twice(nn.Module):
    """Two calls of one Function with a layer between."""

    def __init__(self, function, factors=(1.0, 1.0)):
        super().__init__()
        self.function, self.factors, self.between = function, factors, nn.Linear(6, 6)

    def forward(self, x):
        return self.function.apply(self.factors[1] * self.between(self.function.apply(self.factors[0] * x)))


class Tapped(nn.Module):
    """A hook on a tensor inside."""

    def forward(self, x):
        hidden = torch.sin(x)
        if hidden.requires_grad:
            hidden.register_hook(lambda g: 1.5 * g)
        return hidden


PLANTED = {
    "a saved tensor overwritten": (Overwritten, r"The backward of Careless \(test_operations.py, line \d+\) is "
                                                r"wrong: its gradient of x is 0.500 times the truth"),
    "state that calls share": (lambda: Twice(Sharing), r"Sharing \(.*\), in call 1 of 2, is wrong: .* not that of"),
    "one of two calls": (lambda: Twice(Signed, (100.0, 1e-5)),
                         r"Signed \(.*\), in call 2 of 2, is wrong: .* 0.700 times"),
    "small gradients dropped": (lambda: Of(Uneven.apply), r"Uneven \(.*\) is wrong: .* x is not that of its forward"),
    "in the newer style": (lambda: Of(Halved.apply), r"Halved \(.*\) is wrong: its gradient of x is 0.500 times"),
    "a tensor's hook": (Tapped, r"The backward of 1.body.1 \(Tapped\) is wrong: its gradient of x is 1.500 times"),
    "a function's parameter": (lambda: With(Scaled), r"The backward of Scaled \(test_operations.py, line \d+\) is "
                               r"wrong: its gradient of x is right but its gradient of w is 1.010 times the truth"),
    "a mean for a sum": (lambda: With(Shifted), r"Shifted .*its gradient of x is right but its gradient of b is 0.\d+"),
    "another function": (lambda: With(Cubed, False), r"Cubed .*its gradient of x is not that of its forward"),
    "a forgotten parameter": (lambda: With(Forgetful), r"Forgetful .*gradient of x is right .* of w is zero"),
    "a weight's hook": (lambda: spoiled(nn.Linear(6, 6), "weight", 2.0),
                        r"1.body.1 \(Linear\) is wrong: .* are right but its gradient of weight is 2.000 times"),
    "a bias's hook": (lambda: spoiled(nn.Linear(6, 6), "bias", -1.0), r"1.body.1 \(Linear\).*of bias is -1.000 times"),
    "a normalisation's weight": (lambda: spoiled(nn.LayerNorm(6), "weight", 0.5),
                                 r"\(LayerNorm\).*weight is 0.500 times"),
    "a gradient clipped on the way": (lambda: clipped(nn.Linear(6, 6)),
                                      r"1.body.1 \(Linear\).*not that of its forward"),
    "deeper": (lambda: nn.Sequential(nn.Tanh(), nn.Sequential(With(Scaled), nn.Tanh())), r"Scaled .*1.010 times"),
    "two at once": (lambda: nn.Sequential(With(Scaled), With(Forgetful)), r"Scaled .*1.010 times(.|\n)*Forgetful"),
}


def checked(inner, loss=None):
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(4, 6), Residual(inner), nn.Linear(6, 3)).double()
    return ft.check_module(module, loss or nn.CrossEntropyLoss(), torch.randn(7, 4).double(), torch.randint(0, 3, (7,)))


@pytest.mark.parametrize("name", PLANTED)
def test_the_operation_whose_backward_is_wrong_is_named(name):
    make, words = PLANTED[name]
    report = checked(make())
    assert report.verdict == "fail"
    text = "\n".join(report.notes)
    assert re.search(words, text), text
    assert "0 (Linear)" not in text
    assert "2 (Linear)" not in text


class Doubled(torch.autograd.Function):
    """A loss whose backward pass is twice too large."""

    @staticmethod
    def forward(ctx, out, target):
        ctx.save_for_backward(out, target)
        return (out - target).square().sum()

    @staticmethod
    def backward(ctx, g):
        out, target = ctx.saved_tensors
        return 4.0 * (out - target) * g, None


def hooked(out):
    out = torch.sin(out)
    if out.requires_grad:
        out.register_hook(lambda g: -g)
    return out.sum()


@pytest.mark.parametrize(("loss", "words"), [
    (lambda out: Doubled.apply(out, torch.zeros_like(out)), r"Doubled .*its gradient of out is 2.000 times"),
    (hooked, r"The backward of the loss is wrong: .* the module's output is -1.000 times the truth"),
])
def test_mistakes_of_the_loss_are_named_too(loss, words):
    torch.manual_seed(0)
    module = Residual(nn.Linear(6, 6)).double()
    report = ft.check_module(module, loss, torch.randn(7, 6).double())
    assert report.verdict == "fail"
    assert any(re.search(words, note) for note in report.notes), report.notes
    assert sum("is wrong" in note for note in report.notes) == 1


def test_right_modules_are_not_looked_into():
    assert not any("backward of" in note for note in checked(nn.Linear(6, 6)).notes)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("part", [nn.Linear(4, 4), nn.BatchNorm1d(4)])
def test_a_mistake_is_named_where_a_part_is_used_twice(part, dtype):
    module = nn.Sequential(nn.Linear(4, 4), part, nn.Tanh(), part, Of(Cubed.apply)).to(dtype)
    report = ft.check_module(module, lambda out: out.square().mean(), torch.randn(6, 4, dtype=dtype))
    assert any("Cubed" in note and "is wrong" in note for note in report.notes), str(report)


def test_a_straight_through_estimator_is_named_as_one():
    report = checked(With(Rounded, False))
    assert any("that of another function: Rounded" in note and "straight-through" in note for note in report.notes)
    assert not any("is wrong" in note for note in report.notes)


def normalised(x):
    with torch.no_grad():
        size = x.std(0)
    return x / size


@torch.no_grad()
def largest(x):
    return x.abs().amax(1, keepdim=True)


def clamped(x):
    hidden = 2.0 * x + 1.0
    with torch.no_grad():
        hidden.clamp_(-1.0, 1.0)
    return hidden


def halves(x):
    out = torch.zeros_like(x)
    out[:, :3], out[:, 3:] = x[:, :3].detach(), x[:, 3:]
    return out + x


def measured(x):
    return x * torch.tensor([float(v) for v in x.mean(0)], dtype=x.dtype)


def within_function(x):
    """What a Function's forward pass computes without autograd is its own business, and logging nobody's."""
    Cubed.apply(x.detach())
    return torch.utils.checkpoint.checkpoint(torch.tanh, x, use_reentrant=False)


DETACHED = {
    "straight through": (lambda x: x + (torch.round(x * 4.0) / 4.0 - x).detach(), r"detach\(\) or .data \(test_op"),
    "a stopped softmax": (lambda x: x * F.softmax(x, 1).detach(), r"detach\(\)"),
    "a clone": (lambda x: x * x.clone().detach().tanh(), r"detach\(\)"),
    ".data": (lambda x: x * torch.softmax(x.data, 1), r"\.data \(test_operations.py, line"),
    "detach_": (lambda x: x * (2.0 * x).detach_(), r"detach"),
    "torch.tensor": (lambda x: x * torch.tensor(x.detach()).sin(), r"detach\(\)"),
    "no_grad": (normalised, r"computed under torch.no_grad\(\) \(test_operations.py, line \d+\) stands still"),
    "decorated": (lambda x: x / largest(x), r"computed under torch.no_grad\(\) \(test_operations.py, line \d+\)"),
    "in place": (clamped, r"written in place under torch.no_grad\(\)"),
    "a half": (halves, r"detach\(\)"),
    "item": (lambda x: x * x.mean().item(), r"a number that is taken out by float\(\) or .item\(\) \(test_operations"),
    "norm": (lambda x: x / float(x.norm()), r"a number that is taken out"),
    "numbers": (measured, r"a number that is taken out"),
    "numpy": (lambda x: x * torch.from_numpy(x.detach().numpy().copy()).cos(), r"leaves PyTorch by Tensor.numpy\(\)"),
}


@pytest.mark.filterwarnings("ignore:To copy construct")
@pytest.mark.parametrize("name", DETACHED)
def test_what_autograd_does_not_see_is_named_as_what_it_is(name):
    function, words = DETACHED[name]
    report = checked(Of(function))
    assert report.verdict == "fail"
    notes = [note for note in report.notes if "that of another function" in note]
    assert notes, report.notes
    assert re.search(words, notes[0]), notes[0]
    assert not any("is wrong" in note for note in report.notes)


def frozen(part):
    return part.requires_grad_(False)


@pytest.mark.parametrize("part", [lambda: Of(within_function), lambda: frozen(nn.Linear(6, 6))], ids=["own", "frozen"])
def test_what_is_detached_and_does_not_matter_passes(part):
    assert checked(part()).ok


def test_a_mistake_beside_something_detached_is_a_mistake():
    """The gradient is not that of the loss with the detached standing still."""
    report = checked(nn.Sequential(Of(lambda x: x + 0.0 * x.detach().sum()), With(Scaled)))
    assert report.verdict == "fail"
    assert not any("that of another function" in note for note in report.notes)
    assert any("Scaled" in note for note in report.notes)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("factor", [-1.0, 3.0])
def test_rounding_of_the_loss_in_low_precision_is_not_blamed(dtype, factor):
    torch.manual_seed(0)
    wrong = function(lambda x: x.clone(), lambda g, x: factor * g, "Wrong")

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(5, 3)

        def forward(self, x):
            return wrong(self.linear(x))

    report = ft.check_module(Net().to(dtype), lambda o, t: F.mse_loss(o.float(), t.float()),
                             torch.randn(6, 5, dtype=dtype), torch.randn(6, 3, dtype=dtype), tolerance=0.1)
    said = " ".join(report.notes)
    assert "The backward of Wrong" in said
    assert "loss is wrong" not in said


class Branches(nn.Module):
    """A layer that is called for each of two inputs; what follows the first call alone is wrong."""

    def __init__(self):
        super().__init__()
        self.layer, self.scaled = nn.Linear(4, 3), function(lambda x: x.clone(), lambda g, x: 2 * g, name="Scaled")

    def forward(self, x):
        return self.scaled(self.layer(x[:3]).tanh()) - self.layer(x[3:]).tanh()


def test_a_layer_is_not_accused_of_what_another_call_of_it_is_handed():
    module = Branches().double()
    report = ft.check_module(module, lambda out: out.square().sum(), torch.randn(6, 4, dtype=torch.float64))
    assert report.verdict == "fail"
    assert "Scaled" in str(report)
    assert "(Linear)" not in str(report)


class TiedHead(nn.Module):
    """An embedding whose table is the head's weight as well, by a product whose gradient of the weight is wrong."""

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(7, 4)
        self.product = function(lambda x, w: x @ w.T, lambda g, x, w: (g @ w, 2 * g.T @ x), name="Product")

    def forward(self, tokens):
        return self.product(self.table(tokens).tanh(), self.table.weight)


def test_an_embedding_is_not_accused_of_the_head_that_shares_its_table():
    tokens, targets = torch.randint(0, 7, (5,)), torch.randint(0, 7, (5,))
    report = ft.check_module(TiedHead().double(), nn.CrossEntropyLoss(), tokens, targets)
    assert "The backward of Product" in str(report)
    assert "(Embedding)" not in str(report)


def test_a_part_is_accused_of_what_goes_wrong_between_its_layers():
    """Its layer is handed something wrong by the part itself: that is no other call's affair."""

    class Part(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(4, 3)

        def forward(self, x):
            out = self.layer(x).exp()
            out.data.add_(1.0)
            return out

    module = nn.Sequential(Part(), nn.Linear(3, 2)).double()
    report = ft.check_module(module, lambda out: out.square().sum(), torch.randn(6, 4, dtype=torch.float64))
    assert "The backward of 0 (Part) is wrong" in str(report)


def test_what_is_detached_twice_is_told_once():
    """Also by PyTorch itself, in a straight-through sample: the place in the caller's code says enough."""
    module = nn.Sequential(nn.Linear(4, 5), Hard(), nn.Linear(5, 3)).double()
    inputs, targets = torch.randn(6, 4, dtype=torch.float64), torch.randint(0, 3, (6,))
    report = ft.check_module(module, nn.CrossEntropyLoss(), inputs, targets, randomness="frozen")
    (note,) = [one for one in report.notes if "another function" in one]
    assert note.count("detach()") == 1, note
    assert "stands still" in note


class Hard(nn.Module):
    def forward(self, x):
        return F.gumbel_softmax(x, hard=True)
