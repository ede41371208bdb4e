"""Functions that JAX differentiates, as people write them: lax, numpy, linalg, fft, control flow, custom rules."""

from typing import NamedTuple

import numpy as np
import pytest

jax = pytest.importorskip("jax")
checkpoint_name = pytest.importorskip("jax.ad_checkpoint").checkpoint_name
jnp, lax = jax.numpy, jax.lax
RNG = np.random.default_rng(17)


def numbers(*shape, dtype=np.float32):
    return RNG.standard_normal(shape).astype(dtype)


X, V, SQUARE, POSITIVE = numbers(3, 4), numbers(4), numbers(3, 3), np.abs(numbers(3, 2)) + np.float32(0.5)
DOMINANT = SQUARE + 4.0 * np.eye(3, dtype=np.float32)
IMAGE, KERNEL = numbers(1, 2, 4, 4), numbers(3, 2, 2, 2)


class Dense(NamedTuple):
    w: np.ndarray
    b: np.ndarray


@jax.custom_vjp
def clipped_backward(x):
    return jnp.sin(x)


clipped_backward.defvjp(lambda x: (jnp.sin(x), x), lambda x, g: (g * jnp.cos(x),))


@jax.custom_jvp
def safe_log1pexp(x):
    return jnp.log1p(jnp.exp(x))


safe_log1pexp.defjvp(lambda p, t: (safe_log1pexp(*p), t[0] * jax.nn.sigmoid(p[0])))


def newton(a):
    return lax.while_loop(lambda s: jnp.abs(s * s - a) > 1e-5, lambda s: 0.5 * (s + a / s), a)


def halved(x):
    """As often as it takes, which under vmap differs from row to row."""
    return lax.while_loop(lambda s: s[0] > 1.0, lambda s: (0.5 * s[0], s[1] * x + jnp.sin(s[0])), (7.0 * x, x))[1]


def lstm(p, xs):
    def step(state, x):
        h, c = state
        i, f, o, g = jnp.split(jnp.concatenate([x, h]) @ p, 4)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        return (jax.nn.sigmoid(o) * jnp.tanh(c), c), None

    return lax.scan(step, (jnp.zeros(2, jnp.float32), jnp.zeros(2, jnp.float32)), xs)[0]


def layer_norm(x):
    return (x - x.mean(-1, keepdims=True)) * lax.rsqrt(x.var(-1, keepdims=True) + 1e-5)


def batch_norm(x, w, b):
    z = x @ w + b
    return (z - z.mean(0)) / jnp.sqrt(z.var(0) + 1e-5)


def attention(q, k, v):
    scores = jnp.where(np.tril(np.ones((3, 3), bool)), q @ k.T, -jnp.inf)
    return jax.nn.softmax(scores) @ v


def pooled(x):
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")


def averaged(x):
    return lax.reduce_window(x, 0.0, lax.add, (1, 1, 2, 2), (1, 1, 1, 1), "SAME")


def dropout(x):
    return jnp.where(jax.random.bernoulli(jax.random.key(0), 0.5, x.shape), 2.0 * x, 0.0)


