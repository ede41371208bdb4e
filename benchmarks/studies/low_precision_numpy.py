"""Backward passes by hand in NumPy, in single precision or with float32 buffers inside double: false alarms and finds.

Ten layers at many seeds, right and with a factor in one gradient, by ``check_vjp``; and as costs by ``check_function``,
where the gradient is a function, and where it is an array and so cannot be run again.

    python -m benchmarks.studies.low_precision_numpy [--seeds 10]
"""

import argparse
import inspect
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

import fastcheck as fc
from benchmarks.data.numpy_layers import NUMPY_LAYERS, NumPyLayer

# Precision of the inputs, and whether gradients are handed over in double.
KINDS = {"float32": (np.float32, False), "float32 buffers": (np.float64, False),
         "float32 buffers, copied": (np.float64, True)}
FACTORS = (1.0, 1.001, 1.01)
CHECKS = ("check_vjp", "check_function, callable", "check_function, array")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10)
    seeds, started = parser.parse_args().seeds, time.perf_counter()
    found: Counter[tuple[str, str, float, str]] = Counter()
    console = Console(width=180)
    for name, layer in NUMPY_LAYERS.items():
        for kind in KINDS:
            for seed in range(seeds):
                for factor in FACTORS:
                    for check in CHECKS:
                        verdict = judged(layer, kind, seed, factor, check)
                        found[check, kind, factor, verdict] += 1
                        if (verdict == "fail") != (factor != 1.0) and check != CHECKS[2]:
                            console.print(name, check, kind, seed, factor, verdict)
    table = Table("check", "precision", *(f"{v}, factor {f:g}" for f in FACTORS for v in ("pass", "open", "fail")),
                  title=f"{sum(found.values()):,} checks, {time.perf_counter() - started:.0f} s")
    for check in CHECKS:
        for kind in KINDS:
            table.add_row(check, kind, *(str(found[check, kind, f, v]) for f in FACTORS
                                         for v in ("pass", "inconclusive", "fail")))
    console.print(table)


def judged(layer: NumPyLayer, kind: str, seed: int, factor: float, check: str) -> str:
    """Return the verdict on one layer whose last gradient is off by a factor, and right where another tensor fails."""
    dtype, copied = KINDS[kind]
    inputs = layer.inputs(seed, dtype)
    names = list(inspect.signature(layer.forward).parameters)

    def backward(d: np.ndarray, *values: np.ndarray) -> tuple[np.ndarray, ...]:
        made = list(layer.backward(d, *values, work=np.float32))
        made[-1] = made[-1] * made[-1].dtype.type(factor)
        return tuple(g.astype(np.float64) if copied else g for g in made)

    if check == "check_vjp":
        report = fc.check_vjp(layer.forward, backward, inputs, seed=seed, names=names)
    else:
        report = _as_cost(layer, backward, inputs, names, seed, callable_too="callable" in check)
    if report.failures and [tensor.name for tensor in report.failures] != names[-1:]:
        return "another fails"
    return report.verdict


def _as_cost(
    layer: NumPyLayer, backward: Callable[..., Any], inputs: tuple[np.ndarray, ...], names: list[str], seed: int, *,
    callable_too: bool,
) -> fc.Report:
    """Return the report on the sum of the layer's outputs, weighted."""
    weights = np.random.default_rng(seed + 1).standard_normal(layer.forward(*inputs).shape).astype(inputs[0].dtype)
    at = dict(zip(names, inputs, strict=True))

    def cost(p: dict[str, np.ndarray], d: np.ndarray) -> float:
        return float(np.sum(d * layer.forward(*(p[name] for name in names))))

    def gradient(p: dict[str, np.ndarray], d: np.ndarray) -> dict[str, np.ndarray]:
        return dict(zip(names, backward(d, *(p[name] for name in names)), strict=True))

    return fc.check_function(cost, at, gradient if callable_too else gradient(at, weights), args=(weights,))


if __name__ == "__main__":
    main()
