"""What curved layers further on add to changes, held against fifty digits."""

import numpy as np
import pytest

import fastcheck as fc
from fastcheck.engines.plain import at_once, bends_behind, engine as plain, from_outputs
from fastcheck.rules.activations import ACTIVATIONS
from tests.engines.response.digits import agrees
from tests.support.mpmath_network import central_differences, literal_differences
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


def _scaled(widths, names, cost, m, factors, seed=0):
    """A problem with other activations in each layer, and weights times factors, by name."""
    net = fc.Network([fc.Dense(a, b, name) for a, b, name in zip(widths, widths[1:], names, strict=False)], cost)
    parameters = net.initialize(seed)
    for name, factor in factors.items():
        parameters[name] = parameters[name] * factor
    return problem(net, m, parameters=parameters)


def _agrees_from_pre_activations(given, epsilon, bound):
    """Hold differences against fifty digits from the pre-activations in double precision: all but their rounding."""
    found = plain.differences(given, None, epsilon, RUN).gradapprox
    _, _, quotient = literal_differences(given, epsilon)
    for tensor in given.network.tensors:
        part = slice(tensor.start, tensor.stop)
        assert np.abs(found[part] - quotient[part]).max() <= bound * np.abs(quotient[part]).max(), tensor.name


def test_biases_have_steps_of_their_own_where_outputs_hardly_move(found_layers):
    """Third powers at the steps of weights, some 3e-6 and not 1e-7, are too much for a bias."""
    factors = {"W1": 30.0, "W2": 0.03, "W3": 1e-3}
    given = _scaled([3, 6, 4, 2], ["identity", "sigmoid", "identity"], "squared_error", 2, factors)
    _agrees_from_pre_activations(given, 1e-7, 2e-15)
    assert found_layers == [2, 1, 0]


def test_straight_layers_before_deep_curved_ones_have_steps_of_their_own(found_layers):
    """The loss mixes the outputs, and the layer itself does not bend."""
    names = ["identity", "identity", "tanh", "tanh", "softmax"]
    given = _scaled([3, 4, 6, 5, 4, 3], names, "cross_entropy", 2, {"W4": 5.0})
    _agrees_from_pre_activations(given, 1e-6, 5e-15)
    assert found_layers == [4, 3, 2, 1, 0]


@pytest.mark.parametrize("epsilon", [1e-7, 1e-6, 1e-5])
def test_changes_that_grow_on_the_way(epsilon):
    """Layers behind the next see changes of up to 1e3 steps; outputs hardly move."""
    names = ["identity", "tanh", "tanh", "tanh", "identity"]
    given = _scaled([3, 6, 5, 4, 5, 2], names, "squared_error", 4, {"W3": 1e2, "W4": 3.0, "W5": 1e-3})
    _agrees_from_pre_activations(given, epsilon, 5e-14)


def test_bends_count_where_a_network_fits_its_data(monkeypatch, found_layers):
    """The loss's slopes are 1e-4, and what its curvature makes of second powers of outputs' changes is not."""
    given = _scaled([3, 6, 5, 2], ["tanh", "sigmoid", "identity"], "squared_error", 4, {"W2": 3.0, "W3": 0.1})
    given.Y[...] = given.forward().A[-1] + 1e-4 * given.Y
    found = plain.differences(given, None, 1e-7, RUN).gradapprox
    assert found_layers == [2, 1, 0]
    monkeypatch.setattr(plain, "carried", lambda *_: [])  # slopes of both have lost the same digits
    layer_by_layer = plain.differences(given, None, 1e-7, RUN).gradapprox
    for tensor in given.network.tensors:
        part = slice(tensor.start, tensor.stop)
        assert np.abs(found - layer_by_layer)[part].max() <= 1e-14 * np.abs(layer_by_layer[part]).max(), tensor.name


def test_a_sample_that_does_nothing_is_not_the_one_that_is_tried(monkeypatch):
    """The first sample is zero: its steps are short, and units bend the less."""
    net = network([20, 64, 64, 64, 64, 5], "tanh", "softmax", "cross_entropy")
    parameters = net.initialize(0)
    parameters["W1"] = parameters["W1"] * 0.01
    X = 100.0 * np.random.default_rng(0).standard_normal((20, 32))
    X[:, 0] = 0.0
    given = problem(net, 32, parameters=parameters, X=X)
    whole = plain.differences(given, None, 2e-8, RUN).gradapprox
    monkeypatch.setattr(from_outputs, "WORTH_TRYING", 0)
    tried = plain.differences(given, None, 2e-8, RUN).gradapprox
    for tensor in given.network.tensors:
        part = slice(tensor.start, tensor.stop)
        assert np.linalg.norm(tried[part] - whole[part]) <= 2e-15 * np.linalg.norm(whole[part]), tensor.name
