"""Pictures of a report: where the relative error is, and gradient against numerical gradient."""

import math
import sys
import textwrap
from os import PathLike
from typing import Any

import numpy as np

from .._constants import TOLERANCE
from .._types import Array
from .._validation import path_of
from .data import ReportData, SweepData, TensorData

# Relative errors are coloured from rounding to all wrong.
LOWEST, HIGHEST = 1e-16, 1.0
# Largest map drawn entry by entry; larger tensors are drawn in blocks, each in the colour of its worst entry.
PIXELS = 256
# Points of a scatter: the worst ones and a random share of the others.
POINTS = 4000
ROWS = 12
# Characters of a line of a sweep's title.
TITLE = 78
MATRIX_HEIGHT, VECTOR_HEIGHT = 2.5, 1.8  # inches
RING: dict[str, Any] = {"marker": "o", "markersize": 11, "markerfacecolor": "none", "markeredgecolor": "#c62828",
                        "markeredgewidth": 1.5, "clip_on": False}
COLOURS = {"pass": "#2e7d32", "fail": "#c62828", "inconclusive": "#b26a00"}


def plot_report(report: ReportData, path: str | PathLike[str] | None = None) -> Any:
    """One row per tensor: a map of relative errors in the tensor's shape, and gradient against numerical gradient.

    Parameters
    ----------
    report : the report.
    path : where to save the picture, None for not at all.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ImportError : without matplotlib.
    """
    chosen = shown(report)
    heights = [VECTOR_HEIGHT if min(as_matrix_shape(t.shape)) == 1 else MATRIX_HEIGHT for t in chosen]
    figure = _figure(10.5, 1.0 + sum(heights), path)
    axes = figure.subplots(len(chosen), 2, squeeze=False, width_ratios=(1.5, 1.0), height_ratios=heights)
    image = None
    for row, tensor in zip(axes, chosen, strict=True):
        image = _draw_map(row[0], tensor)
        _draw_scatter(row[1], tensor)
    if image is not None:
        bar = figure.colorbar(image, ax=axes[:, 0].tolist(), location="left", aspect=12 * len(chosen), pad=0.02)
        bar.set_label("relative error of an entry (line: tolerance)")
        bar.ax.axhline(report.tolerance, color="white", linewidth=2)
    left_out = len(report.tensors) - len(chosen)
    more = f"  ({left_out} more tensors not shown)" if left_out else ""
    figure.suptitle(
        f"{report.verdict.upper()}: difference {report.difference:.2e}, tolerance {report.tolerance:.2g}{more}",
        color=COLOURS[report.verdict], fontweight="bold",
    )  # fmt: skip
    if path is not None:
        figure.savefig(path, dpi=120)
    return figure


def shown(report: ReportData) -> list[TensorData]:
    """Return the tensors drawn: all, or the failing ones and then the others up to a readable number."""
    checked = [t for t in report.tensors if t.checked]
    if len(checked) <= ROWS:
        return checked
    order = {t.name: place for place, t in enumerate(report.failures)}
    nearest = sorted(checked, key=lambda t: order.get(t.name, len(order)))[:ROWS]
    names = {t.name for t in nearest}
    return [t for t in checked if t.name in names]


