"""Solvers that a function calls: their answers are right to a tolerance of their own."""

import sys
from collections.abc import Iterator
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

# SciPy's functions that stop where an estimated error is below a tolerance, by their modules.
SOLVERS = {
    "scipy.integrate": {"solve_ivp", "odeint", "solve_bvp", "quad", "dblquad", "tplquad", "nquad", "quad_vec"},
    "scipy.optimize": {"minimize", "minimize_scalar", "least_squares", "root", "root_scalar", "fsolve", "fixed_point",
                       "newton", "brentq", "brenth", "bisect", "ridder", "toms748"},
    "scipy.sparse.linalg": {"cg", "cgs", "bicg", "bicgstab", "gmres", "lgmres", "minres", "qmr", "lsqr", "lsmr",
                            "eigs", "eigsh", "svds"},
}
# Functions that are looked through, one called by another.
DEEPEST = 4


def solver_of(cost: Any) -> str | None:
    """Return the name of a solver that a function calls, itself or through functions that it names; None without one.

    Parameters
    ----------
    cost : the user's function; or a cost made of one, which lists the functions in ``user_code``.
    """
    if "scipy" not in sys.modules:
        return None
    seen: set[Any] = set()
    for function in (cost, *getattr(cost, "user_code", ())):
        found = next(_solvers(function, seen, DEEPEST), None)
        if found is not None:
            return found
    return None


def _solvers(function: Any, seen: set[Any], depth: int) -> Iterator[str]:
    """Yield the solvers that a function names."""
    function = function.__func__ if isinstance(function, MethodType) else function
    if not isinstance(function, FunctionType) or function in seen or not depth:
        return
    seen.add(function)
    names = set(_names(function.__code__))
    for value in _named(function, names):
        if isinstance(value, ModuleType):
            known = SOLVERS.get(value.__name__, ()) if value.__name__ != "scipy" else _all_of_scipy()
            yield from sorted(names.intersection(known))
        elif getattr(value, "__name__", None) in SOLVERS.get(_room(value), ()):
            yield value.__name__
        else:
            yield from _solvers(value, seen, depth - 1)


def _names(code: CodeType) -> Iterator[str]:
    """Yield the names that a function's code has, those of functions inside it among them."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _named(function: FunctionType, names: set[str]) -> Iterator[Any]:
    """Yield what a function finds under its names, among globals and in its closure."""
    for name in sorted(names):
        if name in function.__globals__:
            yield function.__globals__[name]
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # the cell is still empty
            continue


def _room(value: Any) -> str:
    """Return the public module that a function of SciPy's belongs to: those of its files begin with an underscore."""
    return str(getattr(value, "__module__", None)).split("._", 1)[0]


def _all_of_scipy() -> set[str]:
    return set().union(*SOLVERS.values())
