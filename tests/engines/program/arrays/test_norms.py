"""numpy.linalg.norm and vector_norm, held against literal subtraction."""

import numpy as np
import pytest

from tests.engines.program.arrays.literal import assert_exact, inputs_of

NORMS = (
    {
        "of everything": lambda x, v: np.linalg.norm(x) + np.linalg.norm(v),
        "rows": lambda x, v: x / np.linalg.norm(x, axis=1, keepdims=True),
        "columns": lambda x, v: np.linalg.norm(x, axis=0) * np.linalg.norm(x, None, 0),
        "Frobenius": lambda x, v: np.linalg.norm(x, "fro") + np.linalg.norm(x, axis=(0, 1)),
        "three axes": lambda x, v: np.linalg.norm(np.stack([x, -2 * x])),
        "vector_norm": lambda x, v: np.linalg.vector_norm(x, axis=1) + np.linalg.vector_norm(x),
    }
    | {
        f"order {order}": lambda x, v, order=order: np.linalg.norm(v, order) + np.linalg.norm(x, ord=order, axis=-1)
        for order in (1, 2, 3, 1.5, np.inf, -np.inf)
    }
    | {
        f"vector_norm, {order}": lambda x, v, order=order: np.linalg.vector_norm(x, axis=0, ord=order, keepdims=True)
        for order in (1, 3, np.inf)
    }
)


@pytest.mark.parametrize("name", NORMS)
@pytest.mark.parametrize(("size", "dtype", "tolerance"), [(1.0, np.float64, 3e-14), (1e-6, np.longdouble, 1e-11)])
def test_norms_are_those_of_literal_subtraction(name, size, dtype, tolerance):
    assert_exact(NORMS[name], inputs_of([(3, 4), (4,)]), size=size, dtype=dtype, tolerance=tolerance)
