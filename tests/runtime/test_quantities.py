"""Times and sizes are words that people read at a glance."""

import pytest

from fastcheck.runtime.quantities import readable_bytes, readable_seconds


@pytest.mark.parametrize(("seconds", "words"), [(3e-5, "30 µs"), (0.0123, "12 ms"), (0.124, "120 ms"), (1.5, "1.5 s"),
                                                (90.0, "90 s"), (115.0, "120 s"), (600.0, "10 min"),
                                                (10800.0, "3 h"), (864000.0, "10 days")])
def test_seconds_in_words(seconds, words):
    assert readable_seconds(seconds) == words


@pytest.mark.parametrize(("count", "words"), [(2048, "2 KiB"), (3 << 20, "3 MiB"), (1.5 * 2**30, "1.5 GiB")])
def test_bytes_in_words(count, words):
    assert readable_bytes(count) == words
