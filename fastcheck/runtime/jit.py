"""The one place where kernels are compiled: policy, disk cache, and tables turned into compiled dispatch.

Numba's disk cache looks only at the file a kernel stands in; kernels here call functions of other files, so every
cache entry is keyed by the sources of all of them.
"""

import hashlib
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from types import FunctionType, ModuleType
from typing import Any

import numba
from llvmlite import ir
from numba import types
from numba.core import event
from numba.core.ccallback import CFunc
from numba.extending import intrinsic

from .kernel_sources import kernel_sources

# Keeps NaN and infinity (unlike fastmath=True) yet lets loops vectorize and sums be reordered.
FAST = frozenset({"contract", "nsz", "reassoc", "arcp"})
EXACT: frozenset[str] = frozenset()
# The private attribute of Numba's cache files that says which sources an entry was compiled from (Numba 0.61 to 0.68).
STAMP = "_source_stamp"


@cache
def source_stamp() -> str:
    """Return the digest of every source file whose code ends up in a kernel."""
    digest = hashlib.blake2b(digest_size=16)
    for path in kernel_sources():
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _disabled() -> bool:
    """Tell whether NUMBA_DISABLE_JIT is set: kernels then run as plain Python."""
    return bool(getattr(numba.config, "DISABLE_JIT", False))


def compiled(function: Callable[..., Any], *, flags: frozenset[str] = EXACT, allocates: bool = True) -> Any:
    """Compile a module-level kernel: no Python objects, GIL released, cached on disk where that is possible.

    One that does not allocate (``allocates``) counts no references to its arrays, and is compiled a fifth sooner.
    """
    options: dict[str, Any] = {} if _disabled() else {"no_cfunc_wrapper": True, "_nrt": allocates}
    compile_it: Any = numba.njit(nogil=True, error_model="numpy", fastmath=set(flags) or False, **options)
    dispatcher = compile_it(function)
    return dispatcher if _disabled() or _kept_on_disk(dispatcher) else compile_it(function)


def _kept_on_disk(kernel: Any) -> bool:
    """Have the machine code of a dispatcher or callback kept on disk, for these sources; tell whether that went well.

    Where neither the package nor the home folder can be written it is compiled in every process.  Numba offers no
    public way to widen what a cache entry depends on (documented limitation), and a stale kernel would be worse than a
    late one.
    """
    try:
        kernel.enable_caching()
    except RuntimeError:
        return True
    file = getattr(getattr(kernel, "_cache", None), "_cache_file", None)
    if not hasattr(file, STAMP):
        _say_that_nothing_is_cached()
        return False
    setattr(file, STAMP, source_stamp())
    return True


def is_at_hand(kernel: Any) -> bool:
    """Tell whether what ``compiled`` made has machine code in this process, or on disk for these sources."""
    if _disabled() or kernel.signatures:
        return True
    file = getattr(getattr(kernel, "_cache", None), "_cache_file", None)
    load = getattr(file, "_load_index", None)  # private, as is the stamp
    return bool(load and load())


@contextmanager
def compiling() -> Iterator[list[float]]:
    """Measure what is compiled meanwhile: afterwards the list holds the seconds of each compilation, if any."""
    seconds: list[float] = []
    with event.install_timer("numba:compile", seconds.append):
        yield seconds


@cache
def _say_that_nothing_is_cached() -> None:
    """Once: a version of Numba that keeps its cache in another way costs every process its compilation."""
    warnings.warn(
        f"Numba {numba.__version__} keeps its disk cache in a way that fastcheck does not know, so kernels are "
        "compiled in every process; please report this version to fastcheck, or use an earlier one",
        RuntimeWarning, stacklevel=3,
    )


def inner(
    function: Callable[..., Any], *, flags: frozenset[str] = EXACT, inline: bool = False, allocates: bool = False
) -> Any:
    """Compile a function that only kernels call: no wrapper for Python, which for many arguments costs a second.

    With ``inline`` it is written into its callers: a call passes a tuple of arrays by copying all their descriptions.
    What ``allocates`` means is said in ``compiled``.
    """
    options: dict[str, Any] = {} if _disabled() else {
        "no_cpython_wrapper": True, "no_cfunc_wrapper": True, "_nrt": allocates}
    if inline:
        options["inline"] = "always"
    return numba.njit(nogil=True, error_model="numpy", fastmath=set(flags) or False, **options)(function)


