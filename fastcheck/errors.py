"""Exceptions of fastcheck's own."""


class EngineError(RuntimeError):
    """An engine's own spot check failed: its numbers are not to be trusted, and no verdict is given."""


class NondeterministicError(RuntimeError):
    """The cost gave different values at the same parameters: there is no derivative to check."""


class ChangedArgumentError(RuntimeError):
    """The cost wrote to the parameters it was given: no two of its values belong to the same point."""
