"""What is a structure of arrays, and what is an array written as a list of numbers."""

from collections.abc import Mapping
from typing import Any

import numpy as np


def is_named(value: Any) -> bool:
    """Tell whether this is a NamedTuple, or the type of one."""
    return hasattr(value, "_fields")


def is_container(value: Any) -> bool:
    """Tell whether this is a structure, and not an array written as a list of numbers."""
    if isinstance(value, Mapping) or (isinstance(value, tuple) and is_named(value)):
        return True
    return isinstance(value, (list, tuple)) and any(is_container(item) or _is_array(item) for item in value)


def _is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray) or (hasattr(value, "__array__") and not np.isscalar(value))
