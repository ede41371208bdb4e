"""check_layer on layers that keep state: running statistics, buffers, caches, counters, modes; and on used layers."""

import copy
import pickle

import numpy as np
import pytest

import fastcheck as fc

DOUBLE, SINGLE = np.float64, np.float32


def numbers(*shape, seed=0):
    return 0.5 * np.random.default_rng(seed + sum(shape)).standard_normal(shape)


class Normalised:
    """Batch normalisation; how it keeps its statistics is given by a function of the layer, the mean and the variance.

    The gradient of ``wrong`` is 1 % too large.
    """

    def __init__(self, keep, dtype=DOUBLE, wrong=None, train=True):
        self.gamma, self.beta = (1.5 + numbers(4)).astype(dtype), numbers(4, seed=1).astype(dtype)
        self.mean, self.var, self.calls = numbers(4, seed=2).astype(dtype), np.ones(4, dtype), 0
        self.keep, self.wrong, self.train = keep, wrong, train

    def forward(self, x):
        self.x, mean, var = x, self.mean, self.var
        if self.train:
            mean, var = x.mean(axis=0), x.var(axis=0)
            self.keep(self, mean, var)
        self.scale = 1.0 / np.sqrt(var + 1e-5)
        self.normal = (x - mean) * self.scale
        return self.gamma * self.normal + self.beta

    def backward(self, d):
        off = {name: 1.01 if name == self.wrong else 1.0 for name in ("x", "gamma", "beta")}
        self.dgamma, self.dbeta = off["gamma"] * (d * self.normal).sum(axis=0), off["beta"] * d.sum(axis=0)
        d = d * self.gamma
        if self.train:
            d = d - d.mean(axis=0) - self.normal * (d * self.normal).mean(axis=0)
        self.dx = off["x"] * self.scale * d
        return self.dx


def assigned(layer, mean, var):
    layer.mean = 0.9 * layer.mean + 0.1 * mean
    layer.var = 0.9 * layer.var + 0.1 * var


def in_place(layer, mean, var):
    layer.mean *= 0.9
    layer.mean += 0.1 * mean
    layer.var *= 0.9
    layer.var += 0.1 * var


def by_slices(layer, mean, var):
    layer.mean[:] = 0.9 * layer.mean + 0.1 * mean
    layer.var[...] = 0.9 * layer.var + 0.1 * var


def by_out(layer, mean, var):
    np.multiply(layer.mean, 0.9, out=layer.mean)
    np.add(layer.mean, 0.1 * mean, out=layer.mean)
    np.copyto(layer.var, 0.9 * layer.var + 0.1 * var)


def by_count(layer, mean, var):
    layer.calls += 1
    layer.mean += (mean - layer.mean) / layer.calls


def the_first_time(layer, mean, var):
    layer.mean = 0.9 * layer.mean + 0.1 * mean if layer.calls else mean.copy()
    layer.calls += 1


def in_a_list(layer, mean, var):
    layer.__dict__.setdefault("means", []).append(mean)
    layer.mean = np.mean(layer.means, axis=0)


KEEPS = (assigned, in_place, by_slices, by_out, by_count, the_first_time, in_a_list)
X = numbers(6, 4, seed=3)


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("dtype", [DOUBLE, SINGLE])
@pytest.mark.parametrize("keep", KEEPS)
def test_running_statistics(keep, dtype, train):
    x = X.astype(dtype)
    layer = Normalised(keep, dtype, None, train)
    before = pickle.dumps(layer)
    for make in (layer, lambda: Normalised(keep, dtype, None, train)):
        report = fc.check_layer(make, x)
        assert (report.ok, report.engine) == (True, "program"), str(report)
        assert [tensor.name for tensor in report.tensors] == ["x", "gamma", "beta"]
    assert pickle.dumps(layer) == before
    for wrong in ("x", "gamma", "beta"):
        report = fc.check_layer(Normalised(keep, dtype, wrong, train), x)
        assert [tensor.name for tensor in report.failures] == [wrong], str(report)


