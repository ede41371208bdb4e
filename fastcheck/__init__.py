"""fastcheck: is your back-propagation right?  Every derivative against a central difference of the cost."""

from .network import Dense, Network

__all__ = ["Dense", "Network"]
