"""Bilinear operations: both operands move, or one."""

import numpy as np
import pytest

from fastcheck.rules.contractions import bilinear


@pytest.mark.parametrize("step", [1e-12, 1e-6, 1.0])
@pytest.mark.parametrize("moving", [(True, True), (True, False), (False, True)])
def test_a_matrix_product(step, moving):
    rng = np.random.default_rng(0)
    a, b = (rng.integers(-9, 9, shape).astype(float) for shape in ((3, 4), (4, 2)))
    da, db = (step * rng.integers(-9, 9, shape).astype(float) for shape in ((5, 3, 4), (5, 4, 2)))
    found = bilinear(np.matmul, a, b, da if moving[0] else None, db if moving[1] else None)
    long = np.longdouble
    new_a, new_b = long(a) + (long(da) if moving[0] else 0), long(b) + (long(db) if moving[1] else 0)
    # Of whole numbers the product itself has no rounding, so that the subtraction leaves the change's own digits.
    expected = new_a @ new_b - a @ b
    assert np.all(abs(found - expected) <= (1e-15 + 1e-18 / step) * 100.0 * step)


def test_nothing_that_moves_is_no_change():
    assert bilinear(np.matmul, np.eye(2), np.eye(2), None, None) is None
