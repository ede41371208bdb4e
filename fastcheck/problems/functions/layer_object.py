"""Layers as classes have them: parameters and gradients in attributes, dictionaries, lists or parameter objects."""

import copy
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._validation import package_of
from .gradient_names import GRADIENT_OF, by_name

# Attributes in which layers keep all parameters, and all gradients.
PARAMETERS = ("params", "parameters", "param", "trainable_params", "weights")
GRADIENTS = ("grads", "gradients", "grad", "dparams", "param_grads")
# Where objects that stand for one parameter keep its value and its gradient.
VALUES, SLOPES = ("data", "value", "val"), ("grad", "gradient", "g")
# Objects of these packages are not looked into.
CLOSED = frozenset(("numpy", "scipy", "builtins", "torch", "jax"))


Path = tuple[tuple[str, Any], ...]


@dataclass(frozen=True)
class Slot:
    """Where a layer keeps one parameter.

    Parameters
    ----------
    name : what reports call it.
    path : steps from the layer to the array: attributes, items, and methods that are called.
    holder : number of steps to the object that stands for the parameter; None where the array stands by itself.
    """

    name: str
    path: Path
    holder: int | None = None

    @property
    def key(self) -> Any:
        """Its name where it is kept."""
        return self.path[-1 if self.holder is None else self.holder - 1][1]

    def array(self, layer: Any) -> NDArray[Any]:
        """Return the array in a layer."""
        found: NDArray[Any] = follow(layer, self.path)
        return found

    def owner(self, layer: Any) -> Any:
        """Return the object that stands for the parameter, or the one that keeps it."""
        return follow(layer, self.path[: len(self.path) - 1 if self.holder is None else self.holder])


def follow(layer: Any, path: Path) -> Any:
    """Return what stands at the end of a path."""
    found = layer
    for step, key in path:
        found = found[key] if step == "item" else getattr(found, key)() if step == "call" else getattr(found, key)
    return found


def fresh_from(make: Any) -> Callable[[], Any]:
    """Return a function that gives a new layer at each call.

    Parameters
    ----------
    make : a class or function that makes one; or a layer, of which copies are made.

    Raises
    ------
    TypeError : for anything else, and for layers that cannot be copied.
    """
    is_layer = not isinstance(make, type) and hasattr(make, "forward")
    if not is_layer and not callable(make):
        raise TypeError(f"make: expected a function that makes a layer, or a layer, got {type(make).__name__}")
    if is_layer:
        return lambda: _copied(make)
    first, second = make(), make()
    if first is second:
        return lambda: _copied(make())
    return make  # type: ignore[no-any-return]  # it is a function


def _copied(layer: Any) -> Any:
    try:
        return copy.deepcopy(layer)
    except Exception as error:
        raise TypeError(f"make: expected a layer that can be copied, got {type(layer).__name__} ({error}); pass a "
                        "function that makes a new one") from error


def slots_of(layer: Any, params: "str | Sequence[str] | None" = None) -> list[Slot]:
    """Where a layer keeps its parameters.

    Parameters
    ----------
    layer : after a backward pass, which may have made the attributes of its gradients.
    params : the attribute that holds them, or their own names; None to look where layers keep them.

    Raises
    ------
    ValueError : where nothing is found in what ``params`` names.
    """
    if params is not None and not isinstance(params, str):
        found = [slot for name in params for slot in _slots_at(layer, (("attribute", name),), name)]
        if len(found) < len(params):
            raise ValueError(f"params: expected names of floating arrays, got {', '.join(map(str, params))}")
        return found
    for attribute in PARAMETERS if params is None else (params,):
        found = [slot for slot in _slots_at(layer, (("attribute", attribute),), "") if len(slot.path) > 1]
        if found:
            return found
    if params is not None:
        raise ValueError(f"params: expected an attribute with parameters, got {params!r}, which holds none")
    return list(_beside_gradients(layer, (), ""))


def _slots_at(layer: Any, path: Path, name: str) -> Iterator[Slot]:
    """Yield the parameters in one place: an array, an object that stands for one, or dictionaries and lists of them."""
    try:
        held = follow(layer, path)
    except AttributeError:
        return
    if callable(held) and not _is_parameter(held):
        if inspect.signature(held).parameters:
            return
        path = (*path[:-1], ("call", path[-1][1]))
        held = list(held())
    if _is_float_array(held):
        yield Slot(name, path)
    elif _is_parameter_object(held):
        attribute = next(one for one in VALUES if _is_float_array(vars_of(held).get(one)))
        yield Slot(name, (*path, ("attribute", attribute)), len(path))
    elif isinstance(held, Mapping):
        for key in held:
            yield from _slots_at(layer, (*path, ("item", key)), f"{name}/{key}" if name else str(key))
    elif isinstance(held, (list, tuple)):
        for place in range(len(held)):
            yield from _slots_at(layer, (*path, ("item", place)), f"{name or path[-1][1]}/{place}")


def _is_parameter(value: Any) -> bool:
    return _is_float_array(value) or _is_parameter_object(value)


def _is_float_array(value: Any) -> bool:
    return type(value) is np.ndarray and value.dtype.kind == "f"


def _is_parameter_object(value: Any) -> bool:
    """Tell whether an object stands for a parameter: with its value and its gradient."""
    has_value = any(_is_float_array(vars_of(value).get(one)) for one in VALUES)
    return has_value and any(one in vars_of(value) for one in SLOPES)


def vars_of(value: Any) -> Any:
    """Return the attributes of an object of the user's own, as a dictionary that sets them; nothing of any other."""
    if isinstance(value, type) or package_of(value) in CLOSED:
        return {}
    slots = [name for kind in type(value).__mro__ for name in _names_in(kind) if hasattr(value, name)]
    own = getattr(value, "__dict__", {})
    return Attributes(value, (*own, *slots)) if slots else own


