import sys

import numpy as np
import pytest

from fastcheck.report.plots import PIXELS, as_matrix_shape, blocks_of, shown
from tests.support.fake_gradients import Made

pytest.importorskip("matplotlib")
LARGE = {"W1": (512, 784), "b1": (512, 1), "W2": (256, 512), "b2": (256, 1), "W3": (10, 256), "b3": (10, 1)}


def size_of(path):
    data = path.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")


@pytest.mark.parametrize("shapes", [None, LARGE, {"x": (), "y": (2, 3, 4)}])
def test_a_row_for_every_tensor(shapes, tmp_path):
    made = Made(shapes)
    made.gradient[-1] *= 1.01
    report = made.report()
    figure = report.plot(tmp_path / "report.png")
    width, height = size_of(tmp_path / "report.png")
    assert width > 1000
    assert height > 150 * len(report.tensors)
    titles = " ".join(axis.get_title("left") for axis in figure.axes)
    for tensor in report.tensors:
        assert f"{tensor.name} (" in titles
    assert "FAIL" in figure.get_suptitle()


def test_nothing_is_saved_unless_asked(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Made().report().plot()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("spoil", [np.nan, *(pytest.param(slow, marks=pytest.mark.slow) for slow in (np.inf, 0.0))])
def test_what_is_not_finite_or_all_zero_is_drawn(spoil, tmp_path):
    made = Made()
    made.gradient[:] = spoil
    made.gradapprox[:] = spoil
    made.report().plot(tmp_path / "report.png")
    assert size_of(tmp_path / "report.png")[0] > 0


def test_of_many_tensors_the_failing_are_shown():
    made = Made({f"W{k}": (2, 2) for k in range(1, 60)})
    made["W37"][:] *= 2.0
    report = made.report()
    chosen = shown(report)
    assert len(chosen) == 12
    assert "W37" in [t.name for t in chosen]
    assert "47 more tensors" in report.plot().get_suptitle()


def test_a_block_shows_its_worst_entry():
    errors = np.full((700, 1000), 1e-16)
    errors[699, 999] = 0.5
    errors[13, 500] = 0.25
    errors[0, 0] = np.nan
    image = blocks_of(errors)
    assert max(image.shape) <= PIXELS
    assert np.sort(image[np.isfinite(image)])[-2:].tolist() == [0.25, 0.5]
    assert np.isnan(blocks_of(np.full((300, 300), np.nan))).all()
    assert blocks_of(errors[:100, :100]).shape == (100, 100)


@pytest.mark.parametrize(
    ("shape", "flat"), [((), (1, 1)), ((5,), (1, 5)), ((5, 1), (1, 5)), ((1, 5), (1, 5)), ((3, 4), (3, 4)),
                        ((2, 3, 4), (2, 12))],
)  # fmt: skip
def test_tensors_are_laid_flat(shape, flat):
    assert as_matrix_shape(shape) == flat


def test_without_matplotlib_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"fastcheck\[plot\]"):
        Made().report().plot()