def compiled_namespace(*modules: ModuleType) -> dict[str, Any]:
    """Return the functions of ``modules`` compiled together, so that they can call each other inside kernels.

    Those named ``*_columns`` are loops over independent columns and vectorize; all others keep every rounding as
    written, which error-free transformations rely on.
    """
    namespace: dict[str, Any] = {}
    for module in modules:
        namespace.update(vars(module))
    for module in modules:
        for name, item in vars(module).items():
            if isinstance(item, FunctionType) and item.__module__ == module.__name__:
                twin = FunctionType(item.__code__, namespace, name, item.__defaults__)
                namespace[name] = inner(twin, flags=FAST if name.endswith("_columns") else EXACT, allocates=True)
    return namespace


# --- functions that are called by their address -----------------------------------------------------------------


def _call(typing: Any, address: Any, operands: Any) -> Any:
    """Call ``double f(...)``: numbers as they are, an array as the address of its first entry and its lengths."""

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        passed: list[Any] = []
        for number, kind in enumerate(operands):
            value = builder.extract_value(arguments[1], number)
            if isinstance(kind, types.Array):
                array = context.make_array(kind)(context, builder, value)
                passed += [array.data, *(builder.extract_value(array.shape, axis) for axis in range(kind.ndim))]
            else:
                passed.append(value)
        kind = ir.FunctionType(ir.DoubleType(), [value.type for value in passed])
        return builder.call(builder.inttoptr(arguments[0], kind.as_pointer()), passed)

    for kind in operands:
        if isinstance(kind, types.Array) and kind.layout != "C":
            raise TypeError(f"operands: expected contiguous arrays, got {kind}")
    return types.float64(address, operands), code


def _call_plainly(function: Any, operands: Any) -> Any:
    """Call a function that is plain Python."""
    return function(*operands)


# What is called by its address is given numbers, and of an array the address of its first entry and its lengths; carray
# makes an array of these.
_numba: Any = numba
NUMBER, LENGTH, NUMBERS = _numba.float64, _numba.intp, _numba.types.CPointer(_numba.float64)
carray = _numba.carray
# Calls what ``Addresses.at`` gave, from compiled code: ``call_at(address, operands)``.
call_at: Any = _call_plainly if _disabled() else intrinsic(_call)


class Addresses:
    """Functions that compiled code calls by their address: each is compiled by itself, when it is first asked for.

    An integer instead of a function argument, which would never hit the disk cache; and what calls them is compiled
    once, whatever there is in the table.

    Parameters
    ----------
    functions : by name.
    entry : a module-level function of C's numbers and addresses that calls ``chosen``, which stands for any of them.
    arguments : Numba's types of the entry's arguments.
    """

    def __init__(self, functions: Mapping[str, Any], entry: Callable[..., Any], *arguments: Any) -> None:
        self.functions, self.entry, self.arguments = functions, entry, arguments
        self.found: dict[str, Any] = {}

    def at(self, name: str) -> Any:
        """Where a function's machine code lies, in plain Python the function itself; 0 for a name that has none."""
        if name not in self.functions:
            return 0
        if _disabled():
            return self.functions[name]
        if name not in self.found:
            self.found[name] = self._compiled(self.functions[name])
        return self.found[name].address

    def _compiled(self, function: Any) -> Any:
        entry, name = self.entry, f"{self.entry.__name__}_{function.__name__}"
        scope = {**entry.__globals__, "chosen": function}
        twin = FunctionType(entry.__code__, scope, name)
        twin.__qualname__ = name  # under which it is kept on disk
        made = self._callback(twin)
        if not _kept_on_disk(made):
            made = self._callback(twin)
        with event.trigger_event("numba:compile"):
            made.compile()
        return made

    def _callback(self, function: Any) -> Any:
        return CFunc(function, (self.arguments, types.float64), locals={}, options={"error_model": "numpy"})
