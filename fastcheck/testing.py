"""Gradient checks inside tests: an AssertionError whose message is the report."""

from collections.abc import Mapping
from typing import Any, Unpack

from ._names import CheckOptions
from .checks.network import check
from .problems.networks.network import Network
from .report.report import Report


def assert_gradients(
    net: Network, parameters: Mapping[str, Any], gradients: Mapping[str, Any], X: Any, Y: Any,
    **options: Unpack[CheckOptions],
) -> Report:
    """Assert that hand-written gradients are right.

    Parameters
    ----------
    net : the network.
    parameters, gradients : {"W1": (n_1, n_x), ...} and {"dW1": ..., ...}.
    X, Y : (n_x, m) inputs and their targets.
    options : as for ``fastcheck.check``.

    Returns
    -------
    Report

    Raises
    ------
    AssertionError : if the verdict is "fail" or "inconclusive"; its message is the report.  It is raised, not
        asserted, and so works under ``python -O`` too.
    """
    __tracebackhide__ = True  # pytest then shows the test's line, not this one
    report = check(net, parameters, gradients, X, Y, **options)
    report.raise_if_wrong()
    return report
