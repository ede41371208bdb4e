"""Where layers keep their parameters: in attributes, dictionaries, lists or parameter objects, once or more often."""

import heapq
import inspect
import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._types import Indices
from .gradient_names import GRADIENT_OF
from .layer_object import classes_of, vars_of
from .shared_memory import overlap, positions_in

# Attributes in which layers keep all parameters, and all gradients.
PARAMETERS = ("params", "parameters", "param", "trainable_params", "weights")
GRADIENTS = ("grads", "gradients", "grad", "dparams", "param_grads")
# Where objects that stand for one parameter keep its value and its gradient.
VALUES, SLOPES = ("data", "value", "val"), ("grad", "gradient", "g")

Path = tuple[tuple[str, Any], ...]


@dataclass(frozen=True)
class Place:
    """One place in which a layer keeps a parameter.

    Parameters
    ----------
    prefix : the name of the layer inside, of which it is a parameter: "fc1/".
    local : its name in that layer.
    path : steps from the whole to the array: attributes, items, and methods that are called.
    home : number of steps to the layer inside.
    holder : number of steps to the object that stands for the parameter; None where the array stands by itself.
    listed : whether an attribute that holds all parameters names it.
    number : where it stands among all places.
    positions : of its entries in the parameter, made flat.
    """

    prefix: str
    local: str
    path: Path
    home: int
    holder: int | None = None
    listed: bool = False
    number: int = 0
    positions: Indices = field(default_factory=lambda: np.arange(0), compare=False)

    @property
    def name(self) -> str:
        """What reports call it."""
        return self.prefix + self.local

    @property
    def key(self) -> Any:
        """Its name where it is kept."""
        return self.path[-1 if self.holder is None else self.holder - 1][1]

    @property
    def items(self) -> tuple[Any, ...]:
        """Its keys and indices in the attribute of the layer inside."""
        return tuple(key for step, key in self.path[self.home + 1 : self.holder] if step == "item")

    @property
    def is_named(self) -> bool:
        """Whether every step inside its layer has a name, as opposed to a number in a list that may grow."""
        return not any(isinstance(key, int) for _, key in self.path[self.home :])

    def array(self, layer: Any) -> NDArray[Any]:
        """Return the array in a layer."""
        found: NDArray[Any] = follow(layer, self.path)
        return found

    def array_or_none(self, layer: Any) -> NDArray[Any] | None:
        """Return the array in a layer, where there is one."""
        try:
            found = self.array(layer)
        except (AttributeError, KeyError, IndexError, TypeError):
            return None
        return found if is_float_array(found) else None


@dataclass(frozen=True)
class Slot:
    """A parameter.

    Parameters
    ----------
    places : all in which the layer keeps it, or parts of it; the first has the whole, and gives it its name.
    """

    places: tuple[Place, ...]

    @property
    def name(self) -> str:
        """What reports call it."""
        return self.places[0].name

    @property
    def is_listed(self) -> bool:
        """Whether the layer itself, not one inside it, lists it."""
        return any(place.listed and not place.home for place in self.places)

    def array(self, layer: Any) -> NDArray[Any]:
        """Return the array in a layer."""
        return self.places[0].array(layer)


def follow(layer: Any, path: Path) -> Any:
    """Return what stands at the end of a path."""
    found = layer
    for step, key in path:
        if step == "item":
            found = found[key]
        else:
            found = given_by(getattr(found, key)) if step == "call" else getattr(found, key)
    return found


def given_by(method: Any) -> Any:
    """Return what a method lists: a dictionary as it is, anything else, generators too, as a list."""
    given = method()
    return given if isinstance(given, Mapping) else list(given)


def is_float_array(value: Any) -> bool:
    """Tell whether this is a NumPy array of floating numbers."""
    return type(value) is np.ndarray and value.dtype.kind == "f"


def beside(name: Any) -> list[str]:
    """Return the names that the gradient of an attribute may have; W and dW may both be private, or one of them.

    Names of all gradients together are none of them: ``grads`` is no gradient of ``s``.
    """
    bare = str(name).lstrip("_")
    forms = [form.format(name) for form in GRADIENT_OF]
    forms.append(f"grad{str(name)[:1].upper()}{str(name)[1:]}")  # gradWeight
    if bare != name:
        forms += [lead + form.format(bare) for form in GRADIENT_OF for lead in ("", "_")]
    return [form for form in forms if form not in GRADIENTS]


def places_of(
    layer: Any, params: str | Sequence[str] | None = None, returned: Collection[str] = ()
) -> list[Place]:
    """Return all places in which a layer keeps parameters: those that were asked for, or listed, come first.

    Parameters
    ----------
    layer : after a backward pass, which may have made the attributes of its gradients.
    params : the attribute that holds them, or their own names; None to look where layers keep them.
    returned : names of gradients that backward returns.

    Raises
    ------
    ValueError : where nothing is found in what ``params`` names.
    """
    if params is None:
        first = _listed(layer, (), "")
    elif isinstance(params, str):
        first = list(_in_attribute(layer, params, (), "", _label(layer, params), listed=True))
        if not first:
            raise ValueError(f"params: expected an attribute with parameters, got {params!r}, which holds none")
    else:
        found = [list(_in_attribute(layer, name, (), "", name, listed=True)) for name in params]
        if not all(found):
            raise ValueError(f"params: expected names of floating arrays, got {', '.join(map(str, params))}")
        first = [place for places in found for place in places]
    rest = [place for owner, path, prefix in inner_layers(layer)
            for place in (*(_listed(owner, path, prefix) if path else ()),
                         *_beside_gradients(owner, path, prefix, () if path else returned))]
    return [replace(place, number=number) for number, place in enumerate((*first, *rest))]


