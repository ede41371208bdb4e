"""Settings of all tests, made before anything imports Numba."""

import hashlib
import os
from importlib.util import find_spec
from pathlib import Path

from fastcheck.runtime.kernel_sources import kernel_sources

ROOT = Path(__file__).parent
# Doctests import what they are in: without what it needs a module is left out.
NEEDS = {"fastcheck/torch*": "torch", "fastcheck/jax*": "jax", "tests/mutants.py": "cosmic_ray"}
collect_ignore_glob = [pattern for pattern, needed in NEEDS.items() if find_spec(needed) is None]


def kernel_digest() -> str:
    """Digest of what machine code is made from, which Numba's own cache does not look at whole.

    It notices neither a change in a called file nor in its settings, of which some change the code (bounds checks).
    """
    digest = hashlib.blake2b(digest_size=8)
    for path in kernel_sources():
        digest.update(path.read_bytes())
    settings = {name: value for name, value in os.environ.items() if name.startswith("NUMBA_")}
    digest.update(repr(sorted((settings | {"NUMBA_CACHE_DIR": ""}).items())).encode())
    return digest.hexdigest()


os.environ["NUMBA_CACHE_DIR"] = str(ROOT / ".pytest_cache" / f"numba-{kernel_digest()}")
os.environ.setdefault("MPLBACKEND", "Agg")
