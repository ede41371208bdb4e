"""An LSTM in plain NumPy, forward and backward, which several cases make mistakes in."""

from typing import Any

import numpy as np

from .making import sigmoid


def forward(x: Any, W: Any, U: Any, b: Any) -> tuple[Any, Any]:
    """All hidden states (T, n) and the last cell state (n,); gates in the order input, forget, candidate, output."""
    steps = run(x, W, U, b)
    return np.stack([step["h"] for step in steps]), steps[-1]["c"]


def run(x: Any, W: Any, U: Any, b: Any) -> list[dict[str, Any]]:
    """Everything that the backward pass needs, step by step."""
    h, c, steps = np.zeros(len(U)), np.zeros(len(U)), []
    for now in x:
        i, f, g, o = np.split(now @ W + h @ U + b, 4)
        i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
        step = {"i": i, "f": f, "g": g, "o": o, "h_before": h, "c_before": c}
        c = f * c + i * g
        h = o * np.tanh(c)
        steps.append({**step, "c": c, "h": h})
    return steps


def backward(upstream: Any, x: Any, W: Any, U: Any, b: Any, mistake: str = "") -> tuple[Any, ...]:
    """Gradients of x, W, U, b, right unless a mistake is asked for.

    mistake : "last cell" ignores the upstream gradient of the last cell state; "state" passes no gradient to the hidden
        state of the step before; "cell" none to its cell state; "output gate" takes the cell's error.
    """
    dhs, dc_last = upstream
    dx, dW, dU, db = (np.zeros_like(array) for array in (x, W, U, b))
    dh, dc = np.zeros(len(U)), np.zeros(len(U)) if mistake == "last cell" else dc_last.copy()
    for t, s in reversed(list(enumerate(run(x, W, U, b)))):
        dh = dh + dhs[t]
        squashed = np.tanh(s["c"])
        dc = dc + dh * s["o"] * (1 - squashed**2)
        do = (dc if mistake == "output gate" else dh) * squashed * s["o"] * (1 - s["o"])
        di, df = dc * s["g"] * s["i"] * (1 - s["i"]), dc * s["c_before"] * s["f"] * (1 - s["f"])
        dz = np.concatenate([di, df, dc * s["i"] * (1 - s["g"] ** 2), do])
        dx[t] = W @ dz
        dW += np.outer(x[t], dz)
        dU += np.outer(s["h_before"], dz)
        db += dz
        dh = np.zeros_like(dh) if mistake == "state" else U @ dz
        dc = np.zeros_like(dc) if mistake == "cell" else dc * s["f"]
    return dx, dW, dU, db
