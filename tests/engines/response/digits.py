"""The response engine held against arithmetic of many digits."""

import numpy as np

from fastcheck.engines.response import engine
from tests.support.mpmath_network import central_differences
from tests.support.problems import RUN


def agrees(given, epsilon, bound=1e-12, oracle=central_differences, form=engine):
    """Hold the engine's numbers, of either form, against fifty digits, to ``bound`` of each tensor's scale."""
    found = form.differences(given, None, epsilon, RUN)
    plus, minus, quotient = oracle(given, epsilon)
    for tensor in given.network.tensors:
        part = slice(tensor.start, tensor.stop)
        scale = np.max(np.abs(quotient[part]))
        assert np.max(np.abs(found.gradapprox[part] - quotient[part])) <= bound * scale, (tensor.name, epsilon)
    size = np.maximum(np.abs(found.cost), np.maximum(np.abs(plus), np.abs(minus)))
    assert np.all(np.abs(found.J_plus - (found.cost + plus)) <= 1e-13 * size)
    assert np.all(np.abs(found.J_minus - (found.cost + minus)) <= 1e-13 * size)
    return found
