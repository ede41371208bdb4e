"""fastcheck: is your back-propagation right?  Every derivative against a central difference of the cost."""

from .check import check
from .network import Dense, Network
from .report import Report

__all__ = ["Dense", "Network", "Report", "check"]
__version__ = "0.1.0"
