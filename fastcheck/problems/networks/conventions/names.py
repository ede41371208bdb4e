"""What a name says ("grad_W1", "fc1.weight", "coefs_"): weights or a bias, of which layer, a gradient or not.

A name is split into words and numbers.  One of the words tells the kind, another may say that it is a gradient, and
what is left tells the layer.
"""

import re
from dataclasses import dataclass

WEIGHTS = frozenset(("w", "wt", "weight", "weights", "kernel", "kernels", "coef", "coefs", "coefficients"))
BIASES = frozenset(("b", "bias", "biases", "intercept", "intercepts"))
GRADIENTS = frozenset(("d", "g", "grad", "grads", "gradient", "gradients", "nabla", "delta"))
# What lies beside parameters and gradients in the dictionaries that people pass on: pre-activations, activations, data.
INTERMEDIATE = frozenset((
    "z", "a", "x", "y", "h", "s", "delta", "out", "output", "outputs", "hidden", "cache", "loss", "cost", "j", "scores",
    "logits", "probs", "activation", "activations", "input", "inputs", "m",
))  # fmt: skip
_WORDS = re.compile(r"[A-Za-z]+|\d+")

Path = tuple[str | int, ...]
Group = tuple[str | int, ...]


@dataclass(frozen=True)
class Name:
    """What the path of an array says.

    Parameters
    ----------
    kind : "W" or "b"; "" where no word tells.
    group : what else is in it, words and numbers: all parameters of a layer share it.
    gradient : whether it says that it is a gradient.
    numbered : whether it is a kind and a number and nothing else, as W1 is: such numbers leave no gaps.
    intermediate : whether it is a name of what back-propagation computes on its way, dZ3 or A1.
    """

    kind: str
    group: Group
    gradient: bool
    numbered: bool
    intermediate: bool


def read_name(path: Path) -> Name:
    """Return what a path through nested dictionaries and lists says.

    Examples
    --------
    >>> read_name(("grad_W1",))
    Name(kind='W', group=(1,), gradient=True, numbered=True, intermediate=False)
    >>> read_name(("layers", 0, "bias")).group
    ('layers', 0)
    """
    words: list[str | int] = []
    for part in path:
        found = [part] if isinstance(part, int) else _WORDS.findall(str(part))
        words += [int(word) if str(word).isdigit() else str(word) for word in found]
    kinds = [place for place, word in enumerate(words) if isinstance(word, str) and _kind(word)]
    kind, gradient, left = "", False, list(words)
    if kinds:
        place = kinds[-1]
        kind, gradient = _kind(str(words[place])) or ("", False)
        left = words[:place] + words[place + 1 :]
    rest = tuple(word for word in left if str(word).lower() not in GRADIENTS)
    gradient = gradient or len(rest) < len(left)
    group = tuple(word if isinstance(word, int) else word.lower() for word in rest)
    numbered = bool(kinds) and len(group) == 1 and isinstance(group[0], int) and _kind_first(words)
    return Name(kind, group, gradient, numbered, not kind and _is_intermediate(words))


def _kind(word: str) -> "tuple[str, bool] | None":
    """Return the kind that a word tells, and whether it says that it is a gradient: "dW", "db", "dweight"."""
    for rest, gradient in ((word.lower(), False), (word.lower()[1:], True)):
        if gradient and word[0] not in "dDg":
            break
        if rest in WEIGHTS:
            return "W", gradient
        if rest in BIASES:
            return "b", gradient
    return None


def _kind_first(words: "list[str | int]") -> bool:
    """Tell whether the kind stands before the number: W1, unlike 0.weight of a torch.nn.Sequential."""
    numbers = [place for place, word in enumerate(words) if isinstance(word, int)]
    kinds = [place for place, word in enumerate(words) if isinstance(word, str) and _kind(word)]
    return bool(numbers) and kinds[-1] < numbers[0]


def _is_intermediate(words: "list[str | int]") -> bool:
    named = [word.lower() for word in words if isinstance(word, str)]
    plain = [word for word in named if word not in GRADIENTS] or named
    return bool(plain) and (plain[0] in INTERMEDIATE or (plain[0][0] == "d" and plain[0][1:] in INTERMEDIATE))
