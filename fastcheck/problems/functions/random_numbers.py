"""Random numbers that a user's code draws: after a check they go on as they would have without it."""

import random
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np

# What objects that give random numbers are.
GENERATORS = (np.random.Generator, np.random.RandomState, random.Random)


@contextmanager
def random_numbers_kept(generators: Iterable[Any] = ()) -> Iterator[None]:
    """Whatever is drawn or seeded inside, NumPy's and Python's global generators go on as if nothing had been.

    Parameters
    ----------
    generators : others, of ``GENERATORS``, that do so as well.
    """
    numpy, python = np.random.get_state(legacy=False), random.getstate()
    others = [(one, _state_of(one)) for one in generators]
    try:
        yield
    finally:
        np.random.set_state(numpy)
        random.setstate(python)
        for one, state in others:
            _give_back(one, state)


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
