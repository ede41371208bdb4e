"""What changes where kernels run as plain Python (NUMBA_DISABLE_JIT=1): sizes, and what cannot be shown there."""

import numba
import pytest

COMPILED = not numba.config.DISABLE_JIT


def size(compiled, plain):
    """What a test works on: ``compiled`` as a rule, ``plain`` where kernels are a hundred times slower."""
    return compiled if COMPILED else plain


def needs_compiled(reason):
    """Mark of a test that shows something about compiled code."""
    return pytest.mark.skipif(not COMPILED, reason=f"kernels are plain Python: {reason}")
