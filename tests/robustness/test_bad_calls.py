"""Every door with calls that cannot work: refused by name in one line, and nothing left behind.

``test_bad_input`` has tables for ``check`` and ``Network``; here are the other doors and what those tables leave out.
"""

import tempfile
import threading
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

import fastcheck as fc
from fastcheck import course
from fastcheck._errors import ChangedArgumentError, NondeterministicError
from fastcheck.cli.command import main
from fastcheck.problems.files.npz import load
from tests.support.course_exercise import exercise, gradients_with
from tests.support.refusals import LABELS, given, refuses

HUGE = 10**400


@pytest.fixture(autouse=True)
def nothing_left_behind(monkeypatch, tmp_path):
    """No thread is left running and no temporary file lying about."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before
    assert not list(folder.iterdir())


# --- check_function ---------------------------------------------------------------------------------------------


def squares(theta, *args):
    return float(np.sum(np.square(theta)))


def point():
    return np.arange(1.0, 4.0)


def function(**changes):
    return {"cost": squares, "parameters": point(), "gradients": 2 * point(), **changes}


FUNCTION = [
    ({"cost": None}, TypeError, ["cost", "NoneType", "function"]),
    ({"cost": "squares"}, TypeError, ["cost", "str", "function"]),
    ({"cost": lambda theta: None}, TypeError, ["cost", "None", "return"]),
    ({"cost": lambda theta: "1"}, TypeError, ["cost", "str", "number"]),
    ({"cost": lambda theta: theta}, TypeError, ["cost", "(3,)", "one number", "vectorized"]),
    ({"cost": lambda theta: 1j * theta.sum()}, TypeError, ["cost", "complex", "complex_step"]),
    ({"cost": lambda theta: True}, TypeError, ["cost", "bool"]),
    ({"cost": lambda theta: Decimal(1)}, TypeError, ["cost", "Decimal"]),
    ({"cost": lambda theta: {}}, TypeError, ["cost", "dict"]),
    ({"cost": lambda theta: [[1.0], [1.0, 2.0]]}, TypeError, ["cost", "list"]),
    ({"cost": lambda theta: np.random.random()}, NondeterministicError, ["cost", "not a function"]),
    ({"cost": lambda theta: float(theta.__iadd__(1).sum())}, ChangedArgumentError, ["cost", "its own argument"]),
    ({"cost": lambda theta: 1 / 0}, ZeroDivisionError, []),
    ({"cost": lambda: 1.0}, TypeError, []),
    ({"parameters": None}, TypeError, ["theta in parameters", "object"]),
    ({"parameters": "theta"}, TypeError, ["theta in parameters", "<U5"]),
    ({"parameters": {}}, ValueError, ["parameters", "no numbers"]),
    ({"parameters": []}, ValueError, ["parameters", "no numbers"]),
    ({"parameters": np.empty((3, 0))}, ValueError, ["parameters", "no numbers"]),
    ({"parameters": np.array([1, None])}, TypeError, ["theta in parameters", "object"]),
    ({"parameters": point() + 0j}, TypeError, ["theta in parameters", "complex128"]),
    ({"parameters": point() > 1}, TypeError, ["theta in parameters", "bool", "args"]),
    ({"parameters": {1.0, 2.0}}, TypeError, ["theta in parameters", "object"]),
    ({"parameters": np.ma.array(point())}, TypeError, ["theta in parameters", "masked"]),
    ({"parameters": [[1.0], [1.0, 2.0]]}, ValueError, ["theta in parameters", "array"]),
    ({"parameters": np.zeros(3, "datetime64[s]")}, TypeError, ["theta in parameters", "datetime64"]),
    ({"parameters": np.zeros(3, "f8,f8")}, TypeError, ["theta in parameters", "f0"]),
    ({"parameters": {"a": {"b": None}}}, TypeError, ["a/b in parameters", "object"]),
    ({"parameters": [point(), {"b": "x"}]}, TypeError, ["1/b in parameters", "<U1"]),
    ({"gradients": None}, TypeError, ["theta in gradients", "object"]),
    ({"gradients": point()[:2]}, ValueError, ["theta in gradients", "(2,)", "(3,)"]),
    ({"gradients": point()[:, None]}, ValueError, ["theta in gradients", "(3, 1)", "(3,)"]),
    ({"gradients": 1j * point()}, TypeError, ["theta in gradients", "complex128"]),
    ({"gradients": {"theta": point()}}, TypeError, ["theta in gradients", "object"]),
    ({"gradients": np.ma.array(point())}, TypeError, ["theta in gradients", "masked"]),
    ({"parameters": {"a": point()}}, TypeError, ["gradients", "ndarray", "dictionary", "a"]),
    ({"parameters": {"a": point()}, "gradients": {"b": point()}}, ValueError, ["a is missing", "gradients", "b"]),
    ({"parameters": {"a": point()}, "gradients": {"a": 0, "da": 0}}, ValueError, ["a in gradients", "da", "one of"]),
    ({"parameters": [point(), point()], "gradients": [point()]}, TypeError, ["gradients", "list of 1", "of 2"]),
    ({"args": point()}, TypeError, ["args", "ndarray", "tuple"]),
    ({"args": {}}, TypeError, ["args", "dict", "tuple"]),
    ({"args": None}, TypeError, ["args", "NoneType", "tuple"]),
    ({"vectorized": True}, ValueError, ["cost", "()", "(1,)", "leading axis"]),
    ({"vectorized": True, "cost": lambda stack: np.zeros(7)}, ValueError, ["cost", "(7,)", "(1,)"]),
    ({"vectorized": True, "cost": lambda stack: None}, TypeError, ["cost", "object"]),
    ({"vectorized": "no"}, TypeError, ["vectorized", "'no'", "True or False"]),
    ({"complex_step": "no"}, TypeError, ["complex_step", "'no'", "True or False"]),
    ({"complex_step": True, "cost": lambda theta: np.abs(theta).sum()}, ValueError, ["complex_step", "not analytic"]),
    ({"epsilon": 0}, ValueError, ["epsilon", "0"]),
    ({"epsilon": -1.0}, ValueError, ["epsilon", "-1.0"]),
    ({"epsilon": np.nan}, ValueError, ["epsilon", "nan"]),
    ({"epsilon": np.inf}, ValueError, ["epsilon", "inf"]),
    ({"epsilon": 1e-99}, ValueError, ["epsilon", "1e-99", "rounding", "theta[0]"]),
    ({"epsilon": 1e300}, ValueError, ["epsilon", "1e+300", "1e+100"]),
    ({"epsilon": HUGE}, ValueError, ["epsilon", "double precision"]),
    ({"epsilon": "1"}, TypeError, ["epsilon", "'1'"]),
    ({"epsilon": point()}, TypeError, ["epsilon", "ndarray"]),
    ({"order": 3}, ValueError, ["order", "3", "2, 4, 6"]),
    ({"order": True}, ValueError, ["order", "True"]),
    ({"order": "richard"}, ValueError, ["order", "richard", "richardson"]),
    ({"order": None}, ValueError, ["order", "None"]),
    ({"order": [2]}, ValueError, ["order", "[2]"]),
    ({"order": np.array([2, 4])}, ValueError, ["order", "array"]),
    ({"tolerance": 0}, ValueError, ["tolerance", "0"]),
    ({"tolerance": np.inf}, ValueError, ["tolerance", "inf"]),
    ({"tolerance": "1"}, TypeError, ["tolerance", "'1'"]),
    ({"tolerance": Decimal(1)}, TypeError, ["tolerance", "Decimal"]),
    ({"norm": 3}, ValueError, ["norm", "3"]),
    ({"norm": None}, TypeError, ["norm", "None"]),
    ({"method": "some"}, ValueError, ["method", "some", "directional"]),
    ({"method": None}, TypeError, ["method", "NoneType"]),
    ({"samples": 3}, ValueError, ["samples", "sample"]),
    ({"method": "sample", "samples": 0}, ValueError, ["samples", "0"]),
    ({"method": "sample", "samples": 1.5}, TypeError, ["samples", "1.5"]),
    ({"method": "sample", "directions": 3}, ValueError, ["directions", "directional"]),
    ({"method": "directional", "directions": 0}, ValueError, ["directions", "0"]),
    ({"method": "directional", "directions": "3"}, TypeError, ["directions", "'3'"]),
    ({"seed": None}, TypeError, ["seed", "None"]),
    ({"seed": -1}, ValueError, ["seed", "-1"]),
    ({"seed": 1.0}, TypeError, ["seed", "1.0"]),
    ({"seed": np.random.default_rng(0)}, TypeError, ["seed", "Generator"]),
    ({"threads": 0}, ValueError, ["threads", "0"]),
    ({"threads": "2"}, TypeError, ["threads", "'2'"]),
    ({"threads": True}, TypeError, ["threads", "True"]),
    ({"memory_limit": 1}, ValueError, ["memory_limit", "1"]),
    ({"memory_limit": "1G"}, TypeError, ["memory_limit", "'1G'"]),
    ({"memory_limit": np.nan}, TypeError, ["memory_limit", "nan"]),
    ({"memory_limit": np.inf}, TypeError, ["memory_limit", "inf"]),
    ({"time_limit": 0}, ValueError, ["time_limit", "0"]),
    ({"time_limit": np.nan}, ValueError, ["time_limit", "nan"]),
    ({"time_limit": "1"}, TypeError, ["time_limit", "'1'"]),
    ({"progress": "yes"}, TypeError, ["progress", "'yes'"]),
    ({"progress": 1}, TypeError, ["progress", "1"]),
    ({"executor": "threads"}, TypeError, ["executor", "str"]),
    ({"executor": 3, "vectorized": True}, ValueError, ["executor", "vectorized"]),
]


@pytest.mark.parametrize(("changes", "kind", "words"), FUNCTION)
def test_check_function(changes, kind, words):
    refuses(kind, words, fc.check_function, **function(**changes))


# --- check_vjp --------------------------------------------------------------------------------------------------


def double(x):
    return 2 * x


def double_back(d, x):
    return 2 * d


def double_back_of_two(d, x):
    return np.append(d, 0.0)


VJP = [
    ({"forward": None}, TypeError, ["forward", "NoneType", "function"]),
    ({"backward": "double"}, TypeError, ["backward", "str", "function"]),
    ({"inputs": None}, TypeError, ["x in inputs", "object"]),
    ({"inputs": ()}, ValueError, ["inputs", "floating"]),
    ({"inputs": np.arange(3)}, ValueError, ["inputs", "floating"]),
    ({"inputs": np.empty(0)}, ValueError, ["inputs", "floating"]),
    ({"inputs": "x"}, TypeError, ["x in inputs", "<U1"]),
    ({"inputs": {"x": point()}}, TypeError, ["x in inputs", "object"]),
    ({"inputs": point() + 0j}, TypeError, ["x in inputs", "complex128"]),
    ({"inputs": np.ma.array(point())}, TypeError, ["x in inputs", "masked"]),
    ({"inputs": ([[1.0], [1.0, 2.0]],)}, ValueError, ["x in inputs", "array"]),
    ({"forward": lambda x: None}, TypeError, ["forward", "output 0", "object"]),
    ({"forward": lambda x: ()}, ValueError, ["forward", "no output"]),
    ({"forward": lambda x: (x, "text")}, TypeError, ["forward", "output 1", "<U4"]),
    ({"forward": lambda x, y: x}, TypeError, []),
    ({"forward": lambda x: x.__imul__(2)}, ChangedArgumentError, ["its own argument"]),
    ({"forward": lambda x: x * np.random.random()}, NondeterministicError, ["not a function"]),
    ({"forward": lambda x: x[: 2 + (x[0] != 1.0)], "backward": double_back_of_two}, ValueError,
     ["forward", "shape changed", "(2,)", "(3,)"]),
    ({"backward": lambda d, x: None}, ValueError, ["backward", "None", "x"]),
    ({"backward": lambda d, x: d[:2]}, ValueError, ["x in gradients", "(2,)", "(3,)"]),
    ({"backward": lambda d, x: (d, d)}, ValueError, ["backward", "2 gradients", "each of x"]),
    ({"backward": lambda d, x: "d"}, TypeError, ["x in gradients", "<U1"]),
    ({"backward": lambda d, x: d * 1j}, TypeError, ["x in gradients", "complex128"]),
    ({"backward": lambda d: d}, TypeError, []),
    ({"seed": "a"}, TypeError, ["seed", "'a'"]),
    ({"epsilon": 0}, ValueError, ["epsilon", "0"]),
    ({"speed": 1}, TypeError, ["speed"]),
]


@pytest.mark.parametrize(("changes", "kind", "words"), VJP)
def test_check_vjp(changes, kind, words):
    refuses(kind, words, fc.check_vjp, **{"forward": double, "backward": double_back, "inputs": point(), **changes})


@pytest.mark.parametrize("name", ["forward", "backward"])
def test_exceptions_of_a_layer_say_whose_they_are(name):
    def broken(*arguments):
        raise ArithmeticError("mine")

    call = {"forward": double, "backward": double_back, name: broken}
    with pytest.raises(ArithmeticError, match="mine") as caught:
        fc.check_vjp(**call, inputs=point())
    assert f"raised by {name}" in caught.value.__notes__[0]


def test_a_backward_that_scales_the_cotangents_in_place_is_still_right():
    assert fc.check_vjp(double, lambda d, x: d.__imul__(2), point()).ok
    assert fc.check_vjp(lambda x: (2 * x, x), lambda d, x: d[0].__imul__(2) + d[1], point()).ok


# --- check, sweep, reports, networks ----------------------------------------------------------------------------

CHECK = [
    ({"speed": 1}, TypeError, ["speed"]),
    ({"net": None}, TypeError, ["net", "NoneType"]),
    ({"method": "sample", "samples": 0}, ValueError, ["samples", "0"]),
    ({"method": "sample", "samples": "3"}, TypeError, ["samples", "'3'"]),
    ({"samples": 3}, ValueError, ["samples", "sample"]),
    ({"method": "directional", "directions": 0}, ValueError, ["directions", "0"]),
    ({"directions": 2}, ValueError, ["directions", "directional"]),
    ({"method": 3}, TypeError, ["method", "int"]),
    ({"progress": "yes"}, TypeError, ["progress", "'yes'"]),
    ({"seed": -1}, ValueError, ["seed", "-1"]),
    ({"seed": None}, TypeError, ["seed", "None"]),
    ({"memory_limit": "1"}, TypeError, ["memory_limit", "'1'"]),
    ({"memory_limit": np.nan}, TypeError, ["memory_limit", "nan"]),
    ({"epsilon": HUGE}, ValueError, ["epsilon", "double precision"]),
    ({"epsilon": 1e300}, ValueError, ["epsilon", "1e+300"]),
    ({"epsilon": 5e-324}, ValueError, ["epsilon", "5e-324"]),
    ({"epsilon": np.array([1e-7])}, TypeError, ["epsilon", "ndarray"]),
    ({"epsilon": Decimal("1e-7")}, TypeError, ["epsilon", "Decimal"]),
    ({"tolerance": np.inf}, ValueError, ["tolerance", "inf"]),
    ({"tolerance": HUGE}, ValueError, ["tolerance", "double precision"]),
    ({"norm": None}, TypeError, ["norm", "None"]),
    ({"X": np.ones((4, 6, 1))}, ValueError, ["X", "(4, 6, 1)"]),
    ({"X": np.zeros((4, 6), "f8,f8")}, TypeError, ["X", "f0"]),
    ({"X": np.ma.ones((4, 6))}, TypeError, ["X", "masked"]),
    ({"X": np.empty((0, 6))}, ValueError, ["X", "(0, 6)"]),
    ({"Y": np.ones((3, 6, 1))}, ValueError, ["Y", "(3, 6, 1)"]),
    ({"Y": np.ma.zeros(6, int)}, TypeError, ["Y", "masked"]),
    ({"Y": np.empty(0)}, ValueError, ["Y", "(0,)"]),
    ({"parameters": {1: 2}}, ValueError, ["parameters", "unknown", "1"]),
    ({"threads": "2"}, TypeError, ["threads", "'2'"]),
    ({"time_limit": 0}, ValueError, ["time_limit", "0"]),
    ({"time_limit": np.nan}, ValueError, ["time_limit", "nan"]),
    ({"time_limit": "1"}, TypeError, ["time_limit", "'1'"]),
    ({"executor": "threads"}, TypeError, ["executor", "str", "Executor"]),
    ({"executor": 3}, TypeError, ["executor", "int", "Executor"]),
    ({"checkpoint": 3}, TypeError, ["checkpoint", "3", "path"]),
    ({"checkpoint": "/nowhere/at/all.npz"}, FileNotFoundError, ["checkpoint", "/nowhere/at/all.npz"]),
]


@pytest.mark.parametrize(("changes", "kind", "words"), CHECK)
def test_check(changes, kind, words):
    refuses(kind, words, fc.check, **{**given(), **changes})
    refuses(kind, words, fc.testing.assert_gradients, **{**given(), **changes})


SWEEP = [
    ({"epsilons": []}, ValueError, ["epsilons", "empty"]),
    ({"epsilons": [0.0]}, ValueError, ["epsilons", "0.0"]),
    ({"epsilons": [np.nan]}, ValueError, ["epsilons", "nan"]),
    ({"epsilons": [1e-7, 1e200]}, ValueError, ["epsilons", "1e+200"]),
    ({"epsilons": 1e-7}, TypeError, ["epsilons", "float"]),
    ({"epsilons": "1e-7"}, TypeError, ["epsilons", "str"]),
    ({"epsilons": ["1e-7"]}, TypeError, ["epsilons", "'1e-7'"]),
    ({"engines": []}, ValueError, ["engines", "empty"]),
    ({"engines": "full"}, TypeError, ["engines", "'full'", "list"]),
    ({"engines": ["warp"]}, ValueError, ["engine", "warp", "reference"]),
    ({"engines": [None]}, TypeError, ["engine", "NoneType"]),
    ({"norm": 5}, ValueError, ["norm", "5"]),
    ({"threads": 0}, ValueError, ["threads", "0"]),
    ({"X": None}, TypeError, ["X", "object"]),
]


@pytest.mark.parametrize(("changes", "kind", "words"), SWEEP)
def test_sweep(changes, kind, words):
    refuses(kind, words, fc.sweep, **{**given(), **changes})


@pytest.mark.parametrize(("ask", "kind", "words"), [
    (lambda report: report.gradapprox_of("W9"), KeyError, ["W9", "W1, b1, W2, b2"]),
    (lambda report: report.tensor(3), KeyError, ["3", "W1, b1, W2, b2"]),
    (lambda report: report.worst(-1), ValueError, ["count", "-1"]),
    (lambda report: report.worst("a"), TypeError, ["count", "'a'"]),
    (lambda report: report.worst(1.5), TypeError, ["count", "1.5"]),
    (lambda report: report.to_json("/nowhere/at/all.json"), FileNotFoundError, ["/nowhere/at/all.json"]),
    (lambda report: report.to_json(3.5), TypeError, ["float"]),
    (lambda report: report.plot("/nowhere/at/all.png"), FileNotFoundError, ["/nowhere/at/all.png"]),
    (lambda report: report.plot("plot.xyz"), ValueError, ["xyz", "png"]),
])  # fmt: skip
def test_reports(ask, kind, words):
    report = fc.check(**given())
    kept = report.gradapprox.copy()
    refuses(kind, words, ask, report)
    np.testing.assert_array_equal(report.gradapprox, kept)


@pytest.mark.parametrize(("call", "kind", "words"), [
    (lambda: LABELS.initialize("a"), TypeError, ["seed", "'a'"]),
    (lambda: LABELS.initialize(-1), ValueError, ["seed", "-1"]),
    (lambda: LABELS.initialize(1.5), TypeError, ["seed", "1.5"]),
    (lambda: LABELS.to_vector(None), TypeError, ["parameters", "NoneType"]),
    (lambda: LABELS.to_parameters(None), TypeError, ["theta", "object"]),
    (lambda: LABELS.to_parameters("theta"), TypeError, ["theta", "<U5"]),
    (lambda: fc.Network([fc.Dense(4, 1)], "squared_error", l2=True), TypeError, ["l2", "True"]),
    (lambda: fc.Network([fc.Dense(4, 1)], "squared_error", l2=HUGE), ValueError, ["l2", "double precision"]),
    (lambda: fc.Network("ab", "squared_error"), TypeError, ["layers", "str"]),
    (lambda: fc.Network({}, "squared_error"), TypeError, ["layers", "dict"]),
    (lambda: fc.Network(iter([]), "squared_error"), TypeError, ["layers", "list_iterator"]),
    (lambda: fc.Dense(), TypeError, ["inputs", "outputs"]),
    (lambda: fc.Network.from_parameters({"W1": np.ones((2, 4)), "b1": None}), TypeError, ["b1", "object"]),
    (lambda: fc.Network.from_parameters({"W1": np.ones((2, 4)), "b1": np.ones(2), 3: 1}), ValueError, ["3", "W1"]),
    (lambda: load(None), TypeError, ["NoneType"]),
    (lambda: load("net"), ValueError, ["net", ".npz or .mat"]),
    (lambda: load("/nowhere/net.npz"), FileNotFoundError, ["/nowhere/net.npz"]),
])  # fmt: skip
def test_descriptions_and_files(call, kind, words):
    refuses(kind, words, call)


# --- the course -------------------------------------------------------------------------------------------------

X, Y, PARAMETERS = exercise()
GRADIENTS = gradients_with()
CACHE = course.forward_propagation_n(X, Y, PARAMETERS)[1]
COURSE = [
    ("gradient_check_n", (None, GRADIENTS, X, Y), TypeError, ["parameters", "NoneType"]),
    ("gradient_check_n", (PARAMETERS, None, X, Y), TypeError, ["gradients", "NoneType"]),
    ("gradient_check_n", ({}, GRADIENTS, X, Y), ValueError, ["parameters", "no weights"]),
    ("gradient_check_n", (PARAMETERS, {}, X, Y), ValueError, ["gradients", "W1 is missing"]),
    ("gradient_check_n", (GRADIENTS, PARAMETERS, X, Y), ValueError, ["parameters", "no weights"]),
    ("gradient_check_n", (PARAMETERS, GRADIENTS, None, Y), TypeError, ["X", "object"]),
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
    ("backward_propagation_n", (X, Y, (None,) * 4), TypeError, ["cache[0]", "object"]),
    ("backward_propagation_n", (X, Y, (0.5, CACHE)), ValueError, ["cache[1]"]),
    ("backward_propagation_n", (None, Y, CACHE), TypeError, ["X", "object"]),
    ("backward_propagation_n", (X[:2], Y, CACHE), ValueError, ["X", "(2, 3)", "(4, 3)"]),
    ("backward_propagation_n", (X[:, 0], Y, CACHE), ValueError, ["X", "(4,)"]),
    ("backward_propagation_n", (X, Y[..., :2], CACHE), ValueError, ["Y", "(2,)", "(1, 3)"]),
    ("backward_propagation_n", (X, "Y", CACHE), TypeError, ["Y", "<U1"]),
    ("dictionary_to_vector", (None,), TypeError, ["parameters", "NoneType"]),
    ("dictionary_to_vector", ({},), ValueError, ["parameters", "none"]),
    ("dictionary_to_vector", ({"W1": "a"},), TypeError, ["W1", "<U1"]),
    ("dictionary_to_vector", ({"W1": X + 1j},), TypeError, ["W1", "complex128"]),
    ("dictionary_to_vector", ({"W1": None},), TypeError, ["W1", "object"]),
    ("dictionary_to_vector", ({"W1": np.ma.array(X)},), TypeError, ["W1", "masked"]),
    ("vector_to_dictionary", (None,), TypeError, ["theta", "object"]),
    ("vector_to_dictionary", (np.ones(3),), ValueError, ["theta", "(3,)", "(47,)"]),
    ("vector_to_dictionary", (np.ones(47), 3), TypeError, ["like", "int"]),
    ("vector_to_dictionary", (np.ones(47), {}), ValueError, ["like", "no weights"]),
    ("vector_to_dictionary", (np.ones(5), PARAMETERS), ValueError, ["theta", "(5,)", "(47,)"]),
    ("gradients_to_vector", (None,), TypeError, ["gradients", "NoneType"]),
    ("gradients_to_vector", (PARAMETERS,), ValueError, ["gradients", "none"]),
    ("gradients_to_vector", ({"dW1": "x"},), TypeError, ["dW1", "<U1"]),
]


@pytest.mark.parametrize(("name", "arguments", "kind", "words"), COURSE)
def test_course(name, arguments, kind, words):
    refuses(kind, words, getattr(course, name), *arguments)


# --- the command line -------------------------------------------------------------------------------------------

COMMANDS = [
    ([], ["--help"]),
    (["chek"], ["chek"]),
    (["check"], ["FILE"]),
    (["check", "{file}", "{file}"], ["unrecognized"]),
    (["check", "{folder}"], ["unknown kind of file"]),
    (["check", "{folder}/none.npz"], ["none.npz", "No such file"]),
    (["check", "{folder}/none.h5"], ["'.h5'"]),
    (["check", "{empty}"], ["empty.npz", "damaged"]),
    (["check", ""], ["unknown kind"]),
    (["check", "{file}", "--epsilon", "0"], ["epsilon"]),
    (["check", "{file}", "--epsilon", "1e400"], ["epsilon", "inf"]),
    (["check", "{file}", "--epsilon", "1e-400"], ["epsilon", "0.0"]),
    (["check", "{file}", "--epsilon", "-1"], ["epsilon"]),
    (["check", "{file}", "--epsilon", ""], ["--epsilon"]),
    (["check", "{file}", "--tolerance", "inf"], ["tolerance"]),
    (["check", "{file}", "--tolerance", "x"], ["--tolerance"]),
    (["check", "{file}", "--norm", "0"], ["--norm"]),
    (["check", "{file}", "--engine", ""], ["engine", "reference"]),
    (["check", "{file}", "--method", "sample", "--samples", "0"], ["samples"]),
    (["check", "{file}", "--method", "sample", "--samples", "1.5"], ["--samples"]),
    (["check", "{file}", "--seed", "-1"], ["seed"]),
    (["check", "{file}", "--seed", "x"], ["--seed"]),
    (["check", "{file}", "--threads", "-2"], ["threads"]),
    (["check", "{file}", "--threads", "two"], ["--threads"]),
    (["check", "{file}", "--l2", "nan"], ["l2"]),
    (["check", "{file}", "--l2", "-1"], ["l2"]),
    (["check", "{file}", "--hidden", ""], ["activation"]),
    (["check", "{file}", "--hidden", "softmax"], ["softmax", "output layer"]),
    (["check", "{file}", "--output", "rellu"], ["rellu"]),
    (["check", "{file}", "--cost", "cross_entropy", "--output", "relu"], ["cross_entropy", "softmax"]),
    (["check", "{file}", "--json", "{folder}"], ["Is a directory"]),
    (["check", "{file}", "--json", "{folder}/no/r.json"], ["folder does not exist"]),
    (["check", "{file}", "--plot", "{folder}/no/r.png"], ["folder does not exist"]),
    (["check", "{file}", "--plot", "{folder}/r.xyz"], ["xyz"]),
    (["sweep"], ["FILE"]),
    (["sweep", "{folder}/none.mat"], ["none.mat"]),
    (["sweep", "{file}", "--engines", ""], ["engine"]),
    (["sweep", "{file}", "--engines", "full,warp"], ["warp"]),
    (["sweep", "{file}", "--epsilon", "1"], ["--epsilon"]),
    (["demo", "net.npz"], ["unrecognized"]),
]


@pytest.mark.parametrize(("argv", "words"), COMMANDS)
def test_command_line(tmp_path, capsys, argv, words):
    file, empty = tmp_path / "net.npz", tmp_path / "empty.npz"
    np.savez(file, X=X, Y=Y, **PARAMETERS, **{name: GRADIENTS[name] for name in GRADIENTS if name[1] in "Wb"})
    empty.touch()
    before = {path: path.read_bytes() for path in (file, empty)}
    places = {"file": file, "empty": empty, "folder": tmp_path}
    try:
        status = main([argument.format(**places) for argument in argv])
    except SystemExit as end:
        status = end.code
    shown = capsys.readouterr()
    assert status == 2
    assert shown.err.count("\n") == 1
    for word in words:
        assert word in shown.err
    assert {path: path.read_bytes() for path in (file, empty)} == before
    assert {path.name for path in Path(tmp_path).iterdir()} == {"net.npz", "empty.npz", "temporary"}
