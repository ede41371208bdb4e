"""A layer that is a class, as a forward and a backward function of its inputs and its parameters."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from .gradient_names import by_name
from .layer_object import Slot, containers_of, exchange, fresh_from, gradients_of, installed, slots_of
from .vjp import copies, input_names

LOW = ("float16", "float32")


@dataclass
class LayerCalls:
    """Forward and backward passes of fresh layers.

    Parameters
    ----------
    make : a class or function that makes the layer, or the layer itself.
    inputs : what forward takes.
    forward, backward : names of the methods, or functions of the layer and of what the methods take.
    params, grads : attributes that hold parameters and gradients; None to look for them.

    Attributes
    ----------
    names : of the inputs and the parameters.
    values : inputs and parameters, as ``forward_of`` takes them.
    notes : sentences for the report.
    """

    make: Any
    inputs: tuple[Any, ...]
    forward: Any = "forward"
    backward: Any = "backward"
    params: Any = None
    grads: str | None = None
    names: list[str] = field(default_factory=list)
    values: tuple[Any, ...] = ()
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._fresh = fresh_from(self.make)
        layer = self._fresh()
        output = self._pass(layer, self.forward, *copies(self.inputs))
        self._pass(layer, self.backward, _ones_like(output))
        self._slots = slots_of(layer, self.params)
        own = [self._first(slot) for slot in self._slots]
        doubles = all(np.asarray(value).dtype.name not in LOW for value in (*self.inputs, *own))
        self._low = doubles and any(array.dtype.name in LOW for array in _arrays_of(layer))
        self.names = input_names(self._method(layer, self.forward), len(self.inputs))
        taken = set(self.names)
        self.names += [f"params/{slot.name}" if slot.name in taken else slot.name for slot in self._slots]
        self.values = (*self.inputs, *own)
        if not self.values:
            raise ValueError("make: expected a layer with inputs or parameters, got neither; name the attribute that "
                             "holds its parameters (params=...)")
        if not self._slots:
            self.notes.append("No parameters were found in the layer: its inputs alone were checked (params=... names "
                              "the attribute that holds them).")
        if self._low:
            self.notes.append("The layer keeps float32 arrays: its gradients are held to what that allows, and its "
                              "differences were taken in double precision.")

    def forward_of(self, *values: Any) -> Any:
        """What forward returns for these inputs and parameters, in double precision where the layer runs in it."""
        layer, count = self._fresh(), len(self.inputs)
        low = self._low or any(np.asarray(value).dtype.name in LOW for value in self.values)
        if low and not any(np.asarray(value).dtype.name in LOW for value in values):
            exchange(layer, _widened)
        with installed(layer, self._slots, values[count:]):
            return self._pass(layer, self.forward, *values[:count])

    def backward_of(self, upstream: Any, *values: Any) -> tuple[Any, ...]:
        """Return the gradients of the inputs and of the parameters, as the layer gives them."""
        layer, count = self._fresh(), len(self.inputs)
        wide = not self._low and not any(np.asarray(value).dtype.name in LOW for value in values)
        if wide:
            exchange(layer, _widened)
        before = [None if found is None else np.array(found) for found in self._kept(layer)]
        with installed(layer, self._slots, values[count:]):
            output = self._pass(layer, self.forward, *values[:count])
            returned = self._pass(layer, self.backward, _as_precise(upstream, output))
            inputs, gradients = self._told_apart(returned, layer)
        if any(one is not None and np.any(one) for one in before):
            gradients = self._without_former(gradients, before, upstream, values)
        return tuple(np.array(one, np.float32) if self._low and one is not None else one
                     for one in (*inputs, *gradients))

    def _first(self, slot: Slot) -> Any:
        """Return a parameter in a new layer."""
        try:
            return slot.array(self._fresh()).copy()
        except (AttributeError, KeyError, IndexError) as error:
            raise ValueError(f"make: expected a layer with {slot.name} from the beginning, got one that makes it in "
                             f"forward ({error}); call forward once in make") from None

    def _method(self, layer: Any, method: Any) -> Callable[..., Any]:
        if callable(method):
            return partial(method, layer)
        if method == "forward" and not hasattr(layer, "forward") and callable(layer):
            return layer  # type: ignore[no-any-return]  # called as it is
        if not isinstance(method, str) or not callable(getattr(layer, method, None)):
            raise TypeError(f"{method}: expected a method of the layer, got a {type(layer).__name__} without it; pass "
                            "its name, or a function of the layer")
        found: Callable[..., Any] = getattr(layer, method)
        return found

    def _pass(self, layer: Any, method: Any, *values: Any) -> Any:
        return self._method(layer, method)(*values)

    def _kept(self, layer: Any) -> list[Any]:
        """Return the gradients that a layer keeps."""
        return gradients_of(layer, self._slots, self.grads) if self._slots else []

    def _told_apart(self, returned: Any, layer: Any) -> tuple[list[Any], list[Any]]:
        """The gradients of the inputs and those of the parameters: returned by backward, or kept by the layer."""
        count, slots = len(self.inputs), self._slots
        values = list(returned) if isinstance(returned, (tuple, list)) else [returned]
        if isinstance(returned, Mapping) and count:
            values = list(by_name(returned, self.names[:count]).values())
        kept = self._kept(layer)
        stands = all(one is not None for one in kept)
        if slots and not stands and len(values) == count + 1 and isinstance(values[-1], Mapping):
            return values[:-1], list(by_name(values[-1], [str(slot.key) for slot in slots]).values())
        if slots and not stands and len(values) == count + len(slots):
            return values[:count], values[count:]
        inputs = values if count else []
        if len(inputs) != count:
            wanted = ", ".join(self.names[:count])
            raise ValueError(f"backward: expected a gradient for each of {wanted}, got {len(values)}")
        missing = [slot.name for slot, found in zip(slots, kept, strict=True) if found is None]
        if missing:
            raise ValueError(f"grads: expected gradients of {', '.join(missing)} in the layer after backward, got "
                             "none; name the attribute that holds them (grads=...)")
        return inputs, kept

    def _without_former(
        self, gradients: Sequence[Any], before: Sequence[Any], upstream: Any, values: tuple[Any, ...]
    ) -> list[Any]:
        """Gradients less what was there before backward, where it adds to that: a pass of zeros leaves it as it is."""
        layer, count = self._fresh(), len(self.inputs)
        with installed(layer, self._slots, values[count:]):
            output = self._pass(layer, self.forward, *values[:count])
            self._pass(layer, self.backward, _as_precise(_zeros_like(upstream), output))
            after = self._kept(layer)
        adds = all(np.array_equal(one, other) for one, other in zip(before, after, strict=True))
        return [one - former for one, former in zip(gradients, before, strict=True)] if adds else list(gradients)


def _arrays_of(layer: Any) -> Iterator[Any]:
    """Yield the floating arrays that a layer keeps."""
    for container in containers_of(layer):
        for value in container.values() if isinstance(container, dict) else container:
            if type(value) is np.ndarray and value.dtype.kind == "f":
                yield value


def _widened(array: Any) -> Any:
    """Return an array of less than double precision in it; any other as it is."""
    return array.astype(np.float64) if array.dtype.name in LOW else array


def _mapped(change: Callable[[Any], Any], upstream: Any) -> Any:
    """Return the same structure with each array changed."""
    return tuple(map(change, upstream)) if isinstance(upstream, (tuple, list)) else change(upstream)


def _ones_like(output: Any) -> Any:
    return _mapped(lambda one: np.ones(np.shape(one), np.asarray(one).dtype), output)


def _zeros_like(upstream: Any) -> Any:
    return _mapped(lambda one: np.zeros(np.shape(one), np.asarray(one).dtype), upstream)


def _as_precise(upstream: Any, output: Any) -> Any:
    """Upstream gradients in the precision of the outputs."""
    if isinstance(upstream, (tuple, list)):
        return tuple(_as_precise(one, other) for one, other in zip(upstream, output, strict=True))
    dtype = np.asarray(output).dtype
    return upstream.astype(dtype) if dtype.kind == "f" and dtype != upstream.dtype else upstream
