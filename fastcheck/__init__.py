"""fastcheck: is your back-propagation right?  Every derivative against a central difference of the cost."""

from . import testing
from .check import check
from .functions import check_function, check_vjp
from .network import Dense, Network
from .report import Report

__all__ = ["Dense", "Network", "Report", "check", "check_function", "check_vjp", "testing"]
__version__ = "0.1.0"
