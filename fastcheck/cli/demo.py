"""The demo: the course exercise with both its mistakes, and a network on real digits, every parameter of both."""

import textwrap
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .._types import Array
from ..checks.network import check
from ..course import THRESHOLD, backward_propagation_n, forward_propagation_n, gradient_check_n
from ..engines.reference import textbook_cost
from ..problems.networks.layers.dense import Dense
from ..problems.networks.network import Network
from ..problems.networks.problem import Problem
from ..report.report import Report
from ..runtime.quantities import readable_seconds
from ..runtime.threads import one_blas_thread

if TYPE_CHECKING:
    from rich.console import Console

# Random parameters on which the textbook's loop is timed where it would take too long on all.
TIMED = 100
TENSORS = ("dW", "db")


@dataclass(frozen=True)
class Shown:
    """A part of the demo: whether all was as it should be, and what to keep of it, in two sentences."""

    right: bool
    lines: tuple[str, str]


def run(console: "Console") -> int:
    """Show both parts and sum up; 0 if every planted mistake was found and nothing else was called one, 1 otherwise."""
    shown = [show_course(console), show_digits(console)]
    console.rule("In short")
    for one in shown:
        for line in one.lines:
            console.print(textwrap.fill(line, console.width, initial_indent="- ", subsequent_indent="  "))
    console.print("Now check yours: fastcheck check net.npz, fastcheck run model.py:check, or\n"
                  "fastcheck.check(...) from Python.  README.md shows how.")
    return 0 if all(one.right for one in shown) else 1


# --- the course exercise ----------------------------------------------------------------------------------------


def course_network() -> Network:
    """Return the exercise's network, 4-5-3-1."""
    return Network([Dense(4, 5, "relu"), Dense(5, 3, "relu"), Dense(3, 1, "sigmoid")], cost="binary_cross_entropy")


def course_exercise() -> tuple[Array, Array, dict[str, Array]]:
    """Its X (4, 3), Y (3,) and parameters, as its random seed gives them."""
    random = np.random.RandomState(1)
    X = random.randn(4, 3)
    parameters = {tensor.name: random.randn(*tensor.shape) for tensor in course_network().tensors}
    return X, np.array([1, 1, 0]), parameters


def course_gradients(mistakes: bool) -> dict[str, Array]:
    """Its gradients by name, with the two mistakes that the course plants or without."""
    X, Y, parameters = course_exercise()
    _, cache = forward_propagation_n(X, Y, parameters)
    gradients = backward_propagation_n(X, Y, cache)
    if mistakes:
        gradients["dW2"] = gradients["dW2"] * 2
        gradients["db1"] = gradients["db1"] * 4
    return {name: array for name, array in gradients.items() if name[:2] in TENSORS}


def show_course(console: "Console") -> Shown:
    """Show the exercise mended, as the textbook's check and fastcheck judge it, and then with its mistakes."""
    net = course_network()
    X, Y, parameters = course_exercise()
    console.rule("The course exercise (4-5-3-1, 47 parameters)")
    mended = course_gradients(mistakes=False)
    textbook = gradient_check_n(parameters, mended, X, Y, print_msg=False)
    says = "a mistake" if textbook > THRESHOLD else "no mistake"
    console.print(f"A correct back-propagation.  The textbook's check calls it {says}:\n"
                  f"its difference is {textbook:.4g}, above {THRESHOLD:g}.  fastcheck:\n")
    right = check(net, parameters, mended, X, Y)
    console.print(right)
    console.print("\nNow with the exercise's two mistakes: dW2 twice, db1 four times too large.\n")
    found = check(net, parameters, course_gradients(mistakes=True), X, Y)
    console.print(found)
    return Shown(
        _wrong(found) == {"W2", "b1"} and right.ok,
        (f"Correct code: the textbook calls it {says} ({textbook:.2g} > {THRESHOLD:g}), fastcheck does not "
         f"({right.difference:.0e}).",
         f"The exercise's mistakes: {_diagnoses(found)}"),
    )


# --- digits -----------------------------------------------------------------------------------------------------


def digits_network() -> Network:
    """64-32-16-10 with a softmax output."""
    return Network(
        [Dense(64, 32, "relu"), Dense(32, 16, "relu"), Dense(16, 10, "softmax")], cost="cross_entropy", l2=0.1
    )


