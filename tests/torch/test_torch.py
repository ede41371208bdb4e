"""PyTorch's door: torch's own gradcheck beside ours, and modules."""

import copy
import logging

import numpy as np
import pytest

import fastcheck as fc

torch = pytest.importorskip("torch")
ft = pytest.importorskip("fastcheck.torch")
GradcheckError = pytest.importorskip("torch.autograd.gradcheck").GradcheckError
nn, F = torch.nn, torch.nn.functional


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)


def tensor(*shape, dtype=torch.float64):
    return torch.randn(shape, dtype=dtype).requires_grad_()


def function(forward, backward, name="Custom", vmap=True):
    """A custom autograd.Function of one input."""
    new = {"forward": staticmethod(lambda x: forward(x)),
           "setup_context": staticmethod(lambda ctx, given, out: ctx.save_for_backward(given[0])),
           "generate_vmap_rule": True}
    old = {"forward": staticmethod(lambda ctx, x: (ctx.save_for_backward(x), forward(x))[1])}
    body = {**(new if vmap else old), "backward": staticmethod(lambda ctx, g: backward(g, ctx.saved_tensors[0]))}
    return type(name, (torch.autograd.Function,), body).apply


def theirs(*args, **options):
    return torch.autograd.gradcheck(*args, raise_exception=False, **options)


X, W, B = (lambda: tensor(3, 4)), (lambda: tensor(5, 4)), (lambda: tensor(5))
RIGHT = {
    "linear": (F.linear, lambda: (X(), W(), B())),
    "list of inputs": (lambda x, w: torch.tanh(x @ w.T), lambda: [X(), W()]),
    "one tensor": (torch.sin, X),
    "several outputs": (lambda x: (x.sin(), x.sum(), x.argmax()), lambda: (X(),)),
    "input without gradient": (lambda x, w: F.linear(x, w).exp(), lambda: (X(), W().detach())),
    "integers and numbers": (lambda x, i, p: x[i] ** p, lambda: (X(), torch.tensor([0, 2, 2]), 3)),
    "noncontiguous": (lambda x: x.cumsum(0) * x, lambda: (X().detach().t().requires_grad_(),)),
    "scalar": (torch.exp, lambda: (tensor(),)),
    "empty": (lambda x, e: x.sin(), lambda: (X(), tensor(0))),
    "complex": (lambda z: z * z.conj() + z.exp(), lambda: (tensor(3, dtype=torch.complex128),)),
    "complex to real": (lambda z: z.abs(), lambda: (tensor(3, dtype=torch.complex128),)),
    "real to complex": (lambda x: torch.fft.fft(x), lambda: (X(),)),
    "custom": (function(torch.sin, lambda g, x: g * x.cos()), lambda: (X(),)),
    "custom without vmap": (function(torch.sin, lambda g, x: g * x.cos(), vmap=False), lambda: (X(),)),
    "control flow": (lambda x: x.sin() if x.sum().item() > -100 else x, lambda: (X(),)),
    "not used": (lambda x, w: x.sin(), lambda: (X(), W())),
    "flat at zero": (lambda x: x**3, lambda: (torch.zeros(3, dtype=torch.float64, requires_grad=True),)),
    "softmax": (lambda x: x.softmax(1).sum(), lambda: (X(),)),
    "solve": (torch.linalg.solve, lambda: (tensor(4, 4), tensor(4))),
    "sparse": (lambda s, x: torch.sparse.mm(s, x), lambda: (torch.eye(3).double().to_sparse().requires_grad_(), X())),
}
SPARSE = {"sparse": {"masked": True}}
WRONG = {
    "factor": (lambda g, x: 2 * g * x.cos(), "2.000 times the numerical gradient: a factor 2 too many"),
    "sign": (lambda g, x: -g * x.cos(), "the sign is wrong"),
    "zero": (lambda g, x: torch.zeros_like(x) * g, "exactly zero everywhere"),
    "one entry": (lambda g, x: g * (x.cos() + F.one_hot(torch.tensor(5), 12).view(3, 4)), r"\[1, 1\]"),
    "inf": (lambda g, x: g * x.cos() / (x != x[0, 0]), "dx.* is (nan|inf|-inf)"),
}


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("name", RIGHT)
def test_right_gradients_pass_as_in_torch(name, fast):
    func, inputs = RIGHT[name]
    given = inputs()
    before = copy.deepcopy(given)
    assert theirs(func, given, **SPARSE.get(name, {}))
    assert ft.gradcheck(func, given, fast_mode=fast, **SPARSE.get(name, {})) is True
    for old, new in zip(before if isinstance(before, (tuple, list)) else [before],
                        given if isinstance(given, (tuple, list)) else [given], strict=True):
        if isinstance(old, torch.Tensor):
            assert torch.equal(old.to_dense(), new.to_dense())
            assert new.grad is None


