"""Programs that solve something: linear systems, an implicit layer, a pendulum, heat, a Kalman filter, a spectrum."""

from functools import partial

import numpy as np

from tests.gallery.case import Layer, Model, changed, changed_in

rng = np.random.default_rng(10)


def solve_layer(A, b):
    return np.linalg.solve(A, b)


def solve_backward(d, A, b, transpose=True, negative=True):
    x = np.linalg.solve(A, b)
    db = np.linalg.solve(A.T if transpose else A, d)
    dA = np.outer(db, x)
    return -dA if negative else dA, db


def inverse_layer(A):
    return np.linalg.inv(A)


def inverse_backward(d, A, transpose=True):
    Y = np.linalg.inv(A)
    return -Y.T @ d @ Y.T if transpose else -Y @ d @ Y


def ridge(X, y, log_lambda):
    """The weights of a ridge regression, as a layer."""
    G = X.T @ X
    G[np.diag_indices_from(G)] += np.exp(log_lambda)
    return np.linalg.inv(G) @ (X.T @ y)


def ridge_backward(d, X, y, log_lambda, both=True):
    w = ridge(X, y, log_lambda)
    u = np.linalg.solve(X.T @ X + np.exp(log_lambda) * np.eye(X.shape[1]), d)
    residual = y - X @ w
    dX = np.outer(residual, u) - np.outer(X @ u, w)
    return dX if both else np.outer(residual, u), X @ u, -np.exp(log_lambda) * (u @ w)


# ---- y + y**3 = W x, by a fixed number of Newton steps ---------------------------------------------------------------
def implicit_layer(x, W, steps=30):
    z = x @ W.T
    y = np.zeros_like(z)
    for _ in range(steps):
        y = y - (y + y**3 - z) / (1 + 3 * y**2)
    return y


def implicit_backward(d, x, W, implicit=True):
    y = implicit_layer(x, W)
    dz = d / (1 + 3 * y**2) if implicit else d
    return dz @ W, dz.T @ x


# ---- a pendulum by Runge and Kutta, with its discrete adjoint --------------------------------------------------------
STEPS, DT = 20, 0.1


def pendulum_rhs(state, length, damping):
    return np.array([state[1], -9.81 / length * np.sin(state[0]) - damping * state[1]])


def pendulum_cost(p, target):
    state = p["state"]
    for _ in range(STEPS):
        k1 = pendulum_rhs(state, p["length"], p["damping"])
        k2 = pendulum_rhs(state + 0.5 * DT * k1, p["length"], p["damping"])
        k3 = pendulum_rhs(state + 0.5 * DT * k2, p["length"], p["damping"])
        k4 = pendulum_rhs(state + DT * k3, p["length"], p["damping"])
        state = state + DT / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return 0.5 * np.sum((state - target) ** 2)


def pendulum_gradient(p, target, stages=True, all_steps=True):
    length, damping = p["length"], p["damping"]
    states, tape = [p["state"]], []
    for _ in range(STEPS):
        s = states[-1]
        points = [s]
        slopes = [pendulum_rhs(s, length, damping)]
        for factor in (0.5, 0.5, 1.0):
            points.append(s + factor * DT * slopes[-1])
            slopes.append(pendulum_rhs(points[-1], length, damping))
        tape.append(points)
        states.append(s + DT / 6 * (slopes[0] + 2 * slopes[1] + 2 * slopes[2] + slopes[3]))
    lam, dlength, ddamping = states[-1] - target, 0.0, 0.0
    for points in reversed(tape):
        later, total = np.zeros(2), np.zeros(2)
        for s, weight, factor in zip(points[::-1], (1, 2, 2, 1), (0.0, 1.0, 0.5, 0.5), strict=True):
            dk = DT / 6 * weight * lam + factor * DT * (later if stages else 0)
            J = np.array([[0, 1], [-9.81 / length * np.cos(s[0]), -damping]])
            dlength += dk[1] * 9.81 / length**2 * np.sin(s[0])
            ddamping -= dk[1] * s[1]
            later = J.T @ dk
            total += later
        lam = lam + total
        if not all_steps:
            break
    return {"state": lam, "length": dlength, "damping": ddamping}


