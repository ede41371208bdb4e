"""Parts of gradients, refusals by name, square arrays that may be read both ways, and arrays of other packages."""

from importlib.util import find_spec

import numpy as np
import pytest

import fastcheck as fc
from tests.support.refusals import given, refuses

RNG = np.random.default_rng(3)


def test_a_part_of_the_gradients_checks_that_part_and_says_so():
    case = given()
    part = {name: case["gradients"][name] for name in ("dW2", "db2")}
    report = fc.check(**case | {"gradients": part})
    assert report.ok
    assert report.indices.tolist() == list(range(25, 43))
    assert "Nothing was checked of W1 and b1." in report.notes
    part["dW2"] = 2.0 * part["dW2"]
    report = fc.check(**case | {"gradients": part})
    assert [t.name for t in report.failures] == ["W2"]


@pytest.mark.parametrize("method", ["sample", "directional"])
def test_a_part_by_other_methods(method):
    case = given()
    part = {"db2": case["gradients"]["db2"], "dW1": None}
    assert fc.check(**case | {"gradients": part, "method": method}).ok
    assert not fc.check(**case | {"gradients": {"db2": -part["db2"]}, "method": method}).ok


def test_what_back_propagation_computes_on_its_way_is_ignored():
    case = given()
    beside = {"dZ2": np.ones((3, 6)), "dA1": np.ones((5, 6)), "A1": 1, "loss": 0.5}
    assert fc.check(**case | {"gradients": case["gradients"] | beside, "parameters": case["parameters"] | {"Z1": 1}}).ok


@pytest.mark.parametrize(("changes", "words"), [
    ({"dW2": None, "dWW2": 1}, ["unknown", "dWW2", "did you mean 'dW2'"]),
    ({"dgamma1": 1}, ["unknown", "dgamma1"]), ({"weight_decay": 0.1}, ["unknown", "weight_decay"]),
    ({"dW3": np.ones((3, 3))}, ["unknown", "dW3"]),
    ({"dW1": np.ones((4, 5)), "dZ1": 0}, ["dW1", "(5, 4)", "(4, 5)", "transposed", "dW1.T"]),
    ({"db1": np.ones((1, 5)), "dZ1": 0}, ["db1", "(5, 1)", "(1, 5)"]),
    ({"dW1": np.ones((5, 3)), "dZ1": 0}, ["dW1", "(5, 4)", "(5, 3)"]),
])
def test_misspelt_and_misshapen_gradients(changes, words):
    case = given()
    gradients = {name: value for name, value in (case["gradients"] | changes).items() if value is not None}
    refuses(ValueError, words, fc.check, **case | {"gradients": gradients})


def test_watch_and_sweep_take_no_part():
    case = given()
    case["gradients"] = {"dW2": case["gradients"]["dW2"]}
    refuses(ValueError, ["gradients", "W1"], fc.sweep, **case)


@pytest.mark.parametrize(("written", "meant"), [
    ("ReLU", "relu"), ("linear", "identity"), ("swish", "silu"), ("Leaky-ReLU", "leaky_relu"), ("Tanh", "tanh"),
    ("logistic", "sigmoid"), ("LeakyReLU", "leaky_relu"),
])
def test_activations_have_other_names(written, meant):
    assert fc.Dense(2, 3, written).activation == meant


@pytest.mark.parametrize(("written", "meant"), [("mse", "mean_squared_error"), ("MSELoss", "mean_squared_error"),
                                                ("quadratic", "squared_error"), ("Squared-Error", "squared_error")])
def test_costs_have_other_names(written, meant):
    assert fc.Network([fc.Dense(2, 3)], cost=written).cost == meant


@pytest.mark.parametrize("written", ["rellu", "RELLU"])
def test_what_is_near_is_offered(written):
    refuses(ValueError, [written, "did you mean 'relu'"], fc.Dense, 2, 3, written)


