"""Right gradients spoiled along axes, and what is said of each."""

import numpy as np

from tests.support.fake_gradients import Made

RNG = np.random.default_rng(0)


def spoiled(shape, new, **more):
    """The diagnosis of one array x whose gradient is ``new`` of the right one."""
    made = Made({"x": shape}, **more)
    made["x"][...] = new(made.approx("x").copy())
    return made.report().failures[0].diagnosis


def put(g, where, value):
    g[where] = value
    return g


def only_last_step(g):
    return np.concatenate([g[:, :-1] * RNG.uniform(0.5, 2.0, g[:, :-1].shape), g[:, -1:]], axis=1)


# What is done to a right gradient of an array, its shape, and what the diagnosis says.
PATTERNS = {
    "clipped": ((40,), lambda g: np.clip(g, -0.5, 0.5),
                "every wrong entry of dx is +-0.500, where the numerical gradient is larger: it was clipped."),
    "last step": ((3, 6, 4), only_last_step,
                  "dx is right at the last index of axis 1 only: if that is time, what is passed back"),
    "first": ((6, 4), lambda g: np.concatenate([g[:1], g[1:] * RNG.uniform(0.5, 2.0, g[1:].shape)]),
              "dx is right at the first index of axis 0 only."),
    "zero but the last": ((3, 6, 4), lambda g: put(g, np.s_[:, :-1], 0.0),
                          "dx is zero at all but the last index of axis 1: if that is time, what is passed back"),
    "stride 2": ((3, 8), lambda g: put(g, np.s_[:, 1::2], 0.0),
                 "dx is zero at all but every 2nd index of axis 1 (0, 2, ...): a stride of 2 is treated differently"),
    "stride 3": ((2, 9, 9), lambda g: put(put(g, np.s_[:, 0::3], 0.0), np.s_[:, 1::3], 0.0),
                 "dx is zero at all but every 3rd index of axis 1 (2, 5, ...): a stride of 3"),
    "cut off": ((5, 9), lambda g: put(g, np.s_[:, 6:], 0.0),
                "dx is zero from index 6 of axis 1 on (3 of 9), and right"),
    "begins late": ((5, 9), lambda g: put(g, np.s_[:, :4], 0.0), "dx is zero up to index 3 of axis 1 (4 of 9)"),
    "holes": ((8, 9), lambda g: np.where(RNG.random(g.shape) < 0.3, 0.0, g),
              "entries where the numerical gradient is not"),
    "epsilon": ((8, 5), lambda g: g * (1.0 + 1e-4 * np.arange(1.0, 9.0))[:, None],
                "dx is scaled along axis 0, by a factor for each index that lies 0.0001 to 0.0008 above one"),
    "signs": ((7, 5), lambda g: 0.5 * np.sign(g),
              "dx holds the signs of the numerical gradient, times 0.500, and not its sizes."),
    "weights": ((8, 5), lambda g: g * np.arange(1.0, 6.0),
                "dx is scaled along axis 1: each index has a factor of its own"),
    "constant": ((6, 7), lambda g: g + 0.25, "dx is off by a constant, 0.250, everywhere."),
    "mean": ((6, 7), lambda g: g + np.arange(1.0, 7.0)[:, None],
             "the error of dx is the same all along axis 1: a term that is constant there, such as a mean or a sum"),
    "reversed": ((2, 3, 4, 4), lambda g: g[:, :, ::-1, ::-1],
                 "dx is the numerical gradient reversed along axes 2 and 3"),
    "shifted": ((4, 9), lambda g: np.roll(g, 2, 1), "dx is the numerical gradient shifted by 2 along axis 1."),
    "transposed": ((2, 4, 4), lambda g: g.swapaxes(1, 2), "with its axes in the order 0, 2, 1 (transposed)"),
    "reshaped": ((3, 5), lambda g: g.T.reshape(3, 5), "a reshape where a transpose should be"),
    "permuted": ((9, 4), lambda g: g[[3, 1, 4, 0, 5, 8, 2, 6, 7]], "with the indices of axis 0 in another order"),
    "shuffled": ((6, 6), lambda g: np.random.default_rng(1).permuted(g.ravel()).reshape(6, 6),
                 "dx holds the numbers of the numerical gradient in another order."),
    "both ends": ((2, 8, 3), lambda g: put(g, np.s_[:, [0, -1]], RNG.standard_normal((2, 2, 3))),
                  "dx is wrong at both ends of axis 1 only: look at how edges are treated."),
    "some twice": ((8, 7), lambda g: np.where(np.random.default_rng(5).random(g.shape) < 0.4, 2 * g, g),
                   "is 2.000 times the numerical gradient at "),
    "some signs": ((8, 7), lambda g: np.where(np.random.default_rng(5).random(g.shape) < 0.4, -g, g),
                   "right at the others: their sign is wrong."),
    "diagonal": ((2, 5, 5), lambda g: np.where(np.eye(5) > 0, 0.3 * g * g, g),
                 "dx is wrong on the diagonal of its last two axes, everywhere there, and right elsewhere."),
    "upper": ((5, 5), lambda g: np.where(np.triu(np.ones((5, 5)), 1) > 0, 0.3 * g * g, g),
              "dx is wrong above the diagonal of its last two axes"),
    "antisymmetric": ((5, 5), lambda g: g + (lambda a: a - a.T)(RNG.random((5, 5))),
                      "the symmetric part of dx is right"),
    "one channel": ((4, 12, 3), lambda g: put(g, np.s_[:, 7], RNG.standard_normal((4, 3))),
                    "dx is wrong at index 7 of 12 of axis 1 only."),
    "from a step on": ((9, 4), lambda g: put(g, np.s_[5:], RNG.standard_normal((4, 4))),
                       "dx is right up to index 4 of axis 0 and wrong from 5 on."),
    "up to a step": ((9, 4), lambda g: put(g, np.s_[:5], RNG.standard_normal((5, 4))),
                     "dx is wrong up to index 4 of axis 0 and right from 5 on."),
}  # fmt: skip