# ---- the heat equation, in place -------------------------------------------------------------------------------------
def heat(u0, k, steps=10, dt=0.1):
    u = u0.copy()
    for _ in range(steps):
        flux = k * (u[1:] - u[:-1])
        u[1:-1] += dt * (flux[1:] - flux[:-1])
    return u


def heat_backward(d, u0, k, steps=10, dt=0.1, all_steps=True, ends=True):
    history = [u0]
    for _ in range(steps):
        u = history[-1].copy()
        u[1:-1] += dt * np.diff(k * np.diff(u))
        history.append(u)
    dk, lam = np.zeros_like(k), d.copy()
    for u in reversed(history[:-1]):
        inner = lam.copy()
        inner[[0, -1]] = 0
        dflux = -dt * np.diff(inner)
        dk = (dk if all_steps else 0) + dflux * np.diff(u)
        back = np.zeros_like(lam)
        back[1:] += k * dflux
        back[:-1] -= k * dflux
        if not ends:
            back[[0, -1]] = 0
        lam = lam + back
    return lam, dk


def heat_2d(u0, rate):
    """The five-point stencil by np.roll, periodic."""
    u = u0
    for _ in range(4):
        neighbours = np.roll(u, 1, axis=0) + np.roll(u, -1, axis=0) + np.roll(u, 1, 1) + np.roll(u, -1, 1)
        u = u + rate * (neighbours - 4 * u)
    return u


def heat_2d_backward(d, u0, rate, own=True):
    def laplacian(u):
        return sum(np.roll(u, s, axis=a) for s in (1, -1) for a in (0, 1)) - (4 * u if own else 0)

    exact = [u0]
    for _ in range(3):
        exact.append(exact[-1] + rate * (sum(np.roll(exact[-1], s, axis=a) for s in (1, -1) for a in (0, 1))
                                         - 4 * exact[-1]))
    drate = 0.0
    for u in reversed(exact):
        drate += np.sum(d * (sum(np.roll(u, s, axis=a) for s in (1, -1) for a in (0, 1)) - 4 * u))
        d = d + rate * laplacian(d)
    return d, drate


# ---- a Kalman filter's log-likelihood, its gradient by sensitivities ------------------------------------------------
def kalman_cost(p, ys):
    a, q, r = p["a"], np.exp(p["log_q"]), np.exp(p["log_r"])
    m, P = 0.0, 1.0
    total = 0.0
    for y in ys:
        m, P = a * m, a * P * a + q
        S = P + r
        v = y - m
        total += 0.5 * (np.log(2 * np.pi * S) + v * v / S)
        K = P / S
        m, P = m + K * v, (1 - K) * P
    return total


def kalman_gradient(p, ys, gain=True, spread=True):
    a, q, r = float(p["a"]), float(np.exp(p["log_q"])), float(np.exp(p["log_r"]))
    found = {}
    for name, (da, dq, dr) in {"a": (1, 0, 0), "log_q": (0, q, 0), "log_r": (0, 0, r)}.items():
        m, P, dm, dP, total = 0.0, 1.0, 0.0, 0.0, 0.0
        for y in ys:
            dm, dP = da * m + a * dm, 2 * a * da * P + a * a * dP + dq
            m, P = a * m, a * a * P + q
            S, v, dS = P + r, y - m, dP + dr
            total += 0.5 * ((dS / S if spread else 0) - 2 * v * dm / S - v * v * dS / S**2)
            K = P / S
            dK = (dP * S - P * dS) / S**2 if gain else 0.0
            dm, dP = dm + dK * v - K * dm, (1 - K) * dP - dK * P
            m, P = m + K * v, (1 - K) * P
        found[name] = np.array(total)
    return found


# ---- a filter in the frequency domain --------------------------------------------------------------------------------
def spectral_filter(x, gains):
    return np.fft.irfft(np.fft.rfft(x) * gains, n=x.shape[-1])


