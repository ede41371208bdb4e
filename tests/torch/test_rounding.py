"""Derivatives that are zero in theory: nothing is left of them but rounding, which is no mistake."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import fastcheck.torch as ft
from tests.torch.support import function, tensor


def attention(q, k, v):
    scores = q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5
    mask = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1)
    return scores.masked_fill(mask, -torch.inf).softmax(-1) @ v


def normed_linear(x, w, b):
    z = x @ w + b
    return (z - z.mean(0)) / (z.var(0, unbiased=False) + 1e-5).sqrt()


ZERO = {
    "bias before batch norm": (normed_linear, lambda: (tensor(8, 5), tensor(5, 4), tensor(4))),
    "batch norm after linear": (lambda x, w, b: F.batch_norm(F.linear(x, w, b), None, None, training=True),
                                lambda: (tensor(8, 5), tensor(4, 5), tensor(4))),
    "layer norm summed": (lambda x: F.layer_norm(x, x.shape[-1:]).sum(-1), lambda: (tensor(6, 7),)),
    "softmax summed": (lambda x: x.softmax(-1).sum(-1), lambda: (tensor(6, 7),)),
    "softmax summed, beside another": (lambda x: (x.softmax(-1).sum(-1), x.exp()), lambda: (tensor(6, 7),)),
    "log-softmax, exponentiated and summed": (lambda x: x.log_softmax(-1).exp().sum(), lambda: (tensor(6, 7),)),
    "centred and summed": (lambda x: (x - x.mean()).sum(), lambda: (tensor(30),)),
    "key bias of attention": (lambda x, w, b: attention(x, F.linear(x, w, b), x),
                              lambda: (tensor(2, 5, 4), tensor(4, 4), tensor(4))),
    "large, centred": (lambda x: 1e6 * (x - x.mean()).sum(), lambda: (tensor(30),)),
    "angle of a scaled vector": (lambda x, a: F.cosine_similarity(a * x, x.flip(0), dim=0),
                                 lambda: (tensor(9), torch.tensor(3.0, dtype=torch.float64, requires_grad=True))),
}


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", ZERO)
def test_what_is_zero_in_theory_passes(name, seed, fast):
    func, inputs = ZERO[name]
    torch.manual_seed(seed)
    assert ft.gradcheck(func, inputs(), fast_mode=fast)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("tokens", [3, 6])
def test_causal_attention_passes(tokens, seed):
    torch.manual_seed(seed)
    assert ft.gradcheck(attention, (tensor(2, tokens, 4), tensor(2, tokens, 4), tensor(2, tokens, 4)))


def test_modules_with_a_gradient_that_is_zero_in_theory():
    module = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5, track_running_stats=False), nn.Tanh(), nn.Linear(5, 3))
    x, y = torch.randn(12, 4), torch.randint(0, 3, (12,))
    wide = module.double()
    names = [name for name, _ in wide.named_parameters()]

    def loss(*values):
        return F.cross_entropy(torch.func.functional_call(wide, dict(zip(names, values, strict=True)), x.double()), y)

    assert ft.gradcheck(loss, tuple(p.detach().requires_grad_() for p in wide.parameters()))


UNDERFLOWN = {
    "cross-entropy of logits 40 apart": (lambda x: F.cross_entropy(x, torch.tensor([0, 1])),
                                         [[40.0, 0.0], [-1.0, 41.0]]),
    "gelu far below zero": (F.gelu, [-12.0, -1.0, 2.0]),
    "gelu, nothing but that": (F.gelu, [-12.0]),
    "sigmoid far below zero": (lambda x: 1.0 - torch.sigmoid(-x), [-45.0, 0.5]),
    "tanh far out": (torch.tanh, [25.0, 0.3]),
    "erf far out": (torch.erf, [7.0]),
    "softmax of logits 50 apart": (lambda x: x.softmax(0), [50.0, 0.0, -60.0]),
}


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("name", UNDERFLOWN)
def test_gradients_that_rounding_hides_from_the_values_pass(name, fast):
    func, values = UNDERFLOWN[name]
    assert ft.gradcheck(func, (torch.tensor(values, dtype=torch.float64, requires_grad=True),), fast_mode=fast)


NOT_LINEAR = {
    "clamped": lambda g: g.clamp(-1.0, 1.0),
    "absolute": lambda g: g.abs(),
    "of norm one": lambda g: g / g.norm(),
    "squared": lambda g: g * g,
    "sign": lambda g: g.sign(),
    "shifted": lambda g: g + 1e-3,
    "shared median": lambda g: g.median() + 0.0 * g,
    "zero where negative": lambda g: g * (g > 0),
}


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("scale", [1.0, 1e-7])
@pytest.mark.parametrize("name", NOT_LINEAR)
def test_a_backward_that_is_not_linear_is_found_whatever_the_scale(name, scale, fast):
    func = function(lambda x: scale * x.sin(), lambda g, x: scale * x.cos() * NOT_LINEAR[name](g))
    with pytest.raises(ft.GradcheckError, match="not linear|mismatch"):
        ft.gradcheck(func, (tensor(3, 4),), fast_mode=fast)


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("scale", [1.0, 1e-6, 1e-9])
def test_a_missing_gradient_of_one_input_is_found_whatever_its_scale(scale, fast):
    """Beside an input whose derivatives are of size one."""
    func = function(lambda x, y: x.sin() + scale * y.sin(), lambda g, x, y: (g * x.cos(), 0.0 * g))
    with pytest.raises(ft.GradcheckError, match=r"with respect to input 1 \("):
        ft.gradcheck(func, (tensor(3, 4), tensor(3, 4)), fast_mode=fast)


@pytest.mark.parametrize("fast", [False, True])
def test_a_backward_in_the_logarithm_of_its_gradient_is_linear_but_for_rounding(fast):
    """As that of logcumsumexp: -2 times a gradient does not give exactly -2 times as much."""
    def backward(g, x):
        return (x.cos().abs().log() + g.abs().log()).exp() * g.sign() * x.cos().sign()

    assert ft.gradcheck(function(torch.sin, backward), (tensor(3, 4),), fast_mode=fast)
    assert ft.gradcheck(lambda x: x.logcumsumexp(0), (tensor(9),), fast_mode=fast)


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("value", [float("inf"), -float("inf")])
def test_infinite_entries_that_a_function_allows_do_not_move(value, fast):
    given = torch.tensor([1.0, value, 2.0], dtype=torch.float64, requires_grad=True)
    assert ft.gradcheck(lambda x: x.sigmoid(), (given,), fast_mode=fast)
    wrong = function(torch.sigmoid, lambda g, x: 1.1 * g * x.sigmoid() * (1.0 - x.sigmoid()))
    with pytest.raises(ft.GradcheckError, match="mismatch"):
        ft.gradcheck(wrong, (given,), fast_mode=fast)


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize(("size", "dtype"), [(1.0, torch.float64), (8.0, torch.float64), (9.0, torch.complex128)])
def test_a_backward_that_chooses_its_accuracy_by_its_gradients_is_not_called_nonlinear(size, dtype, fast):
    torch.manual_seed(0)
    given = (size * torch.randn(3, 4, 4, dtype=dtype)).requires_grad_()
    assert ft.gradcheck(torch.matrix_exp, (given,), fast_mode=fast)


@pytest.mark.parametrize("fast", [False, True])
def test_second_derivatives_at_large_logits_and_of_directions_of_large_vectors(fast):
    logits = (1e4 * torch.ones(3, 5, dtype=torch.float64) + torch.arange(5)).requires_grad_()
    assert ft.gradgradcheck(lambda x: x.logcumsumexp(1), (logits,), fast_mode=fast)
    assert ft.gradgradcheck(lambda x: F.normalize(x, dim=1), (tensor(2, 1, 3),), fast_mode=fast)


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("small", [1e-4, 1e-8])
def test_a_backward_that_is_slightly_nonlinear_is_judged_by_its_entries(small, fast):
    """Below the tolerances it is no mistake; above them it is."""
    def backward(g, x):
        return g * x.cos() * (1.0 + small * g.abs())

    right = ft.gradcheck(function(torch.sin, backward), (tensor(3, 4),), fast_mode=fast, raise_exception=False)
    assert right is (small < 1e-6)
