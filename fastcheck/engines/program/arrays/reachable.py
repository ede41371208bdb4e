"""What a function can reach: the namespaces of the user's code, and the containers that it may keep arrays in."""

import functools
import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from types import CellType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ....problems.functions.random_numbers import GENERATORS
from .instances import original_of

# Objects looked at before the walk ends: functions that people check reach some dozens.
MOST_OBJECTS = 20_000
# Modules within modules in which the user's names are looked up: scipy.sparse.linalg.
DEEPEST = 3
# Packages whose functions are not the user's.
FOREIGN = frozenset(
    ("numpy", "scipy", "fastcheck", "numba", "torch", "jax", "jaxlib", "tensorflow", "sklearn", "pandas", "matplotlib",
     "pytest", "_pytest", "hypothesis", "IPython", "mpmath", "sympy", "networkx", "PIL", "cupy", "dask")
)  # fmt: skip
_PLAIN = (int, float, complex, str, bytes, bool, type(None), range, slice)


class Place(NamedTuple):
    """Where an object is kept.

    Parameters
    ----------
    holder : a module's globals, a closure's cell, a dictionary, a list, a function, which holds its defaults, or what
        numpy.vectorize has made, which holds its class.
    name : the name, key or index there; nothing for a cell.
    value : the object.
    """

    holder: Any
    name: Any
    value: Any


def assign(holder: Any, name: Any, content: Any) -> None:
    """Puts an object into a place."""
    if type(holder) is CellType:
        holder.cell_contents = content
    elif type(holder) is FunctionType or isinstance(holder, np.vectorize):
        setattr(holder, name, content)
    else:
        holder[name] = content


def content(holder: Any, name: Any) -> Any:
    """Return the object in a place, None where nothing is."""
    if type(holder) is CellType:
        try:
            return holder.cell_contents
        except ValueError:
            return None
    if type(holder) is FunctionType or isinstance(holder, np.vectorize):
        return getattr(holder, name)
    return holder.get(name)


