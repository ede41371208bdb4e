"""Arrays of every kind NumPy has: the same numbers give the same report, and the arrays stay what they were."""

import numpy as np
import pytest

import fastcheck as fc
from fastcheck import course
from tests.support.course_exercise import exercise, gradients_with


class Tagged(np.ndarray):
    """A subclass with ideas of its own about arithmetic."""

    def __array_ufunc__(self, *arguments, **options):
        raise AssertionError("arithmetic on the caller's own type")


def strided(array):
    wide = np.full([2 * n for n in array.shape], np.nan)
    wide[tuple(slice(None, None, 2) for _ in array.shape)] = array
    return wide[tuple(slice(None, None, 2) for _ in array.shape)]


def read_only(array):
    locked = array.copy()
    locked.flags.writeable = False
    return locked


def unaligned(array):
    raw = bytearray(array.nbytes + 1)
    moved = np.frombuffer(raw, array.dtype, offset=1, count=array.size).reshape(array.shape)
    moved[...] = array
    assert not moved.flags.aligned
    return moved


def reversed_strides(array):
    turn = tuple(slice(None, None, -1) for _ in array.shape)
    return np.ascontiguousarray(array[turn])[turn]


def mapped(array, tmp_path):
    # a file as large as the array behind it
    file = np.memmap(tmp_path / f"{array.size}.bin", array.dtype, "w+", shape=array.shape)
    file[...] = array
    return file


EXACT = {
    "read-only": read_only,
    "strided": strided,
    "fortran": np.asfortranarray,
    "reversed": reversed_strides,
    "unaligned": unaligned,
    "big-endian": lambda array: array.astype(">f8"),
    "longdouble": lambda array: array.astype(np.longdouble),
    "matrix": lambda array: array.view(np.matrix) if array.ndim == 2 else array,  # with its own idea of products
    "subclass": lambda array: array.view(Tagged),
    "lists": lambda array: array.tolist(),
    "read-only fortran big-endian": lambda array: read_only(np.asfortranarray(array.astype(">f8"))),
}
NET = fc.Network([fc.Dense(4, 5, "tanh"), fc.Dense(5, 3, "softmax")], cost="cross_entropy")


def case():
    rng = np.random.default_rng(0)
    X, Y, parameters = rng.standard_normal((4, 6)), rng.integers(0, 3, 6).astype(float), NET.initialize(0)
    return {"parameters": parameters, "gradients": NET.gradients(parameters, X, Y), "X": X, "Y": Y}


def remade(kind, given):
    return {name: remade(kind, value) if isinstance(value, dict) else kind(value) for name, value in given.items()}


def bits(given):
    """Every array's bytes, whatever it is."""
    return [bits(value) if isinstance(value, dict) else np.asarray(value).tobytes() for value in given.values()]


@pytest.mark.parametrize("engine", ["response", "full", "reference"])
@pytest.mark.parametrize("kind", EXACT)
def test_check(kind, engine):
    plain, other = case(), remade(EXACT[kind], case())
    before = bits(other)
    found, wanted = (fc.check(NET, **given, engine=engine, epsilon=1e-5) for given in (other, plain))
    assert found.verdict == wanted.verdict != "fail"
    np.testing.assert_array_equal(found.gradapprox, wanted.gradapprox)
    assert bits(other) == before


@pytest.mark.parametrize("kind", EXACT)
def test_a_wrong_entry_is_found_in_it(kind):
    plain = case()
    plain["gradients"]["dW2"][2, 1] += 1e-3
    report = fc.check(NET, **remade(EXACT[kind], plain))
    assert report.verdict == "fail"
    assert (report.worst(1)[0].tensor, report.worst(1)[0].index) == ("W2", (2, 1))


@pytest.mark.parametrize("engine", ["response", "reference"])
@pytest.mark.parametrize("dtype", ["f2", "f4", ">f2", ">f4"])
def test_low_precision_is_held_to_its_own_rounding(dtype, engine):
    given = case()
    low = {"parameters": {name: array.astype(dtype) for name, array in given["parameters"].items()},
           "X": given["X"].astype(dtype), "Y": given["Y"]}
    gradients = NET.gradients(low["parameters"], low["X"], low["Y"])
    low["gradients"] = {name: array.astype(dtype) for name, array in gradients.items()}
    report = fc.check(NET, **low, engine=engine, epsilon=1e-5)
    assert report.verdict == "pass"
    low["gradients"]["dW1"] = 2 * low["gradients"]["dW1"]
    assert fc.check(NET, **low, engine=engine, epsilon=1e-5).verdict == "fail"