def slots_among(places: Sequence[Place], layer: Any) -> list[Slot]:
    """Return one parameter for all the places that hold the same memory, or parts of it; in the order of the places.

    Raises
    ------
    ValueError : for arrays that share some of their memory, where none holds the other.
    """
    arrays = [place.array(layer) for place in places]
    groups: dict[int, list[int]] = {}
    for number in sorted(range(len(places)), key=lambda number: -arrays[number].size):
        lead = next((one for one in groups if arrays[one] is arrays[number] or overlap(arrays[one], arrays[number])),
                    number)
        groups.setdefault(lead, []).append(number)
    return [_slot([places[n] for n in sorted(group)], [arrays[n] for n in sorted(group)])
            for group in sorted(groups.values(), key=min)]


def _slot(places: Sequence[Place], arrays: Sequence[NDArray[Any]]) -> Slot:
    """Return the parameter that stands in several places, in part or as a whole."""
    first = max(range(len(places)), key=lambda number: arrays[number].size)  # the first of the largest
    whole, found = arrays[first], []
    for place, array in zip(places, arrays, strict=True):
        positions = np.arange(array.size).reshape(array.shape) if array is whole else positions_in(whole, array)
        if positions is None:
            raise ValueError(f"params: expected parameters in memory of their own, got {places[first].name} and "
                             f"{place.name}, which share a part; name those to check (params=...)")
        found.append(replace(place, positions=positions))
    return Slot((found[first], *found[:first], *found[first + 1 :]))


def numbers_beside_gradients(layer: Any) -> list[str]:
    """Return the names of Python's and NumPy's single numbers that gradients stand beside: they cannot be moved."""
    return [prefix + name for owner, _, prefix in inner_layers(layer) for name, value in vars_of(owner).items()
            if isinstance(value, (float, np.floating)) and any(form in vars_of(owner) for form in beside(name))]


def unmoved_beside_gradients(layer: Any, fresh: Any) -> dict[str, str]:
    """Return kinds of parameters, by name, that cannot be moved: they are no plain arrays of floating numbers.

    Parameters
    ----------
    layer : after a backward pass, which may have made the gradients.
    fresh : a new one, in which there are no intermediate results.
    """
    found: dict[str, str] = {}
    for owner, path, prefix in inner_layers(fresh):
        try:
            made = vars_of(follow(layer, path))
        except (AttributeError, KeyError, IndexError, TypeError):
            continue
        own = {**_class_attributes(owner), **vars_of(owner)}
        named = {key: value for name in GRADIENTS if isinstance(made.get(name), Mapping)
                 for key, value in made[name].items()}
        listed = [(f"{name}/{key}", key, value, named) for name in PARAMETERS if isinstance(own.get(name), Mapping)
                  for key, value in own[name].items()]
        for label, key, value, gradients in ((*((name, name, own[name], {**named, **made}) for name in own), *listed)):
            forms = (*beside(key), key) if key in named else beside(key)
            if any(gradients.get(form) is not None for form in forms):
                items = [(value, (), label)] if _kind_of(value) else spread(value, (), label)
                found |= {prefix + local: kind for item, _, local in items if (kind := _kind_of(item))}
    return found


def _kind_of(value: Any) -> str:
    """Return what an array or list of numbers is called that is no plain floating array; "" for anything else."""
    if isinstance(value, np.ndarray):
        is_plain = type(value) is np.ndarray
        kinds = "iuc" if is_plain else "iucf"
        return (value.dtype.name if is_plain else type(value).__name__) if value.dtype.kind in kinds else ""
    first = value
    while isinstance(first, list) and first:
        first = first[0]
    return "list" if isinstance(value, list) and value and isinstance(first, (int, float)) else ""


def inner_layers(layer: Any) -> Iterator[tuple[Any, Path, str]]:
    """Yield the layer and all objects of the user's own that it holds, each once, with its shortest path and prefix."""
    seen = set()
    count = itertools.count()
    waiting: list[tuple[int, int, Any, Path, str]] = [(0, next(count), layer, (), "")]
    while waiting:
        _, _, owner, path, prefix = heapq.heappop(waiting)
        if id(owner) in seen:
            continue
        seen.add(id(owner))
        yield owner, path, prefix
        for name, value in list(vars_of(owner).items()):
            for item, steps, called in spread(value, (*path, ("attribute", name)), prefix + str(name)):
                if id(item) not in seen and vars_of(item) and not _is_parameter_object(item):
                    heapq.heappush(waiting, (len(steps), next(count), item, steps, f"{called}/"))