@pytest.mark.parametrize("name", ["linear", "complex", "complex to real", "several outputs", "noncontiguous", "solve"])
def test_forward_mode_and_second_derivatives(name):
    func, inputs = RIGHT[name]
    given = inputs()
    assert ft.gradcheck(func, given, check_forward_ad=True, check_batched_grad=True, check_grad_dtypes=True)
    assert ft.gradgradcheck(func, given)
    assert torch.autograd.gradgradcheck(func, given)


@pytest.mark.parametrize("vmap", [True, False])
@pytest.mark.parametrize("name", WRONG)
def test_wrong_gradients_fail_as_in_torch_and_are_named(name, vmap):
    backward, words = WRONG[name]
    func = function(torch.sin, backward, vmap=vmap)
    given = X()
    assert not theirs(lambda x: func(x), (given,))
    for fast in (False, True):
        with pytest.raises(GradcheckError, match=words) as caught:
            ft.gradcheck(lambda x: func(x), (given,), fast_mode=fast)
        assert "Jacobian mismatch for output 0 with respect to input 0 (x)" in str(caught.value)
        assert "analytical" in str(caught.value)
    assert ft.gradcheck(func, (given,), raise_exception=False) is False


def test_a_wrong_second_derivative():
    """The backward of sin is right, but differentiates to nothing."""
    func = function(torch.sin, lambda g, x: g * x.detach().cos())
    given = X()
    assert ft.gradcheck(func, given)
    assert not torch.autograd.gradgradcheck(func, given, raise_exception=False)
    with pytest.raises(ft.GradcheckError, match="exactly zero everywhere"):
        ft.gradgradcheck(func, given)


def test_a_wrong_forward_mode():
    class Wrong(torch.autograd.Function):
        @staticmethod
        def forward(x):
            return x.sin()

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.save_for_backward(*inputs)
            ctx.save_for_forward(*inputs)

        @staticmethod
        def backward(ctx, g):
            return g * ctx.saved_tensors[0].cos()

        @staticmethod
        def jvp(ctx, t):
            return t * ctx.saved_tensors[0].sin()

    given = X()
    assert ft.gradcheck(Wrong.apply, given)
    assert not theirs(Wrong.apply, given, check_forward_ad=True)
    with pytest.raises(ft.GradcheckError, match="Jacobian computed with forward mode mismatch"):
        ft.gradcheck(Wrong.apply, given, check_forward_ad=True)


# --- where torch passes and we do not ---------------------------------------------------------------------------


def test_blind_spot_one_wrong_entry_in_fast_mode():
    given = (5.0 + 10.0 * torch.rand(100, dtype=torch.float64)).requires_grad_()
    wrong = F.one_hot(torch.tensor(37), 100)
    func = function(lambda x: (x**2).sum(), lambda g, x: g * (2.0 * x + wrong))
    assert theirs(func, given, fast_mode=True)
    for fast in (False, True):
        with pytest.raises(GradcheckError, match=r"only one entry is wrong|One of 100 entries") as caught:
            ft.gradcheck(func, given, fast_mode=fast)
        assert "[37]" in str(caught.value)


