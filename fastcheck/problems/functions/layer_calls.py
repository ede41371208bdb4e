"""A layer that is a class, as a forward and a backward function of its inputs and its parameters."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from functools import partial
from threading import RLock
from typing import Any

import numpy as np

from .calling import called_with, copies, input_names, outputs_of, takes_one, told
from .layer_followed import Followed, carrier_among, code_of, written_among
from .layer_gradients import gradients_before, gradients_of, readings_of
from .layer_object import (
    ClassVariables,
    a_little_off,
    arrays_in,
    containers_of,
    copied,
    disturbed,
    fresh_from,
    installed,
    vars_of,
    widened,
)
from .layer_parameters import parameters_of
from .layer_reads import constants_read, is_missed_in_double, is_read_elsewhere
from .layer_returned import Wanted, names_in
from .layer_slots import beside, numbers_beside_gradients, unmoved_beside_gradients

LOW = ("float16", "float32")
# What a layer ran before: nothing, a forward pass with other inputs, or forward and backward.
NEW, FORWARD, BOTH = "", "forward", "both"
# Share of gradients by which those of two runs of a layer may differ, where the first was added and taken off again.
SAME = 1e-9
# Attributes in which layers keep their output.
OUTPUTS = ("output", "outputs", "out", "y", "a", "A", "Z", "z")
# What helps where backward takes the gradients of several outputs one by one.
AS_ONE_TUPLE = ("; it was called with one tuple of gradients, as forward returns several outputs: where it takes them "
                "one by one, pass backward=lambda layer, d: layer.backward(*d)")


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

    Notes
    -----
    ``find`` comes first.
    """

    make: Any
    inputs: tuple[Any, ...]
    forward: Any
    backward: Any
    params: Any
    grads: str | None
    names: list[str] = field(default_factory=list)
    values: tuple[Any, ...] = ()
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._fresh, self._original = fresh_from(self.make, ("forward", self.forward, self.backward))
        self._sample = self._fresh()
        self._other: Callable[[Any], Any] = turned
        shared = any(isinstance(one, ClassVariables) for one in containers_of(self._sample))
        self._alone = RLock() if shared else nullcontext()  # what stands in a class is exchanged for all its layers

    def find(self) -> None:
        """Find the parameters, by passes through new layers.

        Raises
        ------
        TypeError, ValueError : for a layer without such methods, parameters or gradients, by name.
        """
        layer, returned, written = self._tried()
        self._followed = self._copied_when_followed(written)
        found = parameters_of(layer, self._fresh(), self._forward_of_inputs, self.params, names_in(returned))
        self._slots, own = found.slots, found.values
        doubles = not any(_is_low(value) for value in (*self.inputs, *own))
        self._low = doubles and any(array.dtype.name in LOW for array in arrays_in(layer))
        self.names = input_names(self._method(layer, self.forward), len(self.inputs))
        floating = {place: self.names[place] for place, value in enumerate(self.inputs)
                    if np.asarray(value).dtype.kind == "f"}
        self._wanted = Wanted(len(self.inputs), floating, self._slots)
        taken = set(self.names)
        self.names += [f"params/{slot.name}" if slot.name in taken else slot.name for slot in self._slots]
        self.values = (*self.inputs, *own)
        if not self.values:
            raise ValueError("make: expected a layer with inputs or parameters, got neither; name the attribute that "
                             "holds its parameters (params=...)")
        self.notes += found.notes + self._remarks(layer, returned)
        if self.params is None:
            new = self._followed.copy if self._followed else self._fresh
            names = constants_read(new, self._slots, self._forward_of_inputs)
            unmoved = unmoved_beside_gradients(layer, self._sample)
            self.notes += _not_moved(unmoved)
            self.notes += _held_constant([name for name in names if name not in found.told and name not in unmoved])

    def _tried(self) -> tuple[Any, Any, tuple[int, ...]]:
        """Return a layer after both passes, what backward returned, and which arrays forward writes into.

        Its arrays are a little off, unless the layer does not run so.
        """
        layer = self._fresh()
        try:
            with disturbed(layer):
                return layer, *self._both_passes(layer)
        except Exception:  # the user's code may hold its numbers to a condition, and raise what it likes
            layer = self._fresh()
            return layer, *self._both_passes(layer)

    def _both_passes(self, layer: Any) -> tuple[Any, tuple[int, ...]]:
        arrays = list(arrays_in(layer))
        before = [array.copy() for array in arrays]
        forward, backward = self._method(layer, self.forward), self._method(layer, self.backward)
        names = input_names(forward, len(self.inputs))
        with told("forward", called_with(names)):
            output = forward(*copies(self.inputs))
        outputs_of(output, self._kept_output(layer, names) if output is None else "")
        written = written_among(arrays, before)
        self._several = several = isinstance(output, (tuple, list))
        self._takes_upstream = several or np.size(output) != 1 or takes_one(backward)
        with told("backward", AS_ONE_TUPLE if several else "; it was called with the gradient of forward's output"):
            return self._pulled(layer, _ones_like(output)), written

    def _kept_output(self, layer: Any, names: Sequence[str]) -> str:
        """Return what may help where forward returns nothing, and the layer keeps its output in an attribute."""
        kept = next((name for name in OUTPUTS if isinstance(vars_of(layer).get(name), np.ndarray)), None)
        inputs = ", ".join(names)
        return "" if kept is None else (f"; the layer keeps an array in {kept}: where that is its output, pass "
                                        f"forward=lambda layer, {inputs}: layer.forward({inputs}) or layer.{kept}")

    def _copied_when_followed(self, written: tuple[int, ...]) -> Followed | None:
        """Return what gives the layers of runs that follow changes; None where they cannot be copied."""
        try:
            copied(self._sample)
        except TypeError:
            return None
        return Followed(self._sample, written)

    @property
    def code(self) -> tuple[Any, ...]:
        """A layer that never runs, and what of the user's own runs with others."""
        functions = [one for one in (self.forward, self.backward) if callable(one)]
        return (self._sample, *code_of(self._sample), *functions)

    @property
    def user_code(self) -> tuple[Any, ...]:
        """What of the user's own a run that follows changes calls."""
        functions = (self.forward,) if callable(self.forward) else ()
        return (*functions, *self._followed.user_code) if self._followed else ()

    def _remarks(self, layer: Any, returned: Any) -> list[str]:
        """Return sentences on what was found, and on what was not."""
        notes = readings_of(layer, self._slots, self.grads)
        if not self._slots:
            notes.append("No parameters were found in the layer: its inputs alone were checked (params=... names "
                         "the attribute that holds them).")
        numbers = [] if any(slot.is_listed for slot in self._slots) else numbers_beside_gradients(layer)
        if numbers:
            notes.append(f"Single numbers with a gradient beside them were not checked: {', '.join(numbers)}; make "
                         "each an array, np.array(...), to have it checked.")
        if not self._takes_upstream:
            notes.append("backward takes no upstream gradient: what it gives was taken to be the gradients of the "
                         "output, and was multiplied by an upstream gradient.")
        notes += self._gradients_of_inputs_kept(layer) if returned is None else []
        extra = len(returned) - len(self.inputs) if isinstance(returned, (tuple, list)) else 0
        if extra > 0 and self._slots and all(one is not None for one in self._kept(layer)):
            notes.append("backward returns gradients of parameters beside those that the layer keeps: those it keeps "
                         "were checked.")
        if self._low:
            notes.append("The layer keeps float32 arrays: its gradients are held to what that allows, and its "
                         "differences were taken in double precision.")
        return notes

    def _gradients_of_inputs_kept(self, layer: Any) -> list[str]:
        """Return a sentence on the gradient of the only floating input in an attribute, where backward returns none."""
        names = list(self._wanted.floating.values())
        for form in beside(names[0]) if len(names) == 1 else ():
            if isinstance(vars_of(layer).get(form), np.ndarray):
                return [f"backward returns nothing, and the layer keeps {form}: to have it checked, pass "
                        f"backward=lambda layer, d: layer.backward(d) or layer.{form}."]
        return []

    def require_own(self, failures: Sequence[str]) -> None:
        """Raise ValueError where forward reads parameters elsewhere than in the layer that it is called of.

        Copies of a layer may read those of the layer itself; and where arrays are in less than double precision,
        others are put in their place.

        Parameters
        ----------
        failures : names of what was found wrong.
        """
        for slot, name in zip(self._slots, self.names[len(self.inputs) :], strict=True):
            if name not in failures:
                continue
            if self._original is not None and is_read_elsewhere(
                self._original, self._fresh, slot, self._forward_of_inputs
            ):
                raise ValueError(f"make: expected a layer that can be copied, got one of which copies read {name} of "
                                 "the layer itself, by a global or a closure; pass a function that makes a new one")
            if is_missed_in_double(self._fresh, slot, self._forward_of_inputs):
                raise ValueError(f"make: expected layers that read {name} in an attribute, got one that reads it by a "
                                 "global, a closure or a partial; make its arrays float64, which are moved in place")

    def forward_of(self, *values: Any) -> Any:
        """What forward returns for these inputs and parameters, in double precision where the layer runs in it."""
        count, carrier = len(self.inputs), carrier_among(values)
        layer = self._fresh() if carrier is None or self._followed is None else self._followed.copy()
        low = self._low or any(_is_low(value) for value in self.values)
        wide = low and not any(_is_low(value) for value in values)
        with self._holding(layer, values, wide, carrier):
            return self._pass(layer, self.forward, *values[:count])

    def backward_of(self, upstream: Any, *values: Any) -> tuple[Any, ...]:
        """Return the gradients of the inputs and of the parameters, as the layer gives them."""
        return self._run(upstream, values)[1]

    def backward_of_used(self, upstream: Any, *values: Any) -> tuple[Any, ...]:
        """Return those that a layer gives which ran before, forward and backward, with other inputs."""
        return self._run(upstream, values, BOTH)[1]

    def is_stale(self) -> bool:
        """Whether a layer that ran before gives other gradients, for the same output: it keeps what it should renew.

        Where its output is another, or it does not run twice, there is nothing to hold it to.
        """
        if self._low or not self._takes_upstream:
            return False
        for self._other in (turned, turned_but_for_integers):
            with suppress(Exception):  # the user's code may refuse other inputs, or a second run, as it likes
                return self._is_stale()
        return False

    def _is_stale(self) -> bool:
        """Tell the same; raise what the user's code does of the inputs that came before.

        What one pass back leaves to the next, such as the mean of all gradients, or what a cell carries to the time
        step before, is not a cache that forward should renew: that is stale after a pass forward alone, too.
        """
        upstream = _mapped(_uneven, outputs_of(self.forward_of(*self.values)))
        upstream = upstream if self._several else upstream[0]
        outputs, fresh, _ = self._run(upstream, self.values)

        def others_after(ran: str) -> tuple[bool, bool]:
            again, used, added = self._run(upstream, self.values, ran)
            differ = any(_differ(one, other) for one, other in zip(fresh, used, strict=True))
            return differ and _same(outputs, again), added

        wrong, added = others_after(BOTH)
        if not wrong or not (added or others_after(FORWARD)[0]):
            return False
        # Where an input is zero, another mask does not show in the output.
        beside = tuple(a_little_off(value) if np.asarray(value).dtype.kind == "f" else value for value in self.values)
        return _same(*(self._run(upstream, beside, ran)[0] for ran in (NEW, BOTH)))

    def _run(
        self, upstream: Any, values: tuple[Any, ...], ran: str = NEW
    ) -> tuple[tuple[Any, ...], tuple[Any, ...], bool]:
        """Return the outputs, and the gradients of the inputs and of the parameters, of a layer that is new or used.

        At last, whether those of the inputs are added to what they were before.
        """
        layer, count = self._fresh(), len(self.inputs)
        wide = not self._low and not any(_is_low(value) for value in values)
        before = gradients_before(layer, self._slots, self.grads)
        with self._holding(layer, values, wide):
            if ran == FORWARD:
                self._pass(layer, self.forward, *map(self._other, values[:count]))
            former, added = self._used(layer, upstream, values[:count]) if ran == BOTH else (None, False)
            output = self._pass(layer, self.forward, *values[:count])
            returned = self._pulled(layer, _as_precise(upstream, output))
            inputs, gradients = self._wanted.told_apart(returned, self._kept(layer))
        if former is not None:
            gradients = [one if there is None else one - there for one, there in zip(gradients, former, strict=True)]
        elif any(one is not None and np.any(one) for one in before):
            gradients = self._without_former(gradients, before, upstream, values)
        if not self._takes_upstream:  # by the chain rule, what it would give for one
            inputs, gradients = ([None if one is None else float(np.sum(upstream)) * np.asarray(one) for one in given]
                                 for given in (inputs, gradients))
        found = tuple(np.array(one, np.float32) if self._low and one is not None else one
                      for one in (*inputs, *gradients))
        return outputs_of(output), found, added

    def _used(self, layer: Any, upstream: Any, inputs: tuple[Any, ...]) -> tuple[list[Any], bool]:
        """Run a layer with other inputs; return the gradients that it then adds to, None where it starts anew; and
        whether it adds to those of the inputs.

        It adds where a second backward pass, of zeros, leaves the gradients as they are.
        """
        there: list[list[Any]] = []
        for passed in (_mapped(np.copy, upstream), _zeros_like(upstream)):
            output = self._pass(layer, self.forward, *map(self._other, inputs))
            returned = self._pulled(layer, _as_precise(passed, output))
            own, gradients = self._wanted.told_apart(returned, self._kept(layer))
            there.append([None if one is None else np.array(one) for one in (*own, *gradients)])
        former = [one if one is not None and np.array_equal(one, left) else None
                  for one, left in zip(*there, strict=True)]
        return former[len(own) :], any(one is not None and bool(np.any(one)) for one in former[: len(own)])

    @contextmanager
    def _holding(self, layer: Any, values: Sequence[Any], wide: bool, carrier: Any = None) -> Iterator[None]:
        """Inside, the layer has these parameters, and is in double precision throughout if it should be.

        Where there is a carrier of changes, what forward writes into can receive them.
        """
        with self._alone, widened(layer, LOW if wide else ()):
            arrays, own = [slot.array(layer) for slot in self._slots], list(values[len(self.inputs) :])
            if carrier is not None and self._followed is not None:
                known = set(map(id, arrays))
                pairs = [pair for pair in self._followed.receivers(layer, carrier) if id(pair[0]) not in known]
                arrays, own = arrays + [array for array, _ in pairs], own + [receiver for _, receiver in pairs]
            with installed(layer, arrays, own):
                yield

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

    def _pulled(self, layer: Any, upstream: Any) -> Any:
        """Return what backward gives for an upstream gradient, which those of losses may not take."""
        return self._pass(layer, self.backward, *((upstream,) if self._takes_upstream else ()))

    def _forward_of_inputs(self, layer: Any) -> Any:
        return self._pass(layer, self.forward, *copies(self.inputs))

    def _kept(self, layer: Any) -> list[Any]:
        """Return the gradients that a layer keeps."""
        return gradients_of(layer, self._slots, self.grads) if self._slots else []

    def _without_former(
        self, gradients: Sequence[Any], before: Sequence[Any], upstream: Any, values: tuple[Any, ...]
    ) -> list[Any]:
        """Gradients less what was there before backward, where it adds to that: a pass of zeros leaves it as it is.

        Where backward takes no upstream gradient, a second pass adds as much again.
        """
        layer, count = self._fresh(), len(self.inputs)
        with self._holding(layer, values, False):
            output = self._pass(layer, self.forward, *values[:count])
            self._pulled(layer, _as_precise(_zeros_like(upstream), output))
            after: list[Any] = [None if one is None else np.array(one) for one in self._kept(layer)]
            adds = [former is not None and np.array_equal(former, left)
                    for former, left in zip(before, after, strict=True)]
            if not self._takes_upstream:
                self._pass(layer, self.forward, *values[:count])
                self._pulled(layer, upstream)
                adds = [former is not None and not np.array_equal(one, left)
                        for former, one, left in zip(before, after, self._kept(layer), strict=True)]
        return [one - former if added else one for one, former, added in zip(gradients, before, adds, strict=True)]


