"""Input that cannot be used: refused by name, with what was found and what was wanted, and nothing changed."""

import numpy as np
import pytest

import fastcheck as fc
from fastcheck.course import gradient_check_n
from tests.support.course_exercise import exercise, gradients_with
from tests.support.refusals import LABELS, arrays_in, given, refuses


def changed(**changes):
    """The same with some of it replaced; ``W1=...`` and ``dW1=...`` replace one tensor, None takes it away."""
    case = given()
    for name, value in changes.items():
        place = case["gradients"] if name[0] == "d" else case["parameters"] if name[0] in "Wb" else case
        place[name] = value
        if value is None:
            del place[name]
    return case


TENSORS = [
    ("W1", np.ones((4, 5)), ValueError, ["W1", "(4, 5)", "(5, 4)"]),
    ("W2", np.ones(15), ValueError, ["W2", "(15,)", "(3, 5)"]),
    ("W2", np.ones((1, 3, 5)), ValueError, ["W2", "(1, 3, 5)", "(3, 5)"]),
    ("b1", np.ones((1, 5)), ValueError, ["b1", "(1, 5)", "(5, 1)", "(5,)"]),
    ("b2", 1.0, ValueError, ["b2", "()", "(3, 1)"]),
    ("W1", np.ones((5, 4), complex), TypeError, ["W1", "complex128", "real"]),
    ("W1", np.full((5, 4), None), TypeError, ["W1", "object"]),
    ("W1", np.full((5, 4), "1.0"), TypeError, ["W1", "<U3"]),
    ("W1", [[1.0, 2.0], [3.0]], ValueError, ["W1"]),
    ("W1", np.ma.ones((5, 4)), TypeError, ["W1", "masked"]),
    ("W1", np.zeros((5, 4), "datetime64[s]"), TypeError, ["W1", "datetime64"]),
]
GONE = [
    ("W2", None, ValueError, ["W2", "missing", "(3, 5)"]),
    ("b1", None, ValueError, ["b1", "missing", "(5, 1)"]),
]
EXTRA = [
    ("W3", np.ones((3, 3)), ValueError, ["W3", "unknown", "W1, b1, W2, b2"]),
    ("bias", np.ones(3), ValueError, ["bias", "unknown"]),
]


@pytest.mark.parametrize(("name", "value", "kind", "words"), TENSORS + GONE + EXTRA)
def test_parameters(name, value, kind, words):
    case = changed(**{name: value})
    refuses(kind, words, fc.check, **case)
    net, parameters = case["net"], case["parameters"]
    refuses(kind, words, net.cost_of, parameters, case["X"], case["Y"])
    refuses(kind, words, net.gradients, parameters, case["X"], case["Y"])
    refuses(kind, words, net.to_vector, parameters)


@pytest.mark.parametrize(("name", "value", "kind", "words"), [*TENSORS, EXTRA[0]])
def test_gradients(name, value, kind, words):
    refuses(kind, words, fc.check, **changed(**{f"d{name}": value}))


def test_gradients_under_both_names():
    refuses(ValueError, ["W1", "dW1"], fc.check, **(case := given()) | {"gradients": case["gradients"] | {"W1": 1}})


@pytest.mark.parametrize("name", ["parameters", "gradients"])
@pytest.mark.parametrize("value", [None, [1.0], np.ones(43), "W1"])
def test_other_things_than_dictionaries(name, value):
    refuses(TypeError, [name, "dictionary", type(value).__name__], fc.check, **given() | {name: value})


def test_no_parameters():
    refuses(ValueError, ["W1", "missing"], fc.check, **given() | {"parameters": {}})
    refuses(ValueError, ["W1", "missing"], fc.check, **given() | {"gradients": {}})
    refuses(ValueError, ["no weights"], fc.Network.from_parameters, {})
    refuses(ValueError, ["layers", "empty"], fc.Network, [], "squared_error")


def test_network_of_another_kind():
    refuses(TypeError, ["net", "Network", "list"], fc.check, **given() | {"net": [fc.Dense(4, 3)]})


