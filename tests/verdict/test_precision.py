"""Gradients of low precision, and the rounding of a right back-propagation in double precision."""

import numpy as np
import pytest

from fastcheck.checks.network import check
from tests.support.fake_gradients import Made, failing
from tests.support.problems import network


def test_single_precision_gradients_are_held_to_what_it_allows():
    made = Made(precision={"W1": "float32"})
    made["W1"][:] = made["W1"].astype(np.float32)
    report = made.report()
    assert report.ok
    assert 1e-7 < report.tensor("W1").tolerance < 1e-4
    assert report.tensor("W2").tolerance == report.tolerance == 1e-7
    assert "float32" in " ".join(report.notes)
    made["W1"][1, 1] *= 1.001
    assert failing(made.report()) == {"W1"}


def test_half_precision_is_looser_still():
    made = Made(precision={"W1": "float16"})
    made["W1"][:] = made["W1"].astype(np.float16)
    assert made.report().ok
    assert made.report().tensor("W1").tolerance > 1e-3


@pytest.mark.parametrize("rounding", ["stored", "computed"])
def test_double_precision_numbers_right_to_single_precision_pass_with_a_note(rounding):
    made = Made()
    if rounding == "stored":
        made["W2"][:] = made["W2"].astype(np.float32)
    else:
        made["W2"][:] *= 1.0 + 1.5e-7 * made.rng.uniform(-1.0, 1.0, (6, 6))
    report = made.report()
    assert report.ok
    assert "dW2 agrees to single precision only" in " ".join(report.notes)
    assert failing(made.report(tolerance=1e-9)) == {"W2"}


@pytest.mark.parametrize("rounding", ["stored", "computed"])
@pytest.mark.parametrize("name", ["W2", "b2"])
def test_double_precision_numbers_that_look_like_single_precision_are_held_to_double_precision(name, rounding):
    """Errors of a few entries look like anything: a soak found an L2 term, a lost sample and an overwritten cache."""
    made = Made()
    made[name][:] *= 1.0 + 2e-6 * made.rng.standard_normal(made[name].shape)
    if rounding == "stored":
        made[name][:] = made[name].astype(np.float32)
    report = made.report()
    assert failing(report) == {name}
    assert report.tensor(name).tolerance == 1e-7
    assert f"d{name} agrees to single precision only" in " ".join(report.notes)
    assert ("float32" in report.failures[0].diagnosis) == (rounding == "stored")


def test_a_factor_within_single_precision_is_no_rounding():
    made = Made()
    made["W2"][:] *= 1.0 + 3e-6
    report = made.report()
    assert failing(report) == {"W2"}
    assert "single precision" not in " ".join(report.notes)


def test_one_wrong_entry_is_no_single_precision():
    made = Made()
    made["W2"][0, 0] *= 1.0 + 3e-6
    report = made.report()
    assert failing(report) == {"W2"}
    assert "single precision" not in " ".join(report.notes)


def test_noise_is_not_taken_for_single_precision():
    made = Made()
    made.noise = np.array([3e-9])
    made.gradapprox += 3e-9 * made.rng.standard_normal(made.gradapprox.size)
    made["W2"][0, 0] *= 1.0 + 1e-6
    report = made.report(engine="reference")
    assert failing(report) == {"W2"}
    assert "single precision" not in " ".join(report.notes)


def test_in_single_precision_small_entries_carry_the_errors_of_large_ones():
    made = Made()
    made["W2"][:] *= 1.0 + 2e-7 * made.rng.standard_normal((6, 6))
    made.approx("W2")[0, 0], made["W2"][0, 0] = 1e-9, 1e-7
    report = made.report()
    assert [t.name for t in report.tensors if t.verdict == "inconclusive"] == ["W2"]
    assert "sums in single precision" in report.summary.replace("\n", " ")


def test_a_tolerance_given_is_kept():
    made = Made(precision={"W1": "float32"})
    made["W1"][:] = made["W1"].astype(np.float32)
    made["b3"][:] *= 1.0 + 1e-5
    assert failing(made.report(tolerance=1e-3)) == set()
    assert failing(made.report(tolerance=1e-9)) == {"W1", "b3"}
    assert made.report(tolerance=1e-3).tolerance == 1e-3


# --- rounding of a right back-propagation -----------------------------------------------------------------------

def saturated():
    net = network([3, 4, 4, 2], "sigmoid", "identity", "squared_error")
    rng = np.random.default_rng(0)
    parameters = net.initialize(0)
    parameters["b2"] = parameters["b2"] + 36.0
    return net, parameters, rng.standard_normal((3, 5)), rng.standard_normal((2, 5))


def test_digits_lost_in_one_minus_a_are_no_mistake():
    net, parameters, X, Y = saturated()
    right = net.gradients(parameters, X, Y)
    assert check(net, parameters, right, X, Y).ok
    textbook = dict(right)
    Z1 = parameters["W1"] @ X + parameters["b1"]
    A1 = 1 / (1 + np.exp(-Z1))
    A2 = 1 / (1 + np.exp(-(parameters["W2"] @ A1 + parameters["b2"])))
    A3 = parameters["W3"] @ A2 + parameters["b3"]
    dZ2 = parameters["W3"].T @ ((A3 - Y) / 5) * A2 * (1 - A2)
    dZ1 = parameters["W2"].T @ dZ2 * A1 * (1 - A1)
    textbook |= {"dW2": dZ2 @ A1.T, "db2": dZ2.sum(axis=1, keepdims=True),
                 "dW1": dZ1 @ X.T, "db1": dZ1.sum(axis=1, keepdims=True)}
    assert np.linalg.norm(textbook["dW2"] - right["dW2"]) > 1e-3 * np.linalg.norm(right["dW2"])
    report = check(net, parameters, textbook, X, Y)
    assert report.verdict == "inconclusive"
    assert "rounding in back-propagation itself" in report.summary.replace("\n", " ")