def _is_low(value: Any) -> bool:
    """Tell whether a value is an array of less than double precision; one that carries changes is not converted."""
    return hasattr(value, "dtype") and value.dtype.name in LOW


def _not_moved(kinds: Mapping[str, str]) -> list[str]:
    """Return a sentence on parameters that are no plain arrays of floating numbers."""
    if not kinds:
        return []
    listed = ", ".join(f"{name} ({kind})" for name, kind in kinds.items())
    return [f"Only plain arrays of floating numbers are checked, not {listed}, although a gradient stands beside: make "
            "each np.array(..., float) where its numbers are real."]


def _held_constant(names: Sequence[str]) -> list[str]:
    """Return a sentence on arrays that forward depends on, of which there is no gradient."""
    if not names:
        return []
    was = "it was" if len(names) == 1 else "they were"
    return [f"The outputs also depend on {', '.join(names)}, of which no gradient was found: {was} held constant and "
            "not checked; params=(...) names what to check."]


def _mapped(change: Callable[[Any], Any], upstream: Any) -> Any:
    """Return the same structure with each array changed."""
    return tuple(map(change, upstream)) if isinstance(upstream, (tuple, list)) else change(upstream)


def _ones_like(output: Any) -> Any:
    return _mapped(lambda one: np.ones(np.shape(one), np.asarray(one).dtype), output)


