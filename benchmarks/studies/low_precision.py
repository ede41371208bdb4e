"""Gradients in low precision: false alarms of right layers, and who finds planted mistakes.

Forty-one layers in float32, bfloat16, float16 and under autocast, at many seeds: right gradients, and mistakes planted
into them.  They are judged as ``fastcheck.torch.check_module`` judges them; by allclose to the double-precision
gradient with the tolerances that public tests of kernels use; by a plain comparison with it, at a relative norm of
1e-2; and, at the first seed, by torch's own gradcheck, as it is and with a step and tolerances for the precision.  The
double-precision truth of each layer is proven by exact differences once.

    python -m benchmarks.studies.low_precision right --seeds 0 250 --out right.jsonl     # resumes where it was cut off
    python -m benchmarks.studies.low_precision planted --seeds 0 4 --out planted.jsonl
    python -m benchmarks.studies.low_precision table right.jsonl planted.jsonl
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.data.torch_layers import LAYERS, LayerCase
from benchmarks.data.torch_mistakes import PLANTED
from benchmarks.studies.low_precision_table import print_tables
from fastcheck._constants import UNIT_ROUNDOFFS
from fastcheck.checks.low_precision import RUNS_FURTHER, judged_by_runs, report_of
from fastcheck.problems.gradients import AnalyticGradient, Dithered, NumericalGradient
from fastcheck.problems.parameters.layout import Layout
from fastcheck.problems.parameters.tensor import Tensor
from fastcheck.report.report import Report
from fastcheck.torch import check_module
from fastcheck.torch.case import Case, as_array
from fastcheck.torch.kept import preserved
from fastcheck.torch.low_precision import Twin, dithered
from fastcheck.verdict.spread import spread_of

PRECISIONS = ("float32", "bfloat16", "float16", "autocast")
# (rtol, atol) in public tests of kernels: flash-attention, Liger-Kernel, FlagGems.
TOLERANCES = {"float32": (1e-4, 1e-4), "bfloat16": (2e-2, 2e-2), "float16": (1e-2, 1e-2), "autocast": (2e-2, 2e-2)}
# (eps, atol, rtol) that gradcheck needs to say anything in the precision.
STEPS = {"float32": (1e-3, 1e-3, 1e-2), "bfloat16": (1e-1, 1e-1, 1e-1), "float16": (1e-2, 1e-2, 1e-1),
         "autocast": (1e-1, 1e-1, 1e-1)}
NORM = 1e-2
# Weight tensors that a mistake is planted into have more entries than this.
ENTRIES = 100
Gradient = np.ndarray
# Gradients (runs, n) -> the same with a mistake.
Change = Callable[[Gradient], Gradient]


def loss(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """The mean of squares against fixed targets."""
    return (outputs.double() - targets).square().mean()


@dataclass
class Subject:
    """A layer in one precision at one seed, and the same in double precision."""

    precision: str
    seed: int
    case: Case
    twin: Twin

    @classmethod
    def of(cls, layer: LayerCase, precision: str, seed: int) -> "Subject":
        """Make the layer and its data."""
        torch.manual_seed(seed)
        module = layer.make()
        inputs = layer.inputs(torch.Generator().manual_seed(seed))
        with torch.no_grad():
            targets = torch.randn_like(module(inputs)).double()
        if precision != "autocast":
            dtype = getattr(torch, precision)
            module, inputs = module.to(dtype), inputs.to(dtype) if inputs.is_floating_point() else inputs
        case = Case.of(module, loss, inputs, targets, frozen=False)
        return cls(precision, seed, case, Twin(case))

    @property
    def context(self) -> Any:
        """What it runs under."""
        return torch.autocast("cpu", dtype=torch.bfloat16) if self.precision == "autocast" else nullcontext()

    def run(self) -> tuple[float, Dithered]:
        """The loss, and backward passes with the truth beside them."""
        with preserved(self.case.module, self.case.loss), self.context:
            self.case.backward()
            self.case.coarse = self.case.coarse or UNIT_ROUNDOFFS["float32"]
            return dithered(self.case, self.twin, self.seed, 60.0)

    def further(self, change: Change, reach: float) -> Dithered:
        """Backward passes at points further away, their gradients changed."""
        with preserved(self.case.module, self.case.loss), self.context:
            runs = dithered(replace(self.case, coarse=reach), self.twin, self.seed, 60.0, None, RUNS_FURTHER)[1]
        return replace(runs, gradients=change(runs.gradients))

    def report(self, cost: float, runs: Dithered, change: Change = np.asarray) -> Report:
        """The report of ``check_module``: single precision is held to tolerances first.

        Parameters
        ----------
        cost, runs : as of ``run``; their gradients changed already.
        change : what was done to them: (runs, n) -> (runs, n).
        """
        parameters = {name: as_array(p) for name, p in self.case.parameters.items()}
        tensors = Layout.of(parameters).tensors
        theta = np.concatenate([p.ravel() for p in parameters.values()]).astype(np.float64)

        def judge() -> Report:
            def report_on(found: Dithered) -> Report:
                return report_of(tensors, theta, cost, found, norm=2, seed=self.seed, seconds=0.0)

            return judged_by_runs(report_on, runs, partial(self.further, change))

        if self.precision != "float32":
            return judge()
        report = self._by_tolerance(tensors, theta, cost, runs)
        if report.ok:
            return report
        spread = judge()
        blamed, left = ({tensor.name for tensor in found.failures} for found in (report, spread))
        return report if spread.verdict == report.verdict and blamed == left else spread

    def _by_tolerance(self, tensors: tuple[Tensor, ...], theta: Gradient, cost: float, runs: Dithered) -> Report:
        precision = {tensor.name: "float32" for tensor in tensors}
        given = AnalyticGradient(tensors, theta, runs.gradients[0], precision=precision)
        costs = np.full(theta.size, cost)
        found = NumericalGradient(cost, costs, costs, runs.truths[0], np.zeros(theta.size), settled=True)
        return Report.of(given, found, epsilon=1.0, norm=2, tolerance=None, engine="program", method="all",
                         seed=self.seed, seconds=0.0)

    def parts(self, runs: Dithered) -> Iterator[tuple[str, tuple[int, ...], Dithered, slice]]:
        """The runs of every tensor, with its name, shape and place."""
        start = 0
        for name, parameter in self.case.parameters.items():
            part = slice(start, start := start + parameter.numel())
            yield name, tuple(parameter.shape), replace(
                runs, gradients=runs.gradients[:, part], truths=runs.truths[:, part]), part


def prove(layer: LayerCase, name: str) -> None:
    """The layer's gradients in double precision are right; raises SystemExit."""
    torch.manual_seed(0)
    module = layer.make().double()
    inputs = layer.inputs(torch.Generator().manual_seed(0))
    inputs = inputs.double() if inputs.is_floating_point() else inputs
    targets = torch.randn_like(module(inputs))
    report = check_module(module, loss, inputs, targets)
    if not report.ok:
        raise SystemExit(f"{name} in double precision:\n{report}")