def square(samples, weights):
    """A network whose arrays are all square, and its gradients, laid out so."""
    net = fc.Network([fc.Dense(4, 4, "tanh"), fc.Dense(4, 4, "softmax")], cost="cross_entropy")
    parameters, X, Y = net.initialize(1), RNG.standard_normal((4, 4)), np.array([0, 2, 1, 1])
    gradients = net.gradients(parameters, X, Y)
    if weights == "in_out":
        parameters, gradients = ({name: array.T if "W" in name else array for name, array in one.items()}
                                 for one in (parameters, gradients))
    if samples == "rows":
        X = X.T
    return net, parameters, gradients, X, Y


@pytest.mark.parametrize(("samples", "weights", "words"), [
    ("rows", "out_in", 'agree with samples in rows: fastcheck.Network(..., samples="rows")'),
    ("columns", "in_out", 'agree with weights as (inputs, outputs): fastcheck.Network(..., weights="in_out")'),
    ("rows", "in_out", 'fastcheck.Network(..., samples="rows", weights="in_out")'),
])
def test_another_reading_of_square_arrays_is_named(samples, weights, words):
    net, *call = square(samples, weights)
    report = fc.check(net, *call)
    assert report.verdict == "fail"
    assert words in str(" ".join(report.notes))
    told = fc.Network(net.layers, net.cost, samples=samples, weights=weights)
    assert fc.check(told, *call).ok


def test_a_single_transposed_matrix_is_named():
    net, parameters, gradients, X, Y = square("columns", "out_in")
    wrong = gradients | {"dW2": gradients["dW2"].T}
    assert "The gradients agree if dW2 is transposed." in fc.check(net, parameters, wrong, X, Y).notes
    turned = parameters | {"W1": parameters["W1"].T}, gradients | {"dW1": gradients["dW1"].T}
    assert "The gradients agree if W1 and dW1 are transposed." in fc.check(net, *turned, X, Y).notes
    random = gradients | {"dW2": gradients["dW2"] + RNG.standard_normal((4, 4))}
    assert not any("agree" in note for note in fc.check(net, parameters, random, X, Y).notes)


def test_what_was_found_out_is_said():
    case = given()
    rows = fc.check(**case | {"X": case["X"].T})
    assert rows.ok
    assert "Samples were read in rows, as the shapes tell." in rows.notes
    assert not fc.check(**case).notes or "rows" not in " ".join(fc.check(**case).notes)


@pytest.mark.skipif(find_spec("torch") is None, reason="PyTorch is not installed")
def test_torch_tensors_with_gradients_are_read():
    import torch

    case = given()
    tensors = {name: torch.tensor(array, requires_grad=True) for name, array in case["parameters"].items()}
    gradients = {name: torch.tensor(array) for name, array in case["gradients"].items()}
    assert fc.check(**case | {"parameters": tensors, "gradients": gradients, "X": torch.tensor(case["X"])}).ok
    half = {name: value.detach().bfloat16() for name, value in tensors.items()}
    refuses(TypeError, ["W1", "bfloat16", "float()"], fc.check, **case | {"parameters": half})
    sparse = tensors | {"W1": torch.eye(5, 4).to_sparse()}
    refuses(TypeError, ["W1", "to_dense()"], fc.check, **case | {"parameters": sparse})
    refuses(TypeError, ["parameters", "torch", "fastcheck.torch.gradcheck"], fc.check_function, lambda p: p.sum(),
            torch.ones(2), np.ones(2))
    refuses(TypeError, ["x in inputs", "torch", "fastcheck.torch.gradcheck"], fc.check_vjp, lambda x: x,
            lambda d, x: d, (torch.ones(2),))
    assert fc.check_function(lambda p: float(p @ p), np.ones(2), torch.full((2,), 2.0, dtype=torch.float64)).ok


class OnADevice:
    """An array as CuPy has it: NumPy may not convert it, ``get`` brings it here."""

    __module__ = "cupy"

    def __init__(self, array):
        self.array, self.shape, self.dtype, self.ndim = array, array.shape, array.dtype, array.ndim

    def __array__(self, dtype=None, copy=None):
        raise TypeError("Implicit conversion to a NumPy array is not allowed")

    def get(self):
        return self.array


