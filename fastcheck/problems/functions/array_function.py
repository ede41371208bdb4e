"""A user's cost as a weighted sum of arrays, each a function of one array for every tensor."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from ..parameters.layout import Layout


@runtime_checkable
class WeightedOutputs(Protocol):
    """A cost that is a sum of products of weights with the outputs of a function, as check_vjp's is."""

    @property
    def weights(self) -> tuple[Any, ...]:
        """One array for each output, of its shape."""
        ...

    @property
    def still(self) -> tuple[Any, ...]:
        """What ``outputs`` takes beside the parameters."""
        ...

    @property
    def user_code(self) -> tuple[Any, ...]:
        """What of the user's own is called."""
        ...

    def outputs(self, parameters: Any, *still: Any) -> Any:
        """Return the outputs: an array, or arrays in tuples and lists."""
        ...


@dataclass(frozen=True)
class ArrayFunction:
    """A function of one array for every tensor, and of further arguments.

    Parameters
    ----------
    function : of the parameters in the user's structure, and of ``args``.
    args : its further arguments.
    layout : of the parameters.
    weights : one array for each output of the function.
    user_code : what of the user's own it calls and hands on.
    """

    function: Callable[..., Any]
    args: tuple[Any, ...]
    layout: Layout
    weights: tuple[Any, ...]
    user_code: tuple[Any, ...]

    @classmethod
    def of(cls, cost: Any, args: tuple[Any, ...], layout: Layout) -> "ArrayFunction":
        """Return what a cost is a weighted sum of: its own outputs, or itself, once."""
        if isinstance(cost, WeightedOutputs):
            return cls(cost.outputs, cost.still, layout, cost.weights, cost.user_code)
        return cls(cost, args, layout, (1.0,), (*getattr(cost, "user_code", (cost,)), *args))

    def __call__(self, *values: Any) -> Any:
        """Return the outputs for one array of each tensor's shape, and for further arguments."""
        count = len(self.layout.tensors)
        return self.function(self.layout.filled(values[:count]), *values[count:])
