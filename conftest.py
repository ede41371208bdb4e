"""Settings of all tests, made before anything imports Numba."""

import hashlib
import os
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).parent
# Doctests import what they are in: without PyTorch or JAX these doors stay shut.
collect_ignore_glob = [f"fastcheck/{name}*" for name in ("torch", "jax") if find_spec(name) is None]
KERNEL_SOURCES = ("activations.py", "costs.py", "polynomial.py", "jit.py", "engines/*.py")


def kernel_digest() -> str:
    """Digest of every source that is compiled: Numba's own cache does not notice a change in a called file."""
    digest = hashlib.blake2b(digest_size=8)
    for pattern in KERNEL_SOURCES:
        for path in sorted((ROOT / "fastcheck").glob(pattern)):
            digest.update(path.read_bytes())
    return digest.hexdigest()


os.environ["NUMBA_CACHE_DIR"] = str(ROOT / ".pytest_cache" / f"numba-{kernel_digest()}")
os.environ.setdefault("MPLBACKEND", "Agg")
