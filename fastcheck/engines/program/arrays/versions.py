"""Functions that came with a later NumPy than the oldest one that is good enough."""

from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np

Entry = TypeVar("Entry")


def of_this_numpy(entries: Mapping[str, Entry]) -> dict[Any, Entry]:
    """Return entries, given by their functions' names, by those functions, of which this NumPy may lack some."""
    return {getattr(np, name): entry for name, entry in entries.items() if hasattr(np, name)}