def compared(runs: Dithered, subject: Subject) -> dict[str, bool]:
    """Whether all tensors pass the usual comparisons with the double-precision gradient."""
    rtol, atol = TOLERANCES[subject.precision]
    near, small = True, True
    for _, _, part, _ in subject.parts(runs):
        found, true = part.gradients[0], part.truths[0]
        near &= np.allclose(found, true, rtol=rtol, atol=atol)
        small &= float(np.linalg.norm(found - true)) <= NORM * float(np.linalg.norm(true))
    return {"allclose": bool(near), "norm": bool(small)}


def by_gradcheck(subject: Subject, change: dict[str, Callable[[torch.Tensor], torch.Tensor]]) -> dict[str, bool]:
    """Whether torch's gradcheck passes the layer with changed gradients, as it is, and with its step fitted."""
    names, module = tuple(subject.case.parameters), subject.case.module

    def cost(*values: torch.Tensor) -> torch.Tensor:
        given = {n: _Changed.apply(v, change[n]) if n in change else v for n, v in zip(names, values, strict=True)}
        with subject.context:
            return loss(torch.func.functional_call(module, given, subject.case.args), subject.case.targets)

    inputs = tuple(p.detach().clone().requires_grad_() for p in subject.case.parameters.values())
    eps, atol, rtol = STEPS[subject.precision]
    options = {"gradcheck": {}, "gradcheck, fitted": {"eps": eps, "atol": atol, "rtol": rtol}}
    return {way: _passes(cost, inputs, given) for way, given in options.items()}


