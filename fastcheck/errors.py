"""Exceptions of fastcheck's own."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .report import Report


class EngineError(RuntimeError):
    """An engine's own spot check failed: its numbers are not to be trusted, and no verdict is given."""


class NondeterministicError(RuntimeError):
    """The cost gave different values at the same parameters: there is no derivative to check."""


class ChangedArgumentError(RuntimeError):
    """The cost wrote to the parameters it was given: no two of its values belong to the same point."""


class GradientMismatch(RuntimeError):
    """Gradients handed to a ``fastcheck.Watch`` are wrong.

    Parameters
    ----------
    report : the ``fastcheck.Report`` of all parameters at that step.
    step : which call it was, from 1 on.
    """

    def __init__(self, report: "Report", step: int) -> None:
        super().__init__(report, step)  # both, so that it can be pickled
        self.report, self.step = report, step

    def __str__(self) -> str:
        return f"step {self.step:,}: the gradients are wrong\n{self.report}"
