"""What curved layers further on add to changes, held against fifty digits."""

import numpy as np
import pytest

import fastcheck as fc
from fastcheck.engines.plain import at_once, bends_behind, engine as plain, from_outputs
from fastcheck.rules.activations import ACTIVATIONS
from tests.engines.response.digits import agrees
from tests.support.mpmath_network import central_differences
from tests.support.problems import HIDDEN, RUN, network, problem

CURVED = [name for name in HIDDEN if not ACTIVATIONS[name].linear]
LOSSES = [("softmax", "cross_entropy"), *(pytest.param(*slow, marks=pytest.mark.slow) for slow in (
    ("sigmoid", "binary_cross_entropy"), ("identity", "squared_error")))]
SMALL = [3, 4, 3, 4, 3, 2]


@pytest.fixture(autouse=True)
def one_layer_at_a_time(monkeypatch):
    """Nothing is done at once."""
    monkeypatch.setattr(at_once, "TOGETHER", 0)
    monkeypatch.setattr(plain, "TOGETHER", 0)


@pytest.fixture
def found_layers(monkeypatch):
    """The layers that were carried down from the outputs."""
    seen, responses = [], plain.short_responses

    def listed(*given):
        found = responses(*given)
        seen.extend(one.layer for one, _ in found)
        return found

    monkeypatch.setattr(plain, "short_responses", listed)
    return seen


@pytest.mark.parametrize(("output", "cost"), LOSSES)
@pytest.mark.parametrize("hidden", CURVED)
def test_deep_networks_agree_with_fifty_digits(found_layers, hidden, output, cost):
    given = problem(network(SMALL, hidden, output, cost), 3)
    agrees(given, 1e-7, 5e-14, form=plain)
    assert found_layers == [4, 3, 2, 1, 0]


@pytest.mark.parametrize("hidden", ["tanh", "softplus"])
def test_bends_count_where_steps_are_longer(monkeypatch, hidden):
    """Left out, they are missed: what is found here is not rounding."""
    given = problem(network(SMALL, hidden, "softmax", "cross_entropy"), 3)
    agrees(given, 3e-6, 1e-14, form=plain)
    monkeypatch.setattr(from_outputs, "WORTH_TRYING", 0)
    monkeypatch.setattr(from_outputs, "BENDS_ARE_NOTHING", np.inf)
    with pytest.raises(AssertionError):
        agrees(given, 3e-6, 1e-13, form=plain)


def test_what_is_tried_in_one_sample_is_left_alone_where_it_is_nothing(monkeypatch):
    """Of 64 units in four layers bends are some 1e-15: found for all samples or for none, the last digits differ."""
    given = problem(network([20, 64, 64, 64, 64, 5], "sigmoid", "softmax", "cross_entropy"), 32)
    whole = plain.differences(given, None, 1e-7, RUN).gradapprox
    monkeypatch.setattr(from_outputs, "WORTH_TRYING", 0)
    tried = plain.differences(given, None, 1e-7, RUN).gradapprox
    assert not np.array_equal(tried, whole)
    for tensor in given.network.tensors:
        part = slice(tensor.start, tensor.stop)
        assert np.linalg.norm(tried[part] - whole[part]) <= 2e-15 * np.linalg.norm(whole[part]), tensor.name


def test_straight_layers_between_curved_ones(found_layers):
    names = ["tanh", "identity", "relu", "gelu", "softmax"]
    net = fc.Network([fc.Dense(a, b, name) for a, b, name in zip(SMALL, SMALL[1:], names, strict=False)],
                     "cross_entropy")
    given = problem(net, 3)
    agrees(given, 1e-7, 5e-14, form=plain)
    assert found_layers == [4, 3, 2, 1, 0]


@pytest.mark.parametrize(("first", "count"), [(0, 20), (30, 8), (54, 60), (100, 90)])
def test_some_entries_are_found_as_all_are(found_layers, first, count):
    """Some units of some layers."""
    given = problem(network([5, 9, 8, 7, 6, 4], "tanh", "softmax", "cross_entropy"), 6)
    whole = plain.differences(given, None, 1e-7, RUN).gradapprox
    del found_layers[:]
    indices = np.arange(first, first + count, 3)
    some = plain.differences(given, indices, 1e-7, RUN).gradapprox
    assert found_layers
    np.testing.assert_allclose(some, whole[indices], rtol=0, atol=1e-15 * np.abs(whole).max())


def test_blocks_and_threads_change_nothing_but_last_digits(monkeypatch):
    given = problem(network([5, 9, 8, 7, 6, 4], "tanh", "softmax", "cross_entropy"), 40)
    whole = plain.differences(given, None, 1e-6, RUN).gradapprox
    monkeypatch.setattr(bends_behind, "BLOCK", 200)
    parts = plain.differences(given, None, 1e-6, RUN).gradapprox
    np.testing.assert_allclose(parts, whole, rtol=0, atol=1e-15 * np.abs(whole).max())


def test_what_is_too_large_for_single_precision_is_left_to_others(found_layers):
    """Weights of 1e25 behind others of 1e-25: P^2 overflows in between."""
    given = problem(network([3, 4, 3, 4, 2], "tanh", "softmax", "cross_entropy"), 3)
    parameters = given.parameters
    parameters["W2"][...] *= 1e-24
    parameters["W3"][...] *= 1e24
    with np.errstate(all="ignore"):
        found = plain.differences(given, None, 1e-7, RUN)
        _, _, quotient = central_differences(given, 1e-7)
    assert np.isfinite(found.gradapprox).all()
    np.testing.assert_allclose(found.gradapprox, quotient, rtol=0, atol=1e-12 * np.abs(quotient).max())
