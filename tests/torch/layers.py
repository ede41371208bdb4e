"""Layers and losses of torch.nn as functions of their parameters: what the program engine is tried on."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

DOUBLE = torch.float64


class Case(NamedTuple):
    """A function of some tensors with one number for output."""

    name: str
    function: Callable[..., torch.Tensor]
    inputs: list[torch.Tensor]


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, dtype=DOUBLE, generator=torch.Generator().manual_seed(seed))


ROWS, IMAGES, SIGNALS, VOLUMES = normal(4, 6), normal(2, 4, 8, 8), normal(2, 4, 10), normal(2, 4, 5, 5, 5)
SEQUENCES, WORDS = normal(2, 5, 8), torch.tensor([[1, 2, 2, 0], [3, 1, 6, 0]])
TARGETS = torch.rand(4, 6, dtype=DOUBLE, generator=torch.Generator().manual_seed(1))
LABELS = torch.tensor([0, 1, 2, 3])
BAGS = torch.tensor([0, 2, 2, 5])
MANY_LABELS = torch.tensor([[3, 0, -1, 2, 2, 2], [1, 5, 4, -1, 0, 0], [-1, 0, 1, 2, 3, 4], [5, 4, 3, 2, 1, 0]])
CTC_LABELS = torch.tensor([[1, 2], [2, 0]])


class Attention(nn.Module):
    """Causal attention by scaled_dot_product_attention."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(8, 24)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = self.linear(x).chunk(3, -1)
        return F.scaled_dot_product_attention(q, k, v, is_causal=True)


class WeightedBag(nn.Module):
    """Sums of rows with learned weights."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.weights = nn.EmbeddingBag(7, 3, mode="sum"), nn.Parameter(torch.ones(2, 4))

    def forward(self, words: torch.Tensor) -> torch.Tensor:
        return self.table(words, per_sample_weights=self.weights)


class Resized(nn.Module):
    """Images made smaller, each entry an average of those around it."""

    def __init__(self, mode: str) -> None:
        super().__init__()
        self.mode = mode

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.interpolate(x, size=(5, 3), mode=self.mode, antialias=True)


def of_module(name: str, module: nn.Module, *inputs: Any, loss: Callable[..., Any] | None = None) -> Case:
    """A module's loss as a function of its parameters."""
    module = module.to(DOUBLE)
    parameters = {key: normal(*p.shape, seed=n) * 0.5 for n, (key, p) in enumerate(module.named_parameters())}
    buffers = {key: b.clone() for key, b in module.named_buffers()}
    state = torch.get_rng_state()

    def function(*values: torch.Tensor) -> torch.Tensor:
        given = {**dict(zip(parameters, values, strict=True)), **{key: b.clone() for key, b in buffers.items()}}
        with torch.random.fork_rng():
            torch.set_rng_state(state)
            out = torch.func.functional_call(module, given, inputs)
        out = out[0] if isinstance(out, tuple) else out
        if loss is not None:
            return loss(out)
        weights = torch.arange(1.0, 1.0 + out.numel(), dtype=DOUBLE).view(out.shape)
        return (out.sin() * weights).sum() / out.numel()

    return Case(name, function, list(parameters.values()))


ACTIVATIONS = [
    nn.ELU(), nn.Hardshrink(), nn.Hardtanh(), nn.Hardswish(), nn.LeakyReLU(), nn.LogSigmoid(), nn.PReLU(), nn.ReLU(),
    nn.ReLU6(), nn.SELU(), nn.CELU(), nn.GELU(), nn.GELU("tanh"), nn.Sigmoid(), nn.SiLU(), nn.Mish(), nn.Softplus(),
    nn.Softplus(2.0, 1.0), nn.Softshrink(), nn.Softsign(), nn.Tanh(), nn.Tanhshrink(), nn.Threshold(0.1, 20.0),
    nn.GLU(), nn.Softmin(1), nn.Softmax(1), nn.LogSoftmax(1), nn.RReLU().eval(),
]


def conv(*after: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Conv2d(4, 4, 1), *after)


