"""Sentences that were false once: of single entries, zeros, forgotten penalties, and of what was not looked at."""

import numpy as np
import pytest

import fastcheck as fc
from fastcheck.verdict.diagnosis.evidence import number
from tests.support.fake_gradients import Made
from tests.support.problems import data, network


@pytest.mark.parametrize("error", [1e-6, 1e-7 * 30, 1e-9, 1e-3])
def test_one_wrong_entry_is_no_factor_of_all(error):
    """It was called 1.4e-12 % too large."""
    made = Made({"W1": (60, 50)})
    made["W1"][3, 4] = made.approx("W1")[3, 4] * (1.0 + error) + (error < 1e-6)
    sentence = made.report().failures[0].diagnosis
    assert sentence.startswith("only one entry is wrong, dW1[3, 4]")
    assert "too large" not in sentence


def test_small_factors_of_all_are_still_told():
    made = Made({"W1": (60, 50)})
    made["W1"][:] *= 1.0 + 1e-6
    assert made.report().failures[0].diagnosis == (
        "dW1 is 1.000001 times the numerical gradient: 0.0001 % too large."
    )


@pytest.mark.parametrize("approx", [0.0, 1e-17, -1e-17])
def test_what_should_be_zero_is_not_divided_by(approx):
    """It was called -2.6e16 times the numerical gradient, and its sign wrong."""
    made = Made({"W1": (6, 5)})
    made.approx("W1")[2, 2], made["W1"][2, 2] = approx, 0.26
    assert made.report().failures[0].diagnosis == "only one entry is wrong, dW1[2, 2]: it is 0.26, and should be zero."
    made = Made({"w": (2,)})
    made.approx("w")[:], made["w"][:] = [approx, 1.0], [0.26, 1.0]
    assert "times" not in made.report().failures[0].diagnosis


def test_a_penalty_that_the_gradient_forgot_is_told_from_one_that_the_cost_does_not_have():
    w = np.random.default_rng(0).standard_normal(7)
    cost = lambda w: float(np.sum(np.sin(w)) + 0.05 * np.sum(w**2))  # noqa: E731 - of one line, twice
    report = fc.check_function(cost, w, np.cos(w))
    assert report.failures[0].diagnosis == (
        "dtheta is off by -0.100 times theta: it lacks an L2 term of the cost, 0.100 / 2 times the sum of squares, or "
        "has that much too little of a larger one."
    )
    report = fc.check_function(cost, w, np.cos(w) + 0.3 * w)
    assert report.failures[0].diagnosis == (
        "dtheta is off by 0.200 times theta: an L2 term that the cost does not have, or has a smaller one of."
    )


def test_a_cost_that_ignores_its_argument_is_told():
    model = {"W": np.ones((3, 2)), "b": np.ones(2)}
    report = fc.check_function(
        lambda parameters: float(np.sum(model["W"] ** 2) + np.sum(parameters["b"] ** 2)), model,
        {"W": 2.0 * model["W"], "b": 2.0 * model["b"]},
    )  # fmt: skip
    assert report.failures[0].diagnosis == "the cost does not change with W at all: does it use its argument?"


@pytest.mark.parametrize("names", [["W1"], ["b1"], ["W1", "b1"]])
def test_a_wrong_first_layer_gets_advice(names):
    net = network([4, 5, 3], "tanh", "softmax", "cross_entropy")
    X, Y = data(net, 6)
    parameters = net.initialize(0)
    gradients = net.gradients(parameters, X, Y)
    for name in names:
        gradients[f"d{name}"] = 1.5 * gradients[f"d{name}"]
    advice = " ".join(fc.check(net, parameters, gradients, X, Y).advice)
    if len(names) == 1:
        assert advice.startswith(f"Only d{names[0]} is wrong")
    else:
        assert advice.startswith("Layer 1 is wrong and all behind it are right, so look at dZ1")


