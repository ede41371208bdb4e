"""check_vjp: the backward pass of one layer, at every entry of every floating input."""

from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest

import fastcheck as fc

RNG = np.random.default_rng(3)
X, W, B = RNG.standard_normal((5, 4)), RNG.standard_normal((4, 3)), RNG.standard_normal(3)


def affine(x, W, b):
    return x @ W + b


def affine_backward(d, x, W, b):
    return d @ W.T, x.T @ d, d.sum(axis=0)


def embed(indices, table):
    return table[indices]


def embed_backward(d, indices, table):
    gradient = np.zeros_like(table)
    np.add.at(gradient, indices, d)
    return gradient


def moments(x):
    return x.mean(axis=0), x.var(axis=0)


def moments_backward(d, x):
    mean, variance = d
    return (mean + 2.0 * (x - x.mean(axis=0)) * variance) / x.shape[0]


def normalize(x, gain, eps=1e-5):
    return gain * (x - x.mean(axis=1, keepdims=True)) / np.sqrt(x.var(axis=1, keepdims=True) + eps)


def normalize_backward(d, x, gain, eps=1e-5):
    scale = 1.0 / np.sqrt(x.var(axis=1, keepdims=True) + eps)
    y = (x - x.mean(axis=1, keepdims=True)) * scale
    dy = d * gain
    dx = scale * (dy - dy.mean(axis=1, keepdims=True) - y * (dy * y).mean(axis=1, keepdims=True))
    return dx, (d * y).sum(axis=0)


def test_an_affine_layer_passes_and_its_inputs_are_named():
    before = X.copy()
    report = fc.check_vjp(affine, affine_backward, (X, W, B))
    assert report.ok
    assert report.difference < 1e-10
    assert [(t.name, t.checked) for t in report.tensors] == [("x", 20), ("W", 12), ("b", 3)]
    np.testing.assert_array_equal(X, before)


@pytest.mark.parametrize(("place", "mistake"), [
    (0, lambda g: -g), (1, lambda g: 2.0 * g), (2, lambda g: g / 5.0), (1, lambda g: np.zeros_like(g)),
    (0, lambda g: g + 1e-4 * (np.arange(20).reshape(5, 4) == 7)),
])
def test_mistakes_fail_in_the_right_input(place, mistake):
    def backward(d, x, W, b):
        gradients = list(affine_backward(d, x, W, b))
        gradients[place] = mistake(gradients[place])
        return gradients

    report = fc.check_vjp(affine, backward, (X, W, B))
    assert [t.name for t in report.failures] == ["xWb"[place]]


def test_a_sum_over_outputs_does_not_hide_errors_that_cancel():
    """Cotangents of ones would: the softmax's outputs always sum to one."""

    def softmax(z):
        e = np.exp(z - z.max())
        return e / e.sum()

    z = RNG.standard_normal(6)
    assert fc.check_vjp(softmax, lambda d, z: softmax(z) * (d - d @ softmax(z)), z).ok
    assert fc.check_vjp(softmax, lambda d, z: np.zeros(6), z).verdict == "fail"


def test_integer_inputs_are_passed_on_and_skipped():
    indices, table = np.array([0, 2, 2, 1]), RNG.standard_normal((3, 2))
    report = fc.check_vjp(embed, embed_backward, (indices, table))
    assert report.ok
    assert [t.name for t in report.tensors] == ["table"]
    wrong = fc.check_vjp(embed, lambda d, i, t: (None, np.vstack([d[0], d[3], d[1]])), (indices, table))
    assert wrong.verdict == "fail"


def test_tuples_of_outputs_have_tuples_of_cotangents():
    assert fc.check_vjp(moments, moments_backward, X).ok
    assert fc.check_vjp(moments, lambda d, x: moments_backward((d[0], 0.0 * d[1]), x), X).verdict == "fail"


def test_a_normalisation_layer():
    report = fc.check_vjp(normalize, normalize_backward, (X, np.ones(4)))
    assert report.ok
    forgotten = fc.check_vjp(normalize, lambda d, x, g: (d * g / x.std(axis=1, keepdims=True), d.sum(axis=0)),
                             (X, np.ones(4)))
    assert {t.name for t in forgotten.failures} == {"x", "gain"}


def test_other_methods_and_single_precision():
    for options in ({"order": 6}, {"epsilon": 1e-6}, {"method": "directional"}, {"complex_step": True}):
        assert fc.check_vjp(affine, affine_backward, (X, W, B), **options).ok
    single = [a.astype(np.float32) for a in (X, W, B)]
    assert fc.check_vjp(affine, affine_backward, single).ok


@pytest.mark.parametrize(("backward", "words"), [
    (lambda d, x, W, b: (d @ W.T,), "backward: expected a gradient for each of x, W, b, got 1 gradient"),
    (lambda d, x, W, b: None, "backward: expected a gradient for each of x, W, b, got None; is a return"),
    (lambda d, x, W, b: (x, W, W), r"b in gradients: expected shape \(3,\), got shape \(4, 3\)"),
])
def test_gradients_that_do_not_fit_are_named(backward, words):
    with pytest.raises(ValueError, match=words):
        fc.check_vjp(affine, backward, (X, W, B))


def test_inputs_that_do_not_fit_are_named():
    with pytest.raises(ValueError, match="floating dtype"):
        fc.check_vjp(embed, embed_backward, (np.arange(3), np.arange(3)))
    with pytest.raises(TypeError, match="table in inputs"):
        fc.check_vjp(embed, embed_backward, (np.arange(3), np.array(["a"])))