class _Changed(torch.autograd.Function):
    """The same numbers, with a gradient that a function changes."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, change: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
        ctx.change = change
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, upstream: torch.Tensor) -> Any:
        return ctx.change(upstream), None


def _passes(cost: Callable[..., torch.Tensor], inputs: tuple[torch.Tensor, ...], given: dict[str, Any]) -> bool:
    try:
        return torch.autograd.gradcheck(cost, inputs, **given)
    except RuntimeError:  # GradcheckError, and what it raises for inputs of low precision
        return False


def right(name: str, precision: str, seed: int, *, first: int) -> Iterator[dict[str, Any]]:
    """One line: the verdicts on a right layer."""
    started = time.process_time()
    subject = Subject.of(LAYERS[name], precision, seed)
    cost, runs = subject.run()
    report = subject.report(cost, runs)
    doubts = {t.name: [t.verdict, t.diagnosis] for t in report.tensors if t.verdict != "pass"}
    seconds = time.process_time() - started
    ways = compared(runs, subject)
    if seed == first:
        ways |= by_gradcheck(subject, {})
    yield {"verdict": report.verdict, "tensors": len(report.tensors), "doubts": doubts, "ways": ways,
           "seconds": round(seconds, 4)}


def factor_of(size: float) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return what makes a gradient too large by a factor."""
    return lambda g: g * size


def row_left_out(g: torch.Tensor) -> torch.Tensor:
    """Return a gradient without its last row."""
    g = g.clone()
    g[-1] = 0
    return g


def half_doubled(g: torch.Tensor) -> torch.Tensor:
    """Return a gradient whose first half counts twice, as one head of two."""
    g = g.clone()
    g[: len(g) // 2] *= 2
    return g


IN_A_TENSOR: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "factor 1.01": factor_of(1.01), "factor 1.03": factor_of(1.03), "one row left out": row_left_out,
    "one head doubled": half_doubled,
}


def planted(name: str, precision: str, seed: int, *, first: int) -> Iterator[dict[str, Any]]:
    """Lines on mistakes planted into each large weight tensor of a layer."""
    subject = Subject.of(LAYERS[name], precision, seed)
    cost, runs = subject.run()
    for tensor, shape, part, place in subject.parts(runs):
        if len(shape) < 2 or part.truths.shape[1] <= ENTRIES:
            continue
        power = _power(part, shape)
        for mistake, change in IN_A_TENSOR.items():
            if mistake == "factor 1.03" and power < 0.01 * 0.999:
                continue  # 1.01 is asked for there
            if mistake == "factor 1.01" and power >= 0.01 * 0.999:
                continue
            spoil = partial(_spoiled, change, shape, place)
            found = replace(runs, gradients=spoil(runs.gradients))
            ways = compared(found, subject)
            if seed == first:
                ways |= by_gradcheck(subject, {tensor: change})
            yield _judged(subject, cost, found, {tensor}, ways, spoil) | {
                "mistake": mistake, "tensor": tensor, "power": power, "off": _off(found, runs, place)}


def _spoiled(
    change: Callable[[torch.Tensor], torch.Tensor], shape: tuple[int, ...], place: slice, gradients: Gradient
) -> Gradient:
    """Return gradients (runs, n) with one tensor changed."""
    wrong = gradients.copy()
    wrong[:, place] = np.stack([change(torch.from_numpy(g.reshape(shape))).numpy().ravel()
                                for g in gradients[:, place]])
    return wrong


