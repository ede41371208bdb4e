"""Gradients in low precision: false alarms of right layers, and who finds planted mistakes.

Forty layers in bfloat16, float16 and under autocast, at many seeds: right gradients, and mistakes planted into the
weight gradients of the low-precision runs.  Each tensor is judged by fastcheck's measured spread, by allclose to the
double-precision gradient with the tolerances that public tests of kernels use, and by a plain comparison with it at a
relative norm of 1e-2.  The double-precision truth of each layer is proven by exact differences once.

    python -m benchmarks.studies.low_precision [--seeds 3] [--planted 1] [--layers NAME ...]
"""

import argparse
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from benchmarks.data.torch_layers import LAYERS
from fastcheck.problems.gradients import Dithered
from fastcheck.torch import check_module
from fastcheck.torch.case import Case, preserved
from fastcheck.torch.low_precision import Twin, dithered, report_of
from fastcheck.verdict.spread import spread_of

PRECISIONS = ("bfloat16", "float16", "autocast")
# (rtol, atol) in public tests of kernels: flash-attention, Liger-Kernel, FlagGems.
TOLERANCES = {"bfloat16": (2e-2, 2e-2), "float16": (1e-2, 1e-2), "autocast": (2e-2, 2e-2)}
ENTRIES = 100
Gradient = np.ndarray