class Buffered:
    """Writes its outputs and its gradients into arrays that it keeps; how, is given by a function."""

    def __init__(self, fill, dtype=DOUBLE, wrong=1.0):
        self.fill, self.wrong = fill, wrong
        self.W, self.b = numbers(4, 3).astype(dtype), numbers(3).astype(dtype)
        self.out, self.dout = np.empty((6, 3), dtype), np.empty((6, 4), dtype)
        self.dW, self.db = np.zeros_like(self.W), np.zeros_like(self.b)

    def forward(self, x):
        self.x = x
        return np.tanh(self.fill(self, x))

    def backward(self, d):
        d = d * (1.0 - np.tanh(self.out) ** 2)
        np.matmul(self.x.T, d, out=self.dW)
        self.dW *= self.wrong
        np.sum(d, axis=0, out=self.db)
        self.dx = np.matmul(d, self.W.T, out=self.dout)
        return self.dx


def by_matmul(layer, x):
    np.matmul(x, layer.W, out=layer.out)
    layer.out += layer.b
    return layer.out


def by_a_slice(layer, x):
    layer.out[...] = x.dot(layer.W) + layer.b
    return layer.out


def row_by_row(layer, x):
    for row, sample in enumerate(x):
        layer.out[row] = sample @ layer.W + layer.b
    return layer.out


def into_a_view(layer, x):
    layer.out.T[...] = layer.W.T @ x.T
    return np.add(layer.out, layer.b, out=layer.out)


FILLS = (by_matmul, by_a_slice, row_by_row, into_a_view)


@pytest.mark.parametrize("dtype", [DOUBLE, SINGLE])
@pytest.mark.parametrize("fill", FILLS)
def test_outputs_in_buffers(fill, dtype):
    x = X.astype(dtype)
    for make in (Buffered(fill, dtype), lambda: Buffered(fill, dtype)):
        report = fc.check_layer(make, x)
        assert (report.ok, report.engine) == (True, "program"), str(report)
        assert [tensor.name for tensor in report.tensors] == ["x", "W", "b"]
    layer = Buffered(fill, dtype, 1.01)
    before = pickle.dumps(layer)
    assert [tensor.name for tensor in fc.check_layer(layer, x).failures] == ["W"]
    assert pickle.dumps(layer) == before


def used(layer, x):
    """Return a layer after a forward and a backward pass."""
    output = layer.forward(x)
    layer.backward(np.ones_like(output))
    return layer


@pytest.mark.parametrize("x", [X, X + 1.0])
@pytest.mark.parametrize("layer", [Buffered(by_matmul), Normalised(in_place), Normalised(assigned)])
def test_layers_that_have_been_used_before(layer, x):
    """A buffer that holds what forward writes is no parameter, nor is an input that is kept beside its gradient."""
    layer = used(copy.deepcopy(layer), x)
    before = pickle.dumps(layer)
    report = fc.check_layer(layer, X)
    assert report.ok, str(report)
    assert not {tensor.name for tensor in report.tensors} & {"params/x", "out", "mean", "var"}
    assert pickle.dumps(layer) == before


def test_buffers_that_share_memory_are_left_to_subtraction():
    class Shares(Buffered):
        def __init__(self):
            super().__init__(by_matmul)
            self.head = self.out[:3]

        def forward(self, x):
            super().forward(x)
            return np.tanh(self.head)

        def backward(self, d):
            return super().backward(np.concatenate([d, np.zeros((3, 3))]))

    report = fc.check_layer(Shares, X)
    assert (report.ok, report.engine) == (True, "differences"), str(report)


class Looped:
    """Fills an array that it makes: numpy.zeros is followed in the layer's module, too."""

    def __init__(self, dtype=DOUBLE, wrong=1.0):
        self.W, self.b, self.wrong = numbers(4, 3).astype(dtype), np.zeros(3, dtype), wrong

    def forward(self, x):
        self.x, out = x, np.zeros((len(x), 3), x.dtype)
        for row, sample in enumerate(x):
            out[row] = sample @ self.W + self.b
        return out

    def backward(self, d):
        self.dW, self.db = self.wrong * (self.x.T @ d), d.sum(axis=0)
        return d @ self.W.T


