"""Which files hold code that ends up in machine code: what every cache of machine code depends on."""

from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parents[1]
# Kernels stand in these places; a kernel may call functions of any of their files.
PLACES = ("rules", "engines", "problems/functions/compiled.py", "runtime/jit.py")


def kernel_sources() -> Iterator[Path]:
    """Yield the files, in an order that stays the same."""
    for place in PLACES:
        path = PACKAGE / place
        yield from [path] if path.is_file() else sorted(path.rglob("*.py"))
