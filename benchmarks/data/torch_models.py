"""Modules of real size for the tests and studies of PyTorch's door: a ResNet, a GPT, an LSTM, a LeNet."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F


class Block(nn.Module):
    """A residual block of two convolutions; the second half of a step is a stride."""

    def __init__(self, inputs: int, outputs: int, act: nn.Module) -> None:
        super().__init__()
        stride = 1 if inputs == outputs else 2
        self.conv1, self.norm1 = nn.Conv2d(inputs, outputs, 3, stride, 1), nn.BatchNorm2d(outputs)
        self.conv2, self.norm2 = nn.Conv2d(outputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs)
        self.skip = nn.Identity() if stride == 1 else nn.Conv2d(inputs, outputs, 1, stride)
        self.act = act

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = self.act(self.norm1(self.conv1(x)))
        out: torch.Tensor = self.act(self.skip(x) + self.norm2(self.conv2(hidden)))
        return out


class ResNet(nn.Module):
    """Three residual blocks; with widths 32, 64, 128 some 300,000 parameters."""

    def __init__(self, widths: Sequence[int] = (32, 64, 128), act: nn.Module | None = None, channels: int = 3) -> None:
        super().__init__()
        act = nn.SiLU() if act is None else act
        self.stem, self.act = nn.Conv2d(channels, widths[0], 3, padding=1), act
        self.blocks = nn.Sequential(*(Block(a, b, act) for a, b in zip((widths[0], *widths), widths, strict=False)))
        self.head = nn.Linear(widths[-1], 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.head(self.blocks(self.act(self.stem(x))).mean((2, 3)))
        return out


class GPT(nn.Module):
    """A decoder of nn.TransformerEncoderLayers with a causal mask."""

    def __init__(self, words: int = 65, width: int = 128, layers: int = 4, length: int = 32, p: float = 0.0) -> None:
        super().__init__()
        self.token, self.place = nn.Embedding(words, width), nn.Embedding(length, width)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(width, 4, 4 * width, p, "gelu", batch_first=True, norm_first=True)
            for _ in range(layers)
        )
        self.head = nn.Linear(width, words)

    def forward(self, words: torch.Tensor) -> torch.Tensor:
        length = words.shape[1]
        x = self.token(words) + self.place(torch.arange(length, device=words.device))
        mask = nn.Transformer.generate_square_subsequent_mask(length, device=x.device, dtype=x.dtype)
        for layer in self.layers:
            x = layer(x, src_mask=mask)
        out: torch.Tensor = self.head(x)
        return out


class LSTM(nn.Module):
    """An LSTM on embeddings, read at its last step."""

    def __init__(self) -> None:
        super().__init__()
        self.token, self.lstm, self.head = nn.Embedding(50, 32), nn.LSTM(32, 50, batch_first=True), nn.Linear(50, 10)

    def forward(self, words: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.head(self.lstm(self.token(words))[0][:, -1])
        return out


def lenet(act: nn.Module) -> nn.Module:
    """LeNet-5 for images of 28 x 28: 61,706 parameters."""
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), act, nn.AvgPool2d(2), nn.Conv2d(6, 16, 5), act, nn.AvgPool2d(2), nn.Flatten(),
        nn.Linear(400, 120), act, nn.Linear(120, 84), act, nn.Linear(84, 10),
    )


def next_word(logits: torch.Tensor, words: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of each next word."""
    return F.cross_entropy(logits.flatten(0, 1), words.flatten())


MODELS = ("ResNet", "GPT", "LSTM", "LeNet", "ReLU ResNet")


def model(name: str, device: str = "cpu") -> tuple[nn.Module, Any, torch.Tensor, torch.Tensor]:
    """One of the models with its loss, inputs and targets, in double precision and eval mode."""
    torch.manual_seed(0)
    labels = torch.randint(0, 10, (8,))
    if name == "ResNet":
        found = ResNet(), nn.CrossEntropyLoss(), torch.randn(8, 3, 32, 32), labels
    elif name == "ReLU ResNet":
        found = ResNet((48, 96, 196), nn.ReLU()), nn.CrossEntropyLoss(), torch.randn(8, 3, 32, 32), labels
    elif name == "GPT":
        words = torch.randint(0, 65, (2, 33))
        found = GPT(), next_word, words[:, :-1], words[:, 1:]
    elif name == "LSTM":
        found = LSTM(), nn.CrossEntropyLoss(), torch.randint(0, 50, (8, 12)), labels
    else:
        found = lenet(nn.Tanh()), nn.CrossEntropyLoss(), torch.randn(8, 1, 28, 28), labels
    module, loss, inputs, targets = found
    inputs = inputs.double() if inputs.is_floating_point() else inputs
    return module.double().eval().to(device), loss, inputs.to(device), targets.to(device)
