"""A copy of the package to which something is added in one place."""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.support.repository import ROOT


class House:
    """A copy of fastcheck/ in a folder, in which one file is changed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copytree(ROOT / "fastcheck", folder / "fastcheck", ignore=shutil.ignore_patterns("__pycache__"))

    def add(self, file: str, table: str, functions: str, entry: str) -> None:
        """Put functions in front of a table of a file, and one entry at the end of the table.

        Parameters
        ----------
        file : the file, from fastcheck/ on.
        table : the name of the table at the top of the file: a tuple, or a comprehension over a tuple.
        functions : their source.
        entry : the source of the entry.
        """
        path = self.folder / "fastcheck" / file
        text = path.read_text(encoding="utf-8")
        lines = text.splitlines(keepends=True)
        node = next(n for n in ast.parse(text).body if table in _assigned(n))
        entries = next(n for n in ast.walk(node.value) if isinstance(n, ast.Tuple) and len(n.elts) > 1)
        last = entries.elts[-1]
        offset = len(lines[last.end_lineno - 1].encode()[: last.end_col_offset].decode())
        line = lines[last.end_lineno - 1]
        lines[last.end_lineno - 1] = f"{line[:offset]}, {entry}{line[offset:]}"
        lines.insert(node.lineno - 1, functions + "\n\n")
        path.write_text("".join(lines), encoding="utf-8")

    def run(self, program: str) -> None:
        """Run a program that imports the copy; kernels are plain Python, which takes no time to compile."""
        environment = {**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONPATH": str(self.folder)}
        ended = subprocess.run([sys.executable, "-c", program], cwd=self.folder, env=environment, text=True,
                               capture_output=True, timeout=300, check=False)
        assert ended.returncode == 0, ended.stdout + ended.stderr


def _assigned(node: ast.stmt) -> list[str]:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return [target.id for target in targets if isinstance(target, ast.Name)]
