"""A busy machine on demand: what is measured must hold on one that others use too."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

NEIGHBOUR = """
import numpy as np
a, b = np.ones((300, 300)), np.ones(1 << 22)
while True:
    a @ a
    b += 1.0
    sum(range(20000))
"""


@contextmanager
def neighbour() -> Iterator[None]:
    """A process that keeps one core, its cache and the memory busy."""
    process = subprocess.Popen([sys.executable, "-c", NEIGHBOUR], env={**os.environ, "OPENBLAS_NUM_THREADS": "1"})
    try:
        yield
    finally:
        process.kill()
        process.wait()
