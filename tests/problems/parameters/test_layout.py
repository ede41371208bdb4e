"""Nested parameters become one vector and come back as they were."""

import numpy as np
import pytest

from fastcheck.problems.parameters.layout import Structure

NESTED = {
    "layer": {"W": np.arange(6.0).reshape(2, 3), "b": np.array([7.0, 8.0])},
    "blocks": [np.array([[9.0]]), {"c": np.array(10.0)}],
    "rate": 0.5,
}


def test_tensors_are_named_by_their_path_and_lie_end_to_end():
    structure = Structure(NESTED)
    assert [t.name for t in structure.tensors] == ["layer/W", "layer/b", "blocks/0", "blocks/1/c", "rate"]
    assert [t.shape for t in structure.tensors] == [(2, 3), (2,), (1, 1), (), ()]
    assert [t.start for t in structure.tensors] == [0, 6, 8, 9, 10]
    np.testing.assert_array_equal(structure.vector(NESTED), [0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 0.5])


def test_views_have_the_structure_and_share_the_vector():
    structure = Structure(NESTED)
    theta = structure.vector(NESTED)
    views = structure.views(theta)
    theta[4] = -1.0
    assert views["layer"]["W"][1, 1] == -1.0
    assert views["blocks"][1]["c"].shape == ()
    assert isinstance(views["blocks"], list)
    assert views["rate"] == 0.5


def test_a_single_array_and_a_number_are_structures_too():
    assert [t.name for t in Structure(np.ones((2, 2))).tensors] == ["theta"]
    assert Structure(3.0).views(np.array([4.0])) == 4.0
    assert Structure([1.0, 2.0]).tensors[0].shape == (2,)


def test_gradients_may_be_called_d():
    structure = Structure({"layer": {"W": np.ones(2)}})
    np.testing.assert_array_equal(structure.vector({"layer": {"dW": [3, 4], "dZ": None}}), [3.0, 4.0])


@pytest.mark.parametrize(("gradients", "words"), [
    ({"layer": {}}, "layer/W is missing in gradients"),
    ({"layer": np.ones(2)}, "layer in gradients: ndarray found, wanted a dictionary with W"),
    ({"layer": {"W": np.ones(3)}}, r"layer/W in gradients: shape \(3,\) found, wanted \(2,\)"),
    ({"layer": {"W": [1j, 2j]}}, "layer/W in gradients: dtype complex128"),
    (np.ones(2), "all in gradients: ndarray found"),
])
def test_gradients_that_do_not_fit_are_named(gradients, words):
    with pytest.raises((TypeError, ValueError), match=words):
        Structure({"layer": {"W": np.ones(2)}}).vector(gradients, "gradients")


@pytest.mark.parametrize(("parameters", "words"), [
    ({}, "no numbers found"),
    (np.ones(0), "no numbers found"),
    (np.array([True]), "dtype bool"),
    ({"a": "text"}, "a in parameters"),
    (None, "theta in parameters"),
])
def test_parameters_that_cannot_be_perturbed_are_refused(parameters, words):
    with pytest.raises((TypeError, ValueError), match=words):
        Structure(parameters)


def test_sequences_must_be_as_long():
    with pytest.raises(TypeError, match="list of 1 found, wanted a sequence of 2"):
        Structure([np.ones(1), np.ones(2)]).vector([np.ones(1)])


def test_low_precision_is_remembered():
    found = Structure({"a": np.ones(2), "b": np.ones(2, np.float32)}).precision(
        {"a": np.ones(2, np.float16), "b": np.ones(2)}, {"a": np.ones(2, np.float32), "b": np.ones(2, np.float32)}
    )
    assert found == {"a": "float16", "b": "float32"}


def test_places_are_named():
    structure = Structure(NESTED)
    assert [structure.place(k) for k in (4, 7, 9, 10)] == ["layer/W[1, 1]", "layer/b[1]", "blocks/1/c", "rate"]
    with pytest.raises(IndexError):
        structure.place(11)


def test_stacks_have_a_leading_axis():
    structure = Structure(NESTED)
    stacks = [np.zeros((5, *t.shape)) for t in structure.tensors]
    assert structure.stacked(stacks)["layer"]["W"].shape == (5, 2, 3)
    assert structure.stacked(stacks)["rate"].shape == (5,)