def structural(name: str, precision: str, seed: int, *, first: int) -> Iterator[dict[str, Any]]:
    """Lines on a layer whose backward pass has a mistake below double precision, and on the same layer without it."""
    both = [Subject.of(PLANTED[name].layer(wrong), precision, seed) for wrong in (False, True)]
    (cost, good), (_, bad) = (subject.run() for subject in both)
    touched = {tensor: (_off(bad, good, place), _power(part, shape))
               for tensor, shape, part, place in both[0].parts(good)
               if not np.array_equal(good.gradients[:, place], bad.gradients[:, place])}
    worst = max(touched, key=lambda tensor: touched[tensor][0] / touched[tensor][1])
    yield _judged(both[1], cost, bad, set(touched), compared(bad, both[1])) | {
        "mistake": name, "tensor": worst, "off": touched[worst][0], "power": touched[worst][1]}
    yield _judged(both[0], cost, good, set(), compared(good, both[0])) | {"mistake": f"none ({name})"}


def _power(runs: Dithered, shape: tuple[int, ...]) -> float:
    """Return the relative error that the check says it would see in one tensor; infinity where it sees nothing."""
    spread = spread_of(runs.gradients, runs.truths, shape, runs.unit)
    return spread.power if spread.resolved else float("inf")


def _off(found: Dithered, runs: Dithered, place: slice) -> float:
    """Return the relative size of a change of a gradient."""
    right_one = runs.gradients[0, place]
    return float(np.linalg.norm(found.gradients[0, place] - right_one) / max(np.linalg.norm(right_one), 1e-300))


def _judged(
    subject: Subject, cost: float, runs: Dithered, tensors: set[str], ways: dict[str, bool],
    change: Change = np.asarray,
) -> dict[str, Any]:
    report = subject.report(cost, runs, change)
    return {"verdict": report.verdict, "ways": ways, "found": [t.name for t in report.failures],
            "first": bool(report.failures) and report.failures[0].name in tensors,
            "words": report.failures[0].diagnosis if report.failures else ""}


Record = Callable[..., Iterator[dict[str, Any]]]


def write(record: Record, names: list[str], asked: argparse.Namespace) -> None:
    """Write the lines of every layer in every precision at every seed, but for those that are there already."""
    done = set()
    if asked.out.exists():
        lines = [json.loads(line) for line in asked.out.read_text().splitlines()]
        done = {(line["layer"], line["precision"], line["seed"]) for line in lines}
    seeds = range(*asked.seeds)
    with asked.out.open("a") as out:
        for seed in seeds:
            for name in names:
                for precision in asked.precisions:
                    if (name, precision, seed) in done:
                        continue
                    place = {"layer": name, "precision": precision, "seed": seed}
                    lines = [json.dumps(place | line) for line in record(name, precision, seed, first=0)]
                    out.write("".join(f"{line}\n" for line in lines))
                    out.flush()


def main() -> None:
    """Write lines, or print the tables of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("right", "planted", "table"))
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--seeds", type=int, nargs=2, default=(0, 3), metavar=("FROM", "TO"))
    parser.add_argument("--layers", nargs="+", default=list(LAYERS))
    parser.add_argument("--precisions", nargs="+", default=list(PRECISIONS))
    parser.add_argument("--out", type=Path, default=Path("low_precision.jsonl"))
    asked = parser.parse_args()
    if asked.what == "table":
        print_tables([json.loads(line) for file in asked.files for line in file.read_text().splitlines()])
        return
    torch.set_num_threads(1)
    for name in asked.layers:
        prove(LAYERS[name], name)
    if asked.what == "right":
        write(right, asked.layers, asked)
        return
    for name, layer in PLANTED.items():
        prove(layer.layer(False), name)
    write(planted, asked.layers, asked)
    write(structural, list(PLANTED), asked)


if __name__ == "__main__":
    main()