class Frame:
    """A table as pandas has it."""

    def __init__(self, array):
        self.array = array

    def __array__(self, dtype=None, copy=None):
        return self.array


@pytest.mark.parametrize("kind", [OnADevice, Frame])
def test_arrays_of_other_packages_are_read(kind):
    case = given()
    others = {name: {key: kind(array) for key, array in case[name].items()} for name in ("parameters", "gradients")}
    assert fc.check(**case | others | {"X": kind(case["X"]), "Y": kind(case["Y"])}).ok


def test_scipys_sparse_matrices_are_refused_by_name():
    from scipy.sparse import csr_array

    case = given()
    refuses(TypeError, ["W1", "csr_array", "toarray()"], fc.check,
            **case | {"parameters": case["parameters"] | {"W1": csr_array(case["parameters"]["W1"])}})


@pytest.mark.parametrize(("structure", "words"), [
    ({"W1": np.ones((5, 4)), "b1": np.ones(5), "W2": np.ones((3, 5))}, ["b2", "missing"]),
    ({"fc1.weight": np.ones((5, 4)), "fc2.weight": np.ones((3, 6))}, ["fc2.weight", "(n_2, 5)", "(3, 6)"]),
    ([(np.ones((5, 4)), np.ones(5)), (np.ones((3, 5)), np.ones(4))], ["[1][1]", "(3, 1)", "(4,)"]),
    ({"w0": np.ones((5, 4)), "w2": np.ones((3, 5))}, ["W1", "missing", "w0, w2"]),
])
def test_parameters_that_do_not_chain(structure, words):
    refuses(ValueError, words, fc.Network.from_parameters, structure)


def test_a_layer_without_bias_among_others():
    parameters = {"W1": np.ones((5, 4)), "b1": None, "W2": np.ones((3, 5)), "b2": np.ones(3)}
    net = fc.Network.from_parameters(parameters, "tanh", "softmax")
    X, Y = RNG.standard_normal((4, 7)), RNG.integers(0, 3, 7)
    gradients = net.gradients(parameters, X, Y)
    assert list(gradients) == ["dW1", "dW2", "db2"]
    report = fc.check(net, parameters, gradients, X, Y)
    assert report.ok
    assert [t.name for t in report.tensors] == ["W1", "W2", "b2"]


def zero_based(case):
    rename = {"W1": "w0", "b1": "b0", "W2": "w1", "b2": "b1"}
    return {rename[name]: array for name, array in case["parameters"].items()}


def test_numbers_from_zero_and_from_one_are_matched_where_all_are_there():
    case = given()
    assert fc.check(**case | {"parameters": zero_based(case)}).ok
    assert fc.check(**case | {"parameters": [case["parameters"][name] for name in ("W1", "b1", "W2", "b2")]}).ok
    part = {"dW2": case["gradients"]["dW2"]}
    refuses(ValueError, ["unknown", "dW2"], fc.check, **case | {"parameters": zero_based(case), "gradients": part})


@pytest.mark.parametrize(("changes", "kind", "words"), [
    (lambda c: {"parameters": c["gradients"], "gradients": c["parameters"]}, ValueError,
     ["parameters", "got the gradients dW1, db1"]),
    (lambda c: {"gradients": [(c["gradients"][f"dW{k}"], c["gradients"][f"db{k}"]) for k in (2, 1)]}, ValueError,
     ["gradients", "reverse", "gradients[::-1]"]),
    (lambda c: {"parameters": c["net"].to_vector(c["parameters"])}, TypeError, ["ndarray", "net.to_parameters(theta)"]),
    (lambda c: {"X": np.ones((6, 5))}, ValueError, ["(4, m)", "(m, 4), in rows", "(6, 5)"]),
    (lambda c: {"Y": np.eye(3)[c["Y"]]}, ValueError, ["Y", "(6, 3)", "pass Y.T"]),
])
def test_what_is_the_matter_is_said(changes, kind, words):
    case = given()
    refuses(kind, words, fc.check, **case | changes(case))