def test_blind_spot_a_gradient_as_small_as_atol():
    func = function(lambda x: 0.01 * (x**2).mean(), lambda g, x: 0.0 * x * g)
    given = torch.rand(3000, dtype=torch.float64, requires_grad=True)
    assert theirs(func, given)
    with pytest.raises(ft.GradcheckError, match="exactly zero everywhere"):
        ft.gradcheck(func, given)
    assert ft.gradcheck(lambda x: 0.01 * (x**2).mean(), given)


def test_blind_spot_dropout_is_called_random():
    given = tensor(20)
    with pytest.raises(GradcheckError, match="Jacobian mismatch|not reentrant"):
        torch.autograd.gradcheck(F.dropout, given)
    with pytest.raises(fc.NondeterministicError, match="the function is random.*dropout"):
        ft.gradcheck(F.dropout, given)
    assert ft.gradcheck(F.dropout, given, raise_exception=False) is False


def test_blind_spot_backward_that_is_not_linear():
    func = function(torch.sin, lambda g, x: x.cos() * g.clamp(-1.0, 1.0))
    given = X()
    assert theirs(func, given)
    with pytest.raises(ft.GradcheckError, match="not linear"):
        ft.gradcheck(func, given)


def test_a_kink_is_no_mistake():
    given = torch.tensor([0.0, 1.0, -1.0], dtype=torch.float64, requires_grad=True)
    assert not theirs(torch.relu, given)
    assert ft.gradcheck(torch.relu, given)
    assert not ft.gradcheck(function(torch.relu, lambda g, x: 2.0 * g), given, raise_exception=False)


def test_single_precision_is_judged_by_what_it_can_resolve():
    given = tensor(4, dtype=torch.float32)
    with pytest.warns(UserWarning, match="not a double precision"):
        assert ft.gradcheck(torch.sin, given)
    with pytest.warns(UserWarning, match="not a double precision"):
        assert not ft.gradcheck(function(torch.sin, lambda g, x: 1.1 * g * x.cos()), given, raise_exception=False)


# --- arguments --------------------------------------------------------------------------------------------------


def test_tolerances_mean_what_they_mean_in_torch():
    func = function(torch.sin, lambda g, x: 1.004 * g * x.cos())
    given = X()
    for options in ({}, {"rtol": 1e-2}, {"rtol": 3e-3, "atol": 0.0}, {"atol": 5e-3}, {"eps": 1e-4, "rtol": 5e-3}):
        assert ft.gradcheck(func, given, raise_exception=False, **options) == theirs(func, given, **options), options


def test_what_torch_refuses_is_refused():
    cases = [
        (torch.sin, (X().detach(),), ValueError, "at least one input tensor to require gradient"),
        (torch.sin, (torch.zeros(1, requires_grad=True).double().expand(3),), RuntimeError, "stride 0"),
        (lambda x: x.to_sparse(), (X(),), ValueError, "Sparse output is not supported"),
    ]
    for func, given, kind, words in cases:
        for check in (torch.autograd.gradcheck, ft.gradcheck):
            with pytest.raises(kind, match=words):
                check(func, given)
    for check in (torch.autograd.gradcheck, ft.gradcheck):
        with pytest.raises(AssertionError, match="at least one of check_forward_ad"):
            check(torch.sin, X(), check_backward_ad=False)
        with pytest.raises(GradcheckError, match="expected to be zero"):
            check(lambda x: x.detach() * 2, X())
        assert check(lambda x: torch.ones(2, dtype=torch.float64), X())


