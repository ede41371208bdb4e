"""Functions that order entries along an axis."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...._errors import NoRule
from . import rearranging, reductions
from .run import Handler, Run


def along_one_axis(run: Run, function: Any, args: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
    """numpy.sort and numpy.argsort."""
    named = dict(zip(("axis", "kind", "order"), args[1:], strict=False)) | dict(options)
    array = run.tables.gathered_in(run, args[0] if args else named.pop("a"))
    value = function(array.value, **named)
    change, axis = array.change, named.get("axis", -1)
    if change is None:
        return run.fresh(value)
    if axis is None:
        change, axis, flat = change.reshape(run.batch, -1), -1, array.value.reshape(-1)
    else:
        flat = array.value
    axes = reductions.negative_axes(axis, flat.ndim)
    return run.fresh(value, reductions.change_by_rule(run, function.__name__, (flat,), (change,), value, axes=axes))


def quantile(whole: float) -> Handler:
    """The handler of numpy.quantile (`whole` = 1) and numpy.percentile (`whole` = 100), interpolating linearly."""

    def handler(run: Run, function: Any, args: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
        named = dict(zip(("q", "axis", "out", "overwrite_input", "method"), args[1:], strict=False)) | dict(options)
        array, q, out = args[0], rearranging.still_value(named.pop("q")), named.pop("out", None)
        value = function(array.value, q, **named)
        change = array.change
        if change is None:
            return reductions.into(run.fresh(value), out)
        if named.get("method", "linear") != "linear" or named.get("weights") is not None:
            raise NoRule(f"numpy.{function.__name__} with method= or weights=", "use the linear method")
        axes = reductions.negative_axes(named.get("axis"), array.ndim)
        keepdims = bool(named.get("keepdims", False))
        parts: list[Any] = [
            reductions.change_by_rule(
                run, "quantile", (array.value,), (change,), value[place], axes=axes, keepdims=keepdims, q=one / whole
            )
            for place, one in zip(np.ndindex(np.shape(q)), np.ravel(q), strict=True)
        ]
        moved = np.stack(parts, axis=1).reshape((run.batch, *np.shape(value)))
        return reductions.into(run.fresh(value, moved), out)

    return handler
