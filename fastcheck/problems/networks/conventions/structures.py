"""Which array of a user's structure is which parameter: dictionaries by names, lists by places."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...parameters.containers import is_container, is_named
from ..names import kind_and_number, name_of
from .names import Group, Name, Path, read_name

Key = tuple[str, Group]


@dataclass(frozen=True)
class Found:
    """One way to read a structure.

    Parameters
    ----------
    arrays : by kind and group, what stands there.
    called : by the same, how the user calls it.
    ignored : names of what is neither a parameter nor a known intermediate value.
    numbered : whether all names are a kind and a number, which leave no gaps.
    placed : whether places tell what is what, and not names.
    gradients : whether all names say that they are gradients.
    """

    arrays: dict[Key, Any]
    called: dict[Key, str]
    ignored: tuple[str, ...] = ()
    numbered: bool = False
    placed: bool = False
    gradients: bool = False

    def groups(self) -> list[Group]:
        """Return the layers in their order: by number where that is all they differ by, else as they come."""
        found = list(dict.fromkeys(group for kind, group in self.arrays if kind == "W"))
        texts = {tuple(part for part in group if isinstance(part, str)) for group in found}
        lengths = {len(group) for group in found}
        if len(texts) == 1 and len(lengths) == 1:
            found.sort(key=lambda group: [part for part in group if isinstance(part, int)])
        return found


def readings(structure: Any) -> Iterator[Found]:
    """Yield the ways to read a structure of parameters or gradients, the likeliest first.

    Parameters
    ----------
    structure : dictionaries, lists and tuples of arrays; None stands for an array that is not there.
    """
    leaves = list(_leaves(structure, ()))
    names = [read_name(path) for path, _ in leaves]
    if any(name.kind for name in names):
        yield _by_name(leaves, names)
        return
    pairs = [(path, value) for path, value in leaves if path and isinstance(path[-1], int)]
    if not pairs or len(pairs) < len(leaves):
        return
    if all(len(path) >= 2 for path, _ in pairs):
        yield _placed(pairs, lambda path: (_kind_at(path[-1]), path[:-1]))
        yield _placed(pairs, lambda path: (_kind_at(path[0]), path[1:]))
        yield _placed(pairs, lambda path: (_kind_at(path[0], "bW"), path[1:]))
    elif all(len(path) == 1 for path, _ in pairs) and not isinstance(structure, Mapping):
        yield _placed(pairs, lambda path: (_kind_at(path[0] % 2), (path[0] // 2,)))
        yield _placed(pairs, lambda path: ("W", path))


def _by_name(leaves: Sequence[tuple[Path, Any]], names: Sequence[Name]) -> Found:
    arrays: dict[Key, Any] = {}
    called: dict[Key, str] = {}
    ignored = []
    for (path, value), name in zip(leaves, names, strict=True):
        key = (name.kind, name.group)
        if not name.kind or (name.kind == "W" and _is_number(value)):  # weight_decay, say
            if not name.intermediate:
                ignored.append(_text(path))
        elif key in called:
            one, other = sorted((called[key], _text(path)), key=len)
            raise ValueError(f"{one}: expected one of {one} and {other}, got both")
        else:
            arrays[key], called[key] = value, _text(path)
    arrays = {key: value for key, value in arrays.items() if value is not None}
    told = [name for name in names if name.kind]
    return Found(arrays, called, tuple(ignored), all(name.numbered for name in told),
                 gradients=all(name.gradient for name in told))


def _placed(leaves: Sequence[tuple[Path, Any]], key_of: Any) -> Found:
    arrays, called = {}, {}
    for path, value in leaves:
        kind, group = key_of(path)
        if kind and value is not None:
            arrays[kind, tuple(group)] = value
        called[kind, tuple(group)] = _text(path)
    return Found(arrays, called, placed=True)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) or getattr(value, "ndim", None) == 0


def _kind_at(place: Any, kinds: str = "Wb") -> str:
    return kinds[place] if place in (0, 1) else ""


def _leaves(value: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _leaves(item, (*path, key if isinstance(key, (int, str)) else str(key)))
    elif isinstance(value, (list, tuple)) and _holds_arrays(value):
        fields = getattr(value, "_fields", range(len(value))) if is_named(value) else range(len(value))
        for key, item in zip(fields, value, strict=True):
            yield from _leaves(item, (*path, key))
    else:
        yield path, value


def _holds_arrays(value: Any) -> bool:
    """Tell whether this is a structure and not an array written as a list; None may stand for arrays."""
    if is_container(value):
        return True
    return bool(value) and all(item is None or np.ndim(item) for item in value) and any(item is None for item in value)


def _text(path: Path) -> str:
    """Return how the user would write it: fc1.weight, layers/0/b, [0][1]."""
    if path and not any(isinstance(part, str) for part in path):
        return "".join(f"[{part}]" for part in path)
    return "/".join(map(str, path))


def like(called: str, name: str) -> bool:
    """Tell whether a user's name is the network's own, but for upper case, underscores and marks of a gradient."""
    read, own = read_name((called,)), kind_and_number(name)
    return own is not None and (read.kind, read.group) == (own[0], (own[1],)) and read.numbered


def canonical(numbers: Mapping[Group, int], key: Key) -> str:
    """Return the network's name of a parameter."""
    return name_of(key[0], numbers[key[1]])


def is_canonical(structure: Any) -> bool:
    """Tell whether a structure is a dictionary with the network's own names alone."""
    return isinstance(structure, Mapping) and all(
        isinstance(name, str) and kind_and_number(name) for name in structure
    )