X_AND_Y = [
    ("X", np.ones((3, 6)), ValueError, ["X", "(3, 6)", "(4, m)"]),
    ("X", np.ones((6, 3)), ValueError, ["X", "(6, 3)", "(4, m)"]),
    ("X", np.ones(4), ValueError, ["X", "(4,)", "(4, m)"]),
    ("X", np.ones((4, 0)), ValueError, ["X", "empty batch", "(4, 0)"]),
    ("X", np.ones((4, 5)), ValueError, ["Y", "(6,)", "(3, 5)"]),
    ("X", np.ones((4, 6), complex), TypeError, ["X", "complex128"]),
    ("X", np.full((4, 6), "a"), TypeError, ["X", "<U1"]),
    ("X", np.full((4, 6), None), TypeError, ["X", "object"]),
    ("X", None, TypeError, ["X", "None"]),
    ("Y", np.zeros(7, int), ValueError, ["Y", "(7,)", "(3, 6)", "(6,)"]),
    ("Y", np.zeros((6, 3)), ValueError, ["Y", "(6, 3)", "(3, 6)"]),
    ("Y", np.zeros((6, 1)), ValueError, ["Y", "(6, 1)", "(3, 6)", "Y.ravel()"]),
    ("Y", 1, ValueError, ["Y", "()", "(3, 6)"]),
    ("Y", np.array([0, 1, 2, 3, 0, 0]), ValueError, ["Y", "3", "0 to 2"]),
    ("Y", np.array([0, 1, 2, -1, 0, 0]), ValueError, ["Y", "-1", "0 to 2"]),
    ("Y", np.array([0, 1, 2, 0.5, 0, 0]), ValueError, ["Y", "integers"]),
    ("Y", np.array([0, 1, 2, np.nan, 0, 0]), ValueError, ["Y", "integers"]),
    ("Y", np.full((3, 6), 0.5), ValueError, ["Y", "sum to one", "1.5"]),
    ("Y", np.full((3, 6), 1.5), ValueError, ["Y", "between 0 and 1", "1.5"]),
    ("Y", np.full(6, "cat"), TypeError, ["Y", "<U3"]),
    ("Y", np.zeros(6, complex), TypeError, ["Y", "complex128"]),
    ("Y", None, TypeError, ["Y", "None"]),
]


@pytest.mark.parametrize(("name", "value", "kind", "words"), X_AND_Y)
def test_data(name, value, kind, words):
    case = given() | {name: value}
    refuses(kind, words, fc.check, **case)
    refuses(kind, words, case["net"].cost_of, case["parameters"], case["X"], case["Y"])
    refuses(kind, words, case["net"].gradients, case["parameters"], case["X"], case["Y"])


@pytest.mark.parametrize("Y", [np.array([0.0, 2.0, 1.0]), np.array([-0.1, 0.5, 1.0])])
def test_binary_targets_out_of_range(Y):
    net = fc.Network([fc.Dense(4, 1, "sigmoid")], "binary_cross_entropy")
    refuses(ValueError, ["Y", "between 0 and 1"], net.cost_of, net.initialize(0), np.ones((4, 3)), Y)


# --- options ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["response", "full", "reference"])
@pytest.mark.parametrize(("options", "kind", "words"), [
    ({"epsilon": 0}, ValueError, ["epsilon", "0"]),
    ({"epsilon": -1e-7}, ValueError, ["epsilon", "-1e-07"]),
    ({"epsilon": np.nan}, ValueError, ["epsilon", "nan"]),
    ({"epsilon": np.inf}, ValueError, ["epsilon", "inf"]),
    ({"epsilon": "1e-7"}, TypeError, ["epsilon", "1e-7"]),
    ({"epsilon": True}, TypeError, ["epsilon", "True"]),
    ({"epsilon": 1e-7j}, TypeError, ["epsilon"]),
    ({"norm": 3}, ValueError, ["norm", "3", "1, 2"]),
    ({"norm": "max"}, TypeError, ["norm", "max", "1, 2"]),
    ({"norm": np.nan}, ValueError, ["norm", "nan"]),
    ({"tolerance": -1e-7}, ValueError, ["tolerance", "-1e-07"]),
    ({"tolerance": np.nan}, ValueError, ["tolerance", "nan"]),
    ({"tolerance": "small"}, TypeError, ["tolerance", "small"]),
    ({"method": "some"}, ValueError, ["method", "some", "all"]),
    ({"seed": "x"}, TypeError, ["seed"]),
    ({"threads": 0}, ValueError, ["threads", "0"]),
    ({"threads": 1.5}, TypeError, ["threads", "1.5"]),
    ({"memory_limit": -1}, ValueError, ["memory_limit", "-1"]),
])
def test_options(engine, options, kind, words):
    refuses(kind, words, fc.check, **given(), engine=engine, **options)