def test_at_kinks_nothing_is_said_of_single_precision():
    """A right gradient at the kink of relu: its difference was 5.35e-01, and it was asked whether float32 was used."""
    x = np.array([0.0, 0.0, 1.0, -2.0, 3.0])
    report = fc.check_function(lambda x: float(np.sum(np.maximum(x, 0.0) * np.arange(1.0, 6.0))), x,
                               np.arange(1.0, 6.0) * (x > 0))  # fmt: skip
    assert report.ok
    assert report.difference < 1e-9
    assert "float32" not in str(report)


def sparse(W):
    return float(np.sum(np.tanh(W[[3, 7]])))


@pytest.mark.parametrize("engine", ["program", "differences"])
def test_directions_exercise_entries_that_are_not_looked_at_one_by_one(engine):
    W = np.random.default_rng(0).standard_normal((500, 8))
    right = np.zeros_like(W)
    right[[3, 7]] = 1.0 - np.tanh(W[[3, 7]]) ** 2
    report = fc.check_function(sparse, W, right, method="directional", engine=engine)
    assert report.ok, report
    assert "exercised" not in str(report)
    report = fc.check_function(sparse, W, 1.5 * right, method="directional", engine=engine)
    assert report.verdict == "fail"
    assert "1.500 times" in report.failures[0].diagnosis
    assert "only one entry" not in str(report)


def test_directions_that_a_kink_blinds_are_inconclusive():
    """A cost whose kink at theta hides one channel of a tensor, from engines that know nothing of conventions."""
    x = np.round(2.0 * np.random.default_rng(0).standard_normal((4, 60)))

    def cost(x):
        return sum(float(v) for v in np.abs(x).reshape(-1).tolist())

    right = np.sign(x)
    report = fc.check_function(cost, x, right, method="directional", engine="differences")
    assert report.verdict != "fail"
    wrong = right.copy()
    wrong[1] = 0.0
    report = fc.check_function(cost, x, wrong, method="directional", engine="differences")
    assert report.verdict != "pass", report


def test_zeros_are_no_proof_of_a_mistake():
    """The first sample moves nothing in the first layer, and a db1 that was left out was called that sample's alone."""
    net = network([4, 5, 3], "relu", "softmax", "cross_entropy")
    X, Y = data(net, 6)
    parameters = net.initialize(0)
    X[:, 0] = 0.0
    parameters["b1"][:] = -0.01
    gradients = net.gradients(parameters, X, Y)
    assert gradients["db1"].any()
    gradients["db1"][:] = 0.0
    assert fc.check(net, parameters, gradients, X, Y).failures[0].diagnosis == (
        "db1 is exactly zero everywhere; the numerical gradient is not."
    )


def test_rows_of_a_users_own_array_are_no_units():
    """Rows of an embedding that no index names were called dead or saturated units."""
    table, ids = np.random.default_rng(0).standard_normal((6, 3)), np.array([0, 1, 1, 4])

    def backward(upstream, ids, table):
        return np.tile(upstream.sum(axis=0), (6, 1))

    sentence = fc.check_vjp(lambda ids, table: table[ids], backward, (ids, table)).failures[0].diagnosis
    assert sentence == (
        "dtable is not zero in rows 2, 3 and 5 of 6, where the numerical gradient is zero: nothing there moves the "
        "cost (an index that does not occur, a mask, an activation that is off)."
    )


def test_a_few_entries_that_fill_their_rows_are_no_samples_left_out():
    """A mask made of the wrong array zeroed all that lives in two rows: three numbers, explained by two samples."""
    x = np.array([[0.5, 0.4, 0.9], [0.7, 0.2, -0.3], [0.6, -0.8, -0.1], [-0.2, -0.9, -0.4], [0.3, 1.1, -0.7]])
    mask = x > 0.0
    mask[1:3] = False
    sentence = fc.check_vjp(lambda x: np.maximum(x, 0.0), lambda d, x: d * mask, x).failures[0].diagnosis
    assert sentence.startswith("only dx[1, 0], dx[1, 1] and dx[2, 0] are wrong")


