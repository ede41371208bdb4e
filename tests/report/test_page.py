"""The page and the notebook's report: contrast, images that need no file, and figures that plt.show() shows."""

import struct
import sys
import zlib

import numpy as np
import pytest

from fastcheck.report.page import page
from fastcheck.report.pixels import coloured, png
from fastcheck.report.text import HTML_COLOURS
from tests.support.fake_gradients import Made


def luminance(colour):
    """Relative luminance by WCAG 2."""
    parts = np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)]) / 255.0
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize("colour", HTML_COLOURS.values())
def test_white_words_on_verdicts_have_a_contrast_of_4_5(colour):
    assert 1.05 / (luminance(colour) + 0.05) >= 4.5


def failing(**shapes):
    made = Made(shapes or None)
    next(iter(shapes), None)
    made.gradient[3] *= 2.0
    return made.report()


def test_the_page_holds_everything_and_asks_for_nothing():
    written = page(failing())
    for part in ("Relative error of every entry", "How to repeat it", "Versions", "numpy", "Worst entries",
                 "engine=&#x27;response&#x27;"):  # fmt: skip
        assert part in written
    assert written.count("data:image/png;base64,") == 1 + 6
    assert not any(word in written for word in ("http:", "https:", "src='/", "<script", "@import"))


def test_shapes_of_any_number_of_axes_are_drawn():
    assert page(failing(k=(2, 3, 2, 2), s=())).count("data:image/png") == 3


def test_an_image_is_a_png_of_these_pixels():
    pixels = coloured(np.array([[1e-16, 1.0, np.nan], [0.0, 2.0, 1e-8]]))
    written = png(pixels)
    assert written.startswith(b"\x89PNG\r\n\x1a\n")
    assert struct.unpack(">II", written[16:24]) == (3, 2)
    data = written[written.index(b"IDAT") + 4 : written.index(b"IEND") - 8]
    lines = np.frombuffer(zlib.decompress(data), np.uint8).reshape(2, 10)
    assert np.array_equal(lines[:, 1:].reshape(2, 3, 3), pixels)
    assert tuple(pixels[0, 0]) == tuple(pixels[1, 0]) == (68, 1, 84)
    assert tuple(pixels[0, 1]) == tuple(pixels[1, 1]) == (253, 231, 37)
    assert tuple(pixels[0, 2]) == (200, 200, 200)


def test_figures_belong_to_pyplot_where_the_caller_uses_it(tmp_path):
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pyplot.switch_backend("agg")
    before = pyplot.get_fignums()
    figure = failing().plot()
    assert pyplot.get_fignums() != before
    assert pyplot.figure(figure.number) is figure
    pyplot.close(figure)
    failing().plot(tmp_path / "plot.png")
    assert pyplot.get_fignums() == before


def test_notebooks_without_widgets_get_a_line_of_text(monkeypatch, capsys):
    from fastcheck.runtime.progress import reporting

    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    with reporting(True) as report:
        report(3, 10)
        report(10, 10)
    assert capsys.readouterr().err.endswith("checking 100%  10 of 10 parameters\n")
    assert "ipywidgets" not in sys.modules