def digits() -> tuple[Array, Array]:
    """scikit-learn's handwritten digits: X (64, 1797) between 0 and 1, and labels (1797,).

    Raises
    ------
    ImportError : without scikit-learn; says how to install it.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise ImportError("the demo's digits need scikit-learn: python -m pip install 'fastcheck[demo]'") from None
    images = load_digits()
    return images.data.T / 16.0, images.target


def digits_gradients(parameters: Mapping[str, Array], X: Array, Y: Array, mistake: bool) -> dict[str, Array]:
    """Back-propagation by hand; the mistake is ReLU's mask forgotten in the first layer."""
    m, l2 = X.shape[1], digits_network().l2
    W1, b1, W2, b2, W3, b3 = (parameters[name] for name in ("W1", "b1", "W2", "b2", "W3", "b3"))
    Z1 = W1 @ X + b1
    A1 = np.maximum(Z1, 0)
    Z2 = W2 @ A1 + b2
    A2 = np.maximum(Z2, 0)
    Z3 = W3 @ A2 + b3
    P = np.exp(Z3 - Z3.max(axis=0))
    dZ3 = (P / P.sum(axis=0) - np.eye(10)[Y].T) / m
    dZ2 = (W3.T @ dZ3) * (Z2 > 0)
    dZ1 = W2.T @ dZ2
    if not mistake:
        dZ1 = dZ1 * (Z1 > 0)
    return {
        "dW1": dZ1 @ X.T + l2 / m * W1, "db1": dZ1.sum(axis=1, keepdims=True),
        "dW2": dZ2 @ A1.T + l2 / m * W2, "db2": dZ2.sum(axis=1, keepdims=True),
        "dW3": dZ3 @ A2.T + l2 / m * W3, "db3": dZ3.sum(axis=1, keepdims=True),
    }


def show_digits(console: "Console") -> Shown:
    """Show a back-propagation by hand, right and with a mistake, and how long the textbook's loop would take."""
    net, (X, Y) = digits_network(), digits()
    parameters = net.initialize(0)
    console.rule(f"Real digits (64-32-16-10, {net.size:,} parameters, {X.shape[1]:,} images)")
    console.print("A back-propagation written by hand:\n")
    right = check(net, parameters, digits_gradients(parameters, X, Y, mistake=False), X, Y, progress=True)
    console.print(right)
    seconds, timed = textbook_seconds(net, parameters, X, Y)
    console.print("\nNow with a mistake: ReLU's mask forgotten in the first layer.\n")
    found = check(net, parameters, digits_gradients(parameters, X, Y, mistake=True), X, Y, progress=True)
    console.print(found)
    ours = min(right.seconds, found.seconds)
    return Shown(
        right.ok and _wrong(found) == {"W1", "b1"},
        (f"A forgotten mask: {found.failures[0].diagnosis if found.failures else 'it was not found.'}",
         f"All {net.size:,} parameters took {readable_seconds(ours)}, and would take the textbook's loop "
         f"{readable_seconds(seconds)} ({timed} timed, BLAS on one thread as here): {seconds / ours:,.0f} times "
         "as long."),
    )


# --- both -------------------------------------------------------------------------------------------------------


def _wrong(report: Report) -> set[str]:
    return {tensor.name for tensor in report.tensors if tensor.verdict == "fail"}


def _diagnoses(report: Report) -> str:
    """Return what is wrong, in few words."""
    found = [tensor.diagnosis.rstrip(".") for tensor in report.failures]
    return f"{'; '.join(found)}."


def textbook_seconds(
    net: Network, parameters: Mapping[str, Any], X: Any, Y: Any, count: int = TIMED, seed: int = 0
) -> tuple[float, int]:
    """Return how long the textbook's loop takes on all parameters: a few are timed, and their median is multiplied up.

    Parameters
    ----------
    net, parameters, X, Y : as for ``check``.
    count : how many random parameters are timed.
    seed : of the choice.

    Returns
    -------
    seconds, and the number of parameters that were timed.
    """
    theta, inputs = net.to_vector(parameters), net.inputs(X)
    problem = Problem(net, theta, inputs, net.targets(Y, inputs.shape[1]))
    chosen = np.random.default_rng(seed).permutation(net.size)[:count]
    seconds = []
    with one_blas_thread():  # as fastcheck's own products are: threads of BLAS only slow products as small as these
        for k in chosen:
            started = time.perf_counter()
            for epsilon in (1e-7, -1e-7):
                moved = np.copy(theta)
                moved[k] = moved[k] + epsilon
                textbook_cost(problem, moved)
            seconds.append(time.perf_counter() - started)
    # not the mean: on a busy machine a few of them wait for others
    return float(np.median(seconds)) * net.size, chosen.size
