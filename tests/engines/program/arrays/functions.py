"""NumPy's and SciPy's functions beyond the elementary: reductions, sorting, linear algebra, transforms, filters.

Each takes ``x`` (3, 4), ``y`` (4, 5) and ``v`` (4,).
"""

import math

import numpy as np
import scipy.fft
import scipy.integrate
import scipy.linalg
import scipy.ndimage
import scipy.signal
import scipy.spatial.distance
import scipy.special
import scipy.stats


def square(y):
    """A well-conditioned matrix (4, 4)."""
    return y[:, :4] + 4.0 * np.eye(4)


def positive(y):
    """A positive definite matrix (4, 4)."""
    return y @ y.T + 4.0 * np.eye(4)


def with_nan(x):
    """x with some of its entries missing."""
    return np.where(np.arange(12).reshape(3, 4) % 5 == 1, np.nan, x)


# Those that NumPy calculates in double precision alone are held against subtraction at large changes only.
DOUBLE_ONLY = ("doubles", "linear algebra", "transforms", "filters", "special", "statistics")
REDUCTIONS = {
    "max": lambda x, y, v: np.max(x) + x.max(axis=1) + x.max(axis=(0, 1), keepdims=True),
    "min": lambda x, y, v: np.min(x, axis=0) + x.min(0, keepdims=True) + np.amin(x),
    "maximum.reduce": lambda x, y, v: np.maximum.reduce(x) + np.minimum.reduce(x, axis=0),
    "ptp": lambda x, y, v: np.ptp(x, axis=1),
    "prod": lambda x, y, v: np.prod(x) + x.prod(axis=1) + np.multiply.reduce(x, axis=1),
    "cumprod": lambda x, y, v: np.cumprod(x, axis=1) + np.multiply.accumulate(x, axis=1),
    "maximum.accumulate": lambda x, y, v: np.maximum.accumulate(x, axis=1) + np.minimum.accumulate(x),
    "var": lambda x, y, v: np.var(x) + x.var(axis=0, ddof=1) + x.var(axis=1, keepdims=True),
    "std": lambda x, y, v: np.std(x, axis=0) + x.std(),
    "median": lambda x, y, v: np.median(x) + np.median(x, axis=0),
    "quantile": lambda x, y, v: np.quantile(x, 0.3, axis=1) + np.percentile(x, 70) + np.quantile(x, [0.2, 0.5])[0],
    "average": lambda x, y, v: np.average(x, axis=1, weights=v * v + 1.0) + np.average(x),
    "cov": lambda x, y, v: np.cov(x) + np.corrcoef(x),
    "sort": lambda x, y, v: np.sort(x) + np.sort(x, axis=0) + np.sort(x, axis=None)[3],
    "sorted in place": lambda x, y, v: sorted_in_place(x * 1.0),
    "argsort": lambda x, y, v: x[np.arange(3)[:, None], np.argsort(x - 100.0 * np.arange(4), axis=1)],
    "argmax": lambda x, y, v: x[np.arange(3), np.argmax(x + 100.0 * np.arange(4), axis=1)],
    "any and all": lambda x, y, v: np.where(np.any(x > 100.0), x, 2 * x) + np.all(x < 100.0),
    "count_nonzero": lambda x, y, v: x * np.count_nonzero(x > 100.0) + x,
    "nonzero": lambda x, y, v: x[np.nonzero(x > -100.0)] + x[np.where(x > -100.0)],
    "argwhere": lambda x, y, v: x[tuple(np.argwhere(x > -100.0)[2])],
    "searchsorted": lambda x, y, v: x * np.searchsorted(np.array([-100.0, 100.0]), v),
    "allclose": lambda x, y, v: x * 2 if np.allclose(x, x + 100.0) else x,
    "diff": lambda x, y, v: np.diff(x) + np.diff(x, axis=1, n=1) + np.ediff1d(v),
    "gradient": lambda x, y, v: np.gradient(x, axis=1) + np.gradient(x)[0],
    "trapezoid": lambda x, y, v: np.trapezoid(x, axis=1),
    "trace": lambda x, y, v: np.trace(y) + x.trace(offset=1),
    "round": lambda x, y, v: np.round(x) + x.round(1) + np.rint(x),
    "nan_to_num": lambda x, y, v: np.nan_to_num(x) + np.nansum(x) + np.nanmean(x, axis=0),
    "nanmax": lambda x, y, v: np.nanmax(with_nan(x), axis=0) + np.nanmin(with_nan(x), axis=1, keepdims=True),
    "nanvar": lambda x, y, v: np.nanvar(with_nan(x), axis=0, ddof=1) + np.nanstd(with_nan(x)) + np.nanvar(x),
    "nanprod": lambda x, y, v: np.nanprod(with_nan(x)) + np.nanprod(with_nan(x), axis=1, keepdims=True) * x,
    "polyval": lambda x, y, v: np.polyval(v, x),
    "vander": lambda x, y, v: np.vander(v) + np.vander(v, 4, increasing=True),
    "polyadd": lambda x, y, v: np.polyadd(v, x[0, :2]) + np.polysub(x[1, :3], v) * 2.0,
    "polymul": lambda x, y, v: np.polymul(v, x[0, :2]) + np.poly(v),
    "polyder": lambda x, y, v: np.polyder(v) + np.polyder(np.polyint(v, 2), 3) + np.polyint(v)[:3],
    "cumprod of all": lambda x, y, v: np.cumprod(x) + x.cumprod(),
    "cumulative": lambda x, y, v: (
        np.cumulative_sum(x, axis=1) + np.cumulative_prod(x, axis=1) + np.cumulative_sum(v)
        + np.cumulative_prod(v, include_initial=True)[1:] + np.cumulative_sum(x, axis=1, include_initial=True)[:, :4]
    ),
    "nancumsum": lambda x, y, v: np.nancumsum(with_nan(x)).reshape(3, 4) + np.nancumprod(with_nan(x), axis=1),
    "nanmedian": lambda x, y, v: (
        np.nanmedian(with_nan(x)) + np.nanmedian(with_nan(x), 0) + np.nanquantile(with_nan(x), 0.3, 0)
        + np.nanpercentile(with_nan(x), [20.0, 70.0], axis=0)[1] + np.nanquantile(with_nan(x), 0.4, keepdims=True)
    ),
    "r_ and c_": lambda x, y, v: (
        np.r_[v, 2.0 * v, 1.0][:4] + np.r_[x, y[:, :4]].sum(axis=0) + np.c_[x, y[:3, :2]][:, 2:]
        + np.c_[v, v * v, x.T][1, :4] + np.c_[np.ones((3, 1)), x][:, :4] + np.r_[0:4] + np.r_[[v[0], v[1]], v[2:]]
    ),
    "partition": lambda x, y, v: (
        np.partition(v + 3.0 * np.array([3, 1, 2, 0]), 2) + np.partition(x + 5.0 * np.c_[[2, 0, 1]], 1, axis=0)
    ),
    "angle": lambda x, y, v: np.angle(x + 1j * v) + np.angle(v * v + 2j * v, deg=True),
    "unwrap": lambda x, y, v: np.unwrap(x + 7.0 * np.arange(4)) + np.unwrap(v - 6.0 * np.arange(4), discont=4.0),
    "fix": lambda x, y, v: np.fix(10.0 * x) * x,
    "sinc": lambda x, y, v: np.sinc(x) + np.sinc(v),
    "piecewise": lambda x, y, v: np.piecewise(x, [x < -0.3, x > 0.2], [lambda t: t * t, np.sin, lambda t, *a: 3 * t]),
    "piecewise of one": lambda x, y, v: (
        np.piecewise(v, v > 0.1, [np.exp]) + np.piecewise(v[1], [v[1] > 0.1], [np.exp, 2.0])
    ),
    "apply_along_axis": lambda x, y, v: (
        np.apply_along_axis(np.sum, 0, x * x) + np.apply_along_axis(lambda row: row[::-1] * row[0], 1, x)
        + np.apply_along_axis(lambda column: np.outer(column, column), 0, y)[1, 2, :4]
    ),
    "logaddexp.reduce": lambda x, y, v: np.logaddexp.reduce(x, axis=1),
}
DOUBLES = {
    "integrate": lambda x, y, v: (
        scipy.integrate.trapezoid(x, v) + scipy.integrate.simpson(x, axis=1)
        + scipy.integrate.cumulative_trapezoid(x, axis=1, initial=0.0)[:, 0]
    ),
    "cdist": lambda x, y, v: (
        scipy.spatial.distance.cdist(x, y.T[:3, :]) + scipy.spatial.distance.cdist(x, y.T[:3, :], "cosine")
        + scipy.spatial.distance.cdist(x, x * x, metric="sqeuclidean")
        + scipy.spatial.distance.cdist(x, y.T[:3, :], "minkowski", p=3.0)
    ),
    "pdist": lambda x, y, v: (
        scipy.spatial.distance.pdist(x) + scipy.spatial.distance.pdist(x, "cityblock")
        + scipy.spatial.distance.squareform(scipy.spatial.distance.pdist(x, "chebyshev"))[0, 1]
        + scipy.spatial.distance.squareform(x[:, :3] + x[:, :3].T - 2.0 * np.diag(np.diag(x)), checks=False)
    ),
    "distances of vectors": lambda x, y, v: (
        scipy.spatial.distance.euclidean(x[0], v) + scipy.spatial.distance.cosine(x[0], v)
        + scipy.spatial.distance.correlation(x[1], v) + scipy.spatial.distance.sqeuclidean(x[2], v)
        + scipy.spatial.distance.mahalanobis(x[0], v, np.eye(4)) + scipy.spatial.distance.cityblock(x[0], v)
    ),
    "interp": lambda x, y, v: np.interp([0.5, 1.5], [0.0, 1.0, 2.0, 3.0], v),
    "interp in x": lambda x, y, v: np.interp(x, [-1.5, -0.4, 0.3, 1.1], [0.5, -1.0, 2.0, 0.7]),
    "interp of all": lambda x, y, v: np.interp(x * 2, np.array([0.0, 1.0, 2.0, 4.0]) + 0.1 * v, y[1, :4], -7.0, 9.0),
    "trapezoid over x": lambda x, y, v: np.trapezoid(x, v, axis=1) + np.trapezoid(x, x * x, axis=1, dx=3.0),
    "bincount": lambda x, y, v: np.bincount([0, 1, 1, 3], weights=v),
    "math": lambda x, y, v: (
        math.tanh(v[0]) + math.sqrt(v[1] * v[1]) + math.pow(v[2] * v[2], 1.5) + math.fsum([v[0], 1.0, v[3]])
    ),
    "math atan2": lambda x, y, v: math.atan2(v[0], v[1]) + math.hypot(v[2], 1.0),
}
PRODUCTS = {
    "outer": lambda x, y, v: np.outer(x, v) + np.outer(x, np.arange(4.0)),
    "kron": lambda x, y, v: np.kron(x, v) + np.kron(v, x),
    "vdot": lambda x, y, v: np.vdot(x, x) + np.vdot(v, v),
    "cross": lambda x, y, v: np.cross(x.T, y[:, :3]) + np.cross(x, y[:3, :4], axis=0).T,
    "convolve": lambda x, y, v: np.convolve(v, x[0]) + np.convolve(v, [1.0, 2.0, 3.0, 4.0]),
    "correlate": lambda x, y, v: np.correlate(v, x[0, :2], mode="same"),
    "vecdot": lambda x, y, v: np.vecdot(x, v) + np.vecdot(x, x),
    "matvec": lambda x, y, v: np.matvec(x, v) + np.vecmat(v, y)[:3],
    "linalg's own": lambda x, y, v: (
        np.linalg.matmul(x, y) + np.linalg.outer(v, v)[0, 0] + np.linalg.vecdot(x, v)[:, None]
    ),
    "multi_dot": lambda x, y, v: np.linalg.multi_dot([x, y, y.T]),
    "norm": lambda x, y, v: np.linalg.norm(x) + np.linalg.norm(v) + np.linalg.norm(x, axis=1, keepdims=True),
    "norms of other orders": lambda x, y, v: np.linalg.norm(v, 1) + np.linalg.norm(v, np.inf) + np.linalg.norm(v, 3),
    "Frobenius": lambda x, y, v: np.linalg.norm(x, "fro") + np.linalg.norm(np.stack([x, x * x]), axis=(1, 2)),
    "matrix_norm": lambda x, y, v: np.linalg.matrix_norm(x) + np.linalg.matrix_norm(np.stack([x, x * x])).sum(),
    "vector_norm": lambda x, y, v: np.linalg.vector_norm(x, axis=0),
}
ALGEBRA = {
    "solve": lambda x, y, v: np.linalg.solve(square(y), x.T),
    "solve for a vector": lambda x, y, v: np.linalg.solve(square(y), v) + np.linalg.solve(4.0 * np.eye(4) + 1.0, v),
    "solve stacks": lambda x, y, v: np.linalg.solve(np.stack([square(y), 5.0 * np.eye(4)]), x.T),
    "inv": lambda x, y, v: np.linalg.inv(square(y)) + np.linalg.inv(np.stack([square(y)] * 2))[0],
    "det": lambda x, y, v: np.linalg.det(square(y)) + np.linalg.det(np.stack([square(y)] * 2)),
    "slogdet": lambda x, y, v: np.linalg.slogdet(positive(y))[1] + np.linalg.slogdet(positive(y)).logabsdet,
    "cholesky": lambda x, y, v: np.linalg.cholesky(positive(y)) + np.linalg.cholesky(positive(y), upper=True),
    "pinv": lambda x, y, v: np.linalg.pinv(x),
    "matrix_power": lambda x, y, v: np.linalg.matrix_power(square(y), 3),
    "eigvalsh": lambda x, y, v: np.linalg.eigvalsh(positive(y)) + scipy.linalg.eigvalsh(positive(y)),
    "eigh": lambda x, y, v: np.linalg.eigh(positive(y)).eigenvectors ** 2 * np.linalg.eigh(positive(y))[0],
    "svd": lambda x, y, v: np.linalg.svd(x, full_matrices=False)[0] ** 2 * np.linalg.svd(x, compute_uv=False),
    "square svd": lambda x, y, v: np.linalg.svd(square(y))[2] ** 2,
    "svdvals": lambda x, y, v: np.linalg.svdvals(x) + scipy.linalg.svdvals(x),
    "norms of matrices": lambda x, y, v: (
        np.linalg.norm(x, 2)
        + np.linalg.norm(x, "nuc")
        + np.linalg.norm(x, -2)
        + np.linalg.norm(x, np.inf)
        + np.linalg.norm(np.stack([x, x * x]), 1, axis=(1, 2))
    ),
    "matrix_norms of other orders": lambda x, y, v: (
        np.linalg.matrix_norm(x, ord=1) + np.linalg.matrix_norm(x, ord=2) + np.linalg.matrix_norm(x, ord="nuc")
    ),
    "cond": lambda x, y, v: np.linalg.cond(square(y)) + np.linalg.cond(x, -2) + np.linalg.cond(square(y), 1),
    "lstsq": lambda x, y, v: (
        np.linalg.lstsq(x.T, v)[0] + np.linalg.lstsq(x.T, v)[1] + np.linalg.lstsq(x.T, y.sum(axis=1))[3]
        + scipy.linalg.lstsq(x.T, v)[0] + scipy.linalg.lstsq(x.T, v, lapack_driver="gelsy")[0]
    ),
    "lstsq, many": lambda x, y, v: (
        np.linalg.lstsq(x.T, y)[0] + np.linalg.lstsq(x.T, y)[1] + np.linalg.lstsq(x, y[:3])[0][:3]
    ),
    "tensorsolve": lambda x, y, v: (
        np.linalg.tensorsolve(square(y).reshape(2, 2, 2, 2), x[0].reshape(2, 2))
        + np.linalg.tensorinv(square(y).reshape(2, 2, 4))[:2, :, 1]
    ),
    "scipy's eigh": lambda x, y, v: (
        scipy.linalg.eigh(positive(y), eigvals_only=True) + scipy.linalg.eigh(positive(y))[1] ** 2
    ),
    "scipy's solve of symmetric ones": lambda x, y, v: (
        scipy.linalg.solve(positive(y) + np.triu(y[:, :4]), v, assume_a="pos")
        + scipy.linalg.solve(positive(y) + np.tril(y[:, :4]), v, lower=True, assume_a="sym")
        + scipy.linalg.solve(square(y), v, transposed=True)
    ),
    "expm": lambda x, y, v: scipy.linalg.expm(0.1 * square(y)),
    "scipy's": lambda x, y, v: (
        scipy.linalg.solve(square(y), v) + scipy.linalg.inv(square(y)) + scipy.linalg.det(square(y))
    ),
    "scipy's cholesky": lambda x, y, v: (
        scipy.linalg.cholesky(positive(y)) + scipy.linalg.cholesky(positive(y), lower=True)
    ),
    "cho_solve": lambda x, y, v: scipy.linalg.cho_solve(scipy.linalg.cho_factor(positive(y)), v),
    "cho_solve, lower": lambda x, y, v: scipy.linalg.cho_solve((np.linalg.cholesky(positive(y)), True), x.T),
    "qr": lambda x, y, v: (
        np.linalg.qr(x.T)[0] @ np.linalg.qr(x.T).R + np.linalg.qr(x.T)[0] ** 2
        + scipy.linalg.qr(square(y))[1][:, :3] ** 2 + scipy.linalg.qr(x.T, mode="economic")[0] ** 2
    ),
    "lu": lambda x, y, v: scipy.linalg.lu(square(y)[::-1])[1] + scipy.linalg.lu(square(y)[::-1])[2],
    "lu, not square": lambda x, y, v: (
        scipy.linalg.lu(x + 4.0 * np.eye(3, 4))[2] + scipy.linalg.lu(x.T + 4.0 * np.eye(4, 3))[1].T
    ),
    "lu_factor": lambda x, y, v: scipy.linalg.lu_factor(square(y)[::-1])[0],
    "lu_solve": lambda x, y, v: (
        scipy.linalg.lu_solve(scipy.linalg.lu_factor(square(y)[::-1]), v)
        + scipy.linalg.lu_solve(scipy.linalg.lu_factor(square(y)), x.T).sum(axis=1)
    ),
    "solve_triangular": lambda x, y, v: (
        scipy.linalg.solve_triangular(square(y), v) + scipy.linalg.solve_triangular(square(y), v, trans="T", lower=True)
    ),
    "rearranged": lambda x, y, v: (
        scipy.linalg.block_diag(x, y)[:4, :4] + scipy.linalg.toeplitz(v) + scipy.linalg.circulant(v)
    ),
}
TRANSFORMS = {
    "fft": lambda x, y, v: np.abs(np.fft.fft(x)) + np.fft.fft(x, axis=0).real,
    "rfft": lambda x, y, v: np.fft.irfft(np.fft.rfft(v) * np.fft.rfft(x[0])),
    "fft2": lambda x, y, v: np.fft.ifft2(np.fft.fft2(x) * np.fft.fft2(x * 2)).real,
    "fftn": lambda x, y, v: np.fft.fftn(x).imag + np.fft.fftshift(x),
    "scipy.fft": lambda x, y, v: scipy.fft.dct(x, axis=1) + scipy.fft.rfft(x).real[0, 0] + scipy.fft.idct(x),
}
FILTERS = {
    "convolve2d": lambda x, y, v: scipy.signal.convolve2d(x, y[:2, :2], mode="same"),
    "correlate": lambda x, y, v: scipy.signal.correlate(x, y, method="direct") + scipy.signal.convolve(v, v).sum(),
    "fftconvolve": lambda x, y, v: scipy.signal.fftconvolve(x, y),
    "lfilter": lambda x, y, v: scipy.signal.lfilter([1.0, 0.5], [1.0, -0.3], x=v),
    "ndimage": lambda x, y, v: scipy.ndimage.convolve(x, y[:3, :3]) + scipy.ndimage.gaussian_filter(x, 1.0),
    "filters of SciPy": lambda x, y, v: (
        scipy.signal.filtfilt([1.0, 0.5], [1.0, -0.3], x, axis=1, padlen=2)
        + scipy.signal.sosfilt([[1.0, 0.5, 0.0, 1.0, -0.2, 0.0]], x) + scipy.signal.detrend(x)
        + scipy.signal.hilbert(x).imag + scipy.signal.savgol_filter(x, 3, 1) + scipy.signal.resample(x, 4, axis=1)
    ),
    "decimate": lambda x, y, v: (
        scipy.signal.decimate(np.tile(v, 10), 2)[:4] + scipy.signal.resample_poly(v, 3, 2)[:4]
        + scipy.signal.sosfiltfilt([[1.0, 0.5, 0.0, 1.0, -0.2, 0.0]], v, padlen=2)
    ),
    "images": lambda x, y, v: (
        scipy.ndimage.rotate(x, 10.0, reshape=False) + scipy.ndimage.map_coordinates(x, np.indices((3, 4)) + 0.3)
        + scipy.ndimage.affine_transform(x, [0.8, 0.9]) + scipy.ndimage.gaussian_laplace(x, 1.0)
        + scipy.ndimage.spline_filter(x)
    ),
    "ndimage with small weights": lambda x, y, v: (
        scipy.ndimage.convolve(x, 1e-3 * y[:3, :3]) + scipy.ndimage.correlate1d(x, 1e-4 * v[:3])
    ),
    "filters with constants": lambda x, y, v: (
        scipy.ndimage.convolve(x, y[:3, :3], mode="constant", cval=2.0) + scipy.ndimage.shift(x, 0.6, cval=-3.0)
        + scipy.ndimage.gaussian_filter(x, 1.0, mode="constant", cval=0.7)
        + scipy.signal.lfilter([1.0, 0.5], [1.0, -0.3], v, zi=[0.8])[0]
    ),
    "ndimage along an axis": lambda x, y, v: scipy.ndimage.correlate1d(x, np.array([1.0, 2.0, 1.0]), axis=1),
}
SPECIAL = {
    "expit": lambda x, y, v: scipy.special.expit(x) + scipy.special.log_expit(x),
    "erf": lambda x, y, v: scipy.special.erf(x) + scipy.special.erfc(x),
    "gammaln": lambda x, y, v: scipy.special.gammaln(x * x + 1.0),
    "logsumexp": lambda x, y, v: scipy.special.logsumexp(x, axis=1) + scipy.special.logsumexp(x),
    "logsumexp with weights": lambda x, y, v: (
        scipy.special.logsumexp(x, axis=1, b=v * v) + scipy.special.logsumexp(y[:3], b=[1.0, 0.0, 2.0, 3.0, 0.5])
        + scipy.special.logsumexp(np.where(x > 2.0, -np.inf, x), b=[[1.0], [2.0], [3.0]], axis=0, keepdims=True)[0, 2]
        + scipy.special.logsumexp([0.3, 0.1, 0.2, 0.5], b=v * v)
    ),
    "softmax": lambda x, y, v: scipy.special.softmax(x, axis=1) + scipy.special.log_softmax(x, axis=0),
    "xlogy": lambda x, y, v: scipy.special.xlogy(x, v * v + 1.0),
    "zeta": lambda x, y, v: scipy.special.zeta(2.5, x * x + 1.0) + scipy.special.polygamma(2, v * v + 1.0),
    "beta": lambda x, y, v: scipy.special.betaln(x * x + 1.0, v * v + 0.5) + scipy.special.beta(2.0, x * x + 0.5),
    "Bessel": lambda x, y, v: scipy.special.j0(x) + scipy.special.jv(3, x) + scipy.special.kv(1.5, v * v + 1.0),
    "modified Bessel": lambda x, y, v: scipy.special.i0(x) + scipy.special.i1e(x) + scipy.special.iv(2, v),
    "modified Bessel of NumPy": lambda x, y, v: np.i0(x) + np.kaiser(4, 2.0) * np.i0(v),
    "integrals": lambda x, y, v: (
        scipy.special.exp1(x * x + 0.5) + scipy.special.expn(3, v * v) + scipy.special.dawsn(x)
        + scipy.special.spence(v * v) + scipy.special.expi(v * v) + scipy.special.erfi(v)
    ),
    "multigammaln": lambda x, y, v: scipy.special.multigammaln(x * x + 1.0, 2) + scipy.special.rgamma(v * v + 0.1),
    "poch": lambda x, y, v: scipy.special.poch(x * x + 0.5, v * v + 0.1),
    "Airy": lambda x, y, v: sum(scipy.special.airy(x)),
    "Struve": lambda x, y, v: scipy.special.struve(1, x) + scipy.special.modstruve(0.5, v * v),
    "small": lambda x, y, v: scipy.special.exp10(x) + scipy.special.cosm1(v),
    "two at once": lambda x, y, v: (
        scipy.special.sici(x * x + 1.0)[1] + sum(scipy.special.fresnel(x)) + scipy.special.shichi(v)[0]
    ),
    "transformations": lambda x, y, v: (
        scipy.special.boxcox(x * x + 1.0, v) + scipy.special.boxcox1p(x * x, 0.5) + scipy.special.inv_boxcox(x, 0.1)
    ),
    "robust": lambda x, y, v: scipy.special.huber(0.3, x) + scipy.special.pseudo_huber(v * v + 0.1, x),
    "relative": lambda x, y, v: scipy.special.exprel(x) + scipy.special.powm1(x * x + 1.0, v),
}
# What came with a later NumPy than the oldest one.
LATER = {"reductions: cumulative": "cumulative_sum", "products: matvec": "matvec"}
PRIOR = scipy.stats.norm(0.5, scale=2.0)


