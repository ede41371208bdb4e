"""Whole PyTorch modules: what ``check_module`` takes, in forward passes, and how near autograd the truth is found.

Each round times the forward pass, one recording of the loss, and the check, in turn; processor time on one thread.  The
LeNet is checked at *all* its entries and held against ``torch.autograd.gradcheck`` in slow mode, which is timed on the
first layer and multiplied up by the number of entries.  The others are checked once more with one entry of their
gradient off by 1e-6 of itself, which the report has to name.

    python -m benchmarks.studies.modules [NAME ...] [--rounds 5]
"""

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from threadpoolctl import threadpool_limits

import fastcheck.torch as ft
from benchmarks.data.torch_models import MODELS, model
from benchmarks.measure import processor, readable, readable_ratio
from fastcheck.torch.case import Case, double
from fastcheck.torch.program.program import TorchProgram

# The entry that is made wrong in a tensor.
OFF = 7


def seconds_of(call: Callable[[], Any]) -> float:
    """Processor seconds of one call."""
    start = time.process_time()
    call()
    return time.process_time() - start


class Study:
    """One module: what is timed of it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.module, self.loss, self.inputs, self.targets = model(name)
        self.case = Case.of(self.module, self.loss, self.inputs, self.targets, frozen=False)
        self.report: Any = None

    @property
    def size(self) -> int:
        """Number of parameters."""
        return sum(p.numel() for p in self.module.parameters())

    def forward(self) -> None:
        """A forward pass, in PyTorch's own attention rather than the fused one of eval mode."""
        with torch.no_grad():
            self.loss(self.module(self.inputs), self.targets)

    def recording(self) -> None:
        """What a check records."""
        TorchProgram(self.case.function(double), [double(p) for p in self.case.parameters.values()], cut_loss=True)

    def check(self) -> None:
        """The check."""
        method: Any = "all" if self.name == "LeNet" else "directional"
        self.report = ft.check_module(self.module, self.loss, self.inputs, self.targets, method=method, threads=1)
        if not self.report.ok:
            raise AssertionError(str(self.report))

    def wrong(self) -> None:
        """The check of a gradient with one wrong entry, which it names."""
        name, parameter = list(self.module.named_parameters())[len(self.case.parameters) // 2]

        def off(gradient: torch.Tensor) -> torch.Tensor:
            gradient = gradient.clone()
            gradient.view(-1)[OFF] *= 1.0 + 1e-6
            return gradient

        hook = parameter.register_hook(off)
        report = ft.check_module(self.module, self.loss, self.inputs, self.targets, method="directional", threads=1)
        hook.remove()
        worst = report.worst(1)[0]
        index = tuple(int(i) for i in np.unravel_index(OFF, tuple(parameter.shape)))
        if report.verdict != "fail" or (worst.tensor, worst.index) != (name, index):
            raise AssertionError(f"{name}{list(index)} is wrong: {report}")

    def error(self) -> float:
        """The largest distance of gradapprox from autograd, by the size of the tensor's gradient's largest entry."""
        self.module.zero_grad()
        self.loss(self.module(self.inputs), self.targets).backward()
        found = []
        for name, parameter in self.module.named_parameters():
            truth = parameter.grad.numpy()
            apart = np.abs(self.report.gradapprox_of(name) - truth)
            if np.isfinite(apart).any():
                found.append(float(np.nanmax(apart) / np.abs(truth).max()))
        return max(found)

    def gradcheck(self) -> float:
        """Seconds of PyTorch's slow gradcheck, from the parameters of the first layer alone, by the number of entries.

        Each entry takes two evaluations, whichever tensor it is in; the backward passes beside them, which are the
        smaller part of it the more entries there are, are multiplied with them.
        """
        some = dict(list(self.module.named_parameters())[:2])
        leaves = [p.detach().clone().requires_grad_() for p in some.values()]

        def cost(*values: torch.Tensor) -> torch.Tensor:
            given = dict(zip(some, values, strict=True))
            return self.loss(torch.func.functional_call(self.module, given, (self.inputs,)), self.targets)

        seconds = seconds_of(lambda: torch.autograd.gradcheck(cost, leaves))
        return seconds / sum(p.numel() for p in leaves) * self.size


def row(name: str, rounds: int) -> list[str]:
    """One row of the table."""
    study = Study(name)
    study.forward(), study.recording(), study.check()
    times = [[seconds_of(call) for call in (study.forward, study.recording, study.check)] for _ in range(rounds)]
    passes = [(check - recording) / forward for forward, recording, check in times]
    check = statistics.median(one[2] for one in times)
    beside, wrong = "", ""
    if name not in ("LeNet", "ReLU ResNet"):
        wrong = f"{statistics.median((seconds_of(study.wrong) - one[1]) / one[0] for one in times):.1f}"
    if name == "LeNet":
        ratios = [study.gradcheck() / one[2] for one in times]
        beside = f"{readable_ratio(statistics.median(ratios))} ({readable_ratio(min(ratios))}-" \
                 f"{readable_ratio(max(ratios))})"
    return [name, f"{study.size:,}", readable(statistics.median(one[0] for one in times)),
            f"{statistics.median(one[1] / one[0] for one in times):.1f}", readable(check),
            f"{statistics.median(passes):.1f} ({min(passes):.1f}-{max(passes):.1f})", wrong, beside,
            study.report.verdict, f"{study.error():.1e}"]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=list(MODELS), help=f"of {', '.join(MODELS)}")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.backends.mha.set_fastpath_enabled(False)
    table = Table("module", "parameters", "forward pass", "recording, in these", "check", "beyond recording, in these*",
                  "one wrong entry named", "gradcheck's time**", "verdict", "error***")
    with threadpool_limits(1, user_api="blas"):
        for name in arguments.names:
            table.add_row(*row(name, arguments.rounds))
    console = Console(width=160)
    console.print(table)
    console.print(f"*   medians of {arguments.rounds} rounds in turn (lowest-highest)")
    console.print("**  by ours; slow mode, timed on the first layer's parameters, by the number of entries")
    console.print("*** of the checked entries against autograd, by the largest entry of the tensor's gradient")
    console.print(f"{processor()}; processor seconds, one thread, double precision, torch {torch.__version__}")


if __name__ == "__main__":
    main()
