"""The caller's arrays: what is accepted, and the message where it is not."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def real_array(name: str, value: Any) -> NDArray[Any]:
    """``value`` as a plain array of real numbers, without a copy where it already is one.

    Parameters
    ----------
    name : how the message calls it.

    Raises
    ------
    TypeError : for masked, complex, object, string and other arrays that do not hold real numbers.
    ValueError : for nested sequences of unequal lengths.
    """
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{name}: masked arrays are not supported; fill it first (array.filled(...))")
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{name}: cannot be made an array: {error}") from None
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name}: dtype {array.dtype} found, wanted real numbers (float64)")
    return array