class Held:
    """A layer inside, and the functions around it: one of its own, one of the module."""

    def __init__(self, dtype=DOUBLE, wrong=1.0):
        self.inner, self.around = Looped(dtype, wrong), {"tanh": filled_tanh}

    def forward(self, x):
        self.out = self.around["tanh"](self.inner.forward(x))
        return self.out

    def backward(self, d):
        return self.inner.backward(d * (1.0 - self.out**2))


def filled_tanh(x):
    out = np.empty_like(x)
    out[:] = np.tanh(x)
    return out


@pytest.mark.parametrize("dtype", [DOUBLE, SINGLE])
@pytest.mark.parametrize("kind", [Looped, Held])
def test_arrays_that_forward_makes_and_fills(kind, dtype):
    x = X.astype(dtype)
    for make in (kind(dtype), lambda: kind(dtype)):
        report = fc.check_layer(make, x)
        assert (report.ok, report.engine) == (True, "program"), str(report)
    (failure,) = fc.check_layer(lambda: kind(dtype, 1.01), x).failures
    assert failure.name.endswith("W")


MEAN, STATISTICS = np.zeros(4), {"mean": np.zeros(4), "calls": 0}


class Centred:
    """Keeps a running mean outside of the layer, by a function that a subclass has; ``state`` tells what it is."""

    def __init__(self, wrong=1.0):
        self.gamma, self.wrong = 1.5 + numbers(4), wrong

    def forward(self, x):
        mean = x.mean(axis=0)
        self.keep(mean)
        self.centred = x - mean
        return self.gamma * self.centred

    def backward(self, d):
        self.dgamma, d = self.wrong * (d * self.centred).sum(axis=0), d * self.gamma
        return d - d.mean(axis=0)


class InTheClass(Centred):
    mean, calls = np.zeros(4), 0

    def keep(self, mean):
        self.mean *= 0.9
        self.mean += 0.1 * mean
        type(self).calls += 1
        type(self).last = mean

    @classmethod
    def state(cls):
        return cls.mean.tolist(), cls.calls, hasattr(cls, "last")


class InAGlobal(Centred):
    def keep(self, mean):
        global MEAN
        MEAN = 0.9 * MEAN + 0.1 * mean

    @staticmethod
    def state():
        return MEAN.tolist(), MEAN.dtype


class InAGlobalInPlace(InAGlobal):
    def keep(self, mean):
        MEAN[...] = 0.9 * MEAN + 0.1 * mean


class InADictionary(Centred):
    def keep(self, mean):
        STATISTICS["calls"] += 1
        STATISTICS["mean"] = 0.9 * STATISTICS["mean"] + 0.1 * mean

    @staticmethod
    def state():
        return STATISTICS["calls"], STATISTICS["mean"].tolist()


@pytest.mark.parametrize("kind", [InTheClass, InAGlobal, InAGlobalInPlace, InADictionary])
def test_what_is_kept_outside_of_the_layer_is_put_back(kind):
    before = kind.state()
    for wrong, found in ((1.0, []), (1.01, ["gamma"])):
        for make in (kind(wrong), lambda wrong=wrong: kind(wrong)):
            report = fc.check_layer(make, X)
            assert [tensor.name for tensor in report.failures] == found, str(report)
            assert kind.state() == before


def test_layers_that_all_makes_share_keep_their_state():
    shared = Normalised(in_place)
    before = pickle.dumps(shared)

    class Around:
        def __init__(self):
            self.inner = shared

        def forward(self, x):
            return self.inner.forward(x)

        def backward(self, d):
            return self.inner.backward(d)

    assert fc.check_layer(Around, X).ok
    assert pickle.dumps(shared) == before


ZEROS = np.array([-0.0, 0.0])


class Zeroed(Centred):
    """Leaves zeros of other signs in an array of its module."""

    def keep(self, mean):
        ZEROS[...] = -ZEROS


def test_zeros_keep_their_signs():
    for make in (Zeroed, Zeroed()):
        for _ in range(3):
            assert fc.check_layer(make, X).ok
            assert np.signbit(ZEROS).tolist() == [True, False]
