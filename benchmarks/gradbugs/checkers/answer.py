"""What a checker says about one version of one case."""

import contextlib
import io
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Opinion = Literal["right", "wrong", "inconclusive", "cannot"]


@dataclass(frozen=True)
class Answer:
    """An opinion with what was said.

    opinion : "cannot" where the checker does not take such a program, or stops with an error of its own.
    text : the message or report; tensors : the tensors that it accuses; seconds : how long it took.
    """

    opinion: Opinion
    text: str = ""
    tensors: tuple[str, ...] = ()
    seconds: float = 0.0


def timed(check: Callable[[], Answer]) -> Answer:
    """The answer with its seconds; what the checker or the program prints is kept off the terminal."""
    start = time.perf_counter()
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        try:
            answer = check()
        except Exception as error:  # whatever another checker raises on such a program is its answer
            answer = Answer("cannot", f"{type(error).__name__}: {error}")
    return Answer(answer.opinion, answer.text, answer.tensors, time.perf_counter() - start)
