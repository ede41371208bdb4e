"""Solvers that a cost calls: their answers are right to a tolerance of their own."""

import sys
from typing import Any

# SciPy's functions that stop where an estimated error is below a tolerance, by their modules; but ``root``, which names
# other things as often.
SOLVERS = {
    "scipy.integrate": {"solve_ivp", "odeint", "solve_bvp", "quad", "dblquad", "tplquad", "nquad", "quad_vec"},
    "scipy.optimize": {"minimize", "minimize_scalar", "least_squares", "root_scalar", "fsolve", "fixed_point",
                       "newton", "brentq", "brenth", "bisect", "ridder", "toms748"},
    "scipy.sparse.linalg": {"cg", "cgs", "bicg", "bicgstab", "gmres", "lgmres", "minres", "qmr", "lsqr", "lsmr",
                            "eigs", "eigsh", "svds"},
}


def solver_of(cost: Any) -> str | None:
    """Return the name of a solver that the user's code names; None without one.

    Parameters
    ----------
    cost : the user's function; or a cost made of one, which lists the functions in ``user_code``.
    """
    if "scipy" not in sys.modules:
        return None
    from ..engines.program.arrays.reachable import Reachable  # imported where used, as the engines are

    return next((value.__name__ for value in Reachable(cost).named() if _is_solver(value)), None)


def _is_solver(value: Any) -> bool:
    """Tell whether a value is one of them; the files of SciPy's modules begin with an underscore."""
    module = str(getattr(value, "__module__", None)).partition("._")[0]
    return getattr(value, "__name__", None) in SOLVERS.get(module, ())
