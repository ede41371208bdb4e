"""Integer arrays that a function reads: they may be indices into its parameters."""

from collections.abc import Mapping, Sequence
from types import FunctionType, MethodType
from typing import Any

import numpy as np

from ..._types import Indices


def integer_arrays(cost: Any, args: Sequence[Any]) -> Mapping[str, Indices]:
    """Return the integer arrays among a cost's arguments, in its closure and among the globals that it names.

    Parameters
    ----------
    cost : the user's function; or a cost made of one, which lists the functions and the named values in
        ``user_code`` and ``named_inputs``.
    args : its further arguments.
    """
    found = {f"args[{place}]": value for place, value in enumerate(args)}
    found |= dict(getattr(cost, "named_inputs", ()))
    for function in (cost, *getattr(cost, "user_code", ())):
        function = function.__func__ if isinstance(function, MethodType) else function
        if not isinstance(function, FunctionType):
            continue
        code = function.__code__
        for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
            try:
                found[name] = cell.cell_contents
            except ValueError:  # the cell is still empty
                continue
        found |= {name: function.__globals__[name] for name in code.co_names if name in function.__globals__}
    return {name: value.astype(np.int64) for name, value in found.items()
            if isinstance(value, np.ndarray) and value.dtype.kind in "iu" and value.ndim}
