"""``check_module``: chains, other modules, and what is refused."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import fastcheck as fc
import fastcheck.torch as ft
from tests.torch.support import function, tensor


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
    assert [(t.name, t.shape) for t in report.tensors] == [
        ("0.weight", (5, 6)), ("0.bias", (5,)), ("2.weight", (3, 5)), ("2.bias", (3,))
    ]


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
def test_other_modules_go_by_their_operators_and_say_why(name):
    make, loss = OTHERS[name]
    x, y = data()
    report = ft.check_module(make(), loss, x, y)
    assert report.ok, str(report)
    assert report.engine == "program"
    assert report.difference < 1e-12
    assert any("No response engine" in note for note in report.notes)


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
    assert sorted(t.name for t in report.failures) == ["0.bias", "0.weight"]
    assert all("1.500 times" in t.diagnosis for t in report.failures)


def test_a_hook_that_spoils_gradients_is_found_by_the_response_engine():
    module = chain()
    module[2].weight.register_hook(lambda g: g * 2)
    report = ft.check_module(module, nn.CrossEntropyLoss(), *data())
    assert report.engine == "response"
    assert [t.name for t in report.failures] == ["2.weight"]


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
    if name != "random":
        F.cross_entropy(module(x.detach()), y).backward()
    module[0].weight.grad = torch.full_like(module[0].weight, 0.5)
    before = state_of(module)
    error = {"random": fc.NondeterministicError}.get(name)
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
    (nn.Dropout(0.3), "dropout 0.3 is active.*module.eval"),
    (nn.TransformerEncoderLayer(5, 1, 4), "0.1 is active.*frozen"),
])
def test_dropout_in_training_is_refused_and_passes_in_eval_mode(part, words):
    module = chain(part)
    with pytest.raises(ValueError, match=words):
        ft.check_module(module, nn.CrossEntropyLoss(), *data())
    assert ft.check_module(module.eval(), nn.CrossEntropyLoss(), *data()).ok


def test_what_does_not_fit_is_named():
    x, y = data()
    with pytest.raises(TypeError, match=r"module: expected a torch.nn.Module, got function"):
        ft.check_module(lambda x: x, nn.MSELoss(), x, y)
    with pytest.raises(ValueError, match=r"loss: expected one number, got \(7,\)"):
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
    from fastcheck.torch.cost import TorchCost
    from fastcheck.torch.function import TorchFunction

    given = tensor(3, 4).detach(), tensor(3, 4).detach()
    function = TorchFunction(lambda a, b: (a.sin() * b).sum(), given, (0, 1), ("a", "b"))
    cost, theta = TorchCost(function, function.value()), function.theta.copy()
    for places in (np.empty(0, np.int64), np.array([0, 23, 5]), np.array([[0, 3], [20, 4], [12, 13]])):
        values = np.arange(float(places.size)).reshape(places.shape)
        wanted = []
        for place, value in zip(places, values, strict=True):
            moved = theta.copy()
            moved[place] = value
            wanted.append(cost.at(moved))
        np.testing.assert_allclose(cost.costs_at(places, values), wanted, rtol=1e-13)
    np.testing.assert_array_equal(function.theta, theta)


class Reused(nn.Module):
    """One layer twice, a tied table, keyword arguments, and outputs in a dictionary."""

    def __init__(self):
        super().__init__()
        self.table, self.layer, self.head = nn.Embedding(9, 5, padding_idx=0), nn.Linear(5, 5), nn.Linear(5, 9)
        self.head.weight = self.table.weight

    def forward(self, words, *, scale):
        hidden = torch.tanh(self.layer(torch.tanh(self.layer(self.table(words) * scale))))
        return {"logits": self.head(hidden), "hidden": (hidden, hidden.mean())}


def test_shared_parameters_keyword_inputs_and_outputs_in_structures():
    """Rows at the padding index stand still in the embedding; where the table is tied they move in the head."""
    words, labels = torch.tensor([[0, 1, 2], [3, 4, 4]]), torch.tensor([[1, 2, 3], [4, 5, 6]])

    def loss(outputs, labels):
        return F.cross_entropy(outputs["logits"].flatten(0, 1), labels.flatten()) + outputs["hidden"][1]

    module = Reused().double()
    module.head.weight = nn.Parameter(module.head.weight.detach().clone())
    report = ft.check_module(module, loss, {"words": words, "scale": 2.0}, labels)
    assert report.ok, str(report)
    own = {"table.weight", "layer.weight", "layer.bias", "head.bias"}
    assert {t.name for t in report.tensors} == own | {"head.weight"}
    tied = Reused().double()
    tied.table.padding_idx = None
    report = ft.check_module(tied, loss, {"words": words, "scale": 2.0}, labels)
    assert report.ok, str(report)
    assert {t.name for t in report.tensors} == own
    assert report.engine == "program"


def test_a_module_in_training_with_dropout_on():
    """Frozen randomness: masks are those of the backward pass, batch statistics move, and nothing is left behind."""
    module = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 3)).double()
    x, y = data()
    before = state_of(module)
    report = ft.check_module(module, nn.CrossEntropyLoss(), x, y, randomness="frozen")
    assert report.ok, str(report)
    assert report.engine == "program"
    after = state_of(module)
    assert all(torch.equal(a, b) for a, b in zip(before[1], after[1], strict=True))
    assert torch.equal(before[3], after[3])
    module[4].weight.register_hook(lambda g: g * 1.001)
    report = ft.check_module(module, nn.CrossEntropyLoss(), *data(), randomness="frozen")
    assert [t.name for t in report.failures] == ["4.weight"]


def test_batch_norm_in_training_needs_nothing():
    """Running statistics do not enter the loss; the bias before it has a gradient of nothing but rounding."""
    module = nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 3)).double()
    report = ft.check_module(module, nn.CrossEntropyLoss(), *data())
    assert report.ok, str(report)
    assert torch.equal(module[1].running_mean, torch.zeros(5).double())
    module[0].bias.register_hook(lambda g: g + 1e-6)
    assert [t.name for t in ft.check_module(module, nn.CrossEntropyLoss(), *data()).failures] == ["0.bias"]


def test_a_compiled_module_is_judged_by_its_original():
    module = chain()
    compiled = torch.compile(module, backend="eager")
    report = ft.check_module(compiled, lambda out, y: F.cross_entropy(out * 2.0, y), *data())
    assert report.ok
    assert [t.name for t in report.tensors] == ["0.weight", "0.bias", "2.weight", "2.bias"]


def test_what_has_no_rule_falls_back_and_says_so():
    class Unusual(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.randn(4, 4).double())

        def forward(self, x):
            return torch.linalg.eigvals(x @ self.weight).abs().sum()

    report = ft.check_module(Unusual(), lambda out: out, torch.randn(4, 4).double())
    assert report.ok
    assert report.engine == "differences"
    assert any("eig" in note for note in report.notes)


def test_a_part_that_is_used_twice_keeps_its_parameters():
    shared = nn.Linear(6, 6)
    module = nn.Sequential(shared, nn.Tanh(), shared, nn.Tanh(), nn.Linear(6, 3)).double()
    before = [id(p) for p in module.parameters()]
    assert ft.check_module(module, nn.CrossEntropyLoss(), *data()).ok
    assert [id(p) for p in module.parameters()] == before
    assert all(isinstance(p, nn.Parameter) for p in module.parameters())


def test_a_chain_in_bfloat16_does_not_crash():
    x, y = data(torch.bfloat16)
    assert ft.check_module(chain(dtype=torch.bfloat16), nn.CrossEntropyLoss(), x, y).verdict != "fail"


class Autocast(nn.Module):
    """A small net that casts by itself."""

    def __init__(self, factor=1.0):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 3))
        self.scaled = Scaled(factor)

    def forward(self, x):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return self.scaled(self.body(x)).float()


def in_halves(case, factor=1.0):
    """Modules that compute in less than single precision, and their data."""
    x, y = data(torch.float32)
    if case == "autocast":
        return Autocast(factor), x, y
    dtype = getattr(torch, case)
    middle = nn.Sequential(nn.Tanh(), Scaled(factor))
    return nn.Sequential(nn.Linear(6, 16), middle, nn.Linear(16, 3)).to(dtype), x.to(dtype), y


@pytest.mark.parametrize("case", ["autocast", "float16", "bfloat16"])
@pytest.mark.parametrize("seed", range(4))
def test_right_gradients_in_less_than_single_precision_pass_with_their_power(case, seed):
    torch.manual_seed(seed)
    report = ft.check_module(*(lambda m, x, y: (m, lambda o, t: F.cross_entropy(o.float(), t), x, y))(*in_halves(case)))
    assert report.verdict == "pass", str(report)
    assert any("would be seen with probability 0.999" in note for note in report.notes)


@pytest.mark.parametrize("case", ["autocast", "float16", "bfloat16"])
@pytest.mark.parametrize("factor", [1.01, -1.0, 0.0])
def test_mistakes_that_are_in_every_precision_fail(case, factor):
    module, x, y = in_halves(case, factor)
    report = ft.check_module(module, lambda o, t: F.cross_entropy(o.float(), t), x, y)
    assert report.verdict == "fail"
    assert any("In double precision, too" in note for note in report.notes)


def test_autocast_around_the_call_counts_as_well():
    x, y = data(torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        report = ft.check_module(chain(nn.LayerNorm(5), dtype=torch.float32), nn.CrossEntropyLoss(), x, y)
    assert report.verdict == "pass", str(report)
    assert any("low precision" in note for note in report.notes)


@pytest.mark.parametrize(("loss", "kind", "words"), [
    (nn.CrossEntropyLoss, TypeError, "loss: expected a function .*, got the class CrossEntropyLoss; pass an instance"),
    ("ce", TypeError, "loss: expected a function of outputs and targets, got str"),
    (None, TypeError, "loss: expected a function of outputs and targets, got NoneType"),
    (lambda o, t: None, ValueError, "loss: expected one number, got None; is a return statement missing?"),
    (lambda o, t: F.cross_entropy(o, t).item(), ValueError, "got float; return the tensor itself"),
    (lambda o, t: F.cross_entropy(o, t).detach().numpy(), ValueError, "got ndarray; return the tensor itself"),
    (lambda o, t: (F.cross_entropy(o, t), o), ValueError, "got tuple; return the tensor of the loss alone"),
    (lambda o, t: F.cross_entropy(o.detach(), t), ValueError, "got one that no parameter moves.*detach"),
])
def test_losses_that_are_none(loss, kind, words):
    x, y = data()
    with pytest.raises(kind, match=words):
        ft.check_module(chain(), loss, x, y)


def test_whose_call_raised_is_told():
    x, y = data()
    with pytest.raises(RuntimeError, match="shapes") as caught:
        ft.check_module(chain(), nn.CrossEntropyLoss(), x[:, :3], y)
    assert "raised by the module, called with 1 input: (7, 3) float64" in caught.value.__notes__[0]
    with pytest.raises(TypeError, match="target") as caught:
        ft.check_module(chain(), nn.CrossEntropyLoss(), x)
    assert "raised by the loss, called with the module's outputs alone: targets is None" in caught.value.__notes__[0]
    with pytest.raises(IndexError) as caught:
        ft.check_module(chain(), nn.CrossEntropyLoss(), x, y + 5)
    assert "raised by the loss, called with the module's outputs and targets" in caught.value.__notes__[0]
    with pytest.raises(TypeError, match="module: .* got the class Linear; pass an instance"):
        ft.check_module(nn.Linear, nn.CrossEntropyLoss(), x, y)


def test_where_the_cost_overflows_in_the_modules_own_precision_no_gradient_is_accused():
    module, x = nn.Linear(3, 1), torch.randn(4, 3)
    report = ft.check_module(module, lambda out: out.mul(60.0).exp().mul(1e30).mean(), x.mul(3.0))
    assert report.summary.startswith("The cost itself is not finite")


def test_a_right_gradient_passes_where_the_cost_alone_overflows():
    module, x = nn.Linear(3, 1), torch.randn(4, 3)
    report = ft.check_module(module, nn.MSELoss(), x, torch.full((4, 1), 1e30))
    assert report.ok, report


def test_tensors_without_values_are_refused_by_name():
    x, y = torch.randn(4, 3), torch.randn(4, 2)
    with pytest.raises(ValueError, match="^module: expected tensors that have values, got weight on the device meta; "):
        ft.check_module(nn.Linear(3, 2, device="meta"), nn.MSELoss(), x, y)
    with pytest.raises(ValueError, match="^inputs: expected tensors that have values"):
        ft.check_module(nn.Linear(3, 2), nn.MSELoss(), x.to("meta"), y)


def test_parameters_made_in_inference_mode_are_refused():
    """PyTorch hands them no gradient, and says nothing."""
    with torch.inference_mode():
        module = nn.Linear(3, 2)
    with pytest.raises(ValueError, match="^module: expected parameters .*, got weight, .*inference_mode"):
        ft.check_module(module, nn.MSELoss(), torch.randn(4, 3), torch.randn(4, 2))


def test_a_backward_that_changes_the_parameters_is_told_from_a_random_loss():
    module = chain().double()

    def step(parameter):
        with torch.no_grad():
            parameter -= 0.1 * parameter.grad

    module[2].weight.register_post_accumulate_grad_hook(step)
    kept = {name: value.clone() for name, value in module.state_dict().items()}
    with pytest.raises(ValueError, match=r"^module: expected backward\(\) to leave .*, got a change of 2\.weight"):
        ft.check_module(module, nn.CrossEntropyLoss(), *data())
    assert all(torch.equal(value, kept[name]) for name, value in module.state_dict().items())
