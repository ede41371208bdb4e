"""All rules by the operation's name: what ``ufunc.__name__`` or ``function.__name__`` gives."""

from dataclasses import replace
from typing import Any

from .._errors import NoRule
from .arithmetic import ARITHMETIC
from .base import Rule
from .bessel import BESSEL
from .box_cox import BOX_COX
from .discrete import DISCRETE
from .entropies import ENTROPIES
from .exponential import EXPONENTIAL
from .extremes import EXTREMES
from .gaussian import GAUSSIAN
from .integrals import INTEGRALS
from .linear_algebra import LINEAR_ALGEBRA
from .namespaces import is_complex
from .neural import NEURAL
from .piecewise import PIECEWISE
from .reductions import REDUCTIONS
from .singular import SINGULAR
from .softmax import SOFTMAX
from .sorting import SORTING
from .special import SPECIAL
from .spectral import SPECTRAL
from .trigonometric import TRIGONOMETRIC

__all__ = ["RULES", "Rule"]


def without_complex(name: str, rule: Rule) -> Rule:
    """Return the rule that raises ``NoRule`` where an operand or the result is complex, unless it holds there."""
    if rule.complex:
        return rule
    change = rule.change

    def refusing(xp: Any, values: Any, changes: Any, out: Any, branches: Any, **options: Any) -> Any:
        for array in (out, *changes):
            if array is not None and is_complex(array):
                raise NoRule(f"{name} of complex numbers", "write it with real and imaginary parts")
        return change(xp, values, changes, out, branches, **options)

    return replace(rule, change=refusing)


_ALL: dict[str, Rule] = {
    **ARITHMETIC,
    **EXPONENTIAL,
    **TRIGONOMETRIC,
    **PIECEWISE,
    **DISCRETE,
    **GAUSSIAN,
    **SPECIAL,
    **BESSEL,
    **INTEGRALS,
    **BOX_COX,
    **ENTROPIES,
    **NEURAL,
    **EXTREMES,
    **REDUCTIONS,
    **SOFTMAX,
    **SORTING,
    **LINEAR_ALGEBRA,
    **SPECTRAL,
    **SINGULAR,
}
RULES: dict[str, Rule] = {name: without_complex(name, rule) for name, rule in _ALL.items()}
