"""Random numbers that a user's code draws: after a check they go on as they would have without it."""

import random
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import numpy as np

from .c_functions import is_foreign
from .numba_functions import is_jitted

P = ParamSpec("P")
R = TypeVar("R")

# What objects that give random numbers are.
GENERATORS = (np.random.Generator, np.random.RandomState, random.Random)
# Whether the global ones are kept already: to read and set them takes a tenth of a millisecond.
_KEPT: ContextVar[bool] = ContextVar("global random numbers are kept", default=False)


@contextmanager
def random_numbers_kept(generators: Iterable[Any] = ()) -> Iterator[None]:
    """Whatever is drawn or seeded inside, NumPy's and Python's global generators go on as if nothing had been.

    Parameters
    ----------
    generators : others, of ``GENERATORS``, that do so as well.
    """
    others = [(one, _state_of(one)) for one in generators]
    try:
        if _KEPT.get():
            yield
        else:
            with _global_ones_kept():
                yield
    finally:
        for one, state in others:
            _give_back(one, state)


@contextmanager
def _global_ones_kept() -> Iterator[None]:
    numpy, python = np.random.get_state(legacy=False), random.getstate()
    token = _KEPT.set(True)
    try:
        yield
    finally:
        _KEPT.reset(token)
        np.random.set_state(numpy)
        random.setstate(python)


def random_numbers_kept_by(check: Callable[P, R]) -> Callable[P, R]:
    """Return a check of (cost, parameters, gradients) in which random numbers are kept, if it runs any Python."""

    @wraps(check)
    def kept(*args: P.args, **options: P.kwargs) -> R:
        given = dict(zip(("cost", "parameters", "gradients"), args, strict=False)) | options
        cost, gradients = given.get("cost"), given.get("gradients")
        if (is_foreign(cost) or is_jitted(cost)) and not callable(gradients):  # machine code draws none of these
            return check(*args, **options)
        with random_numbers_kept():
            return check(*args, **options)

    return kept


def _state_of(generator: Any) -> Any:
    """Return where a generator is; None for those that have no state, as the system's."""
    with suppress(NotImplementedError):
        if isinstance(generator, np.random.Generator):
            return generator.bit_generator.state
        if isinstance(generator, np.random.RandomState):
            return generator.get_state(legacy=False)
        return generator.getstate()
    return None


def _give_back(generator: Any, state: Any) -> None:
    """Put a generator where it was."""
    if isinstance(generator, np.random.Generator):
        generator.bit_generator.state = state
    elif isinstance(generator, np.random.RandomState):
        generator.set_state(state)
    elif state is not None:
        generator.setstate(state)
