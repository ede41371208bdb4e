"""No file whose code ends in kernels is left out of what caches of machine code depend on."""

import pytest

from fastcheck.runtime.kernel_sources import kernel_sources
from tests.structure.kernels import kernel_files
from tests.support.repository import ROOT


@pytest.fixture(scope="module")
def found():
    """The files of fastcheck/ that the derivation finds."""
    return kernel_files("fastcheck")


def test_every_file_that_machine_code_is_made_from_is_covered(found):
    left_out = found - set(kernel_sources())
    assert not left_out, "stale machine code would be used after a change of these"


def test_the_derivation_follows_functions_constants_tables_and_namespaces(tmp_path, monkeypatch):
    """A small package with one file of each kind, and one that no kernel uses."""
    package = tmp_path / "fastcheck"
    package.mkdir()
    texts = {
        "__init__": "",
        "kernels": "from . import table\nfrom .jit import compiled, compiled_namespace\nfrom .constants import LIMIT\n"
                   "from .helpers import helper\nfrom .hints import Array\nfrom .others import other\n"
                   "_names = compiled_namespace(table)\nSIZE = 2 * LIMIT\n"
                   "def _kernel(x: Array):\n    return helper(x) + SIZE\nkernel = compiled(_kernel)\n"
                   "def plain():\n    return other()\n",
        "constants": "LIMIT = 3\n", "table": "from .deep import deep\ndef entry(x):\n    return deep(x)\n",
        "deep": "def deep(x):\n    return x\n", "helpers": "def helper(x):\n    return x\n",
        "hints": "Array = list\n", "others": "def other():\n    return 1\n",
        "jit": "def compiled(f):\n    return f\ndef compiled_namespace(*modules):\n    return {}\n",
    }
    for name, text in texts.items():
        (package / f"{name}.py").write_text(text)
    monkeypatch.setattr("tests.structure.imports.ROOT", tmp_path)
    assert {path.stem for path in kernel_files("fastcheck")} == {
        "kernels", "constants", "table", "deep", "helpers",
    }


def test_known_kernels_are_found(found):
    """The derivation is held against what is known to be compiled, so that it cannot come out empty unnoticed."""
    known = {"rules/kernels/curves.py", "rules/losses.py", "engines/full.py", "engines/response/columns.py",
             "problems/functions/compiled.py", "runtime/jit.py"}
    assert {ROOT / "fastcheck" / name for name in known} <= found
