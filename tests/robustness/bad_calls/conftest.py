"""Every test of bad calls looks whether something was left behind."""

import tempfile
import threading

import pytest


@pytest.fixture(autouse=True)
def nothing_left_behind(monkeypatch, tmp_path):
    """No thread is left running and no temporary file lying about."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before
    assert not list(folder.iterdir())