TEXTBOOK = {
    "softplus": (lambda z: np.log(1.0 + np.exp(z)), lambda z: 1.0 / (1.0 + np.exp(-z)), -25.0),
    "elu": (lambda z: np.where(z > 0.0, z, np.exp(z) - 1.0), lambda z: np.where(z > 0.0, 1.0, np.exp(z)), 0.0),
    "selu": (lambda z: 1.0507009873554805 * np.where(z > 0.0, z, 1.6732632423543772 * (np.exp(z) - 1.0)),
             lambda z: 1.0507009873554805 * np.where(z > 0.0, 1.0, 1.6732632423543772 * np.exp(z)), 0.0),
}  # fmt: skip


def with_small_activations(name, seed):
    """A network whose hidden activations are small, and its gradients by the textbook's formulas."""
    value, slope, bias = TEXTBOOK[name]
    net = network([3, 6, 2], name, "identity", "squared_error")
    rng = np.random.default_rng(seed)
    parameters = net.initialize(seed)
    parameters["b1"] = np.full((6, 1), bias)
    X, Y = 1e-9 * rng.standard_normal((3, 5)), rng.standard_normal((2, 5))
    Z1 = parameters["W1"] @ X + parameters["b1"]
    A1 = value(Z1)
    dZ2 = (parameters["W2"] @ A1 + parameters["b2"] - Y) / 5
    dZ1 = parameters["W2"].T @ dZ2 * slope(Z1)
    gradients = {"dW2": dZ2 @ A1.T, "db2": dZ2.sum(axis=1, keepdims=True),
                 "dW1": dZ1 @ X.T, "db1": dZ1.sum(axis=1, keepdims=True)}  # fmt: skip
    return net, parameters, gradients, X, Y


@pytest.mark.parametrize("name", list(TEXTBOOK))
def test_digits_that_a_textbook_activation_loses_are_no_mistake(name):
    """exp(z) - 1 and log(1 + exp(z)) are off by a rounding of one, however small they are."""
    for seed in range(8):
        net, parameters, gradients, X, Y = with_small_activations(name, seed)
        exact = net.gradients(parameters, X, Y)["dW2"]
        assert np.linalg.norm(gradients["dW2"] - exact) > 1e-9 * np.linalg.norm(exact)
        report = check(net, parameters, gradients, X, Y)
        assert report.verdict != "fail", report
        for wrong in ("dW1", "db1", "dW2", "db2"):
            found = check(net, parameters, {**gradients, wrong: 1.01 * gradients[wrong]}, X, Y)
            assert failing(found) == {wrong[1:]}, found


def test_saturation_excuses_no_mistake_that_exceeds_it():
    net, parameters, X, Y = saturated()
    for name in ("dW3", "db3"):
        wrong = net.gradients(parameters, X, Y)
        wrong[name] = wrong[name] * (1.0 + 1e-6)
        assert failing(check(net, parameters, wrong, X, Y)) == {name[1:]}
    parameters["b2"] -= 30.0
    wrong = net.gradients(parameters, X, Y)
    wrong["dW2"] = 2.0 * wrong["dW2"]
    assert failing(check(net, parameters, wrong, X, Y)) == {"W2"}


def test_a_low_precision_entry_is_measured_by_the_size_of_its_tensor():
    """A small entry may be off by what an entry of the usual size may be off by, and no more."""
    for share, verdict in ((0.5, "pass"), (1.5, "fail")):
        made = Made(precision={"W1": "float32"})
        made.approx("W1")[0, 0] = made["W1"][0, 0] = 0.0
        tolerance = made.report().tensor("W1").tolerance
        made["W1"][0, 0] = share * tolerance * np.sqrt(np.mean(made.approx("W1") ** 2))
        assert made.report().tensor("W1").verdict == verdict


def test_a_large_low_precision_entry_is_measured_by_itself():
    for share, verdict in ((0.9, "pass"), (1.5, "fail")):
        made = Made(precision={"W1": "float32"})
        tolerance = made.report().tensor("W1").tolerance
        made.approx("W1")[0, 0] = 30.0
        made["W1"][0, 0] = 30.0 * (1.0 + 2.0 * share * tolerance)
        found = made.report().judgement.tensors[0]
        entries = found.entries
        assert (found.verdict, entries.wrong.size, entries.stepped.size) == (verdict, int(verdict == "fail"), 0)


def test_in_low_precision_rounding_of_a_right_gradient_is_no_doubt():
    for precision, verdict in (({"W1": "float32"}, "pass"), ({}, "inconclusive")):
        made = Made(precision=precision, rounding=lambda name, unit: np.full(30, 1e-2))
        made["W1"][0, 0] += 1e-2
        assert made.report().tensor("W1").verdict == verdict
