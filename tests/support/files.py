"""What the refusal of a file looks like."""

import pytest

from fastcheck.problems.files.npz import LIMIT, load


def refused(path, *words, limit=LIMIT):
    """The one line with which a file is refused."""
    with pytest.raises(ValueError) as caught:
        load(path, limit)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"{path}: ")
    for word in words:
        assert word in message, message
    return message
