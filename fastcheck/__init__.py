"""fastcheck: is your back-propagation right?  Every derivative against a central difference of the cost."""

from typing import TYPE_CHECKING, Any

from ._version import __version__

if TYPE_CHECKING:
    from . import testing
    from ._errors import (
        ChangedArgumentError,
        EngineError,
        FastcheckError,
        GradientMismatch,
        NondeterministicError,
        NoRule,
    )
    from .checks.adjoint import Adjoint, check_adjoint
    from .checks.function import check_function, check_layer, check_vjp
    from .checks.network import check
    from .checks.numerical import numerical_gradient, rel_error
    from .checks.sweep import Sweep, sweep
    from .checks.taylor import check_taylor
    from .checks.watch.watch import Watch
    from .problems.files.weights import from_torch
    from .problems.networks.cost_model import Estimate, estimate
    from .problems.networks.layers.dense import Dense
    from .problems.networks.network import Network
    from .report.report import Report

__all__ = [
    "Adjoint", "ChangedArgumentError", "Dense", "EngineError", "Estimate", "FastcheckError", "GradientMismatch",
    "Network", "NoRule", "NondeterministicError", "Report", "Sweep", "Watch",
    "__version__", "check", "check_adjoint", "check_function", "check_layer", "check_taylor", "check_vjp", "estimate",
    "from_torch", "numerical_gradient", "rel_error", "sweep", "testing",
]  # fmt: skip

# Where each name is; a module is imported when a name of it is first asked for, so that ``fastcheck.pytest_plugin``,
# which every run of pytest imports where fastcheck is installed, brings nothing along.
_PLACES = {
    "._errors": ("ChangedArgumentError", "EngineError", "FastcheckError", "GradientMismatch", "NoRule",
                 "NondeterministicError"),
    ".checks.adjoint": ("Adjoint", "check_adjoint"),
    ".checks.function": ("check_function", "check_layer", "check_vjp"),
    ".checks.network": ("check",),
    ".checks.numerical": ("numerical_gradient", "rel_error"),
    ".checks.sweep": ("Sweep", "sweep"),
    ".checks.taylor": ("check_taylor",),
    ".checks.watch.watch": ("Watch",),
    ".problems.networks.cost_model": ("Estimate", "estimate"),
    ".problems.networks.layers.dense": ("Dense",),
    ".problems.networks.network": ("Network",),
    ".report.report": ("Report",),
    ".problems.files.weights": ("from_torch",),
}  # fmt: skip
_MODULE_OF = {name: module for module, names in _PLACES.items() for name in names}


def __getattr__(name: str) -> Any:
    """A public name, imported when it is first asked for."""
    from importlib import import_module

    if name == "testing":
        return import_module(".testing", __name__)
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(_MODULE_OF[name], __name__), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    """The public names, whether they were imported yet or not."""
    return sorted({*globals(), *__all__})
