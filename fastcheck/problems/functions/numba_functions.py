"""Functions that Numba has jitted, told without importing it."""

import sys
from typing import Any


def is_jitted(cost: Any) -> bool:
    """Tell whether a cost is jitted by Numba."""
    dispatcher = sys.modules.get("numba.core.dispatcher")
    return dispatcher is not None and isinstance(cost, dispatcher.Dispatcher)