@pytest.mark.parametrize("dtype", ["?", "u1", "i2", ">i4", "u8"])
def test_data_of_integers(dtype):
    given = case()
    X = np.random.default_rng(1).integers(0, 2, (4, 6)).astype(dtype)
    given["X"], given["gradients"] = X, NET.gradients(given["parameters"], X, given["Y"])
    given["Y"] = given["Y"].astype("i1")
    assert fc.check(NET, **given).verdict == "pass"


def test_broadcast_arrays():
    given = case()
    given["X"] = np.broadcast_to(given["X"][:, :1], (4, 6))
    given["parameters"]["W1"] = np.broadcast_to(given["parameters"]["W1"][:1], (5, 4))
    assert 0 in given["parameters"]["W1"].strides
    given["gradients"] = NET.gradients(given["parameters"], given["X"], given["Y"])
    given["gradients"]["dW1"] = np.broadcast_to(given["gradients"]["dW1"].mean(), (5, 4))
    report = fc.check(NET, **given)
    assert [tensor.name for tensor in report.failures] == ["W1"]
    assert given["parameters"]["W1"].strides == (0, 8)


def test_arrays_that_live_in_a_file(tmp_path):
    given = remade(lambda array: mapped(array, tmp_path), {"X": case()["X"]})
    assert fc.check(NET, **{**case(), **given}).ok


def test_one_array_in_several_places():
    net = fc.Network([fc.Dense(3, 3, "tanh"), fc.Dense(3, 3)], cost="squared_error")
    shared, b = np.random.default_rng(0).standard_normal((3, 3)), np.zeros(3)
    parameters = {"W1": shared, "b1": b, "W2": shared, "b2": b}
    report = fc.check(net, parameters, net.gradients(parameters, shared, shared), shared, shared)
    assert report.ok


@pytest.mark.parametrize("kind", EXACT)
def test_check_function(kind):
    point = np.random.default_rng(0).standard_normal((3, 4))

    def cost(theta):
        assert type(theta) is np.ndarray
        assert theta.dtype == np.float64
        return float(np.sum(np.sin(theta)))

    other = EXACT[kind](point)
    before = np.asarray(other).tobytes()
    found, wanted = (fc.check_function(cost, at, EXACT[kind](np.cos(point))) for at in (other, point))
    assert found.ok
    np.testing.assert_array_equal(found.gradapprox, wanted.gradapprox)
    assert np.asarray(other).tobytes() == before


@pytest.mark.parametrize("kind", [kind for kind in EXACT if kind not in ("lists", "subclass")])
def test_check_vjp(kind):
    rng = np.random.default_rng(0)
    W, x = EXACT[kind](rng.standard_normal((2, 3))), EXACT[kind](rng.standard_normal((3, 1)))
    before = [np.asarray(array).tobytes() for array in (W, x)]
    report = fc.check_vjp(lambda W, x: W @ x, lambda d, W, x: (d @ x.T, W.T @ d), (W, x))
    assert report.ok, report
    assert [np.asarray(array).tobytes() for array in (W, x)] == before


@pytest.mark.parametrize("kind", EXACT)
def test_the_course(kind, capsys):
    X, Y, parameters = exercise()
    gradients = gradients_with()
    wanted = course.gradient_check_n(parameters, gradients, X, Y)
    made = remade(EXACT[kind], {"parameters": parameters, "gradients": gradients, "X": X, "Y": np.float64(Y)})
    assert course.gradient_check_n(made["parameters"], made["gradients"], made["X"], made["Y"]) == wanted
    cost, cache = course.forward_propagation_n(made["X"], made["Y"], made["parameters"])
    again = course.backward_propagation_n(made["X"], made["Y"], cache)
    assert cost == course.forward_propagation_n(X, Y, parameters)[0]
    np.testing.assert_array_equal(again["dW1"], course.backward_propagation_n(X, Y, cache)["dW1"])
