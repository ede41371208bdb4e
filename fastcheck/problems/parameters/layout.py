"""Names <-> theta: the arrays of a network, or of any nested structure, laid end to end in one vector.

Networks (W1, b1, ...) and the parameters of a user's cost are read by the same rules: gradients may carry a "d" before
their names, everything is read into double precision, and what came in less is remembered.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..._constants import UNIT_ROUNDOFF, UNIT_ROUNDOFFS
from ..._types import Array, Indices
from ..._validation import nearest
from ...runtime.cached_property import cached_property
from ...runtime.threads import run_all
from .tensor import Tensor
from .tree import Leaf, Tree, leaves, numbers, rebuilt, tree_of

# What stands for a key that is not there.
MISSING = object()
# Bytes of a number in double precision.
DOUBLE_BYTES = 8
# Numbers of a layout that several threads copy, and of a piece; fewer are done before another thread has started.
LARGE, PIECE = 1 << 18, 1 << 17


@dataclass(frozen=True)
class Values:
    """The arrays of a layout, as they were read.

    Parameters
    ----------
    vector : (n,) float64, a new array.
    precision : dtypes, by name, of the tensors that came in less than double precision.
    """

    vector: Array
    precision: dict[str, str]


class Layout:
    """Names, shapes and places: between what the user passes and a vector theta (n,).

    Parameters
    ----------
    tree : leaves in nested branches; their tensors lie end to end in theta.
    closed : whether names that it does not have are refused, instead of ignored.

    Attributes
    ----------
    tensors : one per array, in the order of theta, named by its path, "layer/W" (a single array is called "theta").
    size : n.
    """

    def __init__(self, tree: Tree, *, closed: bool = False) -> None:
        self.tree, self.closed = tree, closed
        self.leaves = tuple(leaves(tree))
        self.tensors = tuple(leaf.tensor for leaf in self.leaves)
        self.size = self.tensors[-1].stop if self.tensors else 0
        self.numbers = any(leaf.number for leaf in self.leaves)

    @classmethod
    def of(cls, parameters: Any, argument: str = "parameters") -> "Layout":
        """Return the layout of what a user passes.

        Parameters
        ----------
        parameters : an array, a number, or dictionaries, lists and tuples of them, nested at will.
        argument : how messages call it.

        Raises
        ------
        TypeError, ValueError : for leaves that are not arrays of real numbers, and where there is no number at all.
        """
        layout = cls(tree_of(parameters, argument))
        if layout.size == 0:
            raise ValueError(f"{argument}: expected an array or a dictionary of arrays to perturb, got no numbers")
        return layout

    @cached_property
    def plain(self) -> tuple[tuple[str, tuple[tuple[int, ...], ...]], ...]:
        """Names of the tensors, and the shapes that each may come in."""
        return tuple((leaf.tensor.name, (leaf.tensor.shape, leaf.tensor.shape[:1])[: 1 + leaf.flat])
                     for leaf in self.leaves)

    def parameters(self, values: Any, argument: str = "parameters", threads: int = 1) -> Values:
        """Read parameters of this layout, large ones on some threads.

        Raises
        ------
        TypeError, ValueError : naming the array that is missing, unknown, or does not fit.
        """
        return self._read(values, argument, "", threads)

    def gradients(self, values: Any, argument: str = "gradients", threads: int = 1) -> Values:
        """Read gradients of this layout, likewise: in dictionaries the gradient of "W" is called "dW" or "W".

        Raises
        ------
        TypeError, ValueError : naming the array that is missing, unknown, there twice, or does not fit.
        """
        if isinstance(values, tuple) and len(values) == 2 and isinstance(values[0], (float, int, np.number)):
            tree = self.tree
            if isinstance(tree, Leaf) or tree.is_mapping or len(tree.entries) != 2:
                raise TypeError(f"{argument}: expected the gradients alone, got a number and a "
                                f"{type(values[1]).__name__}; where they come as (cost, gradients), pass the second")
        return self._read(values, argument, "d", threads)

    def _read(self, values: Any, argument: str, prefix: str, threads: int) -> Values:
        vector, precision = np.empty(self.size), {}
        large: list[tuple[Array, Any]] = []
        for leaf, value in _matched(self, values, argument, prefix):
            tensor = leaf.tensor
            array = numbers(f"{tensor.name} in {argument}", value)
            if array.shape != tensor.shape and not (leaf.flat and array.shape == tensor.shape[:1]):
                flat = f" or {tensor.shape[:1]}" if leaf.flat else ""
                raise ValueError(
                    f"{tensor.name} in {argument}: expected shape {tensor.shape}{flat}, got shape {array.shape}"
                    f"{_to_fit(tensor.shape, array.shape) if prefix and not isinstance(value, tuple) else ''}"
                    f"{' (a tuple)' if isinstance(value, tuple) else ''}"
                )
            if array.dtype.kind == "f" and array.dtype.itemsize < DOUBLE_BYTES:
                precision[tensor.name] = array.dtype.name
            into, flat = vector[tensor.start : tensor.stop], array.reshape(-1)
            if threads > 1 and self.size > LARGE:
                large += [(into[k : k + PIECE], flat[k : k + PIECE]) for k in range(0, flat.size, PIECE)]
            else:
                into[:] = flat
        if large:
            run_all(lambda pair: np.copyto(*pair), large, threads)
        return Values(vector, precision)

    def arrays_of(self, values: Any) -> list[Any]:
        """Return what stands in the places of the tensors, as it stands there."""
        return [value for _, value in _matched(self, values, "parameters", "")]

    def views(self, theta: Any) -> Any:
        """What the user passed, made of views of ``theta`` (n,): float64 or complex128 arrays, numbers as numbers."""
        return rebuilt(self.tree, lambda leaf: _view(leaf, theta))

    def stacked(self, stacks: Sequence[Any]) -> Any:
        """Return what the user passed, with a leading axis: one array (rows, *shape) per tensor."""
        arrays = {leaf.tensor.name: stack for leaf, stack in zip(self.leaves, stacks, strict=True)}
        return rebuilt(self.tree, lambda leaf: arrays[leaf.tensor.name])

    def tensor_of(self, positions: Indices) -> Indices:
        """Return the number of the tensor that each position in theta is in."""
        return np.searchsorted([tensor.start for tensor in self.tensors], positions, side="right") - 1

    def spread(self, values: Array, positions: Indices | None) -> Array:
        """Values of the tensors as values of positions in theta; as they are where all of theta is meant (None)."""
        return values if positions is None else values[self.tensor_of(positions)]

    def filled(self, arrays: Sequence[Any]) -> Any:
        """Return what the user passed, made of one array for each tensor; numbers as arrays without axes."""
        given = {leaf.tensor.name: array for leaf, array in zip(self.leaves, arrays, strict=True)}
        return rebuilt(self.tree, lambda leaf: given[leaf.tensor.name][()] if leaf.number else given[leaf.tensor.name])

    def place(self, position: int) -> str:
        """Name and index of an entry of theta: "layer/W[3, 5]"."""
        for tensor in self.tensors:
            if tensor.start <= position < tensor.stop:
                return tensor.place(position)
        raise IndexError(f"position: expected 0 to {self.size - 1}, got {position}")

    def require_visible(self, theta: Array, epsilon: float, remedy: str) -> None:
        """Refuse a step that vanishes when it is added to a parameter.

        Raises
        ------
        ValueError : with the first such parameter, and the remedy.
        """
        lost = np.flatnonzero(np.isfinite(theta) & ((theta + epsilon == theta) | (theta - epsilon == theta)))
        if lost.size:
            k = int(lost[0])
            raise ValueError(
                f"epsilon: expected a step that changes every parameter, got {epsilon:g}, which is lost in rounding "
                f"against {self.place(k)} ({theta[k]:g}); {remedy}"
            )


def _to_fit(wanted: tuple[int, ...], shape: tuple[int, ...]) -> str:
    """The remedy where a gradient's shape tells it: sum it over axes, turn it, or give it its axes of length one."""
    if len(shape) == 2 and shape == wanted[::-1] and 1 not in shape:
        return "; it looks transposed, pass its .T"
    if [size for size in shape if size != 1] == [size for size in wanted if size != 1]:
        return _missing_sum(wanted, shape) or f"; pass its reshape({', '.join(map(str, wanted))})"
    return _missing_sum(wanted, shape)


