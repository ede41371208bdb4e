"""Exact differences of every activation, by the compiled code that the engines run: nanoseconds for an element.

So many elements that the processor cannot learn their signs by heart.  Of 4,096 it foresees most branches the next time
round, in some processes more than in others: of relu6 an element takes 1.8 ns or a quarter more, and 5.8 to 6.2 of
131,072.
"""

from typing import Any

import numpy as np
import pytest

from benchmarks.gate.paired import TIMED
from fastcheck._types import Array
from fastcheck.engines.machine_code import activation_differences, mixed_differences
from fastcheck.rules.activations import ACTIVATIONS
from fastcheck.runtime.jit import call_at, compiled

pytestmark = TIMED

ELEMENTS = 1 << 17
CLASSES = 16


def _differences(address: int, z: Array, d: Array, out: Array) -> None:
    for i in range(z.size):
        out[i] = call_at(address, (z[i], d[i]))


def _softmax_differences(address: int, p: Array, d: Array, out: Array) -> None:
    for row in range(p.shape[0]):
        call_at(address, (p[row], d[row], out[row]))


differences = compiled(_differences)
softmax_differences = compiled(_softmax_differences)


def judged(name: str) -> Any:
    """All but the identity, whose difference is d: the loop alone takes 1.5 ns for an element or 2.0, by luck."""
    return pytest.param(name, marks=() if name == "identity" else pytest.mark.gate)


@pytest.mark.parametrize("name", [judged(name) for name, entry in ACTIVATIONS.items() if entry.elementwise])
def test_difference(paired: Any, name: str) -> None:
    rng = np.random.default_rng(0)
    z, d, out = 2.0 * rng.standard_normal(ELEMENTS), 1e-3 * rng.standard_normal(ELEMENTS), np.empty(ELEMENTS)
    address = activation_differences.at(name)
    paired(lambda: differences(address, z, d, out), "products")
    _per_element(paired)
    value = ACTIVATIONS[name].value
    np.testing.assert_allclose(out, value(z + d) - value(z), rtol=0, atol=2e-14)


@pytest.mark.gate
def test_softmax_difference(paired: Any) -> None:
    rng = np.random.default_rng(0)
    shape = ELEMENTS // CLASSES, CLASSES
    z, d, out = rng.standard_normal(shape), 1e-3 * rng.standard_normal(shape), np.empty(shape)
    value = ACTIVATIONS["softmax"].value
    p = np.ascontiguousarray(value(z.T).T)
    address = mixed_differences.at("softmax")
    paired(lambda: softmax_differences(address, p, d, out), "products")
    _per_element(paired)
    np.testing.assert_allclose(out, value((z + d).T).T - p, rtol=0, atol=2e-14)


def _per_element(paired: Any) -> None:
    info = paired.benchmark.extra_info
    if "seconds" in info:
        info["nanoseconds per element"] = round(1e9 * info["seconds"] / ELEMENTS, 2)
