"""fastcheck: is your back-propagation right?  Every derivative against a central difference of the cost."""

from . import testing
from .check import check
from .functions import check_function, check_vjp
from .network import Dense, Network
from .report import Report
from .sweep import Sweep, sweep

__all__ = ["Dense", "Network", "Report", "Sweep", "check", "check_function", "check_vjp", "sweep", "testing"]
__version__ = "0.1.0"
