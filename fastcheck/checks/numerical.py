"""For those who have no gradient yet: the numerical gradient itself, and the relative error of two arrays."""

from typing import Any, Unpack

import numpy as np

from .._names import NUMERICAL_OPTIONS, NumericalOptions
from .._validation import only_options, real_array
from ..problems.functions.random_numbers import random_numbers_kept
from ..problems.parameters.layout import Layout
from ..problems.parameters.tree import rebuilt
from .function import check_function

# No entry is looked at a second time: there is no gradient to hold it against.
ANYTHING = 1e300
# CS231n's smallest denominator.
LEAST = 1e-8


@random_numbers_kept()
def numerical_gradient(
    cost: Any, parameters: Any, args: tuple[Any, ...] = (), **options: Unpack[NumericalOptions]
) -> Any:
    """Return the numerical gradient of any cost: exact where the cost is made of NumPy operations.

    Parameters
    ----------
    cost, parameters, args : as for ``fastcheck.check_function``; a cost without arguments finds its parameters itself.
    options : epsilon, order, complex_step, vectorized, engine, seed, threads, memory_limit, progress and executor, as
        for ``fastcheck.check_function``.

    Returns
    -------
    The structure of ``parameters``, float64: dictionaries and lists of arrays of the same shapes, numbers for numbers.

    Raises
    ------
    As ``fastcheck.check_function``.

    Examples
    --------
    >>> numerical_gradient(lambda p: np.sum(p["w"] ** 3) + p["b"], {"w": np.array([1.0, 2.0]), "b": 1.0})
    {'w': array([ 3., 12.]), 'b': 1.0}
    """
    only_options("numerical_gradient", options, NUMERICAL_OPTIONS)
    layout = Layout.of(parameters)
    zeros = layout.views(np.zeros(layout.size))
    gradient = check_function(cost, parameters, zeros, args, tolerance=ANYTHING, **options).gradapprox

    def value_of(leaf: Any) -> Any:
        found = gradient[leaf.tensor.start : leaf.tensor.stop].reshape(leaf.tensor.shape)
        return float(found) if leaf.number else found.copy()

    return rebuilt(layout.tree, value_of)


def rel_error(x: Any, y: Any) -> float:
    """Return CS231n's relative error of two arrays: max |x - y| / max(1e-8, |x| + |y|).

    Parameters
    ----------
    x, y : arrays of one shape, or numbers.

    Returns
    -------
    float : 0 for equal arrays, at most 1 beyond the floor; NaN where either has one.

    Raises
    ------
    ValueError : for two shapes: the course's own line would broadcast them, and compare what does not belong together.
    TypeError : for anything but real numbers.

    Examples
    --------
    >>> rel_error(np.array([1.0, 3.0]), np.array([1.0, 5.0]))
    0.25

    Notes
    -----
    It is a largest ratio of single entries, so an entry that is nearly zero by chance may make it large; the verdicts
    of ``fastcheck.check`` measure such entries by their tensor's size.  Source: CS231n, assignment notebooks.
    """
    first, second = (np.asarray(real_array(name, value), dtype=np.float64) for name, value in (("x", x), ("y", y)))
    if first.shape != second.shape:
        raise ValueError(f"y: expected the shape {first.shape} of x, got shape {second.shape}")
    if first.size == 0:
        return 0.0
    with np.errstate(invalid="ignore"):
        return float(np.max(np.abs(first - second) / np.maximum(LEAST, np.abs(first) + np.abs(second))))
