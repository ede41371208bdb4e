"""The shape of nested parameters: dictionaries, lists and tuples of arrays, as trees that can be filled with others."""

import copy
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..._validation import package_of, real_array
from .containers import is_container, is_named
from .tensor import Tensor

# The name of a single array that was passed without one.
ALONE = "theta"
# Packages whose arrays functions do not take NumPy arrays for.
ELSEWHERE = ("torch", "cupy")


@dataclass(frozen=True)
class Leaf:
    """One array.

    Parameters
    ----------
    tensor : its name, shape and place in theta.
    number : whether it came as a plain number.
    flat : whether a column (n, 1) may also be given flat, (n,).
    """

    tensor: Tensor
    number: bool = False
    flat: bool = False


@dataclass(frozen=True)
class Branch:
    """A dictionary, list or tuple.

    Parameters
    ----------
    entries : by key, or by place.
    kind : the type it is made again as: the caller's own for dictionaries and NamedTuples, else list or tuple.
    empty : a dictionary of the caller's own type without entries; None where ``kind`` is not such a type.
    """

    entries: "dict[Any, Tree]"
    kind: type = dict
    empty: Any = None

    @property
    def is_mapping(self) -> bool:
        """Whether the entries have keys."""
        return issubclass(self.kind, Mapping)

    def name_of(self, key: Any) -> str:
        """Return what messages call an entry: its key, its field in a NamedTuple, or its place."""
        fields: tuple[str, ...] | None = getattr(self.kind, "_fields", None)
        return str(key if fields is None else fields[key])

    def filled(self, items: list[Any]) -> Any:
        """Return a container of the same kind that holds other items."""
        if not self.is_mapping:
            return self.kind(*items) if is_named(self.kind) else self.kind(items)
        made: Any = {} if self.empty is None else copy.copy(self.empty)
        for key, item in zip(self.entries, items, strict=True):
            made[key] = item
        return made


Tree = Leaf | Branch


def tree_of(parameters: Any, argument: str) -> Tree:
    """Return the tree of a user's parameters, their tensors end to end in theta, named by their paths ("layer/W").

    Raises
    ------
    TypeError, ValueError : for leaves that are not arrays of real numbers.
    """
    start = 0

    def plan(value: Any, path: tuple[str, ...]) -> Tree:
        nonlocal start
        if is_container(value):
            keys = list(value) if isinstance(value, Mapping) else list(range(len(value)))
            branch = Branch({}, *_kind_of(value))
            for key in keys:
                branch.entries[key] = plan(value[key], (*path, branch.name_of(key)))
            return branch
        name = "/".join(path) or ALONE
        array = numbers(f"{name} in {argument}", value)
        first, start = start, start + array.size
        return Leaf(Tensor(name, array.shape, first, start), bool(np.isscalar(value)))

    return plan(parameters, ())


def leaves(tree: Tree) -> Iterator[Leaf]:
    """Yield the leaves, in the order of theta."""
    if isinstance(tree, Leaf):
        yield tree
    else:
        for item in tree.entries.values():
            yield from leaves(item)


def rebuilt(tree: Tree, value_of: Callable[[Leaf], Any]) -> Any:
    """Return what the user passed, with another value in the place of each leaf."""
    if isinstance(tree, Leaf):
        return value_of(tree)
    return tree.filled([rebuilt(item, value_of) for item in tree.entries.values()])


def numbers(name: str, value: Any) -> Any:
    """Return an array of real numbers that can be perturbed.

    Raises
    ------
    TypeError, ValueError : for anything else.
    """
    array = real_array(name, value)
    if array.dtype.kind == "b":
        raise TypeError(f"{name}: expected real numbers, got dtype bool; pass what is not to be perturbed in args")
    return array


def require_numpy(argument: str, value: Any) -> None:
    """Refuse arrays of other packages where functions will be called with NumPy arrays in their places.

    Raises
    ------
    TypeError : naming the first of them.
    """
    for path, leaf in _paths(value, ()):
        if package_of(leaf) in ELSEWHERE:
            where = f"{'/'.join(path)} in {argument}" if path else argument
            raise TypeError(f"{where}: expected NumPy arrays, got a {package_of(leaf)} {type(leaf).__name__}; pass "
                            "their NumPy arrays, or check it with fastcheck.torch.gradcheck")


def _paths(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield the leaves of a structure with their paths."""
    if not is_container(value):
        yield path, value
        return
    for key, item in value.items() if isinstance(value, Mapping) else enumerate(value):
        yield from _paths(item, (*path, str(key)))


def _kind_of(container: Any) -> tuple[type, Any]:
    """Return the type that a container is made again as, and an empty dictionary of the caller's own type."""
    if isinstance(container, tuple):
        return (type(container) if is_named(container) else tuple), None
    if isinstance(container, list):
        return list, None
    if type(container) is dict or not isinstance(container, MutableMapping):
        return dict, None
    empty = copy.copy(container)
    empty.clear()
    return type(container), empty