# name: (function, arguments)
FUNCTIONS = {
    "matmul_tanh": (lambda x, w: jnp.tanh(x @ w), (X, numbers(4, 2))),
    "relu_at_zero": (jax.nn.relu, (np.array([0.0, 1.0, -1.0]),)),
    "maximum_at_ties": (lambda x: jnp.maximum(x, 0.0) + jnp.max(x), (np.array([0.0, 1.0, 1.0]),)),
    "gelu": (jax.nn.gelu, (V,)),
    "silu_softplus": (lambda x: jax.nn.silu(x) * jax.nn.softplus(x), (V,)),
    "elu_leaky": (lambda x: jax.nn.elu(x) + jax.nn.leaky_relu(x), (V,)),
    "log_softmax": (lambda x: jax.nn.log_softmax(x), (X,)),
    "logsumexp": (lambda x: jax.nn.logsumexp(x, axis=0), (X,)),
    "cross_entropy": (lambda x, y: -jax.nn.log_softmax(x)[jnp.arange(3), y].mean(), (X, np.array([0, 3, 1]))),
    "layer_norm": (layer_norm, (X,)),
    "batch_norm": (batch_norm, (numbers(6, 2), numbers(2, 3), np.zeros(3, np.float32))),
    "attention": (attention, (numbers(3, 2), numbers(3, 2), numbers(3, 2))),
    "variance": (lambda x: jnp.std(x, axis=0) + jnp.var(x, axis=0), (X,)),
    "powers": (lambda x: x**3 + x**2.5 + x**-2 + 2.0**x, (POSITIVE,)),
    "roots": (lambda x: jnp.sqrt(x) + jnp.cbrt(x) + lax.rsqrt(x), (POSITIVE,)),
    "logarithms": (lambda x: jnp.log(x) + jnp.log1p(x) + jnp.log2(x), (POSITIVE,)),
    "exponentials": (lambda x: jnp.exp(x) + jnp.expm1(x) + jnp.exp2(x), (V,)),
    "trigonometry": (lambda x: jnp.sin(x) * jnp.cos(x) + jnp.tan(x), (V,)),
    "inverse_trigonometry": (lambda x: jnp.arcsin(x / 9) + jnp.arctan(x) + jnp.arctan2(x, 2.0), (V,)),
    "hyperbolic": (lambda x: jnp.sinh(x) + jnp.arcsinh(x) + jnp.arctanh(x / 9), (V,)),
    "erf": (lambda x: lax.erf(x) + lax.erfc(x) + lax.erf_inv(x / 9), (V,)),
    "gamma": (lambda x: jax.scipy.special.gammaln(x) + jax.scipy.special.digamma(x), (POSITIVE,)),
    "gamma_of_any_sign": (lambda x: jax.scipy.special.gamma(x) * jax.scipy.special.beta(x, 2.0), (POSITIVE,)),
    "bessel": (lambda x: jnp.i0(x) + jax.scipy.special.i1(x) * jax.scipy.special.i0e(x / 2), (V,)),
    "shares_of_distributions": (
        lambda x: jax.scipy.special.gammainc(2.5, x) * jax.scipy.special.gammaincc(0.5, x)
        + jax.scipy.special.betainc(2.0, 0.5, x / 9), (POSITIVE,)),
    "zeta": (lambda x: jax.scipy.special.zeta(2.5, x) + jax.scipy.special.polygamma(2, x), (POSITIVE,)),
    "signs_of_bits": (lambda x: jnp.copysign(x**2, x) + jnp.where(jnp.signbit(x), x, x * jnp.frexp(x)[1]), (V,)),
    "stacked": (lambda x: jnp.stack([x, x**2], 1) * jnp.unstack(x)[1], (V,)),
    "named": (lambda x: checkpoint_name(jnp.sin(x), "sine") ** 2, (V,)),
    "reduced_by_own_operation": (lambda x: lax.reduce(x, -jnp.inf, jnp.logaddexp, (0,)), (X,)),
    "reduced_by_calls": (lambda x: lax.reduce(x, 0.0, jnp.hypot, (0,)), (X,)),
    "windows_by_own_operation": (lambda x: lax.reduce_window(
        x, 0.0, jnp.hypot, (2, 2), (1, 1), ((1, 0), (0, 1)), base_dilation=(2, 1), window_dilation=(1, 2)), (X,)),
    "windows_of_products": (lambda x: lax.reduce_window(x, 1.0, lax.mul, (2,), (1,), "SAME"), (V,)),
    "approximate_top_k": (lambda x: lax.approx_max_k(x, 2)[0] * lax.approx_min_k(x, 2)[0], (V,)),
    "tridiagonal": (lambda x: lax.linalg.tridiagonal_solve(x / 5, 3 + x**2, jnp.cos(x), jnp.stack([x, x**3], 1)), (V,)),
    "absolute": (lambda x: jnp.abs(x) * jnp.sign(x) + jnp.abs(jnp.floor(x)), (V,)),
    "clip": (lambda x: jnp.clip(x, -0.5, 0.5) + lax.clamp(-1.0, x, 1.0), (V,)),
    "where": (lambda x: jnp.where(x > 0, x**2, jnp.sin(x)), (X,)),
    "remainder": (lambda x: jnp.mod(x, 0.7) + jnp.round(x), (POSITIVE,)),
    "products": (lambda x: jnp.prod(x, axis=1) + jnp.cumprod(x)[:3], (X,)),
    "cumulative": (lambda x: jnp.cumsum(x) * lax.cummax(x) + lax.cumlogsumexp(x), (V,)),
    "sort": (lambda x: jnp.sort(x) * np.arange(4.0, dtype=np.float32), (V,)),
    "argsort_take": (lambda x: x[jnp.argsort(x)] ** 2 * np.arange(4.0, dtype=np.float32), (V,)),
    "top_k_median": (lambda x: lax.top_k(x, 2)[0].sum() + jnp.median(x) + jnp.quantile(x, 0.3), (V,)),
    "argmax": (lambda x: x[jnp.argmax(x)] * x, (V,)),
    "reductions": (lambda x: jnp.max(x, 0) + jnp.min(x, 0) + jnp.mean(x), (X,)),
    "gather": (lambda x, i: x[i] * x[:, 1:2].T, (SQUARE, np.array([2, 0, 0]))),
    "scatter_add": (lambda x: jnp.zeros(3).at[jnp.array([0, 2, 0, 1])].add(x**2), (V,)),
    "scatter_set": (lambda x: x.at[1].set(x[0] * x[2]), (V,)),
    "scatter_extremes": (
        lambda x: x.at[jnp.array([0, 2, 2])].max(x[1:]) * jnp.zeros(4).at[jnp.array([0, 1, 1, 7])].min(x), (V,)),
    "segment_extremes": (lambda x: jax.ops.segment_max(x, jnp.array([0, 1, 0]), 2)
                         - jax.ops.segment_min(x**2, jnp.array([1, 0, 1]), 3, mode="drop")[:1], (X,)),
    "scatter_at_ties": (lambda x: jnp.zeros(2).at[jnp.array([0, 0, 1])].max(x), (np.array([1.0, 1.0, 0.0]),)),
    "segment_sum": (lambda x: jax.ops.segment_sum(x**2, jnp.array([0, 1, 0]), 2), (X,)),
    "dynamic_slice": (lambda x, i: lax.dynamic_slice(x, (i, 1), (2, 2)) ** 2, (X, np.int32(1))),
    "dynamic_update": (lambda x, u: lax.dynamic_update_slice(x, u, (1, 1)) ** 2, (X, numbers(1, 2))),
    "pad_flip_roll": (lambda x: jnp.pad(jnp.flip(x), 1) * jnp.roll(jnp.pad(x, 1), 1), (SQUARE,)),
    "concatenate": (lambda x, v: jnp.concatenate([x.ravel(), v]) ** 2, (SQUARE, V)),
    "einsum": (lambda x, w: jnp.einsum("ij,kj->ki", x, w) ** 2, (X, numbers(2, 4))),
    "convolution": (lambda x, k: lax.conv(x, k, (1, 1), "SAME") ** 2, (IMAGE, KERNEL)),
    "transposed_convolution": (lambda x, k: lax.conv_transpose(
        x.transpose(0, 2, 3, 1), k.transpose(2, 3, 1, 0), (2, 2), "SAME"), (IMAGE[..., :2, :2], KERNEL)),
    "grouped_convolution": (lambda x, k: lax.conv_general_dilated(
        x, k, (2, 1), [(1, 0), (0, 1)], rhs_dilation=(1, 2), feature_group_count=2), (IMAGE, numbers(4, 1, 2, 2))),
    "max_pool": (pooled, (IMAGE,)),
    "average_pool": (averaged, (IMAGE,)),
    "solve": (jnp.linalg.solve, (DOMINANT, numbers(3))),
    "while_of_rows": (jax.vmap(halved), (np.array([0.4, 1.1, 2.3, 0.1], np.float32),)),
    "while_of_rows_of_rows": (jax.vmap(jax.vmap(halved)), (np.array([[0.4, 1.1], [2.3, 0.1]], np.float32),)),
    "gmres": (lambda a, b: jax.scipy.sparse.linalg.gmres(lambda x: a @ x, b)[0], (DOMINANT, numbers(3))),
    "bicgstab": (lambda a, b: jax.scipy.sparse.linalg.bicgstab(lambda x: a @ x, b, tol=1e-12)[0],
                 (DOMINANT, numbers(3))),
    "inverse": (jnp.linalg.inv, (DOMINANT,)),
    "determinants": (lambda a: jnp.linalg.det(a) + jnp.linalg.slogdet(a)[1], (DOMINANT,)),
    "cholesky": (lambda a: jnp.linalg.cholesky(a @ a.T), (DOMINANT,)),
    "eigh": (lambda a: jnp.linalg.eigh(a + a.T), (SQUARE,)),
    "singular_values": (lambda a: jnp.linalg.svd(a, compute_uv=False), (X,)),
    "qr": (lambda a: jnp.linalg.qr(a)[0] @ jnp.sin(jnp.linalg.qr(a)[1]), (DOMINANT,)),
    "eigenvalues_without_rule": (lambda a: jnp.abs(jnp.linalg.eigvals(a)), (DOMINANT,)),
    "norms": (lambda x: jnp.linalg.norm(x) + jnp.linalg.norm(x, axis=0, ord=1).sum(), (X,)),
    "triangular": (lambda a, b: jax.scipy.linalg.solve_triangular(a, b, lower=True), (DOMINANT, numbers(3))),
    "fft": (lambda x: jnp.abs(jnp.fft.fft(x)) ** 2, (V,)),
    "rfft": (lambda x: jnp.fft.irfft(jnp.fft.rfft(x) ** 2), (V,)),
    "complex": (lambda z: jnp.exp(z) * jnp.conj(z), (V[:2] + 1j * V[2:],)),
    "scan_float32_carry": (lambda x: lax.scan(
        lambda c, r: (jnp.tanh(c + r), c), jnp.zeros(4, jnp.float32), x), (X,)),
    "lstm": (lstm, (numbers(4, 8), numbers(3, 2))),
    "while_newton": (newton, (np.float32(2.3),)),
    "fori": (lambda x: lax.fori_loop(0, 3, lambda i, c: c * x + i, x), (V,)),
    "cond": (lambda x: lax.cond(x[0] > 0, jnp.sin, jnp.cos, x), (V,)),
    "switch": (lambda x, i: lax.switch(i, [jnp.sin, jnp.cos, jnp.exp], x), (V, np.int32(1))),
    "map_vmap": (lambda x: lax.map(jnp.sum, jax.vmap(jnp.sin)(x)), (X,)),
    "means_over_a_mapped_axis": (
        lambda x: jax.vmap(lambda row: (row - lax.pmean(row, "rows")) ** 2, axis_name="rows")(x), (X,)),
    "associative_scan": (lambda x: lax.associative_scan(jnp.multiply, x), (V,)),
    "remat": (jax.checkpoint(lambda x: jnp.sin(jnp.sin(x))), (V,)),
    "grad_of_grad": (lambda x: jax.grad(lambda y: jnp.sum(jnp.tanh(y) ** 3))(x), (V,)),
    "custom_vjp": (clipped_backward, (V,)),
    "custom_jvp": (safe_log1pexp, (V,)),
    "dropout_with_key": (dropout, (X,)),
    "pytree": (lambda p, x: {"y": x @ p["d"].w + p["d"].b, "z": (p["s"] ** 2,)},
               ({"d": Dense(numbers(4, 2), numbers(2)), "s": np.float32(0.3)}, X)),
    "empty": (lambda p: (jnp.sum(p[0] ** 2) + p[1].sum(), p[1] * 2), ([V, np.zeros((0, 3), np.float32)],)),
    "bfloat16": (lambda x: jnp.tanh(x) * x, (jnp.asarray(V, jnp.bfloat16),)),
    "bfloat16_inside": (lambda x: (x.astype(jnp.bfloat16) ** 2).astype(jnp.float32), (V,)),
}
# What takes more than two seconds to compile.
SLOW = {"batch_norm", "cumulative", "determinants", "attention", "top_k_median", "lstm", "erf",
        "eigenvalues_without_rule"}
# While loops, and reductions of windows by an operation of one's own, have no reverse mode.
FORWARD_ONLY = {"while_newton", "while_of_rows", "while_of_rows_of_rows", "windows_by_own_operation",
                "windows_of_products"}
REVERSE_ONLY = {"custom_vjp"}
# No exact differences are known of these.
ORDINARY = {"eigenvalues_without_rule"}
# Factors that are found where 1.01 is not: in low precision.
FACTORS = {"bfloat16_inside": 1.5}
# What cannot run in double precision, for it fixes its own types.
GIVEN = {"scan_float32_carry", "lstm", "dynamic_slice"}
