"""Gradients in dictionaries, by the names of what they are gradients of."""

from collections.abc import Mapping, Sequence
from typing import Any

from ..._validation import meant

# How a dictionary, or an object, may call the gradient of W.
GRADIENT_OF = ("d{}", "grad_{}", "{}_grad", "d_{}", "g{}", "grad{}", "gradient_{}", "{}_gradient", "nabla_{}", "dL_d{}",
               "dLd{}")


def by_name(found: Mapping[Any, Any], wanted: Sequence[str], argument: str = "backward") -> dict[str, Any]:
    """Gradients of a dictionary by the names of what they are gradients of.

    Parameters
    ----------
    found : by "W", "dW", "grad_W" or "W_grad"; anything else beside them (dZ, a cache) is ignored.
    wanted : the names, in order.
    argument : how messages call it.

    Raises
    ------
    ValueError : for a name that is missing, with those there are.
    """
    chosen = {}
    for name in wanted:
        forms = (name, *(form.format(name) for form in GRADIENT_OF))
        keys = [key for key in forms if key in found]
        if not keys:  # dX of x
            small = {form.lower() for form in forms}
            keys = [key for key in found if isinstance(key, str) and key.lower() in small]
        if not keys:
            listed = ", ".join(map(str, found)) or "nothing"
            hint = meant(f"d{name}", [str(key) for key in found])
            raise ValueError(f"{argument}: expected a gradient of {name}, named {name} or d{name}, got {listed}{hint}")
        if len(keys) > 1:
            raise ValueError(f"{argument}: expected one of {' and '.join(keys)}, got both")
        chosen[name] = found[keys[0]]
    return chosen