def with_a_mask_not_applied():
    """A gradient that is right but where the numerical one is zero."""
    made = Made({"x": (6, 7)})
    masked = RNG.random((6, 7)) < 0.4
    made.approx("x")[masked] = 0.0
    made["x"][...] = np.where(masked, 1.0 + RNG.random((6, 7)), made.approx("x"))
    return made.report()


def overwritten():
    """A gradient of chosen entries, wrong at some of them."""
    made = Made({"x": (6, 7)})
    made.approx("x")[:, ::2] = made["x"][:, ::2] = 0.0
    made["x"][:, 1] *= RNG.uniform(0.3, 0.6, 6)
    made["x"][2, 3] *= 0.7
    made["x"][4, 5] *= 0.7
    return made.report()


def with_another_mask():
    """A gradient that is right but masked in other places."""
    made = Made({"x": (6, 7)})
    made.approx("x")[RNG.random((6, 7)) < 0.4] = 0.0
    other = RNG.random((6, 7)) < 0.2
    made["x"][...] = np.where(other, np.where(made.approx("x") == 0.0, 1.0 + RNG.random((6, 7)), 0.0), made.approx("x"))
    return made.report()


def not_centred():
    """A numerical gradient whose columns add up to zero, beside one that forgot that."""
    made = Made({"x": (6, 4)})
    centred = made.approx("x") - made.approx("x").mean(axis=0)
    made["x"][...] = made.approx("x") * RNG.uniform(0.5, 2.0, (6, 4))
    made.approx("x")[...] = centred
    return made.report()


def with_a_shared_array():
    """Two gradients each of which is the sum of both."""
    made = Made({"q": (3, 4), "k": (3, 4), "w": (2, 2)})
    made["q"][...] = made["k"][...] = made.approx("q") + made.approx("k")
    return made.report()


def with_labels(labels):
    """The entry of each row that its label picks is off by one number."""
    made = Made({"x": (len(labels), 4)}, integers={"labels": labels})
    made["x"][np.arange(len(labels)), labels] += 0.25
    return made.report()


def with_repeats(indices):
    """Rows looked up twice, whose gradients are overwritten instead of added."""
    made = Made({"x": (6, 4)}, integers={"indices": indices})
    often = np.bincount(indices, minlength=6) > 1
    made["x"][often] *= RNG.uniform(0.3, 0.6, made["x"][often].shape)
    return made.report()
