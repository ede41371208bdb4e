"""That arrays of a check take the memory that those before have left, instead of fresh pages from the system."""

import os
import platform
import subprocess
import sys

import pytest

COUNTED = """
import resource
import numpy as np
from fastcheck.runtime.resources import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for megabytes in (1, 2, 4, 8, 16) * 4:
        np.ones(megabytes << 17)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

first = faults()
keep_freed_memory()
faults()
print(first, faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have other ways")
def test_memory_that_was_freed_is_taken_again():
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    command = [sys.executable, "-c", COUNTED]
    printed = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    before, after = map(int, printed.split())
    assert before > 1000
    assert after < 0.05 * before