@pytest.mark.parametrize("value", ["warp", "Response", ""])
def test_unknown_engine(value):
    refuses(ValueError, ["engine", repr(value), "response, full, reference"], fc.check, **given(), engine=value)
    refuses(TypeError, ["engine", "int"], fc.check, **given(), engine=3)


@pytest.mark.parametrize("engine", ["full", "reference"])
def test_epsilon_lost_in_rounding(engine):
    case = given()
    case["parameters"]["W2"][1, 2] = 1e12
    refuses(ValueError, ["epsilon", "1e-07", "rounding", "W2", "1e+12"], fc.check, **case, engine=engine)
    with np.errstate(all="ignore"):
        assert fc.check(**case, engine="reference", epsilon=1.0).epsilon == 1.0


# --- description ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("arguments", "kind", "words"), [
    ((0, 3), ValueError, ["inputs", "0"]),
    ((3, -1), ValueError, ["outputs", "-1"]),
    ((3.0, 1), TypeError, ["inputs", "3.0"]),
    ((3, "4"), TypeError, ["outputs", "4"]),
    ((True, 1), TypeError, ["inputs", "True"]),
    ((3, 1, "rellu"), ValueError, ["activation", "rellu", "relu", "gelu_tanh", "softmax"]),
    ((3, 1, None), TypeError, ["activation", "NoneType", "relu"]),
    ((3, 1, "relu", 1.0), ValueError, ["dropout", "1.0", "[0, 1)"]),
    ((3, 1, "relu", -0.1), ValueError, ["dropout", "-0.1"]),
    ((3, 1, "relu", np.nan), ValueError, ["dropout", "nan"]),
    ((3, 1, "relu", "half"), TypeError, ["dropout", "half"]),
])
def test_layers(arguments, kind, words):
    refuses(kind, words, fc.Dense, *arguments)


def chain(*layers):
    return [fc.Dense(*layer) for layer in layers]


@pytest.mark.parametrize(("layers", "options", "kind", "words"), [
    (chain((4, 5), (6, 3)), {"cost": "squared_error"}, ValueError, ["layer 2", "6", "layer 1", "5"]),
    (chain((4, 5, "softmax"), (5, 3)), {"cost": "squared_error"}, ValueError, ["softmax", "output", "layer 1"]),
    (chain((4, 5)), {"cost": "hinge"}, ValueError, ["cost", "hinge", "cross_entropy", "squared_error"]),
    (chain((4, 5)), {"cost": None}, TypeError, ["cost", "NoneType"]),
    (chain((4, 5, "relu")), {"cost": "cross_entropy"}, ValueError, ["cross_entropy", "softmax", "relu"]),
    (chain((4, 1, "sigmoid")), {"cost": "cross_entropy"}, ValueError, ["sigmoid", "or 'binary_cross_entropy'"]),
    (chain((4, 5)), {"cost": "squared_error", "l2": -1}, ValueError, ["l2", "-1"]),
    (chain((4, 5)), {"cost": "squared_error", "l2": np.nan}, ValueError, ["l2", "nan"]),
    (chain((4, 5)), {"cost": "squared_error", "l2": np.inf}, ValueError, ["l2", "inf"]),
    (chain((4, 5)), {"cost": "squared_error", "l2": "0.1"}, TypeError, ["l2", "0.1"]),
    (chain((4, 5)), {"cost": "squared_error", "l2": 1j}, TypeError, ["l2", "1j"]),
    ([(4, 5)], {"cost": "squared_error"}, TypeError, ["layer 1", "tuple", "Dense"]),
    (fc.Dense(4, 5), {"cost": "squared_error"}, TypeError, ["list of Dense", "Dense"]),
    (None, {"cost": "squared_error"}, TypeError, ["layers", "NoneType"]),
])
def test_networks(layers, options, kind, words):
    refuses(kind, words, fc.Network, layers, **options)


