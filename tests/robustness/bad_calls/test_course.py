"""The course's functions with calls that cannot work: refused by name in one line."""

import numpy as np
import pytest

from fastcheck import course
from tests.support.course_exercise import exercise, gradients_with
from tests.support.refusals import refuses

X, Y, PARAMETERS = exercise()
GRADIENTS = gradients_with()
CACHE = course.forward_propagation_n(X, Y, PARAMETERS)[1]
COURSE = [
    ("gradient_check_n", (None, GRADIENTS, X, Y), TypeError, ["parameters", "NoneType"]),
    ("gradient_check_n", (PARAMETERS, None, X, Y), TypeError, ["gradients", "NoneType"]),
    ("gradient_check_n", ({}, GRADIENTS, X, Y), ValueError, ["parameters", "no weights"]),
    ("gradient_check_n", (PARAMETERS, {}, X, Y), ValueError, ["gradients", "W1 is missing"]),
    ("gradient_check_n", (GRADIENTS, PARAMETERS, X, Y), ValueError, ["parameters", "no weights"]),
    ("gradient_check_n", (PARAMETERS, GRADIENTS, None, Y), TypeError, ["X", "None"]),
    ("gradient_check_n", (PARAMETERS, GRADIENTS, X[:, 0], Y), ValueError, ["X", "(4,)"]),
    ("gradient_check_n", (PARAMETERS, GRADIENTS, X, Y[..., :2]), ValueError, ["Y", "(2,)"]),
    ("gradient_check_n", (PARAMETERS, GRADIENTS, X, Y + 3), ValueError, ["Y", "between 0 and 1"]),
    ("gradient_check_n", (PARAMETERS, GRADIENTS, X, Y, 0), ValueError, ["epsilon", "0"]),
    ("gradient_check_n", (PARAMETERS, GRADIENTS, X, Y, "1e-7"), TypeError, ["epsilon", "'1e-7'"]),
    ("forward_propagation_n", (PARAMETERS, X, Y), TypeError, ["parameters", "ndarray"]),
    ("forward_propagation_n", (X, Y, {}), ValueError, ["parameters", "no weights"]),
    ("forward_propagation_n", (X[:2], Y, PARAMETERS), ValueError, ["X", "(2, 3)", "(4, m)"]),
    ("forward_propagation_n", (X, Y[..., :2], PARAMETERS), ValueError, ["Y", "(2,)"]),
    ("backward_propagation_n", (X, Y, None), TypeError, ["cache", "NoneType", "forward_propagation_n"]),
    ("backward_propagation_n", (X, Y, ()), ValueError, ["cache", "forward_propagation_n"]),
    ("backward_propagation_n", (X, Y, (1, 2, 3)), ValueError, ["cache", "forward_propagation_n"]),
    ("backward_propagation_n", (X, Y, CACHE[:-1]), ValueError, ["cache", "forward_propagation_n"]),
    ("backward_propagation_n", (X, Y, CACHE[:4] + CACHE[8:]), ValueError, ["cache", "forward_propagation_n"]),
    ("backward_propagation_n", (X, Y, (None,) * 4), TypeError, ["cache[0]", "None"]),
    ("backward_propagation_n", (X, Y, (0.5, CACHE)), ValueError, ["cache[1]"]),
    ("backward_propagation_n", (None, Y, CACHE), TypeError, ["X", "None"]),
    ("backward_propagation_n", (X[:2], Y, CACHE), ValueError, ["X", "(2, 3)", "(4, 3)"]),
    ("backward_propagation_n", (X[:, 0], Y, CACHE), ValueError, ["X", "(4,)"]),
    ("backward_propagation_n", (X, Y[..., :2], CACHE), ValueError, ["Y", "(2,)", "(1, 3)"]),
    ("backward_propagation_n", (X, "Y", CACHE), TypeError, ["Y", "'Y'"]),
    ("dictionary_to_vector", (None,), TypeError, ["parameters", "NoneType"]),
    ("dictionary_to_vector", ({},), ValueError, ["parameters", "none"]),
    ("dictionary_to_vector", ({"W1": "a"},), TypeError, ["W1", "'a'"]),
    ("dictionary_to_vector", ({"W1": X + 1j},), TypeError, ["W1", "complex128"]),
    ("dictionary_to_vector", ({"W1": None},), TypeError, ["W1", "None"]),
    ("dictionary_to_vector", ({"W1": np.ma.array(X)},), TypeError, ["W1", "masked"]),
    ("vector_to_dictionary", (None,), TypeError, ["theta", "None"]),
    ("vector_to_dictionary", (np.ones(3),), ValueError, ["theta", "(3,)", "(47,)"]),
    ("vector_to_dictionary", (np.ones(47), 3), TypeError, ["like", "int"]),
    ("vector_to_dictionary", (np.ones(47), {}), ValueError, ["like", "no weights"]),
    ("vector_to_dictionary", (np.ones(5), PARAMETERS), ValueError, ["theta", "(5,)", "(47,)"]),
    ("gradients_to_vector", (None,), TypeError, ["gradients", "NoneType"]),
    ("gradients_to_vector", (PARAMETERS,), ValueError, ["gradients", "none"]),
    ("gradients_to_vector", ({"dW1": "x"},), TypeError, ["dW1", "'x'"]),
]


@pytest.mark.parametrize(("name", "arguments", "kind", "words"), COURSE)
def test_course(name, arguments, kind, words):
    refuses(kind, words, getattr(course, name), *arguments)
