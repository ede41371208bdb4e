"""Gradients that are zero in theory, over random layers: how often right ones fail, and wrong ones do not.

    python -m tests.reliability.zero_in_theory --count 1000 --first 5000

Prints a row for each kind of layer and precision as it comes, with the seeds that came out neither right nor wrong as
they should, and exits with 1 where a right gradient fails or an error is missed.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np

import fastcheck as fc
from tests.support.cancelling import HARDLY_VARYING, LAYERS, near_a_perfect_fit, spoiled

FIT = "A - Y near a perfect fit"
EVERY = LAYERS | HARDLY_VARYING
KINDS = (*EVERY, FIT)
PRECISIONS = (np.float64, np.float32)
# The error that is planted, as a share of what the gradient would be if nothing cancelled.
ERROR = 1e-3


def verdicts(kind: str, dtype: Any, seed: int, engine: Any) -> tuple[str, str]:
    """Of the right gradient that is zero in theory, and of one with an error."""
    rng = np.random.default_rng(seed)
    if kind == FIT:
        case = near_a_perfect_fit(rng, dtype)
        wrong = {name: value.copy() for name, value in case.gradients.items()}
        wrong["db1"][rng.integers(len(wrong["db1"]))] += dtype(rng.choice((-1.0, 1.0)) * ERROR * case.typical)
        right, spoilt = (fc.check(case.net, case.parameters, g, case.X, case.Y) for g in (case.gradients, wrong))
        return right.verdict, spoilt.verdict
    layer = EVERY[kind](rng, dtype, 10.0 ** rng.uniform(-1.0, 1.0))
    right = fc.check_vjp(layer.forward, layer.backward, layer.inputs, seed=seed, engine=engine)
    spoilt = fc.check_vjp(layer.forward, spoiled(layer, ERROR, seed), layer.inputs, seed=seed, engine=engine)
    return right.tensors[layer.zero].verdict if right.verdict != "fail" else "fail", spoilt.verdict


def study(kinds: Any, seeds: range, engine: Any) -> Iterator[tuple[str, str, dict[int, tuple[str, str]]]]:
    """Both verdicts of each seed, by kind and precision."""
    for kind in kinds:
        for dtype in PRECISIONS:
            yield kind, np.dtype(dtype).name, {seed: verdicts(kind, dtype, seed, engine) for seed in seeds}


def main() -> int:
    """Run the study and print its table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--engine", choices=("program", "differences"), default=None)
    parser.add_argument("kinds", nargs="*", default=KINDS)
    given = parser.parse_args()
    failed = False
    print("| kind | precision | right: pass, inconclusive, fail | wrong: fail, inconclusive, pass | seeds |\n"
          "|---|---|---|---|---|")
    seeds = range(given.first, given.first + given.count)
    for kind, precision, found in study(given.kinds, seeds, given.engine):
        right, wrong = (Counter(both[k] for both in found.values()) for k in (0, 1))
        good, bad = ((counts["pass"], counts["inconclusive"], counts["fail"]) for counts in (right, wrong))
        odd = [str(seed) for seed, both in found.items() if both != ("pass", "fail")]
        print(f"| {kind} | {precision} | {', '.join(map(str, good))} | {', '.join(map(str, bad[::-1]))} "
              f"| {' '.join(odd)} |", flush=True)
        failed |= bool(right["fail"] or wrong["pass"])
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
