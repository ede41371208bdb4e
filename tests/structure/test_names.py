"""The names that editors complete are those of the tables, and a misspelt one is found by mypy."""

import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from fastcheck import _names
from fastcheck.checks import function, selection
from fastcheck.engines.base import ENGINES
from fastcheck.engines.finite.stencils import ORDERS
from fastcheck.rules.activations import ACTIVATIONS
from fastcheck.rules.losses import COSTS

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(("names", "table"), [
    (_names.Activation, ACTIVATIONS), (_names.Cost, COSTS), (_names.Engine, ENGINES),
    (_names.FunctionEngine, (function.PROGRAM, function.SUBTRACTED)), (_names.Method, selection.METHODS),
    (_names.Order, ORDERS),
])
def test_literals_are_the_tables_names(names, table):
    assert sorted(get_args(names)) == sorted(table)


@pytest.mark.slow
@pytest.mark.parametrize("line", [
    'fc.Dense(2, 3, "rellu")', 'fc.Network([fc.Dense(2, 3)], cost="mse")', 'fc.check(n, p, p, p, p, method="samples")',
    'fc.testing.assert_gradients(n, p, p, p, p, engine="respons")', 'fc.check_vjp(abs, abs, p, order=3)',
    'fc.check_vjp(abs, abs, p, memory=3)',
])
def test_mypy_finds_a_misspelt_name(line, tmp_path):
    """As it finds nothing wrong without the mistake."""
    text = f"from typing import Any\nimport fastcheck as fc\nn: Any = None\np: Any = None\n{line}\n"
    (tmp_path / "misspelt.py").write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "mypy", "--cache-dir", str(ROOT / ".mypy_cache"), str(tmp_path / "misspelt.py")]
    found = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False, timeout=300)
    assert found.returncode == 1, found.stdout
    assert "misspelt.py:5" in found.stdout