def _missing_sum(wanted: tuple[int, ...], shape: tuple[int, ...]) -> str:
    """The remedy where a gradient has its shape but for axes that were broadcast, and are still to be summed over."""
    lead = len(shape) - len(wanted)
    if lead < 0:
        return ""
    spread = [lead + k for k, size in enumerate(wanted) if size == 1 and shape[lead + k] != 1]
    if any(size not in (1, shape[lead + k]) for k, size in enumerate(wanted)):
        return ""
    axes = [*range(lead), *spread]
    return f"; sum it over {'axis' if len(axes) == 1 else 'axes'} {' and '.join(map(str, axes))}" if axes else ""


def lowest_precision(*several: Values) -> dict[str, str]:
    """Return the lowest precision of each tensor that came in less than double precision in any of them."""
    found: dict[str, str] = {}
    for values in several:
        for name, dtype in values.precision.items():
            found[name] = max(dtype, found.get(name, dtype), key=UNIT_ROUNDOFFS.__getitem__)
    return found


def unit_roundoffs(tensors: Sequence[Tensor], precision: Mapping[str, str]) -> Array:
    """Return the unit roundoff (n,) of every entry's gradient, by the dtypes of those in less than double precision."""
    return np.concatenate([np.full(t.size, UNIT_ROUNDOFFS.get(precision.get(t.name, "float64"), UNIT_ROUNDOFF))
                           for t in tensors])


