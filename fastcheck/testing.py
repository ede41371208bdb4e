"""Gradient checks inside tests: an AssertionError whose message is the report."""

from collections.abc import Callable
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, Unpack

from ._names import CheckOptions
from .checks.function import check_function, check_layer, check_vjp
from .checks.network import check
from .report.report import Report

if TYPE_CHECKING:
    from .problems.networks.network import Network


def assert_gradients(
    net: "Network", parameters: Any, gradients: Any, X: Any, Y: Any, **options: Unpack[CheckOptions]
) -> Report:
    """Assert that hand-written gradients of a network are right.

    Parameters
    ----------
    net, parameters, gradients, X, Y, options : as for ``fastcheck.check``.

    Returns
    -------
    Report

    Raises
    ------
    AssertionError : if the verdict is "fail" or "inconclusive"; its message is the report.  It is raised, not
        asserted, and so works under ``python -O`` too.

    Examples
    --------
    >>> import numpy as np
    >>> import fastcheck as fc
    >>> net = fc.Network([fc.Dense(2, 1, "sigmoid")], cost="binary_cross_entropy")
    >>> parameters, X, Y = net.initialize(0), np.eye(2), np.array([0, 1])
    >>> assert_gradients(net, parameters, net.gradients(parameters, X, Y), X, Y).verdict
    'pass'
    """
    __tracebackhide__ = True  # pytest then shows the test's line, not this one
    return _right(check(net, parameters, gradients, X, Y, **options))


def assert_function(
    cost: Any, parameters: Any, gradients: Any, args: tuple[Any, ...] = (), **options: Any
) -> Report:
    """Assert that the gradient of any cost is right.

    Parameters
    ----------
    cost, parameters, gradients, args, options : as for ``fastcheck.check_function``.

    Returns
    -------
    Report

    Raises
    ------
    AssertionError : as ``assert_gradients``.

    Examples
    --------
    >>> import numpy as np
    >>> assert_function(lambda x: np.sum(x**2), np.ones(3), np.full(3, 2.0)).verdict
    'pass'
    """
    __tracebackhide__ = True
    return _right(check_function(cost, parameters, gradients, args, **options))


def assert_vjp(
    forward: Callable[..., Any], backward: Callable[..., Any], inputs: Any, **options: Any
) -> Report:
    """Assert that a layer's backward pass is right.

    Parameters
    ----------
    forward, backward, inputs, options : as for ``fastcheck.check_vjp``.

    Returns
    -------
    Report

    Raises
    ------
    AssertionError : as ``assert_gradients``.

    Examples
    --------
    >>> import numpy as np
    >>> assert_vjp(np.tanh, lambda d, x: d * (1 - np.tanh(x) ** 2), np.ones(3)).verdict
    'pass'
    """
    __tracebackhide__ = True
    return _right(check_vjp(forward, backward, inputs, **options))


def assert_layer(make: Any, inputs: Any, **options: Any) -> Report:
    """Assert that the backward pass of a layer that is a class is right.

    Parameters
    ----------
    make, inputs, options : as for ``fastcheck.check_layer``.

    Returns
    -------
    Report

    Raises
    ------
    AssertionError : as ``assert_gradients``.

    Examples
    --------
    >>> import numpy as np
    >>> class Square:
    ...     def forward(self, x):
    ...         self.x = x
    ...         return x**2
    ...     def backward(self, d):
    ...         return 2 * self.x * d
    >>> assert_layer(Square, np.ones(3)).verdict
    'pass'
    """
    __tracebackhide__ = True
    return _right(check_layer(make, inputs, **options))


def assert_module(module: Any, loss: Any, inputs: Any, targets: Any = None, **options: Any) -> Report:
    """Assert that back-propagation through a PyTorch module is right.

    Parameters
    ----------
    module, loss, inputs, targets, options : as for ``fastcheck.torch.check_module``.

    Returns
    -------
    Report

    Raises
    ------
    AssertionError : as ``assert_gradients``.
    ImportError : without PyTorch.
    """
    __tracebackhide__ = True
    # by its name: the door for PyTorch, which not everybody has, stands beside this one and not below it
    check_module = resolve_name("fastcheck.torch:check_module")
    return _right(check_module(module, loss, inputs, targets, **options))


def _right(report: Report) -> Report:
    """The report of right gradients; AssertionError for any other."""
    __tracebackhide__ = True
    report.raise_if_wrong()
    return report


__all__ = ["assert_function", "assert_gradients", "assert_layer", "assert_module", "assert_vjp"]
