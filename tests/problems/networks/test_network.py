"""Networks: names, shapes, vectors, costs and back-propagation, against formulas written out here."""


import numpy as np
import pytest

import fastcheck as fc
from fastcheck.rules.activations import ACTIVATIONS
from fastcheck.rules.losses import COSTS
from tests.support.problems import HIDDEN, OUTPUTS, data, network

STEP = 1e-6


def test_names_shapes_and_places():
    net = fc.Network([fc.Dense(4, 5, "relu"), fc.Dense(5, 3, "softmax")], cost="cross_entropy")
    assert [(t.name, t.shape, t.start, t.stop) for t in net.tensors] == [
        ("W1", (5, 4), 0, 20), ("b1", (5, 1), 20, 25), ("W2", (3, 5), 25, 40), ("b2", (3, 1), 40, 43),
    ]
    assert net.widths == (4, 5, 3)
    assert net.size == 43
    assert repr(net) == "Network(4-5-3: relu, softmax; cross_entropy)"
    assert "l2=0.5" in repr(fc.Network([fc.Dense(1, 1)], "squared_error", l2=0.5))


def test_vector_and_back():
    net = network((3, 4, 2), "tanh", "identity", "squared_error")
    parameters = net.initialize(0)
    theta = net.to_vector(parameters)
    assert theta.shape == (net.size,)
    assert theta[:12].tolist() == parameters["W1"].ravel().tolist()
    for given in (theta, theta.reshape(-1, 1), theta.tolist()):
        for name, array in net.to_parameters(given).items():
            np.testing.assert_array_equal(array, parameters[name])
    theta[0] = 99.0
    assert parameters["W1"][0, 0] != 99.0, "the vector is a copy"


def test_fortran_order_and_flat_biases_make_the_same_vector():
    net = network((3, 4, 2), "tanh", "identity", "squared_error")
    parameters = net.initialize(0)
    turned = {name: np.asfortranarray(array) for name, array in parameters.items()}
    flat = {name: array.ravel() if name[0] == "b" else array for name, array in parameters.items()}
    for other in (turned, flat, {name: array.tolist() for name, array in parameters.items()}):
        np.testing.assert_array_equal(net.to_vector(other), net.to_vector(parameters))


def test_flat_biases_come_back_flat():
    net = network((3, 4, 2), "tanh", "identity", "squared_error")
    X, Y = data(net, 5)
    parameters = {name: array.ravel() if name[0] == "b" else array for name, array in net.initialize(0).items()}
    gradients = net.gradients(parameters, X, Y)
    assert {name: array.shape for name, array in gradients.items()} == {
        "dW1": (4, 3), "db1": (4,), "dW2": (2, 4), "db2": (2,),
    }


def test_initialize_is_repeatable_and_scaled():
    net = network((400, 300, 2), "relu", "identity", "squared_error")
    first, again = net.initialize(7), net.initialize(np.random.default_rng(7))
    for name, array in first.items():
        np.testing.assert_array_equal(array, again[name])
    assert np.std(first["W1"]) == pytest.approx(np.sqrt(2 / 400), rel=0.02)
    assert not np.array_equal(first["W1"], net.initialize(8)["W1"])


@pytest.mark.parametrize(("output", "cost"), [
    ("sigmoid", "binary_cross_entropy"), ("softmax", "cross_entropy"), ("identity", "squared_error"),
    ("tanh", "squared_error"),
])
def test_described_by_its_parameters(output, cost):
    widths = (3, 4, 5, 2)
    parameters = network(widths, "elu", "identity", "squared_error").initialize(0)
    net = fc.Network.from_parameters(parameters, hidden="elu", output=output)
    assert net.widths == widths
    assert [layer.activation for layer in net.layers] == ["elu", "elu", output]
    assert net.cost == cost
    assert fc.Network.from_parameters(parameters, "elu", output, l2=0.5).l2 == 0.5


def test_without_dropout():
    net = fc.Network([fc.Dense(3, 4, "relu", dropout=0.5), fc.Dense(4, 1, "sigmoid")], "binary_cross_entropy", l2=0.1)
    bare = net.without_dropout()
    assert [layer.dropout for layer in bare.layers] == [0.0, 0.0]
    assert (bare.widths, bare.cost, bare.l2) == (net.widths, net.cost, net.l2)
    assert net.layers[0].dropout == 0.5


def test_cost_by_hand():
    net = fc.Network([fc.Dense(2, 2, "relu"), fc.Dense(2, 1, "sigmoid")], "binary_cross_entropy", l2=0.6)
    parameters = {"W1": [[1, -1], [2, 0]], "b1": [[0], [1]], "W2": [[1, -2]], "b2": [[3]]}
    X, Y = np.array([[1, 0, 2], [2, 1, 0]]), np.array([1, 0, 1])
    # hidden layer: (0, 3), (0, 1), (2, 5); logits: -3, 1, -5
    a = 1 / (1 + np.exp([3.0, -1.0, 5.0]))
    expected = -(np.log(a[0]) + np.log(1 - a[1]) + np.log(a[2])) / 3 + 0.6 / 6 * (1 + 1 + 4 + 1 + 4)
    assert net.cost_of(parameters, X, Y) == pytest.approx(expected, rel=1e-15)


