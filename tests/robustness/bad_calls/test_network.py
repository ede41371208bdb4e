"""check, sweep, reports and descriptions of networks with calls that cannot work: refused by name in one line."""

from decimal import Decimal

import numpy as np
import pytest

import fastcheck as fc
from fastcheck.problems.files.npz import load
from tests.support.refusals import LABELS, given, refuses

HUGE = 10**400


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
    ({"X": np.ones((4, 6, 1))}, ValueError, ["X", "(4, 6, 1)", "flatten"]),
    ({"X": np.ones(4), "Y": np.ones(1, int)}, ValueError, ["X", "(4,)", "X.reshape(4, 1)"]),
    ({"X": np.ones((6, 4)), "Y": np.eye(3)[:, [0, 1, 2, 0, 1, 2]]}, ValueError, ["Y", "(3, 6)", "in rows", "pass Y.T"]),
    ({"Y": np.array([1, 2, 3, 1, 2, 3])}, ValueError, ["Y", "1 to 3", "pass Y - 1"]),
    ({"Y": np.array(list("abcabc"))}, TypeError, ["Y", "<U1", "np.unique"]),
    ({"X": np.ones((6, 4)), "Y": np.array(list("abcabc"))}, TypeError, ["Y", "<U1", "np.unique"]),
    ({"X": np.ones((6, 4)), "Y": np.array(list("abcabc"), object)}, TypeError, ["Y", "object", "np.unique"]),
    ({"X": np.ones((6, 4)), "Y": np.array([0, 1, 2, 3, 1, 0])}, ValueError, ["Y", "0 to 3"]),
    ({"net": fc.Network}, TypeError, ["net", "the class Network", "an instance"]),
    ({"net": [4, 5, 3]}, TypeError, ["net", "list", "fastcheck.Network.from_parameters"]),
    ({"gradients": lambda p, X, Y: None}, TypeError, ["gradients", "None", "return statement"]),
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
    ({"X": None}, TypeError, ["X", "None"]),
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
    (lambda report: report.plot(3), TypeError, ["path", "int 3"]),
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
    (lambda: LABELS.to_parameters(None), TypeError, ["theta", "None"]),
    (lambda: LABELS.to_parameters("theta"), TypeError, ["theta", "'theta'"]),
    (lambda: fc.Network([fc.Dense(4, 1)], "squared_error", l2=True), TypeError, ["l2", "True"]),
    (lambda: fc.Network([fc.Dense(4, 1)], "squared_error", l2=HUGE), ValueError, ["l2", "double precision"]),
    (lambda: fc.Network("ab", "squared_error"), TypeError, ["layers", "str"]),
    (lambda: fc.Network({}, "squared_error"), TypeError, ["layers", "dict"]),
    (lambda: fc.Network(iter([]), "squared_error"), TypeError, ["layers", "list_iterator"]),
    (lambda: fc.Dense(), TypeError, ["inputs", "outputs"]),
    (lambda: fc.Network.from_parameters({"W1": np.ones((2, 4)), "b1": "?"}), TypeError, ["b1", "'?'"]),
    (lambda: fc.Network.from_parameters({"W1": np.ones((2, 4)), "b1": np.ones(2), 3: 1}), ValueError, ["3", "W1"]),
    (lambda: load(None), TypeError, ["NoneType"]),
    (lambda: load("net"), FileNotFoundError, ["net"]),
    (lambda: load(__file__), ValueError, [".npz or .mat", "fastcheck run"]),
    (lambda: fc.estimate(LABELS, np.ones((4, 600))), TypeError, ["samples", "ndarray of shape (4, 600)", "one number"]),
    (lambda: fc.Network([fc.Dense], "cross_entropy"), TypeError, ["layers", "the class Dense", "Dense(...)"]),
    (lambda: fc.Network([4, 3], "cross_entropy"), TypeError, ["layers", "int", "Dense(inputs, outputs, activation)"]),
    (lambda: fc.Network.from_parameters([4, 5, 3]), TypeError, ["parameters", "a list of int"]),
    (lambda: fc.Network.from_parameters({"W1": np.ones((2, 4))}, hidden=["tanh"]), TypeError,
     ["hidden", "list", "Network([Dense("]),
    (lambda: fc.Network.from_parameters({"W1": np.ones((2, 4))}, hidden=np.tanh), TypeError,
     ["hidden activation", "'tanh'"]),
    (lambda: load("/nowhere/net.npz"), FileNotFoundError, ["/nowhere/net.npz"]),
])  # fmt: skip
def test_descriptions_and_files(call, kind, words):
    refuses(kind, words, call)


@pytest.mark.parametrize(("output", "cost"), [("sigmoid", "binary_cross_entropy"), ("identity", "mean_squared_error")])
def test_class_numbers_for_costs_that_do_not_take_them(output, cost):
    net = fc.Network([fc.Dense(4, 5, "relu"), fc.Dense(5, 3, output)], cost=cost)
    refuses(ValueError, ["Y", "(6,)", "np.eye(3)[:, Y]"], fc.check, **{**given(), "net": net})


def test_a_gradient_of_a_bias_that_the_parameters_leave_out():
    """"did you mean 'db2'?" was asked."""
    call = given()
    call["parameters"] = {**call["parameters"], "b1": None}
    refuses(ValueError, ["gradients", "got db1", "of b1, which parameters leave out"], fc.check, **call)