def share(x):
    """Numbers between 0.1 and 0.9."""
    return 0.1 + 0.8 * scipy.special.expit(x)


STATISTICS = {
    "normal": lambda x, y, v: (
        scipy.stats.norm.logpdf(x, v, np.exp(0.3 * v)) + scipy.stats.norm.pdf(x, scale=2.0) + scipy.stats.norm.cdf(v)
        + scipy.stats.norm.logcdf(x) + scipy.stats.norm.sf(x) + scipy.stats.norm.logsf(x)
        + scipy.stats.norm.ppf(share(x)) + scipy.stats.norm.isf(share(v), v)
    ),
    "frozen": lambda x, y, v: (
        scipy.stats.norm(v, np.exp(0.3 * v)).logpdf(x) + scipy.stats.norm(1.0, 3.0).pdf(x) + PRIOR.logpdf(v)
        + PRIOR.ppf(share(x)) * PRIOR.std() + scipy.stats.gamma(2.0, scale=np.exp(v)).logpdf(np.exp(x))
    ),
    "of shapes": lambda x, y, v: (
        scipy.stats.gamma.logpdf(np.exp(x), np.exp(v)) + scipy.stats.beta.logpdf(share(x), np.exp(v), 2.0)
        + scipy.stats.weibull_min.logpdf(np.exp(x), np.exp(v), scale=2.0)
        + scipy.stats.chi2.logpdf(np.exp(x), np.exp(v))
    ),
    "of one's own parts": lambda x, y, v: (
        scipy.stats.t.logpdf(x, 3.0 + np.exp(v)) + scipy.stats.cauchy.logpdf(x, v, 2.0)
        + scipy.stats.lognorm.logpdf(np.exp(x), np.exp(0.3 * v)) + scipy.stats.skewnorm.logpdf(x, v)
        + scipy.stats.genpareto.logpdf(np.exp(0.3 * x), share(v))
        + scipy.stats.gengamma.logpdf(np.exp(x), np.exp(v), 1.5)
        + scipy.stats.genextreme.logpdf(0.2 * np.tanh(x), share(v)) + scipy.stats.gibrat.logpdf(np.exp(x))
        + scipy.stats.t.pdf(x, 3.0) + scipy.stats.cauchy.pdf(v)
    ),
    "others": lambda x, y, v: (
        scipy.stats.expon.logpdf(np.exp(x), scale=np.exp(v)) + scipy.stats.laplace.logpdf(x, 9.0, 3.0 + np.exp(v))
        + scipy.stats.logistic.logpdf(x, v) + scipy.stats.gumbel_r.logcdf(x, v)
        + scipy.stats.uniform.logpdf(x, -9.0, 20.0)
        + scipy.stats.rayleigh.sf(np.exp(x)) + scipy.stats.pareto.logpdf(1.0 + np.exp(x), np.exp(v))
    ),
    "discrete": lambda x, y, v: (
        scipy.stats.poisson.logpmf([[0, 1, 2, 5]], np.exp(x)) + scipy.stats.binom.logpmf([0, 3, 5, 6], 6, share(v))
        + scipy.stats.bernoulli.logpmf([0, 1, 1, 0], share(v)) + scipy.stats.geom.pmf(3, share(v))
        + scipy.stats.nbinom.logpmf(2, np.exp(v), share(x))
    ),
    "of several variables": lambda x, y, v: (
        scipy.stats.multivariate_normal.logpdf(x, v, positive(y))
        + scipy.stats.multivariate_normal.logpdf(x[0], cov=positive(y) + np.triu(y[:, :4], 1))
        + scipy.stats.multivariate_normal.pdf(x, mean=v, cov=np.exp(v))
        + scipy.stats.multivariate_normal.logpdf(x, v, 2.0)
        + scipy.stats.dirichlet.logpdf(np.full(4, 0.25), np.exp(v))
    ),
    "of one sample": lambda x, y, v: scipy.stats.multivariate_normal.logpdf(v, 0.5, 2.0) + x[:, :1],
    "of samples": lambda x, y, v: (
        scipy.stats.zscore(x) + scipy.stats.zscore(x, axis=None, ddof=1) + scipy.stats.entropy(np.exp(x))
        + scipy.stats.entropy(np.exp(x), np.exp(x[::-1]), base=2) + scipy.stats.gmean(np.exp(x))
        + scipy.stats.hmean(np.exp(v)) + scipy.stats.skew(x) + scipy.stats.kurtosis(v)
        + scipy.stats.kurtosis(v, fisher=False)
    ),
}  # fmt: skip
ALL_FUNCTIONS = {
    f"{kind}: {name}": function
    for kind, functions in {
        "reductions": REDUCTIONS,
        "doubles": DOUBLES,
        "products": PRODUCTS,
        "linear algebra": ALGEBRA,
        "transforms": TRANSFORMS,
        "filters": FILTERS,
        "special": SPECIAL,
        "statistics": STATISTICS,
    }.items()
    for name, function in functions.items()
    if hasattr(np, LATER.get(f"{kind}: {name}", "ndarray"))
}


def sorted_in_place(x):
    x.sort(axis=0)
    return x
