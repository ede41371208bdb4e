"""Small trainings for the studies of ``fastcheck.torch.Watch``: modules with data of their own, in four precisions."""

import random
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

import fastcheck.torch as ft
from benchmarks.data.torch_models import GPT, ResNet, next_word

SENTENCES = ("the cat sat on the mat", "a dog ran to the cat", "the sun is on the sea", "rain ran down the pane")
PRECISIONS = ("float32", "autocast", "bfloat16", "float64")
Batches = Iterator[tuple[torch.Tensor, torch.Tensor]]


def digits(count: int = 32, flat: bool = False) -> Batches:
    """Batches of scikit-learn's digits without end."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    x = torch.tensor(images, dtype=torch.float32).reshape((-1, 64) if flat else (-1, 1, 8, 8)) / 16.0
    y = torch.tensor(labels)
    while True:
        chosen = torch.randint(0, len(x), (count,))
        yield x[chosen], y[chosen]


def text(count: int = 8, length: int = 32) -> Batches:
    """Batches of pieces of sentences in random order, letter by letter, without end."""
    words = " ".join(random.Random(0).choices(SENTENCES, k=500))
    letters = {letter: number for number, letter in enumerate(sorted(set(words)))}
    coded = torch.tensor([letters[letter] for letter in words])
    while True:
        starts = torch.randint(0, len(coded) - length - 1, (count,)).tolist()
        pieces = torch.stack([coded[start : start + length + 1] for start in starts])
        yield pieces[:, :-1], pieces[:, 1:]


def mlp(act: nn.Module, p: float = 0.0) -> nn.Module:
    """Two hidden layers."""
    return nn.Sequential(nn.Linear(64, 24), act, nn.Dropout(p), nn.Linear(24, 16), act, nn.Linear(16, 10))


def convnet() -> nn.Module:
    """Convolutions with batch norm, pooling, and a head."""
    return nn.Sequential(
        nn.Conv2d(1, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 8, 3, padding=1),
        nn.BatchNorm2d(8), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(32, 10),
    )


class Recurrent(nn.Module):
    """An LSTM on embeddings, read at every step."""

    def __init__(self) -> None:
        super().__init__()
        self.token, self.lstm, self.head = nn.Embedding(32, 12), nn.LSTM(12, 16, batch_first=True), nn.Linear(16, 32)

    def forward(self, words: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.head(self.lstm(self.token(words))[0])
        return out


# By name: the module, and its data.
SUBJECTS: dict[str, tuple[Callable[[], nn.Module], Callable[[], Batches]]] = {
    "ResNet": (lambda: ResNet((16, 32, 32), nn.ReLU(), 1), digits),
    "GPT": (lambda: GPT(32, 64, 2, 32, 0.1), text),
    "MLP relu": (lambda: mlp(nn.ReLU()), lambda: digits(16, True)),
    "MLP tanh": (lambda: mlp(nn.Tanh()), lambda: digits(16, True)),
    "MLP gelu": (lambda: mlp(nn.GELU(), 0.2), lambda: digits(16, True)),
    "ConvNet": (convnet, lambda: digits(16)),
    "small GPT": (lambda: GPT(32, 16, 1, 16, 0.1), lambda: text(4, 16)),
    "LSTM": (Recurrent, lambda: text(4, 12)),
}
LARGE, SMALL = ("ResNet", "GPT"), ("MLP relu", "MLP tanh", "MLP gelu", "ConvNet", "small GPT", "LSTM")


class Training:
    """A module, its data and its optimizer.

    Parameters
    ----------
    name : one of ``SUBJECTS``.
    seed : of the module and its data.
    precision : one of ``PRECISIONS``; "autocast" has parameters in float32 and casts to bfloat16.
    """

    def __init__(self, name: str, seed: int = 0, precision: str = "float32") -> None:
        torch.manual_seed(seed)
        make, data = SUBJECTS[name]
        self.dtype = torch.float32 if precision == "autocast" else getattr(torch, precision)
        self.casts = precision == "autocast"
        self.module, self.data = make().to(self.dtype), data()
        self.optimizer = torch.optim.AdamW(self.module.parameters(), 1e-3)

    def batch(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Inputs and targets of the next step."""
        x, y = next(self.data)
        return (x.to(self.dtype) if x.is_floating_point() else x), y

    def loss(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Cross-entropy of labels, or of next words."""
        if outputs.dtype in (torch.bfloat16, torch.float16):
            outputs = outputs.float()
        return next_word(outputs, targets) if outputs.ndim == 3 else F.cross_entropy(outputs, targets)

    def watch(self, overhead: float, **options: Any) -> ft.Watch:
        """A watch on it."""
        return ft.Watch(self.module, self.loss, *self.batch(), overhead=overhead, **options)

    def step(self, watch: ft.Watch | None = None) -> None:
        """One training step."""
        x, y = self.batch()
        self.optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=self.casts):
            value = self.loss(self.module(x), y)
        value.backward()
        if watch is not None:
            watch(x, y)
        self.optimizer.step()
