"""All rules by the operation's name: what ``ufunc.__name__`` or ``function.__name__`` gives."""

from .arithmetic import ARITHMETIC
from .base import Rule
from .discrete import DISCRETE
from .exponential import EXPONENTIAL
from .linear_algebra import LINEAR_ALGEBRA
from .piecewise import PIECEWISE
from .reductions import REDUCTIONS
from .softmax import SOFTMAX
from .sorting import SORTING
from .trigonometric import TRIGONOMETRIC

__all__ = ["RULES", "Rule"]

RULES: dict[str, Rule] = {
    **ARITHMETIC,
    **EXPONENTIAL,
    **TRIGONOMETRIC,
    **PIECEWISE,
    **DISCRETE,
    **REDUCTIONS,
    **SOFTMAX,
    **SORTING,
    **LINEAR_ALGEBRA,
}
