"""How the parameters of a network are called: W1, b1, W2, b2, ..., their gradients dW1, db1, ..."""

import re

# A parameter's name: its kind, and the number of its layer from 1 on.
PATTERN = r"([Wb])([1-9][0-9]{0,8})"
GRADIENT = "d"
_NAME = re.compile(PATTERN)


def name_of(kind: str, number: int) -> str:
    """Return what the parameter of a kind in layer ``number``, from 1 on, is called."""
    return f"{kind}{number}"


def kind_and_number(name: str) -> tuple[str, int] | None:
    """Return the kind of a parameter and the number of its layer; None for names of another form."""
    match = _NAME.fullmatch(name)
    return None if match is None else (match[1], int(match[2]))


def layer_of(name: str) -> int:
    """Return the number of the layer, from 1 on, that a network's parameter belongs to."""
    match = _NAME.fullmatch(name)
    if match is None:
        raise ValueError(f"name: expected one like W1 or b1, got {name!r}")
    return int(match[2])
