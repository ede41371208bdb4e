"""A report's figures as JSON can hold them, and the text of that."""

import json
import math
import platform
from typing import Any

import numpy as np

from .data import ReportData

# The packages whose versions a report keeps.
PACKAGES = ("fastcheck", "numpy", "numba", "scipy")


def json_text(report: ReportData) -> str:
    """``Report.to_dict`` as JSON text."""
    return json.dumps(report.to_dict(), indent=2, allow_nan=False)


def versions() -> dict[str, str]:
    """Versions of what the numbers depend on."""
    from importlib.metadata import PackageNotFoundError, version  # imported where used: brings half of email along

    found = {"python": platform.python_version(), "platform": platform.platform()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "unknown"
    return found


def plain_data(value: Any) -> Any:
    """Return what JSON can hold."""
    if isinstance(value, dict):
        return {str(key): plain_data(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return plain_data(value.tolist())
    if isinstance(value, (list, tuple)):
        return [plain_data(item) for item in value]
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if isinstance(value, (int, np.integer)):
        return int(value)
    if isinstance(value, (float, np.floating)):
        return float(value) if math.isfinite(value) else str(float(value))
    return value if value is None or isinstance(value, str) else str(value)