class Reachable:
    """The user's code that a function leads to.

    Parameters
    ----------
    function : the function, or a tuple of functions, classes and objects; of one of fastcheck's own, and of methods of
        fastcheck's objects, what these say that they call: their ``user_code``.

    Attributes
    ----------
    namespaces : globals of the modules that hold the functions and classes which it can call.
    cells : closure cells of these functions.
    containers : dictionaries of objects, and dictionaries and lists, that these functions can reach.
    classes : the user's classes among what they can reach.
    arrays : the arrays.
    generators : of random numbers.
    vectorized : what numpy.vectorize has made.
    instances : places of objects that ``instances.original_of`` tells.
    """

    def __init__(self, function: Callable[..., Any] | tuple[Any, ...]) -> None:
        self.namespaces: list[dict[str, Any]] = []
        self.cells: list[CellType] = []
        self.containers: list[dict[Any, Any] | list[Any]] = []
        self.classes: list[type] = []
        self.arrays: list[NDArray[Any]] = []
        self.generators: list[Any] = []
        self.vectorized: list[np.vectorize] = []
        self._named: list[set[str]] = []
        self._functions: list[FunctionType] = []
        self._places: list[Place] = []
        self._looked_for = -1
        self._walk(function, *getattr(function, "user_code", ()))
        self.instances = [place._replace(value=found) for place in self.bindings()
                          if (found := original_of(place.value)) is not None]

    def places(self, wanted: Mapping[int, Any]) -> list[Place]:
        """Return where the user's code looks up objects with these identities; found once for as many."""
        if self._looked_for != len(wanted):
            self._places = list(self._find(wanted))
            self._looked_for = len(wanted)
        return self._places

    def _find(self, wanted: Mapping[int, Any]) -> Iterator[Place]:
        for namespace in self.namespaces:
            for name, value in list(namespace.items()):
                if id(value) in wanted:
                    yield Place(namespace, name, value)
        for cell in self.cells:
            try:
                value = cell.cell_contents
            except ValueError:  # it is empty still
                continue
            if id(value) in wanted:
                yield Place(cell, "", value)
        if id(np.vectorize) in wanted:
            yield from (Place(made, "__class__", type(made)) for made in self.vectorized if id(type(made)) in wanted)

    def named(self) -> Iterator[Any]:
        """Yield what the user's code names: globals, what of modules it names, and what its closures hold."""
        for namespace, names in zip(self.namespaces, self._named, strict=True):
            yield from _named_in(namespace, names)
        for cell in self.cells:
            try:
                yield cell.cell_contents
            except ValueError:  # it is empty still
                continue

    def holders(self) -> Iterator[Place]:
        """Yield where the user's code may keep arrays: everything that it reaches, of globals those that it names."""
        yield from self.bindings()
        for container in self.containers:
            items = container.items() if isinstance(container, dict) else enumerate(container)
            yield from (Place(container, key, value) for key, value in list(items))
        for function in self._functions:
            if function.__defaults__:
                yield Place(function, "__defaults__", function.__defaults__)

    def bindings(self) -> Iterator[Place]:
        """Yield the globals that the user's code names, and its closures' cells."""
        for namespace, names in zip(self.namespaces, self._named, strict=True):
            yield from (Place(namespace, name, namespace[name]) for name in names if name in namespace)
        for cell in self.cells:
            try:
                yield Place(cell, "", cell.cell_contents)
            except ValueError:  # it is empty still
                continue

    def _walk(self, *started: Any) -> None:
        queue: deque[Any] = deque(started)
        seen: dict[int, Any] = {}
        while queue and len(seen) < MOST_OBJECTS:
            found = queue.popleft()
            if isinstance(found, _PLAIN) or id(found) in seen:
                continue
            seen[id(found)] = found
            queue.extend(self._beside(found))

    def _beside(self, found: Any) -> Iterator[Any]:
        """Yield what an object leads to."""
        kind = type(found)
        if kind is FunctionType:
            yield from self._of_function(found)
        elif kind is MethodType:
            yield from (found.__func__, found.__self__)
        elif isinstance(found, functools.partial):
            yield from (found.func, *found.args, *found.keywords.values())
        elif kind in (staticmethod, classmethod):
            yield found.__func__
        elif kind is property:
            yield from (found.fget, found.fset)
        elif isinstance(found, type):
            if not is_foreign(found.__module__):
                self.classes.append(found)
                yield from (*vars(found).values(), *found.__bases__)
        elif isinstance(found, (dict, list, tuple, set, frozenset, deque)):
            if len(found) > MOST_OBJECTS:
                return  # data, not state
            if isinstance(found, (dict, list)):
                self.containers.append(found)
            yield from found.values() if isinstance(found, dict) else found
        elif kind is np.ndarray:
            self.arrays.append(found)
        elif isinstance(found, np.vectorize):
            self.vectorized.append(found)
            yield found.pyfunc
        elif isinstance(found, GENERATORS):
            self.generators.append(found)
        elif not isinstance(found, ModuleType):
            yield from self._of_instance(found)

    def _of_instance(self, found: Any) -> Iterator[Any]:
        wrapped = getattr(found, "__wrapped__", None) if callable(found) else None
        if isinstance(wrapped, FunctionType):  # functools.lru_cache and the like
            yield wrapped
        if is_foreign(type(found).__module__):
            if type(found).__module__.startswith("fastcheck."):
                yield from getattr(found, "user_code", ())
            return
        yield type(found)
        attributes = getattr(found, "__dict__", None)
        if isinstance(attributes, dict):
            self.containers.append(attributes)
            yield from attributes.values()

    def _of_function(self, found: FunctionType) -> Iterator[Any]:
        namespace = found.__globals__
        if is_foreign(namespace.get("__name__", "")):
            return
        names = set(_names(found.__code__))
        for known, named in zip(self.namespaces, self._named, strict=True):
            if namespace is known:
                named |= names
                break
        else:
            self.namespaces.append(namespace)
            self._named.append(set(names))
        self._functions.append(found)
        for cell in found.__closure__ or ():
            self.cells.append(cell)
            try:
                yield cell.cell_contents
            except ValueError:  # it is empty still
                continue
        yield from found.__defaults__ or ()
        yield from (found.__kwdefaults__ or {}).values()
        yield from vars(found).values()
        for name in names & namespace.keys():
            value = namespace[name]
            if isinstance(value, ModuleType):
                if not is_foreign(value.__name__):
                    yield from (vars(value)[one] for one in names & vars(value).keys())
            else:
                yield value


def _names(code: CodeType) -> Iterator[str]:
    """Yield the globals and attributes that a function's code and the functions inside it name."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _named_in(namespace: dict[str, Any], names: set[str], depth: int = DEEPEST) -> Iterator[Any]:
    """Yield what a namespace has under some names, and what its modules have."""
    for name in sorted(names & namespace.keys()):
        value = namespace[name]
        yield value
        if isinstance(value, ModuleType) and depth:
            yield from _named_in(vars(value), names, depth - 1)


def is_foreign(module: str | None) -> bool:
    """Tell whether a module belongs to Python or to a package whose functions are not the user's."""
    root = (module or "").partition(".")[0]
    return root in FOREIGN or (root in sys.stdlib_module_names and root != "__main__")