def test_samples_left_out_are_told_from_enough_numbers():
    x = np.random.default_rng(0).standard_normal((5, 4))

    def backward(upstream, x):
        dx = upstream * np.cos(x)
        dx[1:3] = 0.0
        return dx

    sentence = fc.check_vjp(np.sin, backward, x).failures[0].diagnosis
    assert "indices 1 and 2 of axis 0 of the output" in sentence


def test_a_lone_wrong_gradient_without_a_witness_is_not_said_to_be_its_own_lines():
    """Without biases nothing but dW1 tells of dZ1: tanh's forgotten derivative was said to be in dW1's own line."""
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((3, 5)), rng.standard_normal((2, 5))
    parameters = {"W1": rng.standard_normal((4, 3)), "W2": rng.standard_normal((2, 4))}

    def cost(p):
        return float(np.mean((p["W2"] @ np.tanh(p["W1"] @ X) - Y) ** 2))

    A1 = np.tanh(parameters["W1"] @ X)
    dZ2 = (parameters["W2"] @ A1 - Y) / 5
    forgotten = {"W1": parameters["W2"].T @ dZ2 @ X.T, "W2": dZ2 @ A1.T}
    net = fc.Network.from_parameters(parameters, "tanh", "identity", "mean_squared_error")
    for report in (fc.check_function(cost, parameters, forgotten), fc.check(net, parameters, forgotten, X, Y)):
        assert [t.name for t in report.failures] == ["W1"]
        assert report.advice == (
            "Layer 1 is wrong and all behind it are right, so look at dW1 and what makes it: what layer 2 passes back, "
            "and the derivative of layer 1's activation.",
        )


def test_a_parameter_that_the_cost_ignores_is_not_said_to_have_a_wrong_line():
    x, weights = np.random.default_rng(1).standard_normal((5, 4)), np.random.default_rng(0).standard_normal((4, 3))
    other = weights.copy()
    report = fc.check_vjp(lambda x, W: x @ other, lambda d, x, W: (d @ W.T, x.T @ d), (x, weights))
    assert [tensor.name for tensor in report.failures] == ["W"]
    assert "does it use its argument" in report.failures[0].diagnosis
    assert not report.advice
    wrong = fc.check_vjp(lambda x, W: x @ W, lambda d, x, W: (d @ W.T, 1.01 * x.T @ d), (x, weights))
    assert any("its own line" in sentence for sentence in wrong.advice)


def test_labels_are_no_indices_of_weights():
    """Two entries that were exchanged happened to have the numbers of the classes, of which each occurs repeatedly."""
    rng = np.random.default_rng(0)
    x, y, w = rng.standard_normal((20, 4)), rng.integers(0, 2, 20), rng.standard_normal(4)
    a = 1 / (1 + np.exp(-x @ w))
    right = x.T @ (a - y) / 20
    report = fc.check_function(
        lambda w: -np.mean(y * np.log(1 / (1 + np.exp(-x @ w))) + (1 - y) * np.log(1 - 1 / (1 + np.exp(-x @ w)))), w,
        right[[1, 0, 2, 3]],
    )
    assert report.verdict == "fail"
    assert "repeated indices" not in report.failures[0].diagnosis


def test_units_that_are_dead_are_no_right_middle_between_wrong_ends():
    made = Made({"b": (4, 1)})
    made.approx("b")[1:3] = made["b"][1:3] = 0.0
    made["b"][[0, 3]] *= [[1.7], [0.3]]
    assert "ends" not in made.report().failures[0].diagnosis


def test_one_row_of_zeros_among_others_that_are_wrong_is_no_pattern():
    """"dW1 is zero up to index 0 of axis 0 (1 of 5)" was said of a mask made of the wrong array."""
    made = Made({"x": (5, 6)})
    made["x"][0] = 0.0
    made["x"][2:4] *= np.linspace(0.3, 1.9, 12).reshape(2, 6)
    assert "up to index" not in made.report().failures[0].diagnosis
    made = Made({"x": (5, 6)})
    made["x"][:, -1] = 0.0
    made["x"][2:4] *= np.linspace(0.3, 1.9, 12).reshape(2, 6)
    assert "from index" not in made.report().failures[0].diagnosis