def blocks_of(errors: Array) -> Array:
    """A map no larger than PIXELS either way: each block shows its worst entry; NaN where nothing was checked."""
    rows, columns = (max(1, -(-size // PIXELS)) for size in errors.shape)
    if rows == columns == 1:
        return errors
    height, width = (-(-size // step) for size, step in zip(errors.shape, (rows, columns), strict=True))
    padded = np.full((height * rows, width * columns), -1.0)
    padded[: errors.shape[0], : errors.shape[1]] = np.nan_to_num(errors, nan=-1.0)
    worst = padded.reshape(height, rows, width, columns).max(axis=(1, 3))
    return np.where(worst < 0.0, np.nan, worst)


def as_matrix_shape(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return how a tensor is laid flat for drawing: columns as a row, more than two axes with the first kept."""
    size = math.prod(shape)
    if len(shape) < 2 or size == shape[0]:
        return 1, size
    return shape[0], size // shape[0]


def _draw_map(axis: Any, tensor: TensorData) -> Any:
    from matplotlib.colors import LogNorm
    from matplotlib.ticker import MaxNLocator, NullLocator

    errors = tensor.relative_error.reshape(as_matrix_shape(tensor.shape))
    image = blocks_of(errors)
    drawn = axis.imshow(
        np.maximum(image, LOWEST), norm=LogNorm(LOWEST, HIGHEST), cmap="viridis", aspect="auto",
        interpolation="nearest", extent=(-0.5, errors.shape[1] - 0.5, errors.shape[0] - 0.5, -0.5),
    )  # fmt: skip
    axis.set_facecolor("0.85")
    shape = " x ".join(map(str, tensor.shape))
    axis.set_title(f"{tensor.name} ({shape}): {tensor.verdict}, difference {tensor.difference:.1e}",
                   color=COLOURS[tensor.verdict], fontsize=10, loc="left")
    for along, size in ((axis.xaxis, errors.shape[1]), (axis.yaxis, errors.shape[0])):
        along.set_major_locator(MaxNLocator(6, integer=True) if size > 1 else NullLocator())
    axis.tick_params(labelsize=8)
    if image.shape != errors.shape:
        axis.set_xlabel("each pixel: the worst entry of its block", fontsize=8)
    if tensor.worst is not None and tensor.verdict == "fail":
        row, column = divmod(int(np.ravel_multi_index(tensor.worst, tensor.shape)), errors.shape[1])
        axis.plot(column, row, **RING)
    return drawn


def _draw_scatter(axis: Any, tensor: TensorData) -> None:
    gradient, approx = tensor.pair
    places = _points(tensor)
    x, y = approx[places], gradient[places]
    finite = np.isfinite(x) & np.isfinite(y)
    x, y = x[finite], y[finite]
    low, high = (float(min(x.min(), y.min())), float(max(x.max(), y.max()))) if x.size else (0.0, 0.0)
    pad = 0.05 * max(high - low, abs(high)) or 1.0
    axis.plot([low - pad, high + pad], [low - pad, high + pad], color="0.6", linewidth=1, zorder=1)
    few = x.size <= 200
    axis.scatter(x, y, s=16 if few else 4, alpha=0.8 if few else 0.4, linewidths=0, zorder=2,
                 color=COLOURS[tensor.verdict], rasterized=not few)
    if tensor.worst is not None and tensor.verdict == "fail":
        entry = tensor.entries(1)[0]
        axis.plot(entry.gradapprox, entry.grad, **RING)
    axis.set_xlim(low - pad, high + pad)
    axis.set_ylim(low - pad, high + pad)
    axis.set_ylabel(f"d{tensor.name}", fontsize=9)
    axis.set_xlabel("numerical gradient", fontsize=8)
    axis.tick_params(labelsize=8)
    axis.locator_params(nbins=5)
    axis.ticklabel_format(style="sci", scilimits=(-2, 3))
    for label in (axis.xaxis.get_offset_text(), axis.yaxis.get_offset_text()):
        label.set_fontsize(8)
    if tensor.checked > x.size:
        axis.set_title(f"{x.size:,} of {tensor.checked:,} entries", fontsize=8, loc="right")


def _points(tensor: TensorData) -> Any:
    """Return positions drawn: all, or the most wrong tenth of what is drawn, and a random share of the others."""
    if tensor.checked <= POINTS:
        return np.arange(tensor.checked)
    gradient, approx = tensor.pair
    worst = np.argpartition(-np.nan_to_num(np.abs(gradient - approx)), POINTS // 10)[: POINTS // 10]
    others = np.random.default_rng(0).choice(tensor.checked, POINTS - worst.size, replace=False)
    return np.unique(np.concatenate([worst, others]))


def plot_sweep(sweep: SweepData, path: str | PathLike[str] | None = None) -> Any:
    """Difference against epsilon, both logarithmic, one line per engine.

    Parameters
    ----------
    sweep : differences by engine.
    path : where to save the picture, None for not at all.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ImportError : without matplotlib.
    """
    figure = _figure(7.0, 4.8, path)
    axes = figure.subplots()
    for (name, differences), marker in zip(sweep.differences.items(), "osv^D", strict=False):
        # Exact agreement has no place on a logarithmic axis: it is drawn at the rounding unit.
        axes.loglog(sweep.epsilons, np.maximum(differences, LOWEST), marker=marker, label=name)
    axes.axhline(TOLERANCE, color="gray", linestyle="--", linewidth=1)
    axes.annotate("the textbook's 1e-7", (min(sweep.epsilons), TOLERANCE), ha="left", va="bottom", color="gray")
    axes.set_xlabel("epsilon")
    axes.set_ylabel("||grad - gradapprox|| / (||grad|| + ||gradapprox||)")
    axes.set_title("\n".join(textwrap.wrap(sweep.conclusion, TITLE)), fontsize=10, loc="left")
    axes.legend(title="engine")
    axes.grid(True, which="major", alpha=0.3)
    if path is not None:
        figure.savefig(path, dpi=120)
    return figure


def figure_class() -> Any:
    """Return matplotlib's figures.

    Raises
    ------
    ImportError : where there is no matplotlib, with how to get it.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError('plots need matplotlib: pip install "fastcheck[plot]"') from None
    return Figure


def _figure(width: float, height: float, path: str | PathLike[str] | None) -> Any:
    """Return an empty figure of that size in inches.

    Where the caller has imported pyplot, and no file is asked for, it is one of pyplot's, so that ``plt.show()`` shows
    it; notebooks show what a cell returns, and would show it twice.
    """
    Figure = figure_class()
    if not hasattr(path, "write"):
        path_of("path", path)
    pyplot = sys.modules.get("matplotlib.pyplot")
    if path is None and pyplot is not None and "inline" not in pyplot.get_backend().lower():
        return pyplot.figure(figsize=(width, height), layout="constrained")
    return Figure(figsize=(width, height), layout="constrained")