def _names_in(kind: type) -> tuple[str, ...]:
    """Return the names in a class's ``__slots__``."""
    slots = kind.__dict__.get("__slots__", ())
    names = (slots,) if isinstance(slots, str) else tuple(slots)
    return tuple(name for name in names if not name.startswith("__"))


class Attributes(dict[str, Any]):
    """Attributes of an object with ``__slots__``: what is put into it is set there.

    Parameters
    ----------
    owner : the object; names : of its attributes.
    """

    def __init__(self, owner: Any, names: Sequence[str]) -> None:
        super().__init__({name: getattr(owner, name) for name in names})
        self._owner = owner

    def __setitem__(self, name: str, value: Any) -> None:
        setattr(self._owner, name, value)
        super().__setitem__(name, value)


def _beside_gradients(layer: Any, path: Path, prefix: str) -> Iterator[Slot]:
    """Attributes that a gradient stands beside, in the layer and in the layers that it holds."""
    owner = follow(layer, path)
    own = {**_of_class(owner), **vars_of(owner)}
    for name, value in own.items():
        beside = _is_float_array(value) and any(form.format(name) in own for form in GRADIENT_OF)
        if beside or _is_parameter_object(value):
            yield from _slots_at(layer, (*path, ("attribute", name)), prefix + name)
    for name, value in own.items():
        inside: list[tuple[str, Path, Any]] = [(name, (), value)]
        if isinstance(value, (list, tuple)):
            inside = [(f"{name}/{place}", (("item", place),), item) for place, item in enumerate(value)]
        elif isinstance(value, dict):
            inside = [(f"{name}/{key}", (("item", key),), item) for key, item in value.items()]
        for called, steps, item in inside:
            if hasattr(item, "forward") and vars_of(item):
                yield from _beside_gradients(layer, (*path, ("attribute", name), *steps), f"{prefix}{called}/")


def _of_class(owner: Any) -> dict[str, Any]:
    """Arrays that stand in the class of an object of the user's own."""
    if isinstance(owner, type) or package_of(owner) in CLOSED:
        return {}
    return {name: value for kind in reversed(type(owner).__mro__) for name, value in vars(kind).items()
            if _is_float_array(value)}


def gradients_of(layer: Any, slots: Sequence[Slot], grads: "str | None" = None) -> list[Any]:
    """Return the gradients that a layer keeps, one for each slot; None where there is none.

    Parameters
    ----------
    layer : after backward.
    slots : where its parameters are.
    grads : the attribute that holds them; None to look where layers keep them.

    Raises
    ------
    ValueError : where an attribute holds another number of gradients than there are parameters, or other names.
    """
    for attribute in GRADIENTS if grads is None else (grads,):
        held = getattr(layer, attribute, None)
        if isinstance(held, Mapping) and held:
            names = [str(slot.key) if slot.key in held or slot.name not in held else slot.name for slot in slots]
            return list(by_name(held, names, attribute).values())
        if isinstance(held, (list, tuple)) and held:
            if len(held) != len(slots):
                raise ValueError(f"{attribute}: expected {len(slots)} gradients, one for each parameter, "
                                 f"got {len(held)}")
            return list(held)
    return [_beside(layer, slot) for slot in slots]


def _beside(layer: Any, slot: Slot) -> Any:
    """Return the gradient beside one parameter."""
    forms = [form.format(slot.key) for form in GRADIENT_OF] if slot.holder is None else SLOPES
    own = vars_of(slot.owner(layer))
    return next((own[form] for form in forms if form in own), None)


def containers_of(layer: Any) -> Iterator[Any]:
    """Yield the dictionaries (of objects, too) and lists that a layer keeps things in."""
    seen: set[int] = set()
    waiting = [layer]
    while waiting:
        found = waiting.pop()
        if id(found) in seen:
            continue
        seen.add(id(found))
        container = found if isinstance(found, (dict, list)) else vars_of(found)
        if container or isinstance(found, (dict, list)):
            yield container
        inside = container.values() if isinstance(container, dict) else container
        waiting += [value for value in inside if isinstance(value, (dict, list)) or vars_of(value)]
        waiting += [item for value in inside if isinstance(value, tuple) for item in value]


def exchange(layer: Any, new_of: Callable[[NDArray[Any]], Any]) -> None:
    """Put something else in the place of arrays, wherever the layer keeps them.

    Parameters
    ----------
    new_of : what to put in the place of an array; the array itself to leave it.
    """
    for container in list(containers_of(layer)):
        for key, value in list(container.items() if isinstance(container, dict) else enumerate(container)):
            if type(value) is np.ndarray:
                new = new_of(value)
                if new is not value:
                    container[key] = new
            elif type(value) is tuple and any(type(one) is np.ndarray for one in value):
                container[key] = tuple(new_of(one) if type(one) is np.ndarray else one for one in value)


@contextmanager
def installed(layer: Any, slots: Sequence[Slot], values: Sequence[Any]) -> Iterator[None]:
    """Inside, the layer's parameters have other values; plain ones are written where they are, and put back after."""
    arrays = [slot.array(layer) for slot in slots]
    in_place = all(type(value) is np.ndarray and array.flags.writeable and value.dtype == array.dtype
                   for array, value in zip(arrays, values, strict=True))
    if not in_place:
        new = {id(array): value for array, value in zip(arrays, values, strict=True)}
        exchange(layer, lambda array: new.get(id(array), array))
        yield
        return
    before = [array.copy() for array in arrays]
    try:
        for array, value in zip(arrays, values, strict=True):
            array[...] = value
        yield
    finally:
        for array, kept in zip(arrays, before, strict=True):
            np.copyto(array, kept)
