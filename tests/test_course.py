"""The course exercise gives the published numbers, and the course's dictionaries are taken as they are."""

import math
from itertools import pairwise

import numpy as np
import pytest

import fastcheck as fc
from fastcheck import course
from fastcheck.course import (
    backward_propagation_n,
    dictionary_to_vector,
    forward_propagation_n,
    gradient_check_n,
    gradients_to_vector,
    vector_to_dictionary,
)
from tests.support.course_exercise import BOTH, MENDED, ONLY_DB1, ONLY_DW2, exercise, gradients_with

PUBLISHED = [((), MENDED), (("dW2",), ONLY_DW2), (("db1",), ONLY_DB1), (("dW2", "db1"), BOTH)]
SCALAR_EXERCISE = 2.919335883291695e-10


def products_are_fused() -> bool:
    """Whether this machine's BLAS multiplies and adds with one rounding, as where the numbers were published."""
    x = 1.0 + 2.0**-30
    left, right = np.zeros((5, 4)), np.zeros((4, 3))
    left[:, 0], left[:, 1] = -(x * x), x
    right[0], right[1] = 1.0, x
    return bool((left @ right).any())


@pytest.mark.parametrize(("mistakes", "published"), PUBLISHED)
def test_published_numbers(mistakes, published):
    X, Y, parameters = exercise()
    difference = gradient_check_n(parameters, gradients_with(*mistakes), X, Y)
    if products_are_fused():
        assert difference == published
    else:
        # another rounding of the products: the noise itself differs, and of the mended exercise noise is all there is
        assert difference == pytest.approx(published, rel=1e-10 if mistakes else 1e-3)


@pytest.mark.parametrize(("mistakes", "published"), PUBLISHED)
def test_front_door_with_the_reference_engine_finds_the_same_difference(mistakes, published):
    X, Y, parameters = exercise()
    gradients = {name: array for name, array in gradients_with(*mistakes).items() if name[:2] in ("dW", "db")}
    net = fc.Network.from_parameters(parameters, hidden="relu", output="sigmoid")
    report = fc.check(net, parameters, gradients, X, Y, epsilon=1e-7, engine="reference")
    assert report.difference == pytest.approx(published, rel=1e-12 if products_are_fused() else 1e-3)
    assert {row.name for row in report.tensors if row.verdict == "fail"} == {name[1:] for name in mistakes}


@pytest.mark.parametrize("Y", [np.array([1, 1, 0]), np.array([[1, 1, 0]]), [1, 1, 0], np.array([True, True, False])])
def test_targets_flat_or_row_give_the_same(Y):
    X, _, parameters = exercise()
    gradients = gradients_with("dW2", "db1")
    first = gradient_check_n(parameters, gradients, X, np.array([1, 1, 0]))
    assert gradient_check_n(parameters, gradients, X, Y) == first


def test_mistake_prints_the_courses_line(capsys):
    X, Y, parameters = exercise()
    difference = gradient_check_n(parameters, gradients_with("dW2", "db1"), X, Y)
    assert capsys.readouterr().out == (
        f"\033[93mThere is a mistake in the backward propagation! difference = {difference}\033[0m\n"
    )


def test_agreement_prints_the_courses_line(capsys):
    X, Y, parameters = exercise()
    difference = gradient_check_n(parameters, gradients_with(), X, Y, epsilon=1e-5)
    assert difference < 1e-8
    assert capsys.readouterr().out == (
        f"\033[92mYour backward propagation works perfectly fine! difference = {difference}\033[0m\n"
    )


def test_textbook_line_calls_the_mended_exercise_a_mistake(capsys):
    # 1.189e-07 is rounding, yet above the seed's threshold: why fastcheck exists
    X, Y, parameters = exercise()
    gradient_check_n(parameters, gradients_with(), X, Y)
    assert "There is a mistake" in capsys.readouterr().out


def test_silent_on_demand(capsys):
    X, Y, parameters = exercise()
    gradient_check_n(parameters, gradients_with(), X, Y, 1e-7, False)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["dW1", "db3"])
def test_what_is_not_finite_is_a_mistake(capsys, name, bad):
    X, Y, parameters = exercise()
    gradients = gradients_with()
    gradients[name] = gradients[name].copy()
    gradients[name].flat[0] = bad
    assert math.isnan(gradient_check_n(parameters, gradients, X, Y))
    assert "There is a mistake" in capsys.readouterr().out


def test_saturated_cost_is_a_mistake(capsys):
    # the textbook's cost takes log(0) and 0 * inf: NaN, which must not slip through the comparison
    X, Y, parameters = exercise()
    parameters["b3"] = np.full((1, 1), 100.0)
    assert math.isnan(gradient_check_n(parameters, gradients_with(), X, Y))
    assert "There is a mistake" in capsys.readouterr().out


def test_nothing_against_nothing_is_no_difference():
    assert course.textbook_difference(np.zeros(3), np.zeros(3)) == 0.0
    assert course.textbook_difference(np.zeros(3), np.ones(3)) == 1.0