def loss(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """The mean of squares against fixed targets."""
    return (outputs.double() - targets).square().mean()


def factor(g: Gradient) -> Gradient:
    """One per cent too large."""
    return g * 1.01


def factor_3(g: Gradient) -> Gradient:
    """Three per cent too large."""
    return g * 1.03


def last_row(g: Gradient) -> Gradient:
    """The last row is left out."""
    g = g.copy()
    g[:, -1] = 0
    return g


def head_doubled(g: Gradient) -> Gradient:
    """The first half of the rows counts twice, as one head of two."""
    g = g.copy()
    g[:, : g.shape[1] // 2] *= 2
    return g


def tail_of_block(g: Gradient) -> Gradient:
    """The last quarter of the columns is not accumulated."""
    g = g.copy()
    g[:, :, -max(1, g.shape[2] // 4):] = 0
    return g


def n_minus_one(g: Gradient) -> Gradient:
    """1/n stands where 1/(n - 1) should, n = 32."""
    return g * (31 / 32)


PLANTED: dict[str, Callable[[Gradient], Gradient]] = {
    "factor 1.01": factor, "factor 1.03": factor_3, "last row left out": last_row, "one head doubled": head_doubled,
    "tail not accumulated": tail_of_block, "1/n for 1/(n-1)": n_minus_one,
}


def subjects(names: list[str], seeds: int) -> Iterator[tuple[str, str, int, Case, Twin, Any]]:
    """Layers in every precision at every seed, with the truth."""
    for name in names:
        _prove(name)
        for precision in PRECISIONS:
            for seed in range(seeds):
                torch.manual_seed(seed)
                module = LAYERS[name].make()
                inputs = LAYERS[name].inputs(torch.Generator().manual_seed(seed))
                with torch.no_grad():
                    targets = torch.randn_like(module(inputs)).double()
                context: Any = nullcontext()
                if precision == "autocast":
                    context = torch.autocast("cpu", dtype=torch.bfloat16)
                else:
                    dtype = getattr(torch, precision)
                    module, inputs = module.to(dtype), inputs.to(dtype) if inputs.is_floating_point() else inputs
                case = Case.of(module, loss, inputs, targets, frozen=False)
                yield name, precision, seed, case, Twin(case), context


def _prove(name: str) -> None:
    torch.manual_seed(0)
    module = LAYERS[name].make().double()
    inputs = LAYERS[name].inputs(torch.Generator().manual_seed(0))
    inputs = inputs.double() if inputs.is_floating_point() else inputs
    targets = torch.randn_like(module(inputs))
    report = check_module(module, loss, inputs, targets)
    if not report.ok:
        raise SystemExit(f"{name} in double precision:\n{report}")


def measured(case: Case, twin: Twin, seed: int, context: Any) -> tuple[dict[str, Dithered], dict[str, str]]:
    """The runs and the verdict on the right gradients, tensor by tensor."""
    with preserved(case.module), context:
        case.backward()
        cost, runs = dithered(case, twin, seed, 60.0)
    report = report_of(case, cost, runs, norm=2, seed=seed, seconds=0.0)
    found, start = {}, 0
    for name, parameter in case.parameters.items():
        part = slice(start, start := start + parameter.numel())
        found[name] = replace(runs, gradients=runs.gradients[:, part], truths=runs.truths[:, part])
    return found, {tensor.name: tensor.verdict for tensor in report.tensors}


def judged(runs: Dithered, shape: tuple[int, ...], gradients: Gradient, precision: str) -> dict[str, str]:
    """What each way says about gradients of all runs: "pass", "fail" or "inconclusive"."""
    spread = spread_of(gradients, runs.truths, shape, runs.unit)
    rtol, atol = TOLERANCES[precision]
    near = np.allclose(gradients[0], runs.truths[0], rtol=rtol, atol=atol)
    size = float(np.linalg.norm(runs.truths[0]))
    apart = float(np.linalg.norm(gradients[0] - runs.truths[0]))
    return {
        "fastcheck": "inconclusive" if not spread.resolved else "fail" if spread.finding else "pass",
        "allclose, usual tolerances": "pass" if near else "fail",
        "norm of the difference 1e-2": "pass" if apart <= 1e-2 * size else "fail",
    }


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--planted", type=int, default=1, help="seeds at which mistakes are planted")
    parser.add_argument("--layers", nargs="+", default=list(LAYERS))
    asked = parser.parse_args()
    started = time.perf_counter()
    right: Counter[tuple[str, str]] = Counter()
    planted: dict[str, Counter[tuple[str, str]]] = {mistake: Counter() for mistake in PLANTED}
    beyond: Counter[str] = Counter()
    tensors = 0
    for _, precision, seed, case, twin, context in subjects(asked.layers, asked.seeds):
        tensors_of, verdicts = measured(case, twin, seed, context)
        for name, runs in tensors_of.items():
            shape = tuple(case.parameters[name].shape)
            tensors += 1
            opinions = judged(runs, shape, runs.gradients, precision)
            for way, verdict in {**opinions, "fastcheck": verdicts[name]}.items():
                right[way, verdict] += 1
            if seed < asked.planted and len(shape) >= 2 and runs.truths.shape[1] > ENTRIES:
                _plant(runs, shape, precision, planted, beyond)
    _print(tensors, right, planted, beyond, time.perf_counter() - started)


def _plant(
    runs: Dithered, shape: tuple[int, ...], precision: str, planted: dict[str, Counter[tuple[str, str]]],
    beyond: Counter[str],
) -> None:
    power = spread_of(runs.gradients, runs.truths, shape, runs.unit).power
    matrices = (len(runs.gradients), shape[0], -1)
    for mistake, change in PLANTED.items():
        wrong = change(runs.gradients.reshape(matrices)).reshape(runs.gradients.shape)
        off = float(np.linalg.norm((wrong - runs.gradients)[0]) / np.linalg.norm(runs.gradients[0]))
        if off < power:  # the check said that it would not see so little
            beyond[mistake] += 1
            continue
        for way, verdict in judged(runs, shape, wrong, precision).items():
            planted[mistake][way, verdict] += 1


def _print(
    tensors: int, right: Counter[tuple[str, str]], planted: dict[str, Counter[tuple[str, str]]], beyond: Counter[str],
    seconds: float,
) -> None:
    console = Console(width=120)
    ways = sorted({way for way, _ in right})
    table = Table("right gradients", *ways, title=f"{tensors:,} tensors, {seconds:.0f} s")
    for verdict in ("pass", "fail", "inconclusive"):
        table.add_row(verdict, *(f"{right[way, verdict]:,}" for way in ways))
    console.print(table)
    table = Table("planted, within the stated power", "cases", *(f"{way}: found" for way in ways), "below the power")
    for mistake, counted in planted.items():
        cases = sum(counted[ways[0], verdict] for verdict in ("pass", "fail", "inconclusive"))
        table.add_row(mistake, f"{cases:,}", *(f"{counted[way, 'fail']:,}" for way in ways), f"{beyond[mistake]:,}")
    console.print(table)


if __name__ == "__main__":
    main()
