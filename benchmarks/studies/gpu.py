"""Large modules on a device, each beside ``torch.autograd.gradcheck`` extrapolated from two forward passes an entry.

A ResNet-18 of 11 million parameters (batch 8) and a GPT of 10 million are proven by directions, a transformer of one
million at all entries.

    python -m benchmarks.studies.gpu [--device cuda] [--small]
"""

import argparse
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import nn

import fastcheck.torch as ft
from benchmarks.data.torch_models import GPT, ResNet, next_word
from benchmarks.measure import processor, readable, readable_ratio

# Forward passes that gradcheck's time is multiplied up from.
PASSES = 10


class ResNet18(nn.Module):
    """ResNet-18 in four stages of two blocks, for images of 32 x 32."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        widths = [width * 2**stage for stage in range(4)]
        self.body = ResNet([w for w in widths for _ in range(2)], nn.ReLU())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.body(x)
        return out


def cases(small: bool, device: str) -> list[tuple[str, nn.Module, Any, torch.Tensor, torch.Tensor, Any]]:
    """Name, module, loss, inputs, targets and method of each; small ones only show that it runs."""
    torch.manual_seed(0)

    def sentences(words: int, length: int) -> tuple[torch.Tensor, torch.Tensor]:
        drawn = torch.randint(0, words, (2, length + 1), device=device)
        return drawn[:, :-1], drawn[:, 1:]

    size = 8 if small else 32
    images, labels = torch.randn(8, 3, size, size, device=device).double(), torch.randint(0, 10, (8,), device=device)
    return [
        ("ResNet-18", ResNet18(4 if small else 64), nn.CrossEntropyLoss(), images, labels, "directional"),
        ("GPT", GPT(65, 32, 2, 16) if small else GPT(512, 384, 6, 64), next_word,
         *(sentences(65, 16) if small else sentences(512, 64)), "directional"),
        ("transformer", GPT(20, 8, 1, 4) if small else GPT(65, 160, 3, 16), next_word,
         *(sentences(20, 4) if small else sentences(65, 16)), "all"),
    ]


def forward_passes(count: int, module: nn.Module, loss: Any, inputs: torch.Tensor, targets: torch.Tensor) -> None:
    """Forward passes, one after the other."""
    with torch.no_grad():
        for _ in range(count):
            loss(module(inputs), targets)


def timed(call: Callable[[], Any], device: str) -> tuple[float, Any]:
    """Wall time of a call, to the end of what it started on the device, and what it returned."""
    start = time.perf_counter()
    found = call()
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return time.perf_counter() - start, found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--small", action="store_true", help="small modules, to see that it runs")
    arguments = parser.parse_args()
    device = arguments.device
    table = Table("module", "parameters", "method", "forward pass", "check", "gradcheck, extrapolated", "ratio",
                  "verdict", "difference")
    for name, module, loss, inputs, targets, method in cases(arguments.small, device):
        module = module.double().eval().to(device)

        size = sum(p.numel() for p in module.parameters())
        forward_passes(1, module, loss, inputs, targets)
        once = timed(partial(forward_passes, PASSES, module, loss, inputs, targets), device)[0] / PASSES
        seconds, report = timed(partial(ft.check_module, module, loss, inputs, targets, method=method), device)
        theirs = 2.0 * size * once
        table.add_row(name, f"{size:,}", method, readable(once), readable(seconds), readable(theirs),
                      readable_ratio(theirs / seconds), report.verdict, f"{report.difference:.1e}")
    console = Console(width=150)
    console.print(table)
    where = torch.cuda.get_device_name() if device.startswith("cuda") else processor()
    console.print(f"{where}; wall time, double precision, torch {torch.__version__}")


if __name__ == "__main__":
    main()
