"""What a check can come to: the three verdicts, and the causes that a verdict rests on beside its figures."""

from enum import StrEnum
from typing import Final, Literal

Verdict = Literal["pass", "fail", "inconclusive"]
PASS: Final = "pass"  # noqa: S105 - a verdict, not a password
FAIL: Final = "fail"
INCONCLUSIVE: Final = "inconclusive"


class Cause(StrEnum):
    """What a verdict rests on beside its figures; a member compares equal to its short name.

    Attributes
    ----------
    why : the second half of "dW1 disagrees by more than the tolerance, but by ..." where the cause leaves a doubt.
    remedy : what to do about that, as a sentence; "" where it depends on the engine.
    """

    why: str
    remedy: str

    def __new__(cls, name: str, why: str = "", remedy: str = "") -> "Cause":
        """A member from its short name and its sentences."""
        member = str.__new__(cls, name)
        member._value_ = name
        member.why, member.remedy = why, remedy
        return member

    NONE = ""
    NOT_FINITE = "not finite"
    UNCHECKED = "unchecked"
    SINGLE = "single"
    ZERO = "zero"
    COST = "cost", "", "Look for nan, inf or overflow in the parameters, the inputs and the targets."
    NOTHING = (
        "nothing", "",
        "Check with other parameters or data: the units are dead or saturated, or the cost is at a minimum.",
    )
    # Doubts, the strongest first: where tensors have several, the summary names the first.
    STEP = "step", "no more than so large an epsilon, or a kink, can explain", ""
    KINKS = (
        "kinks", "no more than the choice of slopes at several kinks can explain",
        "Check at parameters a little off: where kinks meet there is no one right gradient.",
    )
    ROUNDING = (
        "rounding", "no more than rounding in back-propagation itself can explain",
        "Check where units are less saturated, or write what cancels so that it keeps its digits: "
        "sigmoid(-z) for 1 - a, and the like.",
    )
    NOISE = "noise", "no more than rounding of the cost can explain", ""


DOUBTS = (Cause.STEP, Cause.KINKS, Cause.ROUNDING, Cause.NOISE)
