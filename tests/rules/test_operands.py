"""Operands as programs hand them in: Python numbers, integers, booleans, matrices of stacks, empty arrays."""

import numpy as np
import pytest

from fastcheck.rules.branches import Branches
from fastcheck.rules.table import RULES

UFUNCS = {name: getattr(np, name) for name, rule in RULES.items() if isinstance(getattr(np, name, None), np.ufunc)}
TWO = [name for name, ufunc in UFUNCS.items() if ufunc.nin == 2 and not name.startswith(("logical", "bitwise"))]
ONE = [name for name, ufunc in UFUNCS.items() if ufunc.nin == 1 and name not in ("logical_not", "invert")]
STILL = [
    *(2, 3.0, np.float64(0.5), np.array([1, 2, 3]), np.array([True, True, True])),
    *(np.array([1, 2, 3], dtype=np.uint8), np.array([0.5, 2.0, 3.0], dtype=np.float32)),
]
X = np.array([0.7, 1.3, 2.6])
STEP = 1e-3


def subtracted(ufunc, *operands, moved):
    new = ufunc(*(a if d is None else a + d for a, d in zip(operands, moved, strict=True)))
    return np.asarray(new, dtype=float) - np.asarray(ufunc(*operands), dtype=float)


@pytest.mark.parametrize("name", TWO)
@pytest.mark.parametrize("still", STILL)
@pytest.mark.parametrize("side", [0, 1])
def test_the_other_operand_may_be_any_number(name, still, side):
    d = STEP * np.array([[1.0, -1.0, 0.5], [0.0, 2.0, 0.0]])
    operands = (X, still) if side == 0 else (still, X)
    changes = (d, None) if side == 0 else (None, d)
    ufunc = UFUNCS[name]
    with np.errstate(all="ignore"):
        try:
            out = ufunc(*operands)
            expected = subtracted(ufunc, *operands, moved=changes)
        except TypeError:
            pytest.skip("NumPy has no such operation on these types")
        change = RULES[name].change(np, operands, changes, out, Branches(np, (2,)))
    np.testing.assert_allclose(np.broadcast_to(change, (2, 3)), expected, rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("name", ONE + TWO)
def test_nothing_at_all(name):
    ufunc = UFUNCS[name]
    operands = (np.zeros(0),) * ufunc.nin
    change = RULES[name].change(np, operands, (np.zeros((2, 0)),) * ufunc.nin, np.zeros(0), Branches(np, (2,)))
    assert np.broadcast_to(change, (2, 0)).shape == (2, 0)


@pytest.mark.parametrize("name", ["relu", "exp", "log_ndtr", "erf", "gammaln", "softplus", "mish", "maximum"])
def test_scalars_of_no_axes(name):
    operands = (np.float64(0.3),) * (2 if name == "maximum" else 1)
    change = RULES[name].change(np, operands, (np.full(4, 1e-6),) * len(operands), np.float64(0.3), Branches(np, (4,)))
    assert np.shape(change) == (4,)


@pytest.mark.parametrize("name", ["inv", "det", "cholesky", "eigvalsh", "expm", "pinv", "svdvals"])
def test_stacks_of_matrices(name):
    rng = np.random.default_rng(0)
    a = rng.normal(size=(5, 3, 3))
    a = a @ np.swapaxes(a, -1, -2) + 3.0 * np.eye(3)
    d = 1e-3 * rng.normal(size=(2, 5, 3, 3))
    if name == "expm":
        from scipy.linalg import expm as function
    elif name == "svdvals":
        function = lambda x: np.linalg.svd(x, compute_uv=False)  # noqa: E731  (NumPy 2.0 has no function of that name)
    else:
        function = getattr(np.linalg, name)
    out = function(a)
    together = RULES[name].change(np, (a,), (d,), out, Branches(np, (2,)))
    assert together.shape == (2, *out.shape)
    for k in range(5):
        for b in range(2):
            alone = RULES[name].change(np, (a[k],), (d[b, k],), out[k], None)
            np.testing.assert_allclose(together[b, k], alone, rtol=1e-10, atol=1e-15)


def test_solve_of_stacks_and_vectors():
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(4, 3, 3)) + 3.0 * np.eye(3), rng.normal(size=(4, 3, 2))
    da, db = 1e-3 * rng.normal(size=(2, 4, 3, 3)), 1e-3 * rng.normal(size=(2, 4, 3, 2))
    solve = RULES["solve"].change
    out = np.linalg.solve(a, b)
    expected = np.linalg.solve(a + da, b + db) - out
    np.testing.assert_allclose(solve(np, (a, b), (da, db), out, None), expected, rtol=1e-9)
    np.testing.assert_allclose(solve(np, (a, b), (None, db), out, None), np.linalg.solve(a, db), rtol=1e-9)
    vector = np.linalg.solve(a[0], b[0, :, 0])
    many = solve(np, (a[0], b[0, :, 0]), (None, db[:, 0, :, 0]), vector, None)
    np.testing.assert_allclose(many, np.linalg.solve(a[0], db[:, 0, :, 0, None])[..., 0], rtol=1e-9)
