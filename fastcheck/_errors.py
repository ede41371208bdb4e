"""Exceptions of fastcheck's own.

All of them are a ``FastcheckError``::

    FastcheckError
    ├── EngineError            an engine disagrees with its own spot check
    ├── NondeterministicError  the cost gives two values at the same parameters
    ├── ChangedArgumentError   the cost writes to its parameters
    ├── GradientMismatch       a watched training step has wrong gradients
    ├── NoRule                 an operation has no exact-difference rule
    └── TooSlow                exact differences take many times as long as others (caught: those are taken)
"""

import math
from typing import Any


class FastcheckError(Exception):
    """The base of fastcheck's own exceptions."""


class EngineError(FastcheckError, RuntimeError):
    """An engine's own spot check failed: its numbers are not to be trusted, and no verdict is given."""


class NondeterministicError(FastcheckError, RuntimeError):
    """The cost gave different values at the same parameters: there is no derivative to check."""


class ChangedArgumentError(FastcheckError, RuntimeError):
    """The cost wrote to the parameters it was given: no two of its values belong to the same point."""


class GradientMismatch(FastcheckError, RuntimeError):
    """Gradients handed to a ``fastcheck.Watch`` are wrong, or the cost there is not finite.

    Parameters
    ----------
    report : the ``fastcheck.Report`` of all parameters at that step.
    step : which call it was, from 1 on.
    """

    def __init__(self, report: Any, step: int) -> None:
        super().__init__(report, step)  # both, so that it can be pickled
        self.report, self.step = report, step

    def __str__(self) -> str:
        what = "the gradients are wrong" if math.isfinite(self.report.cost) else "the cost is not finite"
        return f"step {self.step:,}: {what}\n{self.report}"


class NoRule(FastcheckError, TypeError):
    """An operation of a program has no exact-difference rule, so the program's differences are not exact.

    Parameters
    ----------
    operation : what has no rule, as the user would write it: "numpy.linalg.qr", "float() of an array that moves".
    remedy : what would help, as a clause: "return the array itself"; empty where nothing is known to.
    """

    def __init__(self, operation: str, remedy: str = "") -> None:
        super().__init__(operation, remedy)  # both, so that it can be pickled
        self.operation, self.remedy = operation, remedy

    def __str__(self) -> str:
        return f"no exact difference of {self.operation}" + (f"; {self.remedy}" if self.remedy else "")


class TooSlow(FastcheckError, RuntimeError):
    """Exact differences of a program would take many times as long as ordinary ones.

    Parameters
    ----------
    seconds : how long they would have taken.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds

    def __str__(self) -> str:
        return (f"exact ones would have taken about {self.seconds:,.0f} seconds; "
                'engine="program" takes them all the same')


def in_short(error: Exception) -> str:
    """Return the first sentence of an exception's message."""
    return (str(error).strip("'\"\n ") or repr(error)).splitlines()[0].split(". ")[0]
