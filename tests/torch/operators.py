"""fastcheck.torch.gradcheck beside torch's own on the operators that torch tests itself with, with torch's samples.

    python -m tests.torch.operators run KIND [--part 1/4] [--samples 3] [--seconds 20] [--only NAME]
    python -m tests.torch.operators table

``run`` checks the operators of one kind (double, complex, second, mistakes), or one part of them, and writes what came
out to build/operators/KIND-PART.json; ``table`` prints all that has been written, as a table, with every operator on
which the two checkers differ.  Exits with 1 if torch passes an operator that fastcheck does not.
"""

import argparse
import json
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from typing import Any

import numpy as np
import torch
from torch.testing._internal.common_methods_invocations import op_db

import fastcheck.torch as ft
from fastcheck.checks.jacobian.point import Tolerances
from fastcheck.checks.jacobian.quotients import ExactJacobian
from fastcheck.torch.checking import Check, Options
from fastcheck.torch.exact import moved
from tests.support.repository import ROOT

RESULTS = ROOT / "build" / "operators"
KINDS = ("double", "complex", "second", "mistakes", "program")
# Inputs with more numbers than this are left out: torch's slow mode would take minutes for them.
MOST = 600


@dataclass(frozen=True)
class Case:
    """One operator at one of its samples, as a function of the tensors that require gradients."""

    name: str
    function: Callable[..., Any]
    inputs: tuple[torch.Tensor, ...]
    nondet_tol: float


def operators(kind: str) -> list[Any]:
    """The operators of a kind, by name."""
    dtype = torch.complex128 if kind == "complex" else torch.float64
    found = [op for op in op_db if op.supports_autograd and dtype in op.supported_backward_dtypes("cpu")]
    if kind == "second":
        found = [op for op in found if op.supports_gradgrad]
    return sorted(found, key=lambda op: (op.name, op.variant_test_name))


def named(op: Any) -> str:
    """An operator's name with its variant."""
    return ".".join(filter(None, (op.name, op.variant_test_name)))


def cases(op: Any, kind: str) -> Iterator[Case]:
    """An operator at its samples; those without an input that requires gradients, and large ones, are left out."""
    torch.manual_seed(0)
    dtype = torch.complex128 if kind == "complex" else torch.float64
    for number, sample in enumerate(op.sample_inputs("cpu", dtype, requires_grad=True)):
        case = _case(op, sample, f"{named(op)}#{number}")
        if case.inputs and sum(t.numel() for t in case.inputs) <= MOST:
            yield case


def _case(op: Any, sample: Any, name: str) -> Case:
    many = isinstance(sample.input, (tuple, list)) and all(isinstance(t, torch.Tensor) for t in sample.input)
    first = tuple(sample.input) if many else (sample.input,)
    values = tuple(chain(first, sample.args, sample.kwargs.values()))
    moving = [k for k, v in enumerate(values) if isinstance(v, torch.Tensor) and v.requires_grad]

    def function(*given: torch.Tensor) -> Any:
        placed = list(values)
        for place, value in zip(moving, given, strict=True):
            placed[place] = value
        head = placed[: len(first)]
        rest = placed[len(first) : len(first) + len(sample.args)]
        options = dict(zip(sample.kwargs, placed[len(first) + len(sample.args) :], strict=True))
        found = op.gradcheck_wrapper(op.get_op(), tuple(head) if many else head[0], *rest, **options)
        return found if sample.output_process_fn_grad is None else sample.output_process_fn_grad(found)

    return Case(name, function, tuple(values[k] for k in moving), op.gradcheck_nondet_tol)


def answer(check: Callable[..., bool], case: Case, **options: Any) -> tuple[str, str, float]:
    """"pass", "fail" or "error", with the message, and the processor seconds that took."""
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        started = time.process_time()
        try:
            said = "pass" if check(case.function, case.inputs, nondet_tol=case.nondet_tol, **options) else "fail"
            message = ""
        except ft.GradcheckError as error:
            said, message = "fail", str(error)
        except Exception as error:
            # Whatever the operator raises is its business; it is compared with what it raises in the other checker.
            said, message = "error", f"{type(error).__name__}: {error}"
    return said, message, time.process_time() - started