def layers() -> Iterator[Case]:
    """Every layer that the door promises."""
    yield of_module("linear", nn.Linear(6, 3), ROWS)
    for module in ACTIVATIONS:
        yield of_module(repr(module), nn.Sequential(nn.Linear(6, 6), module), ROWS)
    for name, module, data in (
        ("conv1d", nn.Conv1d(4, 4, 3, groups=2), SIGNALS), ("conv3d", nn.Conv3d(4, 2, 3), VOLUMES),
        ("conv2d", nn.Conv2d(4, 6, 3, stride=2, padding=1, dilation=2), IMAGES),
        ("conv2d depthwise", nn.Conv2d(4, 8, 3, groups=4), IMAGES), ("conv2d unbatched", nn.Conv2d(4, 2, 3), IMAGES[0]),
        ("conv2d circular", nn.Conv2d(4, 4, 3, padding=1, padding_mode="circular"), IMAGES),
        ("conv transposed", nn.ConvTranspose2d(4, 6, 3, stride=2, output_padding=1, groups=2), IMAGES),
        ("two convs", nn.Sequential(nn.Conv2d(4, 4, 3, groups=2), nn.ReLU(), nn.ConvTranspose2d(4, 2, 2)), IMAGES),
        ("batch norm", conv(nn.BatchNorm2d(4)), IMAGES),
        ("batch norm, eval", conv(nn.BatchNorm2d(4)).eval(), IMAGES),
        ("instance norm", conv(nn.InstanceNorm2d(4, affine=True)), IMAGES),
        ("group norm", conv(nn.GroupNorm(2, 4)), IMAGES),
        ("layer norm", nn.Sequential(nn.Linear(6, 6), nn.LayerNorm(6)), ROWS),
        ("rms norm", nn.Sequential(nn.Linear(6, 6), nn.RMSNorm(6)), ROWS),
        ("local response norm", conv(nn.LocalResponseNorm(2)), IMAGES),
        ("max pool", conv(nn.MaxPool2d(3, 2, 1)), IMAGES),
        ("max pool dilated", conv(nn.MaxPool2d(2, dilation=2)), IMAGES),
        ("max pool 1d", nn.Sequential(nn.Conv1d(4, 4, 1), nn.MaxPool1d(2)), SIGNALS),
        ("max pool 3d", nn.Sequential(nn.Conv3d(4, 4, 1), nn.MaxPool3d(2)), VOLUMES),
        ("average pool", conv(nn.AvgPool2d(3, 2, 1)), IMAGES),
        ("adaptive average", conv(nn.AdaptiveAvgPool2d(3)), IMAGES),
        ("adaptive max", conv(nn.AdaptiveMaxPool2d(3)), IMAGES),
        ("p pool", conv(nn.LPPool2d(2, 2)), IMAGES),
        ("fractional max pool", conv(nn.FractionalMaxPool2d((3, 2), output_ratio=(0.5, 0.6))), IMAGES),
        ("fractional max pool 3d", nn.Sequential(nn.Conv3d(4, 2, 1), nn.FractionalMaxPool3d(2, (3, 2, 2))), VOLUMES),
        ("embedding", nn.Embedding(7, 3), WORDS), ("embedding bag", nn.EmbeddingBag(7, 3), WORDS),
        ("embedding bag, max", nn.EmbeddingBag(7, 3, mode="max"), WORDS),
        ("embedding bag, padded", nn.EmbeddingBag(7, 3, mode="max", padding_idx=3), WORDS),
        ("embedding bag, weighted", WeightedBag(), WORDS),
        ("lstm", nn.LSTM(8, 5, 2, batch_first=True, bidirectional=True), SEQUENCES), ("gru", nn.GRU(8, 5), SEQUENCES),
        ("rnn", nn.RNN(8, 5), SEQUENCES), ("lstm cell", nn.LSTMCell(6, 5), ROWS), ("attention", Attention(), SEQUENCES),
        ("transformer", nn.TransformerEncoderLayer(8, 2, 16, 0.0, batch_first=True), SEQUENCES),
        ("transformer, eval", nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval(), SEQUENCES),
        ("transformer, dropout on", nn.TransformerEncoderLayer(8, 2, 16, 0.3, "gelu", batch_first=True), SEQUENCES),
        ("bilinear upsampling", conv(nn.Upsample(scale_factor=2, mode="bilinear")), IMAGES),
        ("nearest upsampling", conv(nn.Upsample(scale_factor=2)), IMAGES),
        ("bicubic upsampling", conv(nn.Upsample(scale_factor=2, mode="bicubic")), IMAGES),
        ("bilinear downsampling", conv(Resized("bilinear")), IMAGES),
        ("bicubic downsampling", conv(Resized("bicubic")), IMAGES),
        ("pixel shuffle", conv(nn.PixelShuffle(2)), IMAGES), ("unfold", conv(nn.Unfold(3)), IMAGES),
        ("paddings", conv(nn.ReflectionPad2d(1), nn.ReplicationPad2d(1), nn.ConstantPad2d(1, 3.0)), IMAGES),
        ("dropout on", nn.Sequential(nn.Linear(6, 6), nn.Dropout(0.5)), ROWS),
    ):
        yield of_module(name, module, data)
    yield of_module("embedding bag, offsets", nn.EmbeddingBag(7, 3, mode="max"), WORDS.flatten(), BAGS)
    yield of_module("bilinear", nn.Bilinear(6, 6, 3), ROWS, ROWS + 1.0)


