"""Operators that have rules of their own, or smaller ones in their place: exact where right, and mistakes are seen."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import fastcheck.torch as ft
from fastcheck.checks.jacobian.point import Tolerances
from fastcheck.torch.checking import Check, Options
from fastcheck.torch.exact import moved
from tests.torch.support import function, tensor

# Passes its input on, and a gradient that is off by one percent.
SPOILED = function(lambda x: x.clone(), lambda g, x: 1.01 * g)

WORDS, BAGS = torch.tensor([[0, 1, 2], [3, 1, 1]]), torch.tensor([0, 2, 2, 4])
SEGMENTS = torch.tensor([[2, 3], [1, 4]])
LABELS = torch.tensor([[1, 2, 1], [3, 3, 0]])
MANY = torch.tensor([[3, 0, -1, 1], [1, -1, 0, 0], [0, 1, 2, 3], [-1, 0, 0, 0]])
MASK = torch.tensor([[True, False, True], [False, False, False], [True, True, True]])
HOLES = torch.tensor([[False, True, False, False], [True, True, False, False], [False, False, False, False]])
PLACES = torch.rand(2, 2, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def of_ctc(**options):
    """CTC of log-probabilities of seven steps, two sequences and four classes."""
    lengths = {"input_lengths": torch.tensor([7, 6]), "target_lengths": torch.tensor([3, 2])}
    given = {"targets": LABELS, **lengths, **options}
    return lambda x: F.ctc_loss(x.log_softmax(-1), **given), lambda: (tensor(7, 2, 4),)


def of_bag(mode, *offsets, **options):
    """Rows of a table, taken bag by bag."""
    words = WORDS.flatten() if offsets else WORDS
    return lambda w: F.embedding_bag(words, w, *offsets, mode=mode, **options), lambda: (tensor(5, 3),)


def resized(mode, **options):
    """Images resized with antialiasing."""
    return lambda x: F.interpolate(x, mode=mode, antialias=True, **options), lambda: (tensor(2, 2, 7, 6),)


def looked_up(mode, outside, align):
    """Volumes at coordinates some of which lie outside."""
    return (lambda x, at: F.grid_sample(x, 0.8 * at, mode, outside, align),
            lambda: (tensor(2, 2, 3, 4, 2), tensor(2, 2, 1, 3, 3)))


def segments(name, **options):
    """Parts of rows, reduced."""
    return lambda x: torch.segment_reduce(x, name, axis=1, **options), lambda: (tensor(2, 5, 3),)


def middle(x):
    return x.masked_fill(HOLES, math.nan).nanmedian(1).values + x.nanmedian()


def attention(q, k):
    return F.scaled_dot_product_attention(q, k, k, attn_mask=MASK)


def chunked(x, w, b):
    if not hasattr(torch.nn, "LinearCrossEntropyOptions"):
        pytest.skip("no chunked loss in this version")
    options = torch.nn.LinearCrossEntropyOptions(batch_chunk_size=2, allow_retain_graph=True)
    labels = torch.tensor([0, 2, 1])
    return [F.linear_cross_entropy(x, w, labels, linear_bias=b, reduction=name, options=options)
            for name in ("mean", "sum", "none")]


def factors(x):
    a = x @ x.mT + 3.0 * torch.eye(3, dtype=x.dtype)
    lower = torch.linalg.cholesky(a)
    return torch.cholesky(a), torch.cholesky(a, upper=True), torch.cholesky_inverse(lower)


def by_triangles(b, a):
    return [torch.triangular_solve(b, a + 3.0 * torch.eye(3), *options).solution
            for options in ((), (False,), (True, True), (False, True, True))]


def by_reflections(a, tau, c):
    return [torch.ormqr(a, tau, c if left else c.mT, left, transpose) for left in (True, False)
            for transpose in (True, False)]


def least_squares(a, b):
    return torch.linalg.lstsq(a, b)[:2] + torch.linalg.lstsq(a.mT, b[:3], driver="gelsd")[:1]


def grouped(x, y):
    return [x.scatter_reduce(0, torch.tensor(0), y, name) for name in ("sum", "prod", "amax")]


def of_gamma(x):
    x, shapes = 0.3 + x * x, torch.tensor([0.5, 2.0, 7.0]).double()
    return [torch.special.gammainc(shapes, x), torch.special.gammaincc(shapes, x), torch.special.zeta(shapes + 1.0, x),
            *(torch.polygamma(order, x) for order in (1, 2, 3))]


def of_bessel(x):
    """Modified Bessel functions, of which PyTorch has no gradients: those of users."""
    x, s = 0.3 + x * x, torch.special
    falling = function(s.modified_bessel_k0, lambda g, x: -g * s.modified_bessel_k1(x))
    growing = function(s.modified_bessel_i0, lambda g, x: g * s.modified_bessel_i1(x))
    scaled = function(s.scaled_modified_bessel_k0,
                      lambda g, x: g * (s.scaled_modified_bessel_k0(x) - s.scaled_modified_bessel_k1(x)))
    return [falling(x), growing(x), scaled(x)]


OPERATORS = {
    "Bessel": (of_bessel, lambda: (tensor(4),)),
    "ctc": of_ctc(), "ctc, none": of_ctc(reduction="none"),
    "ctc, sum": of_ctc(reduction="sum", blank=3, targets=LABELS % 3),
    "ctc, lists": of_ctc(input_lengths=(7, 6), target_lengths=(3, 2)),
    "ctc, labels in a row": of_ctc(targets=torch.tensor([1, 2, 1, 3, 3])),
    "ctc, no label": of_ctc(target_lengths=torch.tensor([3, 0])),
    "ctc, too short": of_ctc(input_lengths=(7, 2), target_lengths=(3, 2), zero_infinity=True),
    "ctc of one": (lambda x: F.ctc_loss(x.log_softmax(-1), LABELS[0], torch.tensor(6), torch.tensor(3)),
                   lambda: (tensor(7, 4),)),
    **{f"bags, {mode}": of_bag(mode) for mode in ("sum", "mean", "max")},
    **{f"bags, {mode}, offsets": of_bag(mode, BAGS) for mode in ("sum", "mean", "max")},
    **{f"bags, {mode}, padded": of_bag(mode, padding_idx=1) for mode in ("sum", "mean", "max")},
    "bags, closed": of_bag("max", torch.tensor([0, 2, 6]), include_last_offset=True),
    "bags, weighted": (lambda w, s: F.embedding_bag(WORDS, w, mode="sum", per_sample_weights=s),
                       lambda: (tensor(5, 3), tensor(2, 3))),
    "weights of bags": (lambda s: F.embedding_bag(WORDS, torch.ones(5, 2).double(), mode="sum", per_sample_weights=s),
                        lambda: (tensor(2, 3),)),
    **{f"segments, {name}": segments(name, lengths=SEGMENTS) for name in ("sum", "mean", "min", "max", "prod")},
    "segments, offsets": segments("max", offsets=torch.tensor([[0, 2, 5], [0, 1, 4]]), initial=-0.3),
    "segments, empty": segments("prod", lengths=torch.tensor([[2, 0, 3], [1, 4, 0]])),
    **{f"multilabel margin, {how}": (lambda x, how=how: F.multilabel_margin_loss(x, MANY, reduction=how),
                                     lambda: (tensor(4, 4),)) for how in ("none", "mean", "sum")},
    "multilabel margin of one": (lambda x: F.multilabel_margin_loss(x, MANY[0]), lambda: (tensor(4),)),
    "fractional max pool": (lambda x: F.fractional_max_pool2d(x, (2, 3), (4, 3), _random_samples=PLACES[..., 1:]),
                            lambda: (tensor(2, 2, 7, 6),)),
    "fractional max pool 3d": (lambda x: F.fractional_max_pool3d(x, 2, (2, 3, 2), _random_samples=PLACES),
                               lambda: (tensor(2, 2, 4, 5, 4),)),
    "bilinear": resized("bilinear", size=(3, 4)), "bilinear, corners": resized("bilinear", size=4, align_corners=True),
    "bicubic": resized("bicubic", scale_factor=0.6), "bicubic, larger": resized("bicubic", size=(9, 4)),
    **{f"volumes, {mode}, {outside}, {align}": looked_up(mode, outside, align) for mode in ("bilinear", "nearest")
       for outside in ("zeros", "border", "reflection") for align in (False, True)},
    "masked attention": (attention, lambda: (tensor(1, 3, 4), tensor(1, 3, 4))),
    "convolution in time": (lambda *given: torch.conv_tbc(*given, 1),
                            lambda: (tensor(5, 2, 3), tensor(3, 3, 4), tensor(4))),
    "chunked cross entropy": (chunked, lambda: (tensor(3, 4), tensor(5, 4), tensor(5))),
    "medians past holes": (middle, lambda: (tensor(3, 4),)), "older factors": (factors, lambda: (tensor(3, 3),)),
    "older solutions": (by_triangles, lambda: (tensor(3, 2), tensor(3, 3))),
    "reflections": (by_reflections, lambda: (tensor(4, 3), tensor(3), tensor(4, 2))),
    "least squares": (least_squares, lambda: (tensor(5, 3), tensor(5, 2))),
    "parts of gamma": (of_gamma, lambda: (tensor(3),)), "angles": (lambda x: x.angle() * x, lambda: (tensor(5),)),
    "wide QR": (lambda a: (*torch.linalg.qr(a), *torch.linalg.qr(a[:, :3], mode="complete")), lambda: (tensor(3, 5),)),
    "softmax of a number": (lambda x: x * F.softmax(x, 0) + F.log_softmax(x, 0), lambda: (tensor(),)),
    "groups of a number": (grouped, lambda: (tensor(), tensor())),
    "no axis reversed": (lambda x: x.flip(()) * x, lambda: (tensor(3, 4),)),
    "one index": (lambda x: torch.zeros(4).double().index_copy(0, torch.tensor(2), x), lambda: (tensor(1),)),
}


@pytest.mark.filterwarnings("ignore:.*deprecated", "ignore:.*is in beta")
@pytest.mark.parametrize("name", OPERATORS)
def test_exact_jacobians_are_those_of_autograd_to_rounding(name):
    call, inputs = OPERATORS[name]
    torch.manual_seed(1)
    check = Check(call, inputs(), Options(Tolerances(1e-5, 1e-3, 1e-6)))
    assert check.value
    expected = check.backward.jacobian()
    found = moved(check.function, check.directions).jacobian()
    np.testing.assert_allclose(found, expected, rtol=0.0, atol=2e-14 * max(1.0, np.abs(expected).max()))


@pytest.mark.filterwarnings("ignore:.*deprecated", "ignore:.*is in beta")
@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("name", OPERATORS)
def test_right_gradients_pass_and_wrong_ones_fail(name, fast):
    call, inputs = OPERATORS[name]

    def spoiled(*given):
        return call(*(SPOILED(x) for x in given))

    torch.manual_seed(1)
    assert ft.gradcheck(call, inputs(), fast_mode=fast)
    assert not ft.gradcheck(spoiled, inputs(), fast_mode=fast, raise_exception=False)


def test_bags_and_alignments_of_a_module_are_differenced_exactly():
    """No ordinary differences; and the operation whose backward is wrong is named."""

    class Tagger(torch.nn.Module):
        def __init__(self, factor):
            super().__init__()
            self.words, self.linear = torch.nn.EmbeddingBag(9, 6, mode="max"), torch.nn.Linear(6, 4)
            self.factor = factor

        def forward(self, words):
            hidden = self.words(words)
            if hidden.requires_grad:
                hidden.register_hook(lambda g: g * self.factor)
            return self.linear(hidden).view(6, 2, 4).log_softmax(-1)

    torch.manual_seed(0)
    words = torch.randint(0, 9, (12, 3))
    for factor in (1.0, 1.01):
        module = Tagger(factor).double()
        report = ft.check_module(module, lambda out: F.ctc_loss(out, LABELS[:, :2], (6, 5), (2, 2)), words)
        assert report.engine == "program"
        assert report.ok == (factor == 1.0)
        if report.ok:
            assert report.difference < 1e-13
        else:
            assert any("backward of words (EmbeddingBag) is wrong" in note for note in report.notes)