def _matched(layout: Layout, values: Any, argument: str, prefix: str) -> list[tuple[Leaf, Any]]:
    """Return the leaves of a layout with what another structure has in their places."""
    matched: list[tuple[Leaf, Any]] = []

    def match(tree: Tree, value: Any, path: tuple[str, ...]) -> None:
        if isinstance(tree, Leaf):
            matched.append((tree, value))
            return
        where, entries = f"{'/'.join(path)} in {argument}" if path else argument, tree.entries
        if tree.is_mapping:
            if not isinstance(value, Mapping):
                raise TypeError(f"{where}: expected a dictionary with {_listed(entries)}, got {type(value).__name__}")
            if layout.closed and len(value) > len(entries):
                _require_known(entries, value, where, prefix)
        elif not isinstance(value, (list, tuple)) or len(value) != len(entries):
            length = f" of {len(value)}" if isinstance(value, (list, tuple)) else ""
            raise TypeError(f"{where}: expected a sequence of {len(entries)}, got {type(value).__name__}{length}")
        for key, branch in entries.items():
            there = _key_of(entries, key, value, prefix) if tree.is_mapping else key
            if there is MISSING:
                raise _missing(layout, entries, key, value, where, prefix)
            if isinstance(branch, Leaf):
                matched.append((branch, value[there]))
            else:
                match(branch, value[there], (*path, tree.name_of(key)))

    match(layout.tree, values, ())
    return matched


def _key_of(entries: dict[Any, Tree], key: Any, value: Mapping[Any, Any], prefix: str) -> Any:
    """Under which key a dictionary has the entry ``key`` of a layout: its own name, or that with the prefix.

    MISSING where it has neither, or both.
    """
    other = f"{prefix}{key}" if prefix else key
    if other in entries or other not in value:
        other = key
    return MISSING if other not in value or (other != key and key in value) else other


def _missing(
    layout: Layout, entries: dict[Any, Tree], key: Any, value: Mapping[Any, Any], where: str, prefix: str
) -> ValueError:
    """Return the error for a key that a dictionary does not have, or has twice."""
    if layout.closed:
        _require_known(entries, value, where, prefix)
    if key in value:
        return ValueError(f"{key} in {where}: expected one of {key} and {prefix}{key}, got both")
    leaf = entries[key]
    shape = f" of shape {leaf.tensor.shape}" if isinstance(leaf, Leaf) else ""
    near = nearest(f"{prefix}{key}", [str(name) for name in value if name not in entries])
    hint = f"; is it {near!r}? call it {prefix + str(key)!r}" if near else (
        "; what is not to be checked is not passed in parameters, but by args" if prefix else "")
    return ValueError(f"{where}: expected {prefix}{key}{shape}, got {_listed(value)}; {key} is missing{hint}")


def _require_known(entries: dict[Any, Tree], value: Mapping[Any, Any], where: str, prefix: str) -> None:
    """Refuse entries of a dictionary that a layout does not have."""
    names = {str(key) for key in entries} | {f"{prefix}{key}" for key in entries}
    unknown = [name for name in value if str(name) not in names]
    if unknown:
        raise ValueError(f"{where}: expected {_listed(entries)}, got the unknown {_listed(unknown)}")


def _listed(names: Any) -> str:
    return ", ".join(map(str, names)) or "nothing"


def _view(leaf: Leaf, theta: Any) -> Any:
    tensor = leaf.tensor
    return theta[tensor.start] if leaf.number else theta[tensor.start : tensor.stop].reshape(tensor.shape)
