"""Exceptions of fastcheck's own."""


class EngineError(RuntimeError):
    """An engine's own spot check failed: its numbers are not to be trusted, and no verdict is given."""