class Spoiled(torch.autograd.Function):
    """Passes its input on, and spoils its gradient on the way back."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: torch.Tensor, spoil: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
        return x.clone()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
        ctx.spoil = inputs[1]

    @staticmethod
    def backward(ctx: Any, g: torch.Tensor) -> tuple[torch.Tensor, None]:
        return ctx.spoil(g), None


def mistakes(case: Case) -> Iterator[Case]:
    """An operator with mistakes planted in its backward, where they show in its Jacobian."""
    outputs = case.function(*case.inputs)
    many = isinstance(outputs, (tuple, list))
    tensors = tuple(outputs) if many else (outputs,)
    told = [_largest_row(case, o) if isinstance(o, torch.Tensor) and o.requires_grad else None for o in tensors]
    if not any(told):
        return
    which = next(k for k, row in enumerate(told) if row)
    row = told[which][0]

    def spoiled(name: str, at: int | None, spoil: Callable[[torch.Tensor], torch.Tensor]) -> Case:
        def function(*given: torch.Tensor) -> Any:
            found = case.function(*given)
            parts = tuple(found) if many else (found,)
            parts = tuple(Spoiled.apply(p, spoil) if isinstance(p, torch.Tensor) and p.requires_grad
                          and at in (None, k) else p for k, p in enumerate(parts))
            return parts if many else parts[0]
        return Case(f"{case.name}, {name}", function, case.inputs, case.nondet_tol)

    def without(g: torch.Tensor) -> torch.Tensor:
        keep = torch.ones(g.numel(), dtype=g.dtype)
        keep[row] = 0.0
        return g * keep.reshape(g.shape)

    yield spoiled("times 1.01", None, lambda g: 1.01 * g)
    yield spoiled("one entry zeroed", which, without)
    if sum(row is not None for row in told) > 1:
        last = max(k for k, row in enumerate(told) if row)
        yield spoiled("one output ignored", last, lambda g: 0.0 * g)


def _largest_row(case: Case, output: torch.Tensor) -> tuple[int] | None:
    """The row of the largest derivatives of an output, or None where there are none worth a mistake."""
    found: tuple[float, int] = (0.0, 0)
    for row in range(min(output.numel(), 64)):
        one = torch.zeros(output.numel(), dtype=output.dtype)
        one[row] = 1.0
        grads = torch.autograd.grad(output, case.inputs, one.reshape(output.shape), retain_graph=True,
                                    allow_unused=True)
        size = max((float(g.to_dense().abs().max()) for g in grads if g is not None and g.numel()), default=0.0)
        found = max(found, (size, row))
    return (found[1],) if 1e-3 < found[0] < float("inf") else None


def run(kind: str, part: str, samples: int, seconds: float, only: str) -> None:
    """Check the operators of one part and write what came out."""
    number, of = map(int, part.split("/"))
    chosen = [op for op in operators(kind) if named(op) == only] if only else operators(kind)[number - 1 :: of]
    RESULTS.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    found: list[dict[str, Any]] = []
    for op in chosen:
        started = time.process_time()
        for case in islice(cases(op, kind), samples):
            found += WAYS.get(kind, partial(_compared, kind=kind))(case)
            if time.process_time() - started > seconds:
                break
    (RESULTS / f"{kind}-{only or number}.json").write_text(json.dumps(found, indent=1))


def _compared(case: Case, kind: str) -> Iterator[dict[str, Any]]:
    ours, theirs = ((ft.gradgradcheck, torch.autograd.gradgradcheck) if kind == "second"
                    else (ft.gradcheck, torch.autograd.gradcheck))
    answer(theirs, case, fast_mode=True)  # what is loaded at the first call counts for neither
    for fast in (False, True):
        said, message, took = answer(ours, case, fast_mode=fast)
        torch_said, torch_message, torch_took = answer(theirs, case, fast_mode=fast)
        yield {"kind": kind, "case": case.name, "fast": fast, "ours": said, "theirs": torch_said, "seconds": took,
               "their_seconds": torch_took, "message": message[:600], "their_message": torch_message[:300]}


def _mistakes(case: Case) -> Iterator[dict[str, Any]]:
    if answer(torch.autograd.gradcheck, case, fast_mode=True)[0] != "pass":
        return
    for wrong in mistakes(case):
        for fast in (False, True):
            said, message, took = answer(ft.gradcheck, wrong, fast_mode=fast)
            torch_said, _, torch_took = answer(torch.autograd.gradcheck, wrong, fast_mode=fast)
            yield {"kind": "mistakes", "case": wrong.name, "fast": fast, "ours": said, "theirs": torch_said,
                   "seconds": took, "their_seconds": torch_took, "message": message[:600], "their_message": ""}


def _program(case: Case) -> Iterator[dict[str, Any]]:
    """How far exact changes of the recorded operators are from backward's Jacobian, or why there are none."""
    check = Check(case.function, case.inputs, Options(Tolerances(1e-5, 1e-3, 1e-6)))
    try:
        if not (check.dense and check.value and check.kept and np.isfinite(check.function.plain).all()):
            return
        jacobian = check.backward.jacobian()
        exact = moved(check.function, check.directions).jacobian()
    except Exception as error:
        # A refusal of any kind counts as one.
        yield {"kind": "program", "case": case.name, "error": None, "message": str(error)[:300]}
        return
    scale = float(np.max(np.abs(jacobian), initial=0.0)) or 1.0
    if isinstance(exact, ExactJacobian):  # on a kink, where each side has its own
        exact = np.where(exact.flagged, jacobian, exact.right)
    yield {"kind": "program", "case": case.name, "error": float(np.max(np.abs(exact - jacobian), initial=0.0)) / scale,
           "message": ""}