def spectral_analytic(x, gains):
    n = x.shape[-1]
    turns = np.exp(-2j * np.pi * np.outer(np.arange(n), np.arange(n)) / n)
    full = np.stack([gains[min(k, n - k)] for k in range(n)])
    # real and imaginary parts apart: the complex step must not meet the transform's own i
    return x @ (turns.real * full @ turns.real.T + turns.imag * full @ turns.imag.T) / n


def spectral_backward(d, x, gains, twice=True):
    n = x.shape[-1]
    D, F = np.fft.rfft(d), np.fft.rfft(x)
    weight = np.full(len(gains), 2.0 if twice else 1.0)
    weight[0] = 1
    if n % 2 == 0:
        weight[-1] = 1
    return np.fft.irfft(D * gains, n=n), weight * np.real(np.conj(F) * D).sum(axis=0) / n


square = rng.standard_normal((4, 4)) + 4 * np.eye(4)
pendulum = {"state": np.array([1.1, -0.4]), "length": np.array(1.3), "damping": np.array(0.2)}
CASES = [
    Layer("linear system", solve_layer, solve_backward, (square, rng.standard_normal(4)), {
        "the adjoint system is not transposed": (partial(solve_backward, transpose=False), "A b"),
        "the matrix's gradient has the wrong sign": (partial(solve_backward, negative=False), "A"),
    }),
    Layer("inverse", inverse_layer, inverse_backward, (square,), {
        "the transposes are forgotten": (partial(inverse_backward, transpose=False), "A"),
    }),
    Layer("ridge regression", ridge, ridge_backward,
          (rng.standard_normal((6, 3)), rng.standard_normal(6), np.array(-0.5)), {
              "the normal matrix is held constant": (partial(ridge_backward, both=False), "X"),
              "lambda's gradient is for lambda and not its logarithm":
                  (changed(ridge_backward, 2, lambda g: g / np.exp(-0.5)), "log_lambda"),
          }),
    Layer("implicit layer by Newton steps", implicit_layer, implicit_backward,
          (rng.standard_normal((3, 4)), rng.standard_normal((3, 4))), {
              "the implicit derivative is forgotten": (partial(implicit_backward, implicit=False), "x W"),
          }),
    Model("pendulum by Runge-Kutta", pendulum_cost, pendulum_gradient, pendulum, (np.array([0.1, 0.2]),), {
        "the stages do not see each other": (partial(pendulum_gradient, stages=False), "state length damping"),
        "only the last step goes back": (partial(pendulum_gradient, all_steps=False), "state length damping"),
        "length has the wrong sign": (changed_in(pendulum_gradient, "length", lambda g: -g), "length"),
    }),
    Layer("heat equation in place", heat, heat_backward, (rng.standard_normal(8), rng.uniform(0.5, 1.5, 7)), {
        "only the first step's conductivities count": (partial(heat_backward, all_steps=False), "k"),
        "the boundary's influence is forgotten": (partial(heat_backward, ends=False), "u0"),
    }),
    Layer("heat equation by np.roll", heat_2d, heat_2d_backward, (rng.standard_normal((4, 5)), np.array(0.1)), {
        "the stencil's centre is forgotten going back": (partial(heat_2d_backward, own=False), "u0 rate"),
    }),
    Model("Kalman filter", kalman_cost, kalman_gradient,
          {"a": np.array(0.8), "log_q": np.array(-0.6), "log_r": np.array(0.3)}, (rng.standard_normal(8),), {
              "the gain is held constant": (partial(kalman_gradient, gain=False), "a log_q log_r"),
              "the innovation's log-variance is forgotten": (partial(kalman_gradient, spread=False), "a log_q log_r"),
          }),
    Layer("spectral filter", spectral_filter, spectral_backward,
          (rng.standard_normal((3, 8)), rng.standard_normal(5)), {
              "frequencies of both signs count once": (partial(spectral_backward, twice=False), "gains"),
          }, spectral_analytic),
]
