"""Calls that work, to spoil one argument of at a time, and what a refusal looks like."""

import numpy as np
import pytest

import fastcheck as fc

LABELS = fc.Network([fc.Dense(4, 5, "relu"), fc.Dense(5, 3, "softmax")], cost="cross_entropy")


def given(net=LABELS, m=6):
    """Everything ``check`` takes, right, as a dictionary; gradients under the parameters' names with a d."""
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((net.widths[0], m)), rng.integers(0, net.widths[-1], m)
    parameters = net.initialize(0)
    return {"net": net, "parameters": parameters, "gradients": net.gradients(parameters, X, Y), "X": X, "Y": Y}


def refuses(kind, words, call, *arguments, **options):
    """Raises ``kind`` with all of ``words`` in one sentence, and leaves every array as it was."""
    arrays = list(arrays_in((*arguments, *options.values())))
    before = [array.copy() for array in arrays]
    with pytest.raises(kind) as caught:
        call(*arguments, **options)
    message = str(caught.value)
    for word in words:
        assert word in message, message
    assert "\n" not in message
    for array, copy in zip(arrays, before, strict=True):
        np.testing.assert_array_equal(array, copy)


def arrays_in(values):
    """All arrays among values and in dictionaries."""
    for value in values:
        if isinstance(value, np.ndarray):
            yield value
        elif isinstance(value, dict):
            yield from arrays_in(value.values())