WAYS = {"mistakes": _mistakes, "program": _program}


def programs(rows: list[dict[str, Any]]) -> None:
    """Print how many operators exact changes can follow, and why not the others."""
    names = {name: [r for r in rows if r["case"].split("#")[0] == name] for name in
             dict.fromkeys(r["case"].split("#")[0] for r in rows)}
    followed = [name for name, found in names.items() if all(r["error"] is not None for r in found)]
    errors = sorted(r["error"] for r in rows if r["error"] is not None)
    print(f"\n{len(followed)} of {len(names)} operators are followed on all samples "
          f"({len(followed) / max(len(names), 1):.0%}); errors: median {statistics.median(errors):.1e}, largest "
          f"{errors[-3:]}\n")
    for name, found in names.items():
        for r in found:
            if r["error"] is None or r["error"] > 1e-9:
                print(f"{name}: {r['message'] or r['error']}")
                break


def table() -> int:
    """Print everything that was written; returns the number of operators that torch passes and fastcheck does not."""
    found = [row for path in sorted(RESULTS.glob("*.json")) for row in json.loads(path.read_text())]
    print("| kind | mode | operators | samples | both pass | only torch passes | only fastcheck passes | neither "
          "| time, median of ratios | time, total |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    bad: list[dict[str, Any]] = []
    for kind in KINDS[:-1]:
        for fast in (False, True):
            rows = [row for row in found if row["kind"] == kind and row["fast"] == fast]
            if rows:
                print(_line(kind, fast, rows))
                missed = [r for r in rows if r["ours"] == "pass"] if kind == "mistakes" else [
                    r for r in rows if r["theirs"] == "pass" != r["ours"]]
                bad += missed
    if any(row["kind"] == "program" for row in found):
        programs([row for row in found if row["kind"] == "program"])
    for row in bad:
        print(f"\n{row['kind']}, {'fast' if row['fast'] else 'slow'}: {row['case']}: {row['ours']}, torch "
              f"{row['theirs']}\n{row['message']}")
    return len(bad)


def _line(kind: str, fast: bool, rows: list[dict[str, Any]]) -> str:
    both = [(r["ours"] == "pass", r["theirs"] == "pass") for r in rows]
    ratio = statistics.median(r["seconds"] / r["their_seconds"] for r in rows)
    total = sum(r["seconds"] for r in rows), sum(r["their_seconds"] for r in rows)
    names = {r["case"].split("#")[0] for r in rows}
    counts = (both.count(pair) for pair in ((True, True), (False, True), (True, False), (False, False)))
    return (f"| {kind} | {'fast' if fast else 'slow'} | {len(names)} | {len(rows)} | "
            + " | ".join(str(c) for c in counts)
            + f" | {ratio:.2f} | {total[0]:.1f} s against {total[1]:.1f} s |")


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="scripts/operators", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    runner = commands.add_parser("run")
    runner.add_argument("kind", choices=KINDS)
    runner.add_argument("--part", default="1/1", help="K/N: the K-th of N parts")
    runner.add_argument("--samples", type=int, default=3, help="samples of one operator")
    runner.add_argument("--seconds", type=float, default=20.0, help="no further sample of an operator after these")
    runner.add_argument("--only", default="", help="one operator, by name")
    commands.add_parser("table")
    given = parser.parse_args()
    if given.command == "table":
        return min(table(), 1)
    run(given.kind, given.part, given.samples, given.seconds, given.only)
    return 0


if __name__ == "__main__":
    sys.exit(main())
