"""Waves with their derivatives, for costs that change fast by little."""

import numpy as np

WAVES = {
    "sine": (np.sin, np.cos),
    "two sines": (lambda t: np.sin(t) + np.sin(0.37 * t), lambda t: np.cos(t) + 0.37 * np.cos(0.37 * t)),
    "cubed sine": (lambda t: np.sin(t) ** 3, lambda t: 3 * np.sin(t) ** 2 * np.cos(t)),
}
