"""Nested parameters become one vector and come back as they were."""

from collections import OrderedDict, defaultdict
from typing import NamedTuple

import numpy as np
import pytest

from fastcheck.problems.parameters import layout as layouts
from fastcheck.problems.parameters.layout import Layout, lowest_precision

NESTED = {
    "layer": {"W": np.arange(6.0).reshape(2, 3), "b": np.array([7.0, 8.0])},
    "blocks": [np.array([[9.0]]), {"c": np.array(10.0)}],
    "rate": 0.5,
}


def test_tensors_are_named_by_their_path_and_lie_end_to_end():
    layout = Layout.of(NESTED)
    assert [t.name for t in layout.tensors] == ["layer/W", "layer/b", "blocks/0", "blocks/1/c", "rate"]
    assert [t.shape for t in layout.tensors] == [(2, 3), (2,), (1, 1), (), ()]
    assert [t.start for t in layout.tensors] == [0, 6, 8, 9, 10]
    np.testing.assert_array_equal(layout.parameters(NESTED).vector, [0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 0.5])


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_large_arrays_are_copied_on_threads(monkeypatch, threads):
    """In whatever order, type and layout in memory they come."""
    monkeypatch.setattr(layouts, "LARGE", 10)
    monkeypatch.setattr(layouts, "PIECE", 4)
    rng = np.random.default_rng(0)
    given = {"W": rng.standard_normal((7, 9)).T, "b": rng.standard_normal(3).astype(np.float32), "c": 2.0}
    copied = Layout.of(given).parameters(given, threads=threads)
    np.testing.assert_array_equal(copied.vector, [*given["W"].reshape(-1), *given["b"], 2.0])
    assert copied.precision == {"b": "float32"}


def test_views_have_the_structure_and_share_the_vector():
    layout = Layout.of(NESTED)
    theta = layout.parameters(NESTED).vector
    views = layout.views(theta)
    theta[4] = -1.0
    assert views["layer"]["W"][1, 1] == -1.0
    assert views["blocks"][1]["c"].shape == ()
    assert isinstance(views["blocks"], list)
    assert views["rate"] == 0.5


def test_a_single_array_and_a_number_are_structures_too():
    assert [t.name for t in Layout.of(np.ones((2, 2))).tensors] == ["theta"]
    assert Layout.of(3.0).views(np.array([4.0])) == 4.0
    assert Layout.of([1.0, 2.0]).tensors[0].shape == (2,)


def test_gradients_may_be_called_d():
    layout = Layout.of({"layer": {"W": np.ones(2)}})
    np.testing.assert_array_equal(layout.gradients({"layer": {"dW": [3, 4], "dZ": None}}).vector, [3.0, 4.0])


@pytest.mark.parametrize(("gradients", "words"), [
    ({"layer": {}}, r"layer in gradients: expected dW of shape \(2,\), got nothing; W is missing"),
    ({"layer": np.ones(2)}, "layer in gradients: expected a dictionary with W, got ndarray"),
    ({"layer": {"W": np.ones(3)}}, r"layer/W in gradients: expected shape \(2,\), got shape \(3,\)"),
    ({"layer": {"W": [1j, 2j]}}, "layer/W in gradients: .*dtype complex128"),
    ({"layer": {"W": [1, 2], "dW": [1, 2]}}, "W in layer in gradients: expected one of W and dW, got both"),
    (np.ones(2), "gradients: expected a dictionary with layer, got ndarray"),
])
def test_gradients_that_do_not_fit_are_named(gradients, words):
    with pytest.raises((TypeError, ValueError), match=words):
        Layout.of({"layer": {"W": np.ones(2)}}).gradients(gradients)


@pytest.mark.parametrize(("parameters", "words"), [
    ({}, "got no numbers"),
    (np.ones(0), "got no numbers"),
    (np.array([True]), "dtype bool"),
    ({"a": "text"}, "a in parameters"),
    (None, "theta in parameters"),
])
def test_parameters_that_cannot_be_perturbed_are_refused(parameters, words):
    with pytest.raises((TypeError, ValueError), match=words):
        Layout.of(parameters)


def test_sequences_must_be_as_long():
    with pytest.raises(TypeError, match="expected a sequence of 2, got list of 1"):
        Layout.of([np.ones(1), np.ones(2)]).parameters([np.ones(1)])


def test_low_precision_is_remembered():
    parameters = {"a": np.ones(2, np.float16), "b": np.ones(2), "c": np.ones(2)}
    gradients = {"da": np.ones(2, np.float32), "b": np.ones(2, ">f4"), "dc": np.ones(2)}
    layout = Layout.of(parameters)
    found = lowest_precision(layout.parameters(parameters), layout.gradients(gradients))
    assert found == {"a": "float16", "b": "float32"}


def test_places_are_named():
    layout = Layout.of(NESTED)
    assert [layout.place(k) for k in (4, 7, 9, 10)] == ["layer/W[1, 1]", "layer/b[1]", "blocks/1/c", "rate"]
    with pytest.raises(IndexError):
        layout.place(11)


def test_stacks_have_a_leading_axis():
    layout = Layout.of(NESTED)
    stacks = [np.zeros((5, *t.shape)) for t in layout.tensors]
    assert layout.stacked(stacks)["layer"]["W"].shape == (5, 2, 3)
    assert layout.stacked(stacks)["rate"].shape == (5,)


class Pair(NamedTuple):
    W: object
    b: object


class Named(dict):
    """Entries are attributes too, as many configuration classes have them."""

    def __getattr__(self, name):
        if name not in self:
            raise AttributeError(name)
        return self[name]


@pytest.mark.parametrize("value", [
    Pair(np.ones((2, 3)), 1.0), Pair(1.0, 2.0), OrderedDict(W=np.ones(2), b=1.0), Named(W=np.ones(2), b=np.ones(3)),
    defaultdict(list, W=np.ones(2)), {"W": Pair(np.ones(2), np.ones(1)), "b": [np.ones(1), np.ones(2)]},
])
def test_containers_keep_their_types(value):
    layout = Layout.of(value)
    read = layout.views(layout.parameters(value).vector)
    assert type(read) is type(value)
    assert repr(read).replace("np.float64(1.0)", "1.0").replace("np.float64(2.0)", "2.0") == repr(value)
    assert getattr(read, "default_factory", None) == getattr(value, "default_factory", None)


def test_fields_name_the_tensors_of_a_named_tuple():
    assert [t.name for t in Layout.of({"layer": Pair(np.ones(2), 1.0)}).tensors] == ["layer/W", "layer/b"]