def spread(value: Any, path: Path, name: str, depth: int = 8) -> Iterator[tuple[Any, Path, str]]:
    """Yield what stands in dictionaries, lists and tuples, and in those that they hold; else the value itself."""
    if not isinstance(value, (Mapping, list, tuple)) or not depth or _is_parameter_object(value):
        yield value, path, name
        return
    for key, item in value.items() if isinstance(value, Mapping) else enumerate(value):
        yield from spread(item, (*path, ("item", key)), f"{name}/{key}" if name else str(key), depth - 1)


def _listed(owner: Any, path: Path, prefix: str) -> list[Place]:
    """Return the parameters in the attribute that holds all those of one layer."""
    for attribute in PARAMETERS:
        if any(form in vars_of(owner) for form in beside(attribute)):
            continue  # weights and dweights, beside biases and dbiases
        label = _label(owner, attribute)
        found = [place for place in _in_attribute(owner, attribute, path, prefix, label, listed=True)
                 if len(place.path) - len(path) > 1 or _has_like(owner, getattr(owner, attribute))]
        if found:
            return found
    return []


def _label(owner: Any, attribute: str) -> str:
    """Return how names begin: keys are names by themselves, places in a list are not."""
    held = getattr(owner, attribute, None)
    if inspect.ismethod(held) and not inspect.signature(held).parameters:
        held = given_by(held)
    return "" if isinstance(held, Mapping) else attribute


def _has_like(owner: Any, array: NDArray[Any]) -> bool:
    """Tell whether an array of all gradients stands beside the array of all parameters."""
    found = [vars_of(owner).get(name) for name in GRADIENTS]
    return any(is_float_array(one) and one.shape == array.shape for one in found)


def _in_attribute(
    owner: Any, attribute: str, path: Path, prefix: str, label: str, *, listed: bool = False
) -> Iterator[Place]:
    """Yield the parameters in one attribute: an array, an object that stands for one, or dictionaries and lists."""
    held, step = getattr(owner, attribute, None), "attribute"
    if callable(held) and not _is_parameter(held):
        if inspect.signature(held).parameters:
            return
        held, step = given_by(held), "call"
    start: Path = (*path, (step, attribute))
    for value, steps, local in spread(held, start, label):
        if is_float_array(value):
            yield Place(prefix, local, steps, len(path), None, listed)
        elif _is_parameter_object(value):
            name = next(one for one in VALUES if is_float_array(fields_of(value).get(one)))
            last = "item" if isinstance(value, dict) else "attribute"
            yield Place(prefix, local, (*steps, (last, name)), len(path), len(steps), listed)


def _is_parameter(value: Any) -> bool:
    return is_float_array(value) or _is_parameter_object(value)


def _is_parameter_object(value: Any) -> bool:
    """Tell whether an object, or a dictionary, stands for a parameter: with its value and its gradient."""
    own = fields_of(value)
    return any(is_float_array(own.get(one)) for one in VALUES) and any(one in own for one in SLOPES)


def fields_of(value: Any) -> Any:
    """Return a dictionary, or the attributes of an object as one."""
    return value if isinstance(value, dict) else vars_of(value)


def _beside_gradients(owner: Any, path: Path, prefix: str, returned: Collection[str]) -> Iterator[Place]:
    """Yield the attributes of one layer that there is a gradient of, beside or by name, and its parameter objects."""
    own = {**of_class(owner), **vars_of(owner)}
    named = {key for kept in GRADIENTS for held in (getattr(owner, kept, None),) if isinstance(held, Mapping)
             for key in held} | set(returned)
    for name, value in {**_properties(owner, own), **own}.items():
        has_gradient = name in named or any(
            form in own or form in named or isinstance(getattr(type(owner), form, None), property)
            for form in beside(name)
        )
        for place in _in_attribute(owner, name, path, prefix, name) if _holds_parameters(value) else ():
            if has_gradient or place.holder is not None:
                yield place


def _holds_parameters(value: Any) -> bool:
    return any(_is_parameter(item) for item, _, _ in spread(value, (), ""))


def of_class(owner: Any) -> dict[str, Any]:
    """Arrays that stand in the class of an object of the user's own."""
    return {name: value for name, value in _class_attributes(owner).items() if is_float_array(value)}


def _properties(owner: Any, own: Mapping[str, Any]) -> dict[str, Any]:
    """Properties that give an array which an attribute holds, where a gradient stands beside them."""
    found = {}
    for name, kind in _class_attributes(owner).items():
        if isinstance(kind, property) and any(form in own or form in dir(type(owner)) for form in beside(name)):
            with suppress(Exception):  # the property is the user's code, and may need what is not there
                value = getattr(owner, name)
                if is_float_array(value) and any(overlap(value, one) for one in own.values()):
                    found[name] = value
    return found


def _class_attributes(owner: Any) -> dict[str, Any]:
    return {name: value for kind in reversed(classes_of(owner)) for name, value in vars(kind).items()}