def _zeros_like(upstream: Any) -> Any:
    return _mapped(lambda one: np.zeros(np.shape(one), np.asarray(one).dtype), upstream)


def _uneven(output: Any) -> Any:
    """An upstream gradient without symmetries, of both signs."""
    found = np.cos(1.0 + np.arange(float(np.size(output)))).reshape(np.shape(output))
    return found.astype(np.asarray(output).dtype) if np.asarray(output).dtype.kind == "f" else found


def turned(value: Any) -> Any:
    """Another input like this one: its numbers back to front, so that signs and places are others.

    Floating ones stay between zero and one, or above zero, where they were.
    """
    array = np.asarray(value)
    back = array.reshape(-1)[::-1].reshape(array.shape)
    if array.dtype.kind != "f":
        return back.copy() if isinstance(value, np.ndarray) else value
    return (0.75 * back + 0.125 * np.cos(np.arange(float(array.size))).reshape(array.shape) ** 2).astype(array.dtype)


def turned_but_for_integers(value: Any) -> Any:
    """The same, where only floating inputs may be others: sorted ones, sizes."""
    return turned(value) if np.asarray(value).dtype.kind == "f" else value


def _same(outputs: Sequence[Any], others: Sequence[Any]) -> bool:
    return all(np.array_equal(one, other) for one, other in zip(outputs, others, strict=True))


def _differ(one: Any, other: Any) -> bool:
    """Whether two gradients differ by more than the rounding of what was added and taken off again."""
    if one is None or other is None:
        return one is not other
    size = float(np.linalg.norm(one) + np.linalg.norm(other))
    return not float(np.linalg.norm(np.asarray(one) - np.asarray(other))) <= SAME * size


def _as_precise(upstream: Any, output: Any) -> Any:
    """Upstream gradients in the precision of the outputs."""
    if isinstance(upstream, (tuple, list)):
        return tuple(_as_precise(one, other) for one, other in zip(upstream, output, strict=True))
    dtype = np.asarray(output).dtype
    return upstream.astype(dtype) if dtype.kind == "f" and dtype != upstream.dtype else upstream
