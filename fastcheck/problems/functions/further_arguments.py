"""What a function takes beside its parameters."""

from typing import Any

import numpy as np


def in_double_precision(args: Any) -> Any:
    """Return further arguments with floating arrays of less than double precision in double precision.

    Parameters that came in single precision are in double precision while they are checked.  What is made like the
    arguments beside them, ``np.zeros_like(x)``, would round what is put into it otherwise.  Arrays in nested tuples,
    lists and dictionaries are found; the originals stay as they are.
    """
    if type(args) is np.ndarray:
        return args.astype(np.float64) if args.dtype in (np.float32, np.float16) else args
    if type(args) in (list, tuple):
        return type(args)(in_double_precision(part) for part in args)
    if type(args) is dict:
        return {key: in_double_precision(part) for key, part in args.items()}
    return args
