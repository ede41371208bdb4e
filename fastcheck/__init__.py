"""fastcheck: is your back-propagation right?  Every derivative against a central difference of the cost."""

from . import testing
from .check import check
from ._errors import GradientMismatch
from .estimate import Estimate, estimate
from .functions import check_function, check_vjp
from .network import Dense, Network
from .report import Report
from .sweep import Sweep, sweep
from .watch import Watch
from .weights import from_torch

__all__ = [
    "Dense", "Estimate", "GradientMismatch", "Network", "Report", "Sweep", "Watch",
    "check", "check_function", "check_vjp", "estimate", "from_torch", "sweep", "testing",
]  # fmt: skip
__version__ = "0.1.0"