@pytest.mark.parametrize("cost", ["squared_error", "mean_squared_error"])
def test_squared_costs_by_hand(cost):
    net = fc.Network([fc.Dense(1, 2)], cost)
    parameters = {"W1": [[1], [2]], "b1": [0, 1]}
    X, Y = np.array([[1.0, 2.0, 3.0]]), np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 5.0]])
    total = (0 + 4 + 9) + (9 + 25 + 4)
    assert net.cost_of(parameters, X, Y) == pytest.approx(total / 6, rel=1e-15)


def test_labels_one_hot_and_soft_targets_give_the_same_cost():
    net = network((3, 4), "relu", "softmax", "cross_entropy")
    parameters, (X, _) = net.initialize(0), data(net, 5)
    labels = np.array([0, 3, 1, 1, 2])
    costs = {
        net.cost_of(parameters, X, Y)
        for Y in (labels, labels.tolist(), labels.astype(float), labels[None, :], np.uint8(labels), np.eye(4)[labels].T)
    }
    assert len(costs) == 1


def test_saturated_costs_stay_finite():
    net = network((1, 1), "relu", "sigmoid", "binary_cross_entropy")
    parameters = {"W1": [[1.0]], "b1": [[0.0]]}
    assert net.cost_of(parameters, [[800.0]], [0]) == 800.0
    assert net.cost_of(parameters, [[-800.0]], [1]) == 800.0
    assert net.cost_of(parameters, [[50.0]], [1]) == pytest.approx(np.exp(-50.0), rel=1e-14)
    net = network((1, 2), "relu", "softmax", "cross_entropy")
    assert net.cost_of({"W1": [[1.0], [-1.0]], "b1": [0.0, 0.0]}, [[500.0]], [1]) == 1000.0


# --- back-propagation -------------------------------------------------------------------------------------------


def central_differences(net, parameters, X, Y):
    """Central differences of the stable cost: good to about 1e-9 of the gradient."""
    theta = net.to_vector(parameters)
    slopes = np.empty(theta.size)
    for k in range(theta.size):
        costs = []
        for sign in (1, -1):
            moved = theta.copy()
            moved[k] += sign * STEP
            costs.append(net.cost_of(net.to_parameters(moved), X, Y))
        slopes[k] = (costs[0] - costs[1]) / (2 * STEP)
    return slopes


def assert_gradients_are_right(net, m=4, seed=0):
    parameters, (X, Y) = net.initialize(seed), data(net, m, seed)
    named = net.gradients(parameters, X, Y)
    assert list(named) == [f"d{t.name}" for t in net.tensors]
    found = net.to_vector({name[1:]: array for name, array in named.items()})
    true = central_differences(net, parameters, X, Y)
    assert np.abs(found - true).max() <= 1e-8 * max(1.0, np.abs(true).max())
    assert np.abs(true).max() > 1e-3, "the gradients must be there to compare"


@pytest.mark.parametrize("hidden", HIDDEN)
def test_gradients_of_every_activation(hidden):
    assert_gradients_are_right(network((3, 5, 4, 2), hidden, "identity", "squared_error"))


@pytest.mark.parametrize(("cost", "output"), OUTPUTS)
def test_gradients_of_every_cost_and_output(cost, output):
    assert_gradients_are_right(network((3, 4, 3), "tanh", output, cost, l2=0.7))


@pytest.mark.parametrize("widths", [(1, 1), (2, 1, 1, 3), (3, 2, 4, 3, 2, 2)])
@pytest.mark.parametrize("m", [1, 3])
def test_gradients_of_every_depth(widths, m):
    assert_gradients_are_right(network(widths, "softplus", "tanh", "mean_squared_error", l2=0.2), m, seed=1)


def test_wrong_gradients_would_be_noticed():
    net = network((3, 5, 2), "tanh", "identity", "squared_error")
    right = net.gradients
    net.gradients = lambda *given: {name: 1.0001 * array for name, array in right(*given).items()}
    with pytest.raises(AssertionError):
        assert_gradients_are_right(net)


def test_gradient_of_a_certain_output_keeps_its_digits():
    net = network((1, 2), "relu", "softmax", "cross_entropy")
    slopes = net.gradients({"W1": [[1.0], [0.0]], "b1": [0.0, 0.0]}, [[40.0]], [0])
    true = np.exp(-40.0) / (1 + np.exp(-40.0))
    np.testing.assert_allclose(slopes["db1"], [-true, true], rtol=1e-14)


# --- the caller's arrays ----------------------------------------------------------------------------------------


def test_callers_arrays_stay_as_they_are():
    net = network((3, 4, 2), "relu", "identity", "squared_error", l2=0.1)
    parameters, (X, Y) = net.initialize(0), data(net, 5)
    for array in (*parameters.values(), X, Y):
        array.flags.writeable = False  # a write would raise
    net.cost_of(parameters, X, Y)
    gradients = net.gradients(parameters, X, Y)
    theta = net.to_vector(parameters)
    for array in (*gradients.values(), theta):
        assert not any(np.shares_memory(array, given) for given in (*parameters.values(), X, Y))


def test_every_activation_and_cost_can_be_named():
    for name, entry in ACTIVATIONS.items():
        if entry.elementwise:
            assert fc.Dense(1, 1, name).activation == name
    for name, entry in COSTS.items():
        assert fc.Network([fc.Dense(1, 1, entry.output or "identity")], name).cost == name
