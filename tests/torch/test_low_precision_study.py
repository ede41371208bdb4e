"""A sample of ``benchmarks.studies.low_precision``: right layers never fail, planted mistakes fail where they stand."""

import pytest

from benchmarks.data.torch_layers import LAYERS
from benchmarks.data.torch_mistakes import PLANTED
from benchmarks.studies.low_precision import PRECISIONS, planted, right, structural

SEED = 1000  # none of the study's own


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", ["mlp relu", "batch norm", "causal attention", "rms norm"])
def test_right_layers_pass(name, precision):
    found = next(right(name, precision, SEED, first=0))
    assert found["verdict"] == "pass", found["doubts"]


@pytest.mark.slow
@pytest.mark.parametrize("name", LAYERS)
def test_no_right_layer_fails(name):
    for precision in PRECISIONS:
        found = next(right(name, precision, SEED + 1, first=0))
        assert found["verdict"] != "fail", (precision, found["doubts"])


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", PLANTED)
def test_backward_passes_that_are_wrong_in_low_precision_fail_and_right_ones_do_not(name, precision):
    wrong, fine = structural(name, precision, SEED, first=0)
    assert fine["verdict"] != "fail", fine["words"]
    assert wrong["off"] < wrong["power"] or (wrong["verdict"] == "fail" and wrong["first"]), wrong


@pytest.mark.parametrize("precision", PRECISIONS)
def test_mistakes_of_one_tensor_fail_within_the_stated_power(precision):
    lines = list(planted("gated", precision, SEED, first=0))
    assert len(lines) >= 9
    assert all(line["off"] < line["power"] or (line["verdict"] == "fail" and line["found"] == [line["tensor"]])
               for line in lines)
