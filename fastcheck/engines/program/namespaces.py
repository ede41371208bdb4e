"""The functions that are replaced in the user's namespaces while a program runs, by the module that holds them."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from . import creation

Handler = Callable[..., Any]
_MADE = """zeros empty ones arange eye identity zeros_like empty_like ones_like linspace logspace geomspace tri fromiter
    fromfunction frombuffer vander indices"""
_CONVERTED = "array asarray asanyarray ascontiguousarray asfortranarray copy require asarray_chkfinite"
_OF_LISTS = """sum mean max min amax amin prod std var median average argmax argmin dot matmul cumsum reshape transpose
    outer inner any all where"""


def replaced() -> Mapping[tuple[Any, str], Handler]:
    """By namespace and name: what stands in for the function."""
    handlers: dict[tuple[Any, str], Handler] = {(np, name): creation.made for name in _MADE.split()}
    handlers |= {(np, name): creation.converted for name in _CONVERTED.split()}
    handlers |= {(np, "full"): creation.filled, (np, "full_like"): creation.filled}
    handlers |= {(np, name): creation.of_list for name in _OF_LISTS.split()}
    handlers[np.lib.stride_tricks, "as_strided"] = creation.strided
    return handlers
