"""Kernels on disk depend on all kernel sources; where Numba keeps its cache in another way, nothing is kept on disk."""

import numba
import pytest

from fastcheck.runtime import jit
from tests.support.jit_mode import needs_compiled


def _double(value):
    return 2.0 * value


@needs_compiled("plain Python has no cache")
def test_cache_entries_carry_the_stamp_of_all_kernel_sources():
    kernel = jit.compiled(_double)
    assert getattr(kernel._cache._cache_file, jit.STAMP) == jit.source_stamp()


@needs_compiled("plain Python has no cache")
def test_an_unknown_cache_is_not_used_and_says_so_once(monkeypatch):
    monkeypatch.setattr(jit, "STAMP", "_another_name")
    jit._say_that_nothing_is_cached.cache_clear()
    with pytest.warns(RuntimeWarning, match=f"Numba {numba.__version__} .* please report"):
        kernel = jit.compiled(_double)
    assert kernel(3.0) == 6.0
    assert not kernel.stats.cache_path
    assert jit.compiled(_double)(3.0) == 6.0  # and no second warning, which would be an error here
    jit._say_that_nothing_is_cached.cache_clear()
