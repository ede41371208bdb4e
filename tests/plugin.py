"""Settings of all tests, benchmarks and doctests, made before anything imports Numba.

pyproject.toml hands this module to pytest as a plugin, whatever files it is to collect.
"""

import hashlib
import os
from importlib.util import find_spec
from pathlib import Path

from fastcheck.runtime.kernel_sources import kernel_sources
from tests.support.repository import ROOT

# Tests and doctests are collected by importing the module they stand in: without its framework it is left out.
NEEDS = {"fastcheck/torch": "torch", "fastcheck/jax": "jax", "tests/torch": "torch", "tests/jax": "jax",
         "tests/reliability/mutants.py": "cosmic_ray"}


def kernel_digest() -> str:
    """Digest of everything that machine code is made from.

    Numba's own cache notices neither a change in a called file nor one in its settings, some of which change the code
    (bounds checks).
    """
    digest = hashlib.blake2b(digest_size=8)
    for path in kernel_sources():
        digest.update(path.read_bytes())
    settings = {name: value for name, value in os.environ.items() if name.startswith("NUMBA_")}
    digest.update(repr(sorted((settings | {"NUMBA_CACHE_DIR": ""}).items())).encode())
    return digest.hexdigest()


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave out modules that cannot be imported here, because what they need is not installed."""
    lacking = [ROOT / place for place, needed in NEEDS.items() if find_spec(needed) is None]
    return True if any(collection_path.is_relative_to(place) for place in lacking) else None


os.environ["NUMBA_CACHE_DIR"] = str(ROOT / ".pytest_cache" / f"numba-{kernel_digest()}")
os.environ.setdefault("MPLBACKEND", "Agg")
