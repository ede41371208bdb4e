"""What is wrong with a block of a Jacobian, in words: parts of the output that are missing, swapped inputs."""

import numpy as np
import pytest

from fastcheck.checks.jacobian.mismatch import explained
from fastcheck.checks.jacobian.point import Part, Point
from fastcheck.problems.parameters.tensor import Tensor

OUTPUT, INPUTS = (4, 3), ((4, 3), (4, 3))


def point(output=OUTPUT, inputs=INPUTS):
    """A point of a function of these shapes; nothing of it is called."""
    parts, start = [], 0
    for number, shape in enumerate(inputs):
        size = int(np.prod(shape))
        parts.append(Part(Tensor(f"input{number}", shape, start, start + size)))
        start += size
    out = Part(Tensor("output", output, 0, int(np.prod(output))))
    return Point(None, np.linspace(-1, 1, start), np.ones(out.tensor.size), tuple(parts), (out,))


def said(change, output=OUTPUT, inputs=INPUTS):
    """The explanation of the block of the first input after a change of the Jacobian in the shape (*output, *input)."""
    at = point(output, inputs)
    numerical = np.random.default_rng(0).standard_normal((at.outputs[0].tensor.size, at.theta.size))
    analytical = numerical.copy()
    block = analytical[:, at.inputs[0].span].reshape(*output, *inputs[0])
    analytical[:, at.inputs[0].span] = change(block.copy(), numerical, at).reshape(analytical.shape[0], -1)
    return explained(at, analytical, numerical, at.outputs[0], at.inputs[0])


def without(index):
    def change(block, numerical, at):
        block[index] = 0.0
        return block

    return change


@pytest.mark.parametrize(("index", "words"), [
    (3, "dinput0 lacks what comes from index 3 of axis 0 of the output (the last): that part of the sum"),
    (([0, 2],), "dinput0 lacks what comes from indices 0 and 2 of axis 0 of the output"),
    ((slice(None), slice(1, None)), "dinput0 holds only the first of the 3 indices of axis 1 of the output"),
])  # fmt: skip
def test_indices_of_the_output_that_are_left_out(index, words):
    assert words in said(without(index))


def signed(block, numerical, at):
    block[:, 2] *= -1.0
    return block


def doubled(block, numerical, at):
    block[1] *= 2.0
    return block


def one_factor(block, numerical, at):
    block[0] *= 1.7
    return block


@pytest.mark.parametrize(("change", "words"), [
    (signed, "dinput0 holds what comes through index 2 of axis 1 of the output with the wrong sign"),
    (doubled, "dinput0 holds what comes through index 1 of axis 0 of the output 2 times"),
    (one_factor, "dinput0 holds what comes through index 0 of axis 0 of the output 1.7 times"),
])  # fmt: skip
def test_indices_of_the_output_that_are_held_too_often(change, words):
    assert words in said(change)


@pytest.mark.parametrize("shape", [(4, 3), (5,), (2, 2, 2)])
def test_the_derivatives_of_another_input(shape):
    def change(block, numerical, at):
        return numerical[:, at.inputs[1].span]

    assert said(change, inputs=(shape, shape)) == (
        "dinput0 equals the numerical derivatives by input1: are the two swapped?"
    )


def test_what_is_wrong_all_over_is_explained_by_nothing():
    rng = np.random.default_rng(1)
    for _ in range(20):
        assert said(lambda block, numerical, at: rng.standard_normal(block.shape)) == ""
        assert said(lambda block, numerical, at: block * rng.uniform(0.5, 2.0, block.shape)) == ""


def test_where_the_gradient_is_wrong_is_told_by_the_axes_of_the_input():
    """The Jacobian's own axes mean nothing to who wrote the backward pass."""

    def change(block, numerical, at):
        block[..., 2, :] *= np.random.default_rng(2).uniform(0.3, 0.7, block[..., 2, :].shape)
        return block

    assert said(change) == "only dinput0[2, 0], dinput0[2, 1] and dinput0[2, 2] are wrong."
