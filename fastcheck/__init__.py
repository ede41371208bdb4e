"""fastcheck: is your back-propagation right?  Every derivative against a central difference of the cost."""

from . import testing
from ._errors import (
    ChangedArgumentError,
    EngineError,
    FastcheckError,
    GradientMismatch,
    NondeterministicError,
    NoRule,
)
from ._version import __version__
from .checks.function import check_function, check_vjp
from .checks.layer import check_layer
from .checks.network import check
from .checks.sweep import Sweep, sweep
from .checks.watch.watch import Watch
from .problems.networks.cost_model import Estimate, estimate
from .problems.networks.layers.dense import Dense
from .problems.networks.network import Network
from .report.report import Report
from .weights import from_torch

__all__ = [
    "ChangedArgumentError", "Dense", "EngineError", "Estimate", "FastcheckError", "GradientMismatch", "Network",
    "NoRule", "NondeterministicError", "Report", "Sweep", "Watch",
    "__version__", "check", "check_function", "check_layer", "check_vjp", "estimate", "from_torch", "sweep", "testing",
]  # fmt: skip