def test_scalar_exercise():
    theta, x, epsilon = 4.0, 2.0, 1e-7
    gradapprox = ((theta + epsilon) * x - (theta - epsilon) * x) / (2 * epsilon)
    assert course.textbook_difference(np.array([x]), np.array([gradapprox])) == SCALAR_EXERCISE


def test_forward_propagation_matches_the_network():
    X, Y, parameters = exercise()
    cost, cache = forward_propagation_n(X, Y, parameters)
    net = fc.Network.from_parameters(parameters)
    assert cost == pytest.approx(net.cost_of(parameters, X, Y), rel=1e-14)
    assert [array.shape for array in cache] == [
        (5, 3), (5, 3), (5, 4), (5, 1), (3, 3), (3, 3), (3, 5), (3, 1), (1, 3), (1, 3), (1, 3), (1, 1),
    ]


def test_backward_propagation_has_the_courses_keys_and_values():
    X, Y, parameters = exercise()
    gradients = gradients_with()
    assert list(gradients) == ["dZ3", "dW3", "db3", "dA2", "dZ2", "dW2", "db2", "dA1", "dZ1", "dW1", "db1"]
    for name, array in fc.Network.from_parameters(parameters).gradients(parameters, X, Y).items():
        np.testing.assert_allclose(gradients[name], array, rtol=1e-12, atol=1e-15, err_msg=name)


@pytest.mark.parametrize("widths", [(3, 1), (3, 4, 1), (2, 3, 4, 3, 1)])
def test_any_depth(widths):
    net = fc.Network(
        [fc.Dense(a, b, "relu") for a, b in pairwise(widths[:-1])]
        + [fc.Dense(widths[-2], 1, "sigmoid")],
        cost="binary_cross_entropy",
    )
    parameters = net.initialize(3)
    rng = np.random.default_rng(4)
    X, Y = rng.standard_normal((widths[0], 6)), rng.integers(0, 2, 6)
    _, cache = forward_propagation_n(X, Y, parameters)
    gradients = backward_propagation_n(X, Y, cache)
    assert gradient_check_n(parameters, gradients, X, Y, epsilon=1e-5) < 1e-7
    gradients["dW1"] = gradients["dW1"] * 2
    assert gradient_check_n(parameters, gradients, X, Y, epsilon=1e-5) > 1e-2


def test_vectors_and_dictionaries():
    _, _, parameters = exercise()
    theta, names = dictionary_to_vector(parameters)
    assert theta.shape == (47, 1)
    assert names == ["W1"] * 20 + ["b1"] * 5 + ["W2"] * 15 + ["b2"] * 3 + ["W3"] * 3 + ["b3"]
    again = vector_to_dictionary(theta)
    assert list(again) == ["W1", "b1", "W2", "b2", "W3", "b3"]
    for name, array in parameters.items():
        np.testing.assert_array_equal(again[name], array)
    again["W1"][0, 0] = 9.0
    assert theta[0, 0] == parameters["W1"][0, 0]
    assert gradients_to_vector(gradients_with()).shape == (47, 1)


def test_vector_to_dictionary_of_other_shapes():
    like = {"W1": np.zeros((2, 3)), "b1": np.zeros((2, 1))}
    again = vector_to_dictionary(np.arange(8.0), like)
    np.testing.assert_array_equal(again["W1"], [[0, 1, 2], [3, 4, 5]])
    np.testing.assert_array_equal(again["b1"], [[6], [7]])
    with pytest.raises(ValueError, match=r"\(47,\).*\(8,\)"):
        vector_to_dictionary(np.arange(8.0))


def test_ten_layers_are_ordered_by_number():
    parameters = {f"{kind}{i}": np.full((1, 1), 10.0 * i + (kind == "b")) for i in range(1, 12) for kind in "Wb"}
    theta, _ = dictionary_to_vector(dict(sorted(parameters.items())))
    assert theta.ravel().tolist() == [10.0 * i + b for i in range(1, 12) for b in (0, 1)]


def test_extra_keys_are_ignored_in_parameters_too():
    X, Y, parameters = exercise()
    gradients = gradients_with("dW2")
    plain = gradient_check_n(parameters, gradients, X, Y)
    crowded = {**parameters, "A1": np.zeros(2), "learning_rate": 0.1, "cache": None}
    assert gradient_check_n(crowded, gradients, X, Y) == plain


def test_missing_gradient_is_named():
    X, Y, parameters = exercise()
    gradients = gradients_with()
    del gradients["dW2"]
    with pytest.raises(ValueError, match="W2"):
        gradient_check_n(parameters, gradients, X, Y)


@pytest.mark.parametrize("call", [
    lambda: gradient_check_n([1.0], {}, None, None),
    lambda: dictionary_to_vector(3),
    lambda: gradients_to_vector("dW1"),
])
def test_other_things_than_dictionaries_are_refused(call):
    with pytest.raises(TypeError, match="expected a dictionary"):
        call()
