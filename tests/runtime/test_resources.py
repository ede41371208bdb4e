"""What memory a check may take, and that its arrays take what those before have left, not fresh pages."""

import os
import platform
import subprocess
import sys

import pytest

from fastcheck.runtime import resources

COUNTED = """
import resource
import numpy as np
from fastcheck.runtime import resources
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


@pytest.mark.parametrize(("unused", "available", "expected"), [
    (resources.PLENTY, 0, resources.DEFAULT_MEMORY),  # not even asked
    (0, 1 << 40, resources.DEFAULT_MEMORY), (0, 1 << 30, 1 << 28), (0, 0, 1 << 24),
    (None, None, resources.DEFAULT_MEMORY), (None, 1 << 30, 1 << 28),
])
def test_the_default_is_a_quarter_of_what_can_be_had(monkeypatch, unused, available, expected):
    monkeypatch.setattr(resources, "_unused_bytes", lambda: unused)
    monkeypatch.setattr(resources, "available_bytes", lambda: available)
    assert resources.memory_of(None) == expected