def test_backward_that_differs_from_call_to_call():
    func = function(torch.sin, lambda g, x: g * x.cos() * (1.0 + 1e-7 * torch.rand(())), vmap=False)
    given = X()
    assert not theirs(func, given)
    with pytest.raises(ft.GradcheckError, match="not reentrant"):
        ft.gradcheck(func, given)
    assert ft.gradcheck(func, given, nondet_tol=1e-5)


def test_inputs_that_the_function_keeps_are_moved_in_place(caplog):
    layer = nn.Linear(4, 2).double()
    x = X().detach()
    before = [p.detach().clone() for p in layer.parameters()]
    with caplog.at_level(logging.INFO, logger="fastcheck.torch"):
        assert ft.gradcheck(lambda *_: layer(x), tuple(layer.parameters()))
    assert "keeps this input itself" in caplog.text
    assert all(torch.equal(a, b) for a, b in zip(before, layer.parameters(), strict=True))
    assert not ft.gradcheck(lambda *_: layer(x.detach()).detach() + layer.bias, (layer.weight, layer.bias),
                            raise_exception=False)


def test_outputs_that_are_not_finite():
    with pytest.raises(ft.GradcheckError, match=r"output 0 is nan at \[1\]"):
        ft.gradcheck(torch.sqrt, torch.tensor([1.0, -1.0], dtype=torch.float64, requires_grad=True))


def test_the_callers_modes_do_not_matter_and_are_left_alone():
    given = X()
    state = torch.get_rng_state()
    with torch.no_grad():
        assert ft.gradcheck(torch.sin, given)
        assert ft.gradgradcheck(torch.sin, given)
        assert not torch.is_grad_enabled()
    assert torch.equal(state, torch.get_rng_state())


# --- modules ----------------------------------------------------------------------------------------------------


def chain(activation=None, dtype=torch.float64, last=None):
    return nn.Sequential(nn.Linear(6, 5), activation or nn.Tanh(), nn.Linear(5, 3), *([last] if last else [])).to(dtype)


class Scaled(nn.Module):
    """Multiplies its gradient by a factor on the way back."""

    def __init__(self, factor):
        super().__init__()
        self.apply_scaled = function(lambda x: x.clone(), lambda g, x: factor * g)

    def forward(self, x):
        return self.apply_scaled(x)


def data(dtype=torch.float64, samples=7):
    return torch.randn(samples, 6, dtype=dtype), torch.randint(0, 3, (samples,))


ACTIVATIONS = [nn.ReLU(), nn.LeakyReLU(), nn.ELU(), nn.SELU(), nn.Sigmoid(), nn.Tanh(), nn.Softplus(), nn.SiLU(),
               nn.GELU(), nn.GELU("tanh"), nn.ReLU6(), nn.Hardtanh(), nn.Identity()]


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=repr)
def test_chains_go_to_the_response_engine(activation):
    x, y = data()
    report = ft.check_module(chain(activation), nn.CrossEntropyLoss(), x, y)
    assert report.ok
    assert report.engine == "response"
    assert report.difference < 1e-8
    assert "W1 and b1 are 0's, W2 and b2 are 2's" in str(report).replace("\n    ", " ")


@pytest.mark.parametrize(("loss", "last", "targets"), [
    (F.cross_entropy, None, lambda: torch.randint(0, 3, (7,))),
    (F.cross_entropy, None, lambda: torch.rand(7, 3).double().softmax(1)),
    (nn.MSELoss(), None, lambda: torch.randn(7, 3).double()),
    (F.mse_loss, nn.Sigmoid(), lambda: torch.rand(7, 3).double()),
    (nn.MSELoss(), nn.Softmax(dim=1), lambda: torch.rand(7, 3).double()),
])
def test_known_losses(loss, last, targets):
    report = ft.check_module(chain(last=last), loss, data()[0], targets())
    assert report.ok
    assert report.engine == "response"


