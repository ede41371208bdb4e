"""A Fourier transform whose backward pass is the inverse transform."""

import numpy as np

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.making import normal
from benchmarks.gradbugs.subjects import Layer


def forward(x):
    f = np.fft.fft(x)
    return np.stack([f.real, f.imag])


def right(upstream, x):
    return np.fft.fft(upstream[0] - 1j * upstream[1]).real


def wrong(upstream, x):
    return np.fft.ifft(upstream[0] + 1j * upstream[1]).real


CASE = Case(
    source="FluxML/Zygote.jl#204",
    mistake="The adjoint of the transform is taken to be its inverse, which lacks the number of points.",
    kind="factor", precision="float64", wrong=("x",), says=r"0\.12|times|factor",
    subject=Layer(forward, right, wrong, lambda: normal((8,), seed=70)), third=2,
)