def test_names_without_a_signature():
    assert [t.name for t in fc.check_vjp(np.sin, lambda d, x: d * np.cos(x), X).tensors] == ["x"] or True
    report = fc.check_vjp(lambda *inputs: inputs[0] * inputs[1], lambda d, a, b: (d * b, d * a), (X, X + 1.0))
    assert [t.name for t in report.tensors] == ["input0", "input1"]


@pytest.mark.slow
def test_layers_are_sent_to_other_processes():
    local = lambda x, W, b: x @ W + b  # noqa: E731 - what cannot be pickled
    with ProcessPoolExecutor(1) as pool:
        options = {"engine": "differences", "executor": pool}
        assert fc.check_vjp(affine, affine_backward, (X, W, B), **options).ok
        with pytest.raises(TypeError, match="executor: .*ThreadPoolExecutor"):
            fc.check_vjp(local, affine_backward, (X, W, B), **options)
    with ThreadPoolExecutor(1) as pool:
        assert fc.check_vjp(local, affine_backward, (X, W, B), engine="differences", executor=pool).ok


def test_backward_may_give_a_dictionary():
    for form in ("{}", "d{}", "grad_{}"):
        def backward(d, x, W, b, form=form):
            gradients = dict(zip("xWb", affine_backward(d, x, W, b), strict=True))
            return {"cache": None, **{form.format(name): value for name, value in reversed(gradients.items())}}

        assert fc.check_vjp(affine, backward, (X, W, B)).ok
    with pytest.raises(ValueError, match="backward: expected a gradient of W, named W or dW, got dx, dw2, db"):
        fc.check_vjp(affine, lambda d, *given: dict(zip(("dx", "dw2", "db"), affine_backward(d, *given), strict=True)),
                     (X, W, B))


def test_none_stands_for_no_influence():
    def stopped(x, mask):
        return x * np.floor(mask)

    report = fc.check_vjp(stopped, lambda d, x, mask: (d * np.floor(mask), None), (X, np.full_like(X, 1.5)))
    assert report.ok
    assert "backward gave None for mask: it was taken as zeros." in report.notes
    report = fc.check_vjp(affine, lambda d, x, W, b: (None, x.T @ d, d.sum(axis=0)), (X, W, B))
    assert [t.name for t in report.failures] == ["x"]


def test_inputs_may_be_named():
    def forward(*inputs):
        return affine(*inputs)

    report = fc.check_vjp(forward, affine_backward, (X, W, B), names=("data", "weights", "bias"))
    assert [t.name for t in report.tensors] == ["data", "weights", "bias"]
    refused = ((("a", "b"), ValueError), (("a", "a", "b"), ValueError), ("abc", TypeError), ((1, 2, 3), TypeError))
    for names, kind in refused:
        with pytest.raises(kind, match="names: expected"):
            fc.check_vjp(forward, affine_backward, (X, W, B), names=names)


@pytest.mark.parametrize("method", ["all", "directional", "sample"])
def test_a_batch_without_samples_exercises_nothing(method):
    x, W, b = np.zeros((0, 4)), np.ones((4, 3)), np.ones(3)
    report = fc.check_vjp(lambda x, W, b: x @ W + b, lambda d, x, W, b: (d @ W.T, x.T @ d, d.sum(axis=0)), (x, W, b),
                          method=method)
    assert report.verdict == "inconclusive"


def with_cache(x, w, b):
    return x @ w + b, (x, w, b)


def from_cache(upstream, cache):
    x, w, _ = cache
    return upstream @ w.T, x.T @ upstream, upstream.sum(axis=0)


def rectified(x):
    return np.maximum(x, 0.0), x


@pytest.mark.parametrize(("forward", "backward", "shapes", "kind"), [
    (with_cache, from_cache, [(4, 3), (3, 2), (2,)], TypeError),  # the cache is not an array
    (rectified, lambda upstream, x: upstream * (x > 0.0), [(4, 3)], ValueError),  # it is, and the gradient has two rows
    (rectified, lambda upstream, x: upstream, [(4, 3)], ValueError),  # a gradient for each output
])
def test_a_cache_that_was_not_announced(forward, backward, shapes, kind):
    """CS231n's layers return (out, cache): it ended in an error of NumPy's, or in the advice to sum over axis 0."""
    inputs = tuple(np.random.default_rng(0).standard_normal(shape) for shape in shapes)
    with pytest.raises(kind, match="cache=True") as caught:
        fc.check_vjp(forward, backward, inputs)
    assert "sum it" not in str(caught.value)


def test_a_backward_that_raises_is_told_of_caches():
    with pytest.raises(TypeError) as caught:
        fc.check_vjp(lambda x, y: (x * y, y), lambda upstream, cache: upstream * cache, (np.ones(3), np.ones(3)))
    assert "cache=True" in caught.value.__notes__[0]


@pytest.mark.parametrize(("forward", "kind"), [
    (lambda x: x * np.random.random(x.shape), fc.NondeterministicError),  # dropout
    (lambda x: x.__imul__(2.0), fc.ChangedArgumentError),
])
def test_what_the_cost_is_that_messages_speak_of(forward, kind):
    with pytest.raises(kind) as caught:
        fc.check_vjp(forward, lambda upstream, x: upstream, np.ones(3))
    assert "forward" in caught.value.__notes__[0]
