"""Layers as objects: new ones, what they keep arrays in, and other arrays in the place of those."""

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._validation import package_of
from .shared_memory import copies_of, positions_in

# Objects of these packages are not looked into.
CLOSED = frozenset(("numpy", "scipy", "builtins", "torch", "jax"))


def fresh_from(make: Any, methods: Sequence[Any]) -> tuple[Callable[[], Any], Any]:
    """Return a function that gives a new layer at each call; and the layer that it copies, None where it copies none.

    Parameters
    ----------
    make : a class or function that makes one; or a layer, of which copies are made.
    methods : those that a layer has, by name; others are passed over.

    Raises
    ------
    TypeError : for anything else, and for layers that cannot be copied.
    """
    is_layer = not isinstance(make, type) and any(isinstance(one, str) and hasattr(make, one) for one in methods)
    if not is_layer and not callable(make):
        raise TypeError(f"make: expected a function that makes a layer, or a layer, got {type(make).__name__}")
    if is_layer:
        return lambda: copied(make), make
    try:
        first, second = make(), make()
    except Exception as error:
        error.add_note("fastcheck: raised by make, which is called without arguments, as in lambda: Affine(W, b)")
        raise
    if first is second:
        return lambda: copied(make()), first
    return make, None


def copied(layer: Any) -> Any:
    """Return a copy of a layer, in which arrays that shared memory do so again.

    Raises
    ------
    TypeError : where it cannot be copied.
    """
    try:
        return copy.deepcopy(layer, copies_of(arrays_in(layer), alone=False))
    except Exception as error:
        raise TypeError(f"make: expected a layer that can be copied, got {type(layer).__name__} ({error}); pass a "
                        "function that makes a new one") from error


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
        object.__setattr__(self._owner, name, value)  # frozen ones, too
        super().__setitem__(name, value)


class ClassVariables(dict[str, Any]):
    """What a class of the user's own keeps for all its objects: what is put into it is set there.

    Parameters
    ----------
    owner : the class.
    """

    def __init__(self, owner: type) -> None:
        super().__init__({name: value for name, value in vars(owner).items()
                          if not name.startswith("__") and _is_of_arrays(value)})
        self._owner = owner

    def __setitem__(self, name: str, value: Any) -> None:
        setattr(self._owner, name, value)
        super().__setitem__(name, value)


def _is_of_arrays(value: Any) -> bool:
    """Tell whether this is an array, or dictionaries and lists of nothing else: a list of all layers is left alone."""
    if isinstance(value, (dict, list, tuple)):
        inside = value.values() if isinstance(value, dict) else value
        return bool(value) and all(map(_is_of_arrays, inside))
    return type(value) is np.ndarray


def classes_of(value: Any) -> tuple[type, ...]:
    """Return the classes of an object of the user's own; nothing of any other."""
    if isinstance(value, type) or package_of(value) in CLOSED:
        return ()
    return tuple(kind for kind in type(value).__mro__ if kind.__module__.partition(".")[0] not in CLOSED)


def containers_of(layer: Any) -> Iterator[Any]:
    """Yield the dictionaries (of objects, too) and lists that a layer keeps things in; then those of its classes."""
    seen: dict[int, Any] = {}
    yield from _containers_among([layer], seen)
    kinds = dict.fromkeys(kind for found in list(seen.values()) for kind in classes_of(found))
    yield from _containers_among(list(filter(None, map(ClassVariables, kinds))), seen)


def _containers_among(waiting: list[Any], seen: dict[int, Any]) -> Iterator[Any]:
    """Yield the containers among some values and inside them, each once; and note by id what was seen."""
    while waiting:
        found = waiting.pop()
        if id(found) in seen:
            continue
        seen[id(found)] = found
        container = found if isinstance(found, (dict, list, tuple)) else vars_of(found)
        if not isinstance(found, tuple) and (container or isinstance(found, (dict, list))):
            yield container
        inside = container.values() if isinstance(container, dict) else container
        waiting += [value for value in inside if isinstance(value, (dict, list, tuple)) or _keeps_anything(value)]


def _keeps_anything(value: Any) -> bool:
    """Tell whether an object of the user's own has attributes, or its classes have arrays."""
    return bool(vars_of(value)) or any(map(ClassVariables, classes_of(value)))


def _items(container: Any) -> list[tuple[Any, Any]]:
    return list(container.items() if isinstance(container, dict) else enumerate(container))


def arrays_in(layer: Any) -> Iterator[NDArray[Any]]:
    """Yield the arrays that a layer keeps."""
    waiting = [value for container in containers_of(layer) for _, value in _items(container)][::-1]
    while waiting:
        value = waiting.pop()
        if type(value) is np.ndarray:
            yield value
        elif isinstance(value, tuple):
            waiting += value


