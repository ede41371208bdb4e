"""All rules by the operation's name: what ``ufunc.__name__`` or ``function.__name__`` gives."""

from .arithmetic import ARITHMETIC
from .base import Rule
from .discrete import DISCRETE
from .exponential import EXPONENTIAL
from .gaussian import GAUSSIAN
from .linear_algebra import LINEAR_ALGEBRA
from .neural import NEURAL
from .piecewise import PIECEWISE
from .reductions import REDUCTIONS
from .softmax import SOFTMAX
from .sorting import SORTING
from .special import SPECIAL
from .spectral import SPECTRAL
from .trigonometric import TRIGONOMETRIC

__all__ = ["RULES", "Rule"]

RULES: dict[str, Rule] = {
    **ARITHMETIC,
    **EXPONENTIAL,
    **TRIGONOMETRIC,
    **PIECEWISE,
    **DISCRETE,
    **GAUSSIAN,
    **SPECIAL,
    **NEURAL,
    **REDUCTIONS,
    **SOFTMAX,
    **SORTING,
    **LINEAR_ALGEBRA,
    **SPECTRAL,
}
