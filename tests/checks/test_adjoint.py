"""check_adjoint: dot products of operators and adjoints, with a stated precision."""

import json

import numpy as np
import pytest
from scipy.fft import dct, idct
from scipy.sparse import csr_array, random as random_sparse
from scipy.sparse.linalg import LinearOperator, aslinearoperator

import fastcheck as fc
from tests.support.refusals import refuses

RNG = np.random.default_rng(3)
M = RNG.standard_normal((6, 4))
C = RNG.standard_normal((3, 5)) + 1j * RNG.standard_normal((3, 5))


def blur(image):
    return sum(np.roll(image, (i, j), (0, 1)) * (1 + i + 2 * j) for i in (0, 1) for j in (0, 1))


def blur_adjoint(image):
    return sum(np.roll(image, (-i, -j), (0, 1)) * (1 + i + 2 * j) for i in (0, 1) for j in (0, 1))


PAIRS = {
    "matrix": (M, M.T, None), "functions": (lambda x: M @ x, lambda y: M.T @ y, np.zeros(4)),
    "shape as a number": (np.cumsum, lambda y: np.cumsum(y[::-1])[::-1], 7),
    "images": (blur, blur_adjoint, (5, 6)), "complex": (C, C.conj().T, None),
    "sparse": (S := csr_array(random_sparse(30, 20, 0.2, random_state=0)), S.T, None),
    "LinearOperator": (aslinearoperator(M), aslinearoperator(M).H, None),
    "orthogonal": (lambda x: dct(x, norm="ortho"), lambda y: idct(y, norm="ortho"), np.zeros(16)),
    "real to complex": (lambda x: C @ x, lambda y: (C.conj().T @ y).real, np.zeros(5)),
    "a list": (lambda x: [x[0] + x[1]], lambda y: np.array([y[0], y[0]]), 2),
}


@pytest.mark.parametrize("name", PAIRS)
def test_adjoints_pass_to_rounding(name):
    found = fc.check_adjoint(*PAIRS[name])
    assert found
    assert found.verdict == "pass", str(found)
    assert found.precision < found.rounding < 1e-12
    assert found.linear
    assert json.dumps(found.to_dict())


@pytest.mark.parametrize(("A", "At", "x"), [
    (M, -M.T, None), (M, 1.001 * M.T, None), (C, C.T, None), (blur, blur, (5, 6)),
    (np.cumsum, np.cumsum, np.zeros(7)), (M, M.T + 1e-5 * (np.arange(24).reshape(4, 6) == 7), None),
    (lambda x: M @ x, lambda y: (M.T @ y) * np.nan, np.zeros(4)),
])
def test_others_fail(A, At, x):
    found = fc.check_adjoint(A, At, x)
    assert found.verdict == "fail"
    assert not found
    with pytest.raises(AssertionError, match="FAIL  <A x, y>"):
        found.raise_if_wrong()


def test_a_factor_is_named():
    assert "Every <x, At y> is 2.5 times <A x, y>." in str(fc.check_adjoint(M, 2.5 * M.T))
    assert "times" not in str(fc.check_adjoint(C, C.T))


def test_what_is_not_linear_is_named():
    found = fc.check_adjoint(np.tanh, lambda y: y, np.zeros(3))
    assert not found.linear
    assert "A is not linear" in str(found)


def test_single_precision_is_judged_as_such():
    low = M.astype(np.float32)
    found = fc.check_adjoint(low, low.T)
    assert found.ok
    assert 1e-6 < found.tolerance < 1e-4
    assert fc.check_adjoint(low, 1.001 * low.T).verdict == "fail"
    assert fc.check_adjoint(low, low.T, tolerance=1e-3).tolerance == 1e-3


def test_dots_that_are_all_rounding_decide_nothing():
    def cancels(x):
        return np.array([1e17 * x[0] + x[1] - 1e17 * x[0]])

    found = fc.check_adjoint(cancels, lambda y: np.array([0.0, 0.0]), np.zeros(2), pairs=1)
    assert found.verdict == "inconclusive"
    assert "nothing was exercised" in str(found)


@pytest.mark.parametrize(("change", "kind", "words"), [
    ({"A": 3}, TypeError, ["A", "int"]), ({"At": None}, TypeError, ["At", "NoneType"]),
    ({"A": blur}, ValueError, ["x", "None"]), ({"At": M}, ValueError, []),
    ({"At": lambda y: y}, ValueError, ["At", "(4,)", "(6,)"]), ({"At": lambda y: "y"}, TypeError, ["At", "<U1"]),
    ({"pairs": 0}, ValueError, ["pairs", "0"]), ({"seed": -1}, ValueError, ["seed"]),
    ({"tolerance": 0}, ValueError, ["tolerance"]),
])
def test_refusals(change, kind, words):
    refuses(kind, words, fc.check_adjoint, **{"A": M, "At": M.T, **change})


def test_the_operators_get_arrays_of_their_own():
    def scales(x):
        x *= 2.0
        return x

    assert fc.check_adjoint(scales, scales, np.zeros(3)).ok
    operator = LinearOperator((4, 4), matvec=lambda x: 2 * x, rmatvec=lambda y: 2 * y, dtype=np.float64)
    assert fc.check_adjoint(operator, operator.H).ok