@pytest.mark.parametrize(("loss", "last"), [(nn.BCEWithLogitsLoss(), []), (nn.BCELoss(), [nn.Sigmoid()])])
def test_binary_losses(loss, last):
    module = nn.Sequential(nn.Linear(6, 4), nn.Tanh(), nn.Linear(4, 1), *last).double()
    report = ft.check_module(module, loss, data()[0], torch.rand(7, 1).double().round())
    assert report.ok
    assert report.engine == "response"


OTHERS = {
    "a loss of its own": (chain, lambda out, y: F.cross_entropy(out, y, label_smoothing=0.1)),
    "class weights": (chain, nn.CrossEntropyLoss(weight=torch.tensor([1.0, 2.0, 3.0]).double())),
    "ignored labels": (chain, nn.CrossEntropyLoss(ignore_index=1)),
    "no bias": (lambda: nn.Sequential(nn.Linear(6, 3, bias=False)).double(), nn.CrossEntropyLoss()),
    "two activations": (lambda: chain(nn.Sequential(nn.ReLU(), nn.Tanh())), nn.CrossEntropyLoss()),
    "layer norm": (lambda: chain(nn.LayerNorm(5)), nn.CrossEntropyLoss()),
    "batch norm in eval mode": (lambda: chain(nn.BatchNorm1d(5)).eval(), nn.CrossEntropyLoss()),
    "a slope of its own": (lambda: chain(nn.LeakyReLU(0.2)), nn.CrossEntropyLoss()),
    "a custom function": (lambda: chain(Scaled(1.0)), nn.CrossEntropyLoss()),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_modules_go_by_differences_and_say_why(name):
    make, loss = OTHERS[name]
    x, y = data()
    report = ft.check_module(make(), loss, x, y)
    assert report.ok, str(report)
    assert report.engine == "function"
    assert any("no engine response" in note for note in report.notes)


def test_hooks_are_no_chain():
    module = chain()
    module[0].register_forward_hook(lambda m, given, out: out * 2.0)
    report = ft.check_module(module, nn.CrossEntropyLoss(), *data())
    assert report.ok
    assert "0 has hooks" in str(report.notes)


def test_convolutions_and_single_precision():
    module = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 3))
    report = ft.check_module(module, nn.CrossEntropyLoss(), torch.randn(3, 1, 4, 4), torch.tensor([0, 1, 2]))
    assert report.ok
    assert [t.name for t in report.tensors] == ["0.weight", "0.bias", "3.weight", "3.bias"]
    x, y = data(torch.float32)
    assert ft.check_module(chain(dtype=torch.float32), nn.CrossEntropyLoss(), x, y).ok


@pytest.mark.parametrize("loss", [nn.CrossEntropyLoss(), lambda out, y: F.cross_entropy(out, y, label_smoothing=0.1)])
def test_a_wrong_backward_is_found(loss):
    x, y = data()
    report = ft.check_module(chain(Scaled(1.5)), loss, x, y)
    assert [t.name for t in report.failures] == ["0.weight", "0.bias"]
    assert "1.500 times" in report.failures[0].diagnosis


def test_a_hook_that_spoils_gradients_is_found_by_the_response_engine():
    module = chain()
    module[2].weight.register_hook(lambda g: g * 2)
    report = ft.check_module(module, nn.CrossEntropyLoss(), *data())
    assert report.engine == "response"
    assert [t.name for t in report.failures] == ["W2"]


def test_frozen_parameters_are_left_out_and_methods_are_taken():
    module = chain()
    module[0].weight.requires_grad_(False)
    report = ft.check_module(module, nn.CrossEntropyLoss(), *data(), method="sample", samples=5)
    assert [t.name for t in report.tensors] == ["0.bias", "2.weight", "2.bias"]
    assert report.indices.size == 5 or report.indices.size == 6


def state_of(module):
    return ([(p.detach().clone(), None if p.grad is None else p.grad.clone(), id(p.grad)) for p in module.parameters()],
            [b.clone() for b in module.buffers()], [m.training for m in module.modules()], torch.get_rng_state())


