"""Gradients that are zero in theory: right ones pass with a note, wrong ones fail."""

import numpy as np
import pytest

import fastcheck as fc
from tests.support.cancelling import HARDLY_VARYING, LAYERS, spoiled

each = pytest.mark.parametrize("name", list(LAYERS))
in_both = pytest.mark.parametrize("dtype", [np.float64, np.float32])


@each
@in_both
@pytest.mark.parametrize("size", [1.0, 100.0, 0.01])
def test_right_gradients_pass_with_a_note(name, dtype, size):
    for seed in range(6):
        layer = LAYERS[name](np.random.default_rng(seed), dtype, size)
        report = fc.check_vjp(layer.forward, layer.backward, layer.inputs, seed=seed, engine="differences")
        assert report.tensors[layer.zero].verdict == "pass", report
        assert report.verdict != "fail", report
        if report.tensors[layer.zero].difference > report.tensors[layer.zero].tolerance:
            assert f"d{report.tensors[layer.zero].name} is zero but for rounding" in " ".join(report.notes)


SINGLE, DOUBLE = np.float32, np.float64


@pytest.mark.parametrize(("name", "dtype", "seed", "engine"), [
    # Single precision is off by all that the layer's own double precision leaves, whose rounding is not nothing.
    ("batch norm", SINGLE, 50374, None), ("instance norm", SINGLE, 50728, None),
    ("layer norm shift", SINGLE, 50277, None), ("layer norm shift", SINGLE, 50607, None),
    ("layer norm shift", SINGLE, 50643, None), ("key bias", SINGLE, 50786, None),
    # Ordinary differences see zero to a hundredth of what single precision rounds.
    ("batch norm", SINGLE, 60111, "differences"), ("instance norm", SINGLE, 60059, "differences"),
    ("group norm", SINGLE, 60160, "differences"), ("key bias", SINGLE, 60204, "differences"),
    # A direction does nothing, and one of its entries rounds.
    ("group norm", DOUBLE, 60067, "program"), ("layer norm shift", DOUBLE, 60034, "program"),
    # One sample hardly varies: its gradient rounds by a hundred times what the other tensors say.
    ("layer norm shift", DOUBLE, 90571, None),
])  # fmt: skip
def test_layers_of_a_long_search(name, dtype, seed, engine):
    rng = np.random.default_rng(seed)
    layer = LAYERS[name](rng, dtype, 10.0 ** rng.uniform(-1.0, 1.0))
    report = fc.check_vjp(layer.forward, layer.backward, layer.inputs, seed=seed, engine=engine)
    assert report.tensors[layer.zero].verdict == "pass", report
    wrong = spoiled(layer, 1e-3, seed)
    assert fc.check_vjp(layer.forward, wrong, layer.inputs, seed=seed, engine=engine).verdict == "fail"


@in_both
@pytest.mark.parametrize("name", list(HARDLY_VARYING))
def test_what_hardly_varies_before_it_is_normalised(name, dtype):
    """Rounding is a larger share of what is left: right ones pass, and wrong ones fail all the same."""
    for seed in (20, 21, 22, 25, 38, 39, 83, 92):  # one or two of each failed, in double precision
        layer = HARDLY_VARYING[name](np.random.default_rng(seed), dtype, 1.0)
        right = fc.check_vjp(layer.forward, layer.backward, layer.inputs, seed=seed)
        assert right.verdict == "pass", right
        assert fc.check_vjp(layer.forward, spoiled(layer, 1e-3, seed), layer.inputs, seed=seed).verdict == "fail"


def test_one_run_in_a_thousand_rounds_several_times_as_much_as_the_others():
    """In double precision that is no mistake: here 1e-12 of what cancelled, three times the largest of 24 others."""
    rng = np.random.default_rng(95_330)
    layer = HARDLY_VARYING["group norm of what hardly varies"](rng, np.float64, 10.0 ** rng.uniform(-1.0, 1.0))
    report = fc.check_vjp(layer.forward, layer.backward, layer.inputs, seed=95_330)
    assert report.verdict == "pass", report


@each
@in_both
def test_an_error_of_a_thousandth_of_what_cancelled_fails(name, dtype):
    for seed in range(6):
        layer = LAYERS[name](np.random.default_rng(seed), dtype, 1.0)
        wrong = spoiled(layer, 1e-3, seed)
        report = fc.check_vjp(layer.forward, wrong, layer.inputs, seed=seed, engine="differences")
        assert [t.name for t in report.failures] == [report.tensors[layer.zero].name], report


@in_both
def test_a_gradient_that_is_wrongly_zero_fails(dtype):
    """The same layers without their normalisation."""
    rng = np.random.default_rng(0)
    x, W, b = (rng.standard_normal(shape).astype(dtype) for shape in ((8, 5), (5, 4), (4,)))
    report = fc.check_vjp(
        lambda x, W, b: np.tanh(x @ W + b),
        lambda d, x, W, b: (d * (1 - np.tanh(x @ W + b) ** 2) @ W.T, x.T @ (d * (1 - np.tanh(x @ W + b) ** 2)), 0 * b),
        (x, W, b), engine="differences",
    )  # fmt: skip
    assert [t.name for t in report.failures] == ["b"]


def test_the_first_line_names_the_tensor_that_disagrees_where_the_whole_does_not():
    layer = LAYERS["batch norm"](np.random.default_rng(0), np.float64, 1.0)
    report = fc.check_vjp(layer.forward, spoiled(layer, 1e-6, 0), layer.inputs, engine="differences", tolerance=1e-4)
    assert report.difference < report.tolerance
    assert str(report).startswith("FAIL  db: difference 1.00e+00 (tolerance 0.0001); all together: difference")
