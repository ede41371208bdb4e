"""Which expression of the user's code an operation stands for."""

import linecache
import sys
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import CodeType, FrameType

import numpy as np

# Expressions longer than this are not quoted.
QUOTED = 60
# Code in these folders is not the user's.
_NOT_USERS = tuple(f"{folder}/" for folder in (Path(__file__).parents[3], Path(np.__file__).parent))


@dataclass(frozen=True)
class Source:
    """An expression in the user's code: two operations with the same one are visits of it, as in a loop.

    Parameters
    ----------
    code : the function that it stands in; None where no function of the user's was on the way.
    at : its place there.
    """

    code: CodeType | None
    at: int

    @property
    def text(self) -> str:
        """The expression as it is written, "" where the code cannot be read or is too long."""
        position = self._position()
        if position is None or self.code is None:
            return ""
        line, last, first, end = position
        if line is None or line != last or first is None or end is None:
            return ""
        written = linecache.getline(self.code.co_filename, line).encode()[first:end].decode(errors="replace")
        return written if len(written) <= QUOTED else ""

    def __str__(self) -> str:
        position = self._position()
        where = "" if position is None or position[0] is None else f"line {position[0]}"
        if self.code is None:
            return "an operation"
        if self.text:
            return f"`{self.text}` ({where} of {self.code.co_name})"
        return f"{where} of {self.code.co_name}" if where else self.code.co_name

    def _position(self) -> tuple[int | None, int | None, int | None, int | None] | None:
        if self.code is None:
            return None
        return next(islice(self.code.co_positions(), self.at // 2, None), None)


def source_here(skip: int) -> Source:
    """The expression of the user's code that is being evaluated.

    Parameters
    ----------
    skip : how many callers to leave out at once.
    """
    frame: FrameType | None = sys._getframe(skip)
    while frame is not None and frame.f_code.co_filename.startswith(_NOT_USERS):
        frame = frame.f_back
    return Source(None, 0) if frame is None else Source(frame.f_code, frame.f_lasti)
