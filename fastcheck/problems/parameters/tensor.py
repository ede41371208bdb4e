"""One named parameter array and its place in theta."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Tensor:
    """One named parameter array and its place in theta."""

    name: str
    shape: tuple[int, ...]
    start: int
    stop: int