@pytest.mark.parametrize(("tensors", "options", "kind", "words"), [
    ({"W1": np.ones((5, 4)), "b1": np.ones(5), "W2": np.ones((3, 6)), "b2": np.ones(3)}, {}, ValueError,
     ["W2", "(3, 6)", "(n_2, 5)", "W1"]),
    ({"W1": np.ones((5, 4)), "W2": np.ones((3, 5)), "b2": np.ones(3)}, {}, ValueError, ["b1", "missing", "(5, 1)"]),
    ({"W1": np.ones((5, 4)), "b1": np.ones(5), "W3": np.ones((3, 5)), "b3": np.ones(3)}, {}, ValueError,
     ["W2", "missing"]),
    ({"W1": np.ones(5), "b1": np.ones(5)}, {}, ValueError, ["W1", "(5,)"]),
    ({"W1": np.ones((0, 4)), "b1": np.ones(0)}, {}, ValueError, ["W1", "(0, 4)"]),
    ({"W1": np.ones((1, 4)), "b1": np.ones(1), "c": np.ones(1)}, {}, ValueError, ["c", "unknown"]),
    ({"W1": np.ones((1, 4)), "b1": np.ones(1)}, {"hidden": "rellu"}, ValueError, ["activation", "rellu"]),
    ({"W1": np.ones((1, 4)), "b1": np.ones(1)}, {"output": "logit"}, ValueError, ["activation", "logit"]),
    ({"W1": np.ones((1, 4)), "b1": np.ones(1)}, {"cost": "logit"}, ValueError, ["cost", "logit"]),
    ([1.0, 2.0], {}, TypeError, ["parameters", "dictionary", "list"]),
])
def test_networks_from_parameters(tensors, options, kind, words):
    refuses(kind, words, fc.Network.from_parameters, tensors, **options)


@pytest.mark.parametrize("theta", [np.ones(42), np.ones((43, 2)), np.ones((1, 43)), 3.0])
def test_vectors(theta):
    refuses(ValueError, ["theta", str(np.shape(theta)), "(43,)"], LABELS.to_parameters, theta)
    refuses(TypeError, ["theta", "complex128"], LABELS.to_parameters, np.ones(43, complex))


def test_dropout_is_refused_with_the_way_out():
    net = fc.Network([fc.Dense(4, 5, "relu", dropout=0.3), fc.Dense(5, 3, "softmax")], cost="cross_entropy")
    refuses(ValueError, ["layer 1", "dropout 0.3", "random", "without_dropout"], fc.check, **given() | {"net": net})
    assert fc.check(**given() | {"net": net.without_dropout()}, engine="reference", epsilon=1e-5).verdict != "fail"


# --- nothing changes --------------------------------------------------------------------------------------------


class Stop(Exception):
    pass


@pytest.mark.parametrize("stop", [Stop, KeyboardInterrupt, MemoryError])
@pytest.mark.parametrize("engine", ["response", "full", "reference"])
def test_arrays_stay_as_they_are_when_the_run_is_ended(engine, stop):
    calls = []

    def progress(done, total):
        calls.append((done, total))
        raise stop

    refuses(stop, [], fc.check, **given(), engine=engine, progress=progress)
    assert calls


@pytest.mark.parametrize("engine", ["response", "full", "reference"])
def test_arrays_stay_as_they_are(engine):
    case = given()
    for array in arrays_in(case.values()):
        array.flags.writeable = False
    report = fc.check(**case, engine=engine, epsilon=1e-5)
    assert report.verdict != "fail"
    kept = report.gradapprox.copy()
    for array in arrays_in(given().values()):
        array[...] = 0
    np.testing.assert_array_equal(report.gradapprox, kept)


def test_course_functions_change_nothing():
    X, Y, parameters = exercise()
    gradients = gradients_with("dW2")
    for array in arrays_in((X, Y, parameters, gradients)):
        array.flags.writeable = False
    gradient_check_n(parameters, gradients, X, Y)
    with pytest.raises(ValueError, match="X"):
        gradient_check_n(parameters, gradients, X[:2], Y)


def test_ctrl_c_in_the_course_changes_nothing(monkeypatch):
    X, Y, parameters = exercise()
    gradients = gradients_with()
    before = {name: array.copy() for name, array in parameters.items()}

    def interrupted(*given):
        raise KeyboardInterrupt

    monkeypatch.setattr("fastcheck.engines.reference.textbook_cost", interrupted)
    with pytest.raises(KeyboardInterrupt):
        gradient_check_n(parameters, gradients, X, Y)
    for name, array in before.items():
        np.testing.assert_array_equal(parameters[name], array)
