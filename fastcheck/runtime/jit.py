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


def compiled(function: Callable[..., Any], *, flags: frozenset[str] = EXACT) -> Any:
    """Compile a module-level kernel: no Python objects, GIL released, cached on disk where that is possible."""
    compile_it: Any = numba.njit(nogil=True, error_model="numpy", fastmath=set(flags) or False)
    dispatcher = compile_it(function)
    if _disabled():
        return dispatcher
    try:
        dispatcher.enable_caching()
    except RuntimeError:
        return dispatcher  # neither the package nor the home folder can be written: compile in every process
    # Numba offers no public way to widen what a cache entry depends on (documented limitation).
    file = getattr(getattr(dispatcher, "_cache", None), "_cache_file", None)
    if not hasattr(file, STAMP):
        _say_that_nothing_is_cached()
        return compile_it(function)  # a stale kernel would be worse than a late one
    setattr(file, STAMP, source_stamp())
    return dispatcher


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
    from numba.core import event

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


def inner(function: Callable[..., Any], *, flags: frozenset[str] = EXACT, inline: bool = False) -> Any:
    """Compile a function that only kernels call: no wrapper for Python, which for many arguments costs a second.

    With ``inline`` it is written into its callers: a call passes a tuple of arrays by copying all their descriptions.
    """
    options: dict[str, Any] = {} if _disabled() else {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
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
                namespace[name] = inner(twin, flags=FAST if name.endswith("_columns") else EXACT)
    return namespace


def switch(functions: Mapping[int, Any], arguments: str) -> Any:
    """Compile ``f(code, arguments)`` that calls ``functions[code]``: an integer instead of a function argument.

    A function passed as an argument never hits the disk cache, and a table of functions does not compile; a chain of
    comparisons does both, and runs faster.
    """
    lines = [f"def chosen(code, {arguments}):"]
    for code in functions:
        lines += [f"    if code == {code}:", f"        return f{code}({arguments})"]
    lines += [f"    return f{next(iter(functions))}({arguments})"]
    scope: dict[str, Any] = {f"f{code}": function for code, function in functions.items()}
    exec("\n".join(lines), scope)  # noqa: S102 - the text is made of integers and our own names
    return inner(scope["chosen"])
