"""What a name says ("grad_W1", "fc1.weight", "coefs_"): weights or a bias, of which layer, a gradient or not.

A name is split into words and numbers.  One of the words tells the kind, another may say that it is a gradient, and
what is left tells the layer.
"""

import re
from dataclasses import dataclass

WEIGHTS = ("weights", "weight", "kernels", "kernel", "coefficients", "coefs", "coef", "theta", "syn", "wt", "w")
BIASES = ("biases", "bias", "intercepts", "intercept", "b")
# One word: a mark of a gradient (dW, gradW, dLdW), the kind, and the layer or a mark behind it (wh, wout, Wgrad).
_KIND = re.compile(
    r"(?P<cost>d(?:l|j|c|e|loss|cost))?(?P<mark>d|g|grad|delta|nabla)?"
    rf"(?:(?P<W>{'|'.join(WEIGHTS)})|(?P<b>{'|'.join(BIASES)}))(?P<behind>h|o|i|in|out|hidden|input|output|grad|gradient)?"
)
# d loss / d W: what stands before the kind then.
_COST = re.compile(r"d(?:l|j|c|e|loss|cost)")
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
        words += [int(word) if str(word).isdigit() else str(word).lower() for word in found]
    told = [(place, match) for place, word in enumerate(words) if isinstance(word, str) and (match := _kind(word))]
    if not told:
        rest = tuple(word for word in words if word not in GRADIENTS)
        return Name("", rest, len(rest) < len(words), False, _is_intermediate(words))
    place, match = told[-1]
    behind = match["behind"] or ""
    marked = bool(match["mark"]) or behind in GRADIENTS
    own = [behind] if behind and behind not in GRADIENTS else []
    left = [*words[:place], *own, *words[place + 1 :]]
    group = tuple(w for w in left if w not in GRADIENTS and not (isinstance(w, str) and _COST.fullmatch(w)))
    marked = marked or any(word in GRADIENTS for word in left)
    first = next((number for number, word in enumerate(words) if isinstance(word, int)), -1)
    numbered = len(group) == 1 and isinstance(group[0], int) and place < first
    return Name("W" if match["W"] else "b", group, marked, numbered, False)


def _kind(word: str) -> "re.Match[str] | None":
    """Return what a word tells about the kind; None for words that tell nothing."""
    match = _KIND.fullmatch(word)
    return None if match is None or (match["cost"] and not match["mark"]) else match


def _is_intermediate(words: "list[str | int]") -> bool:
    named = [word for word in words if isinstance(word, str)]
    plain = [word for word in named if word not in GRADIENTS] or named
    return bool(plain) and (plain[0] in INTERMEDIATE or (plain[0][0] == "d" and plain[0][1:] in INTERMEDIATE))
