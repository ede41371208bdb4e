"""The command line, and the demonstration it runs."""

from .command import main

__all__ = ["main"]
