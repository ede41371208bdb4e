"""Parameters of any structure: nested dictionaries and lists of arrays, laid end to end in one vector."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..._types import Array
from ..._validation import real_array
from .tensor import Tensor

ALONE = "theta"
LOW_PRECISION = ("float16", "float32")


@dataclass(frozen=True)
class Leaf:
    """Where an array stands in the structure: its tensor, and whether it came as a plain number."""

    tensor: Tensor
    number: bool


Tree = Leaf | dict[Any, "Tree"] | list["Tree"] | tuple["Tree", ...]


class Structure:
    """The shape of the parameters: between what the user passes and a vector theta (n,).

    Parameters
    ----------
    parameters : an array of any shape, a number, or dictionaries, lists and tuples of them, nested at will.
    argument : how messages call it.

    Attributes
    ----------
    tensors : one per array, named by its path, "layer/W" (a single array is called "theta").
    size : n.

    Raises
    ------
    TypeError, ValueError : for leaves that are not arrays of real numbers, and where there is no number at all.
    """

    def __init__(self, parameters: Any, argument: str = "parameters") -> None:
        self.size = 0
        self.tree = self._read(parameters, (), argument)
        self.leaves = tuple(_leaves(self.tree))
        self.tensors = tuple(leaf.tensor for leaf in self.leaves)
        self.numbers = any(leaf.number for leaf in self.leaves)
        if self.size == 0:
            raise ValueError(f"{argument}: no numbers found; wanted an array or a dictionary of arrays to perturb")

    def _read(self, value: Any, path: tuple[str, ...], argument: str) -> Tree:
        if isinstance(value, Mapping):
            return {key: self._read(item, (*path, str(key)), argument) for key, item in value.items()}
        if isinstance(value, (list, tuple)) and any(_is_container(item) for item in value):
            items = [self._read(item, (*path, str(index)), argument) for index, item in enumerate(value)]
            return items if isinstance(value, list) else tuple(items)
        name = "/".join(path) or ALONE
        array = _floating(f"{name} in {argument}", value)
        start, self.size = self.size, self.size + array.size
        return Leaf(Tensor(name, array.shape, start, self.size), np.isscalar(value))

    def vector(self, parameters: Any, argument: str = "parameters") -> Array:
        """Parameters, or gradients of the same structure, as a vector (n,).

        In dictionaries the entry of "W" may be called "dW"; other entries are ignored.

        Raises
        ------
        TypeError, ValueError : naming the array that is missing or does not fit.
        """
        theta = np.empty(self.size)
        for leaf, value in _matched(self.tree, parameters, argument):
            tensor = leaf.tensor
            array = _floating(f"{tensor.name} in {argument}", value)
            if array.shape != tensor.shape:
                raise ValueError(f"{tensor.name} in {argument}: shape {array.shape} found, wanted {tensor.shape}")
            theta[tensor.start : tensor.stop] = array.reshape(-1)
        return theta

    def precision(self, *structures: Any) -> dict[str, str]:
        """Tensors that came in less than double precision in one of the structures, with that dtype."""
        found: dict[str, str] = {}
        for structure in structures:
            for leaf, value in _matched(self.tree, structure, "parameters"):
                dtype = str(np.asarray(value).dtype)
                if dtype in LOW_PRECISION:
                    found[leaf.tensor.name] = min(dtype, found.get(leaf.tensor.name, dtype))
        return found

    def views(self, theta: Any) -> Any:
        """What the user passed, made of views of ``theta`` (n,): float64 or complex128 arrays, numbers as numbers."""
        return _rebuilt(self.tree, lambda leaf: _view(leaf, theta))

    def stacked(self, stacks: Sequence[Any]) -> Any:
        """What the user passed, with a leading axis: one array (rows, *shape) per tensor."""
        arrays = {leaf.tensor.name: stack for leaf, stack in zip(self.leaves, stacks, strict=True)}
        return _rebuilt(self.tree, lambda leaf: arrays[leaf.tensor.name])

    def place(self, position: int) -> str:
        """Name and index of an entry of theta: "layer/W[3, 5]"."""
        for tensor in self.tensors:
            if tensor.start <= position < tensor.stop:
                index = np.unravel_index(position - tensor.start, tensor.shape)
                return tensor.name + (f"[{', '.join(str(int(i)) for i in index)}]" if index else "")
        raise IndexError(f"position {position} found, wanted 0 to {self.size - 1}")


def _is_container(value: Any) -> bool:
    """Whether a list that holds this is a structure, not an array written as a list of numbers."""
    return isinstance(value, (Mapping, np.ndarray)) or (
        hasattr(value, "__array__") and not np.isscalar(value)
    ) or (isinstance(value, (list, tuple)) and any(_is_container(item) for item in value))


def _floating(name: str, value: Any) -> Any:
    array = real_array(name, value)
    if array.dtype.kind == "b":
        raise TypeError(f"{name}: dtype bool found, wanted real numbers; pass what is not to be perturbed in args")
    return array


def _leaves(tree: Tree) -> Iterator[Leaf]:
    if isinstance(tree, Leaf):
        yield tree
    else:
        for item in tree.values() if isinstance(tree, dict) else tree:
            yield from _leaves(item)


def _matched(tree: Tree, value: Any, argument: str, path: str = "") -> Iterator[tuple[Leaf, Any]]:
    """The leaves of a tree with what another structure has in their places."""
    if isinstance(tree, Leaf):
        yield tree, value
        return
    where = f"{path or 'all'} in {argument}"
    if isinstance(tree, dict):
        if not isinstance(value, Mapping):
            wanted = ", ".join(map(str, tree))
            raise TypeError(f"{where}: {type(value).__name__} found, wanted a dictionary with {wanted}")
        for key, branch in tree.items():
            inner = f"{path}/{key}".lstrip("/")
            found = key if key in value else f"d{key}"
            if found == key and f"d{key}" in value and f"d{key}" not in tree:
                raise ValueError(f"{inner} in {argument}: both {key} and d{key} found; wanted one of them")
            if found not in value:
                raise ValueError(f"{inner} is missing in {argument}; found {', '.join(map(str, value)) or 'nothing'}")
            yield from _matched(branch, value[found], argument, inner)
        return
    if not isinstance(value, (list, tuple)) or len(value) != len(tree):
        found = f"{type(value).__name__}" + (f" of {len(value)}" if isinstance(value, (list, tuple)) else "")
        raise TypeError(f"{where}: {found} found, wanted a sequence of {len(tree)}")
    for index, branch in enumerate(tree):
        yield from _matched(branch, value[index], argument, f"{path}/{index}".lstrip("/"))


def _rebuilt(tree: Tree, leaf: Any) -> Any:
    if isinstance(tree, Leaf):
        return leaf(tree)
    if isinstance(tree, dict):
        return {key: _rebuilt(item, leaf) for key, item in tree.items()}
    return type(tree)(_rebuilt(item, leaf) for item in tree)


def _view(leaf: Leaf, theta: Any) -> Any:
    tensor = leaf.tensor
    return theta[tensor.start] if leaf.number else theta[tensor.start : tensor.stop].reshape(tensor.shape)