def test_a_few_wrong_entries_of_each_column_but_one_are_no_range_of_columns():
    made = Made({"s": (6, 4)})
    for row, column in enumerate([0, 2, 1, 1, 0, 2]):
        made["s"][row, column] *= 1.0 + 0.1 * (row + 1)
    assert "right from" not in made.report().failures[0].diagnosis


def test_signs_alone_are_told_as_such():
    """They were said to add up to zero, as where a mean is subtracted."""
    made = Made({"w": (4,)})
    made.approx("w")[:] = [0.5, -2.0, 1.5, -0.1]
    made["w"][:] = [1.0, -1.0, 1.0, -1.0]
    assert made.report().failures[0].diagnosis == "dw holds the signs of the numerical gradient, and not its sizes."


@pytest.mark.parametrize("rate", [0.1, -0.01, 0.001])
def test_a_learning_rate_in_the_gradient_is_among_the_guesses(rate):
    w = np.arange(1.0, 5.0)
    report = fc.check_function(lambda w: float(np.sum(w**3)), w, rate * 3.0 * w**2)
    said = report.failures[0].diagnosis
    assert "is it multiplied by a learning rate?" in said or "or is it multiplied by a learning rate?" in said
    assert ("the sign is wrong" in said) == (rate < 0)


@pytest.mark.parametrize("norm", [1.0, 5.0, 0.5])
def test_a_gradient_of_a_round_norm_was_normalised_or_clipped(norm):
    made = Made({"W": (5, 6), "v": (7,)})
    made["W"][:] *= norm / np.linalg.norm(made["W"])
    said = made.report().tensor("W").diagnosis
    assert said.endswith(f"its norm is {norm:g}: it was normalised, or clipped to that norm.")
    made = Made({"W": (5, 6), "v": (7,)})
    made.gradient[:] *= norm / np.linalg.norm(made.gradient)
    said = made.report().tensor("v").diagnosis
    assert said.endswith(f"the norm of all gradients together is {norm:g}: they were normalised, or clipped to that "
                         "norm.")


def test_no_norm_is_told_where_it_is_none_in_particular():
    made = Made({"W": (5, 6), "v": (7,)})
    made["W"][:] *= 0.3712345
    assert "norm" not in made.report().tensor("W").diagnosis


def test_two_entries_of_the_wrong_sign_are_told_as_such():
    made = Made({"w": (6,)})
    made["w"][[0, 3]] *= -1.0
    assert made.report().failures[0].diagnosis == "only dw[0] and dw[3] are wrong: their sign is wrong."


def test_a_backward_that_divides_by_its_upstream_gradient_is_not_asked_whether_it_writes_to_it():
    def backward(d, x):
        if not d.any():
            raise ValueError("norm is zero")
        return d * np.cos(x)

    report = fc.check_vjp(np.sin, backward, np.arange(1.0, 5.0))
    assert report.verdict == "pass"
    assert report.notes == ("backward raises ValueError when the upstream gradient is zero (norm is zero).",)


def test_a_factor_reads_the_same_on_either_side_of_a_tenth():
    """-0.100 of one gradient and -0.1 of another were two sentences."""
    assert number(np.nextafter(0.1, 0.0)) == number(0.1) == "0.100"
    assert number(-np.nextafter(0.1, 0.0)) == "-0.100"
    assert number(0.01) == "0.01"


def test_one_entry_left_at_zero_is_said_to_be_zero():
    made = Made({"w": (8,)})
    made.approx("w")[7] = 1.5
    made["w"][7] = 0.0
    assert made.report().failures[0].diagnosis == "only one entry is wrong, dw[7]: it is zero, and should be 1.5."