@pytest.mark.parametrize("name", ["response", "differences", "random", "moving"])
def test_everything_is_afterwards_as_before(name):
    middle = {"response": nn.Tanh(), "differences": nn.LayerNorm(5), "random": Noisy(), "moving": Counting()}[name]
    module = chain(middle)
    x, y = data()
    x.requires_grad_()
    if name not in ("random", "moving"):
        F.cross_entropy(module(x.detach()), y).backward()
    module[0].weight.grad = torch.full_like(module[0].weight, 0.5)
    before = state_of(module)
    error = {"random": fc.NondeterministicError, "moving": ValueError}.get(name)
    if error is None:
        assert ft.check_module(module, nn.CrossEntropyLoss(), x, y).ok
    else:
        with pytest.raises(error, match="eval"):
            ft.check_module(module, nn.CrossEntropyLoss(), x, y)
    after = state_of(module)
    for (p, g, i), (p2, g2, i2) in zip(before[0], after[0], strict=True):
        assert torch.equal(p, p2)
        assert i == i2
        assert (g is None and g2 is None) or torch.equal(g, g2)
    assert all(torch.equal(a, b) for a, b in zip(before[1], after[1], strict=True))
    assert before[2] == after[2]
    assert torch.equal(before[3], after[3])
    assert x.grad is None


class Noisy(nn.Module):
    def forward(self, x):
        return x + torch.randn_like(x)


class Counting(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("calls", torch.zeros(()).double())

    def forward(self, x):
        self.calls += 1
        return x


@pytest.mark.parametrize(("part", "words"), [
    (nn.Dropout(0.3), "dropout 0.3 is active.*module.eval"), (nn.BatchNorm1d(5), "running statistics.*module.eval"),
])
def test_dropout_and_batch_norm_in_training_are_refused_and_pass_in_eval_mode(part, words):
    module = chain(part)
    with pytest.raises(ValueError, match=words):
        ft.check_module(module, nn.CrossEntropyLoss(), *data())
    assert ft.check_module(module.eval(), nn.CrossEntropyLoss(), *data()).ok


def test_what_does_not_fit_is_named():
    x, y = data()
    with pytest.raises(TypeError, match=r"module: function found, wanted a torch.nn.Module"):
        ft.check_module(lambda x: x, nn.MSELoss(), x, y)
    with pytest.raises(ValueError, match=r"loss: returned \(7,\), wanted one number"):
        ft.check_module(chain(), nn.CrossEntropyLoss(reduction="none"), x, y)
    with pytest.raises(ValueError, match="nothing to check"):
        ft.check_module(nn.ReLU(), lambda out: out.sum(), x)


def test_caller_in_no_grad_and_no_targets():
    with torch.no_grad():
        report = ft.check_module(chain(), lambda out: out.square().mean(), data()[0])
    assert report.ok
    assert np.isfinite(report.cost)


def test_the_cost_moves_one_entry_several_or_none():
    """As an ``Evaluator`` must: costs at theta with those entries set, each as a whole evaluation has it."""
    from fastcheck.torch.function import TorchCost, TorchFunction

    function = TorchFunction(lambda a, b: (a.sin() * b).sum(), (X().detach(), X().detach()), (0, 1), ("a", "b"))
    function.choose(function.value())
    cost, theta = TorchCost(function), function.theta.copy()
    for places in (np.empty(0, np.int64), np.array([0, 23, 5]), np.array([[0, 3], [20, 4], [12, 13]])):
        values = np.arange(float(places.size)).reshape(places.shape)
        wanted = []
        for place, value in zip(places, values, strict=True):
            moved = theta.copy()
            moved[place] = value
            wanted.append(cost.at(moved))
        np.testing.assert_allclose(cost.moved(places, values), wanted, rtol=1e-13)
    np.testing.assert_array_equal(function.theta, theta)