def _renewed(value: Any, new_of: Callable[[NDArray[Any]], Any]) -> Any:
    """Return an array's replacement, or a tuple with those of its arrays; anything else as it is."""
    if type(value) is np.ndarray:
        return new_of(value)
    if type(value) is tuple or hasattr(value, "_make"):
        items = [_renewed(one, new_of) for one in value]
        if any(new is not old for new, old in zip(items, value, strict=True)):
            return value._make(items) if hasattr(value, "_make") else tuple(items)
    return value


@contextmanager
def exchanged(layer: Any, new_of: Callable[[NDArray[Any]], Any]) -> Iterator[None]:
    """Inside, something else stands in the place of arrays, wherever the layer keeps them; what was there comes back,
    since several layers may share it.

    Parameters
    ----------
    new_of : what to put in the place of an array; the array itself to leave it.
    """
    changes = []
    try:
        for container in list(containers_of(layer)):
            for key, value in _items(container):
                new = _renewed(value, new_of)
                if new is not value:
                    container[key] = new
                    changes.append((container, key, value, new))
        yield
    finally:
        for container, key, value, new in changes:
            if dict(_items(container)).get(key) is new:
                container[key] = value


@contextmanager
def disturbed(layer: Any, some: Sequence[NDArray[Any]] | None = None) -> Iterator[None]:
    """Inside, floating arrays of the layer are a little off: what forward writes shows, whatever stood there.

    Parameters
    ----------
    layer : the layer.
    some : which of its arrays; None for all that can be written to.
    """
    if some is None:
        some = [array for array in arrays_in(layer) if array.flags.writeable]
    arrays = [array for array in some if array.dtype.kind == "f"]
    generator = np.random.default_rng(0)
    with installed(layer, arrays, [a_little_off(array, generator) for array in arrays]):
        yield


def a_little_off(array: NDArray[Any], generator: np.random.Generator | None = None) -> NDArray[Any]:
    """Return an array of which every entry is larger by a random part in the root of what its precision tells apart."""
    generator = generator or np.random.default_rng(0)
    with np.errstate(all="ignore"):
        largest = np.max(np.abs(array), initial=0.0) or 1.0
        sizes = np.where(array == 0.0, largest, np.abs(array))
        part = np.sqrt(np.finfo(array.dtype).eps) * generator.uniform(0.5, 1.0, array.shape)
        return np.asarray(array + part * sizes, array.dtype)


@contextmanager
def widened(layer: Any, dtypes: Sequence[str]) -> Iterator[None]:
    """Inside, the layer's arrays of some data types are in double precision; those that share memory still do."""
    new = copies_of([array for array in arrays_in(layer) if array.dtype.name in dtypes], np.float64)
    with exchanged(layer, lambda array: new.get(id(array), array)):
        yield


@contextmanager
def installed(layer: Any, arrays: Sequence[NDArray[Any]], values: Sequence[Any]) -> Iterator[None]:
    """Inside, arrays of the layer have other values; plain ones are written where they are, and put back after.

    Others lie in memory as the arrays do: BLAS rounds by the order of the axes.
    """
    in_place = all(type(value) is np.ndarray and array.flags.writeable and value.dtype == array.dtype
                   for array, value in zip(arrays, values, strict=True))
    if not in_place:
        alike = [_in_order_of(array, value) for array, value in zip(arrays, values, strict=True)]
        with exchanged(layer, _replacement(arrays, alike)):
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


def _in_order_of(array: NDArray[Any], value: Any) -> Any:
    """Return a value whose axes lie in memory in the same order as those of an array."""
    axes = sorted(range(array.ndim), key=lambda axis: -abs(array.strides[axis]))
    if array.flags.c_contiguous or axes == list(range(array.ndim)):
        return value
    return value.transpose(axes).copy().transpose(np.argsort(axes).tolist())


def _replacement(arrays: Sequence[NDArray[Any]], values: Sequence[Any]) -> Callable[[NDArray[Any]], Any]:
    """Return a function of an array that gives its value; of a view of one, the same part; else the array itself."""
    new = {id(array): value for array, value in zip(arrays, values, strict=True)}

    def new_of(array: NDArray[Any]) -> Any:
        if id(array) in new:
            return new[id(array)]
        for whole, value in zip(arrays, values, strict=True):
            positions = positions_in(whole, array) if np.may_share_memory(whole, array) else None
            if positions is not None:
                return value.reshape(-1)[positions]
        return array

    return new_of
