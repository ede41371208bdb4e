"""That ``NUMBA_BOUNDSCHECK=1`` reaches kernels compiled our way: scripts/test-deep relies on it."""

import numba
import numpy as np
import pytest

from fastcheck.runtime.jit import FAST, compiled, inner
from tests.support.jit_mode import COMPILED

pytestmark = pytest.mark.skipif(
    COMPILED and not numba.config.BOUNDSCHECK, reason="kernels do not check their indices (NUMBA_BOUNDSCHECK=1)"
)


def _beyond(values):
    return values[values.size]


beyond = inner(_beyond, flags=FAST)


def _calls_beyond(values):
    return 2.0 * beyond(values)


@pytest.mark.parametrize("function", [_beyond, _calls_beyond])
def test_an_index_out_of_bounds_raises(function):
    with pytest.raises(IndexError):
        compiled(function, flags=FAST)(np.ones(3))
