"""What one checker made of one case: its answers to the wrong and to the right version."""

from dataclasses import dataclass
from typing import Any

from .case import Case
from .checkers import CHECKERS
from .checkers.answer import Answer, timed


@dataclass(frozen=True)
class Outcome:
    """Both answers of one checker to one case."""

    case: Case
    checker: str
    wrong: Answer
    right: Answer

    @property
    def applies(self) -> bool:
        """Whether the checker took the program at all."""
        return "cannot" not in (self.wrong.opinion, self.right.opinion)

    @property
    def found(self) -> bool:
        """Whether the mistake was found."""
        return self.wrong.opinion == "wrong"

    @property
    def false_alarm(self) -> bool:
        """Whether the right version was called wrong."""
        return self.right.opinion == "wrong"

    @property
    def named(self) -> bool:
        """Whether the tensor at fault was named, and named first."""
        return self.found and bool(self.wrong.tensors) and self.wrong.tensors[0] in self.case.wrong

    @property
    def explained(self) -> bool:
        """Whether the message says the cause."""
        return self.found and self.case.named_by(self.wrong.text)

    @property
    def mistaken(self) -> bool:
        """Whether this is a wrong answer: a miss that rounding does not hide, or a right version that does not pass."""
        hidden = self.case.hidden and self.wrong.opinion == "inconclusive"
        return not (self.found or hidden) or self.right.opinion != "right"

    def as_dict(self) -> dict[str, Any]:
        """Everything, for a file."""
        return {
            "case": f"{self.case.area}/{self.case.name}",
            "third": self.case.third,
            "checker": self.checker,
            "wrong": self.wrong.opinion,
            "right": self.right.opinion,
            "named": self.named,
            "explained": self.explained,
            "seconds": [round(self.wrong.seconds, 4), round(self.right.seconds, 4)],
            "text": self.wrong.text if self.found else self.wrong.text[:2000],
            "right_text": self.right.text[:2000],
        }


def outcome_of(case: Case, checker: str) -> Outcome:
    """Hold a case against a checker by its name in ``CHECKERS``."""
    check = CHECKERS[checker]
    return Outcome(
        case, checker, timed(lambda: check(case.subject, "wrong")), timed(lambda: check(case.subject, "right"))
    )