def losses() -> Iterator[Case]:
    """Every loss that the door promises."""
    signs = torch.sign(TARGETS - 0.5)
    for name, loss in {
        "l1": lambda o: F.l1_loss(o, TARGETS), "mse": lambda o: F.mse_loss(o, TARGETS),
        "cross entropy": lambda o: F.cross_entropy(o, LABELS, weight=TARGETS[0] + 0.1, label_smoothing=0.1),
        "cross entropy, soft": lambda o: F.cross_entropy(o, torch.softmax(TARGETS, 1)),
        "nll": lambda o: F.nll_loss(o.log_softmax(1), LABELS, ignore_index=1),
        "poisson": lambda o: F.poisson_nll_loss(o, TARGETS),
        "kl": lambda o: F.kl_div(o, TARGETS, reduction="batchmean"),
        "gaussian": lambda o: F.gaussian_nll_loss(o, TARGETS, torch.ones(4, 6, dtype=DOUBLE)),
        "bce": lambda o: F.binary_cross_entropy(o.sigmoid(), TARGETS),
        "bce with logits": lambda o: F.binary_cross_entropy_with_logits(o, TARGETS, pos_weight=TARGETS[0] + 1.0),
        "margin ranking": lambda o: F.margin_ranking_loss(o, TARGETS, signs),
        "huber": lambda o: F.huber_loss(o, TARGETS),
        "hinge embedding": lambda o: F.hinge_embedding_loss(o, signs),
        "smooth l1": lambda o: F.smooth_l1_loss(o, TARGETS),
        "soft margin": lambda o: F.soft_margin_loss(o, signs), "multi margin": lambda o: F.multi_margin_loss(o, LABELS),
        "multilabel soft margin": lambda o: F.multilabel_soft_margin_loss(o, (TARGETS > 0.5).double()),
        "cosine embedding": lambda o: F.cosine_embedding_loss(o, TARGETS, torch.ones(4, dtype=DOUBLE)),
        "multilabel margin": lambda o: F.multilabel_margin_loss(o, MANY_LABELS),
        "ctc": lambda o: F.ctc_loss(o.view(-1, 2, 3).log_softmax(-1), CTC_LABELS, (4, 3), (2, 1)),
        "ctc, labels in a row": lambda o: F.ctc_loss(o.view(-1, 2, 3).log_softmax(-1), torch.tensor([1, 1, 2]),
                                                     torch.tensor([4, 4]), torch.tensor([2, 1]), reduction="sum"),
        "triplet": lambda o: F.triplet_margin_loss(o, TARGETS, TARGETS + 1.0, margin=5.0),
    }.items():
        yield of_module(name, nn.Linear(6, 6), ROWS, loss=loss)


CASES = [*layers(), *losses()]
