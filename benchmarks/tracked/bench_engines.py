"""Every engine on the standard networks, cut down to rounds of some milliseconds; each check must pass."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastcheck as fc
from benchmarks.data.networks import Case, case, course
from benchmarks.gate.paired import GATE

pytestmark = GATE

MNIST = [784, 512, 256, 10]


def check(made: Case, **options: Any) -> Callable[[], fc.Report]:
    """A check of everything, on one thread unless told otherwise."""
    options = {"threads": 1, **options}
    return lambda: fc.check(made.net, made.parameters, made.gradients, made.X, made.Y, **options)


RESPONSE: dict[str, tuple[Callable[[], Case], str]] = {
    "course": (course, "mixed"),
    "digits": (lambda: case([64, 32, 16, 10], "tanh", 32), "mixed"),
    "headline-relu": (lambda: case(MNIST, "relu", 128), "mixed"),
    "headline-tanh": (lambda: case(MNIST, "tanh", 128), "mixed"),
    "mnist-relu": (lambda: case(MNIST, "relu", 4), "mixed"),
    "mnist-tanh": (lambda: case(MNIST, "tanh", 4), "mixed"),
    "deep-256": (lambda: case([256, 256, 256, 256, 10], "relu", 4), "mixed"),
}


@pytest.mark.parametrize("name", RESPONSE)
def test_response(paired: Any, name: str) -> None:
    make, mixture = RESPONSE[name]
    report = paired(check(make()), mixture)
    assert report.ok
    assert report.difference < 1e-13


def test_response_sample(paired: Any) -> None:
    """Of the network of three million parameters, whose vectors alone take 25 MB each."""
    made = case([1024, 1024, 1024, 1024, 10], "relu", 2)
    report = paired(check(made, method="sample", samples=10), "mixed")
    assert report.ok
    assert report.indices.size == 10


def test_response_two_threads(paired: Any) -> None:
    report = paired(check(case(MNIST, "relu", 8), threads=2), "mixed")
    assert report.ok


def test_response_of_a_mistake(paired: Any) -> None:
    """A check that fails pays for a closer second look and for the diagnosis."""
    made = case([64, 32, 16, 10], "tanh", 32)
    made.gradients["dW2"] *= 2.0
    report = paired(check(made), "mixed")
    assert [t.name for t in report.failures] == ["W2"]


def test_directional(paired: Any) -> None:
    report = paired(check(case([64, 32, 16, 10], "tanh", 32), method="directional"), "mixed")
    assert report.ok


@pytest.mark.parametrize(("name", "mixture"), [("course", "mixed"), ("digits", "calls")], ids=["course", "digits"])
def test_full(paired: Any, name: str, mixture: str) -> None:
    made = RESPONSE[name][0]()
    report = paired(check(made, engine="full", method="sample", samples=40), mixture)
    assert report.verdict in ("pass", "inconclusive")  # subtracted costs cannot always tell
    assert report.difference < 1e-6


@pytest.mark.parametrize("name", ["course", "digits"])
def test_reference(paired: Any, name: str) -> None:
    made = RESPONSE[name][0]()
    report = paired(check(made, engine="reference", method="sample", samples=6), "calls")
    assert report.verdict in ("pass", "inconclusive")
    assert report.difference < 1e-6


@pytest.mark.parametrize(("form", "mixture"), [("text", "calls"), ("json", "mixed")], ids=["text", "json"])
def test_report(paired: Any, form: str, mixture: str) -> None:
    """What is printed and written after the check."""
    report = check(RESPONSE["digits"][0]())()
    found = paired(report.to_json if form == "json" else lambda: str(report), mixture)
    assert "pass" in found.lower()


@pytest.mark.parametrize("vectors", ["mnist-relu"])
def test_memory(weighed: Any, vectors: str) -> None:
    """Peak of NumPy's and Python's memory in vectors of n numbers."""
    made = RESPONSE[vectors][0]()
    assert weighed(check(made), made.net.size * np.dtype(float).itemsize).ok
