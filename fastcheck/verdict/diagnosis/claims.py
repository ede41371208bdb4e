"""What is wrong with a gradient, in words, where the numbers prove it; silence where they do not.

A claim must explain the disagreement: with it the gradient agrees to a millionth, and at least a hundred times better
than without.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np

from ..._constants import NEGLIGIBLE, NOISE_SIGMAS
from ...problems.gradients import AnalyticGradient
from ...problems.parameters.tensor import index_text
from ..judgement import TensorVerdict
from ..low_precision import representable
from ..outcome import FAIL, Cause
from .axes import clipped, ends, left_out, picked, repeated, scaled_slices, shifted, signs, slices, unmasked
from .evidence import (
    FEW,
    LEFT_OF_GRADIENT,
    Case,
    Products,
    left_by,
    listed,
    multiple_of,
    number,
    products,
    same,
    wrong_entries,
)
from .known_mistakes import also_known, known_mistake
from .program_parts import program_parts
from .rearranged import misplaced, rearranged, sum_of_tensors
from .subsets import by_value, centred, not_centred, other_mask, overwritten, some_times, triangles

# One over these is a learning rate as people set it.
RATES = (10, 100, 1000)
# Norms that people normalise gradients to, or clip them at.
NORMS = (0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0, 100.0)
# Whole factors up to this are named: among larger ones any number is near one.
LARGEST_FACTOR = 1000


def diagnose(found: TensorVerdict, subject: AnalyticGradient, others: Sequence[TensorVerdict]) -> str:
    """What is wrong with one tensor's gradient, as a sentence, or "" where the numbers prove nothing.

    Parameters
    ----------
    found : the tensor's verdict; what passes gets no diagnosis, nor a doubt without a finding.
    subject : what was judged.
    others : the verdicts of all tensors.
    """
    if found.verdict != FAIL and not found.finding:
        return ""
    case = Case(found, subject, others)
    if found.cause is Cause.NOT_FINITE:
        return not_finite(case)
    if found.finding:  # every claim would have to hold exactly, which nothing does in low precision
        return f"{case.name}{'' if found.finding.startswith('[') else ' '}{found.finding}."
    for claim in CLAIMS:
        sentence = claim(case)
        if sentence:
            return sentence + (also_known(case) if claim not in (known_mistake, zero) else "")  # zeros prove nothing
    if subject.whole_only:
        return ""
    parts = program_parts(case)
    places = [claim for claim in PLACES if not (parts and claim in GUESSES)]
    where = next(filter(None, (claim(case) for claim in places)), "")
    return f"{parts}; {where}" if parts and where else where or (f"{parts}." if parts else "")


def not_finite(case: Case) -> str:
    """Where the gradient, or the numerical one, is not a number; of the gradient all entries are looked at."""
    c, tensor = case.comparison, case.comparison.tensor
    whole = case.subject.gradient[tensor.start : tensor.stop]
    places = np.flatnonzero(~np.isfinite(whole))
    if places.size:
        at = tensor.place(tensor.start + int(places[0]))
        return f"d{at} is {whole[places[0]]}{_and_more(places.size)}."
    places = np.flatnonzero(~np.isfinite(c.reference))
    if not places.size:
        return ""
    at = case.found.name + index_text(c.index(int(places[0])))
    return (f"the numerical gradient of {at} is {c.reference[places[0]]}{_and_more(places.size)}: "
            "the cost is not finite within epsilon.")


def _and_more(places: int) -> str:
    return f" and at {places - 1:,} more place{'s' * (places > 2)}" if places > 1 else ""


def still(case: Case) -> str:
    """A cost that a user's parameters do not move at all, though all of them were checked."""
    c = case.comparison
    if case.subject.samples or c.where is not None or c.reference.any() or c.checked < 2:
        return ""
    return f"the cost does not change with {case.found.name} at all: does it use its argument?"


def zero(case: Case) -> str:
    """The gradient was left out."""
    tensor = case.comparison.tensor
    if not case.subject.gradient[tensor.start : tensor.stop].any():
        return f"{case.name} is exactly zero everywhere; the numerical gradient is not."
    return ""


def factor(case: Case) -> str:
    """A constant factor, of the whole gradient or of all but the penalty's part."""
    plain = products(case)
    sentence = _factor_sentence(case, plain, "")
    if sentence or not _has_penalty(case):
        return sentence
    weight = -case.subject.l2_weight
    return _factor_sentence(case, products(case, weight), "without the L2 term, ", weight)


def _factor_sentence(case: Case, products: Products, lead: str, added: float = 0.0) -> str:
    c, size = products.factor, math.sqrt(min(products.xx, products.yy))
    if not case.explained(left_by(case, c, added), math.sqrt(products.error), size):
        return ""
    meaning = factor_in_words(c, case.subject)
    if case.found.name[0] == "b" and meaning.startswith("1/m is applied twice"):
        meaning = meaning.replace(")", ": a mean stands where the sum over samples should)", 1)
    # Any one number is some multiple of another: a single entry proves nothing but a factor that people get wrong.
    if not meaning and np.count_nonzero(case.comparison.derivative) < 2:
        return ""
    norm = "" if meaning or c < 0.0 else _norm_in_words(case)
    if norm:
        return f"{lead}{case.name} is {number(c)} times the numerical gradient, and {norm}"
    if not meaning and abs(c - 1.0) < 0.5:
        meaning = f"{100.0 * abs(c - 1.0):.3g} % too {'large' if c > 1.0 else 'small'}"
    return f"{lead}{case.name} is {number(c)} times the numerical gradient{': ' if meaning else ''}{meaning}."


def _norm_in_words(case: Case) -> str:
    """The norm of the gradient, or of all gradients together, where it is one that people set; else ""."""
    tensor, whole = case.comparison.tensor, case.subject.gradient
    for whose, they, vector in (("its norm", "it was", whole[tensor.start : tensor.stop]),
                                ("the norm of all gradients together", "they were", whole)):
        norm = float(np.linalg.norm(vector))
        set_to = next((value for value in NORMS if math.isclose(norm, value, rel_tol=LEFT_OF_GRADIENT)), None)
        if set_to is not None:
            return f"{whose} is {set_to:g}: {they} normalised, or clipped to that norm."
    return ""


def factor_in_words(c: float, subject: AnalyticGradient) -> str:
    """What a factor usually means, or "" where it is none of the usual ones."""
    m, size = subject.samples, abs(c)
    classes = math.prod(subject.tensors[-1].shape)
    meanings: list[tuple[float, str]] = []
    if m > 1:
        meanings += [
            (m, f"1/m is missing (m = {m})"), (1 / m, f"1/m is applied twice (m = {m})"),
            (m / (m - 1), f"divided by m - 1 instead of m = {m}"),
        ]
        if classes > 1:
            meanings += [(1 / classes, f"divided by m times the {classes} outputs instead of m"),
                         (classes, f"the division by the {classes} outputs is missing")]
    meanings += _whole_factors(size, known=m > 0 or subject.whole_only)
    words = [text for value, text in meanings if math.isclose(size, value, rel_tol=1e-5)]
    if c < 0:
        words.insert(0, "the sign is wrong")
        return words[0] if math.isclose(size, 1.0, rel_tol=1e-5) else ", and ".join(words[:2])
    return ", or ".join(words[:3])


def _whole_factors(size: float, known: bool) -> list[tuple[float, str]]:
    """A factor as a whole number or as one over it, and what that is; whether its cost's samples are known."""
    k = round(max(size, 1.0 / size)) if 0.0 < size < math.inf else 0
    if not 2 <= k <= LARGEST_FACTOR or abs(max(size, 1.0 / size) - k) > 1e-3:
        return []
    mean = "" if known or k == 2 else f" (is the 1/m of a mean over {k} missing?)"
    guesses = [] if known or k == 2 else [f"does a mean over {k} stand where a sum should", "is its 1/m applied twice"]
    guesses += ["is it multiplied by a learning rate"] if k in RATES else []
    twice = f" ({', '.join(guesses[:-1])}{', or ' if guesses[:-1] else ''}{guesses[-1]}?)" if guesses else ""
    return [(float(k), f"a factor {k} too many{mean}"), (1.0 / k, f"a factor {k} is missing{twice}")]


def transposed(case: Case) -> str:
    """A square matrix the wrong way round, or all of it but the penalty's part."""
    shape = case.comparison.tensor.shape
    if not case.whole or shape[0] != shape[1] or shape[0] == 1:
        return ""
    approx = case.matrices()[1]
    if same(case, lambda rows: approx.T[rows]):
        return f"{case.name} is the transpose of the numerical gradient."
    weight, W = case.subject.l2_weight, case.parameters(case.comparison).reshape(shape)
    if _has_penalty(case) and same(case, lambda rows: approx.T[rows] + weight * (W[rows] - W.T[rows])):
        return f"without the L2 term, {case.name} is the transpose of the numerical gradient."
    return ""


def another_tensor(case: Case) -> str:
    """The gradient of another tensor of the same shape."""
    if not case.whole or case.comparison.checked < 2:
        return ""
    for other in case.others:
        if other is case.found or not other.comparison.sizes.approx or not _equals(case, other):
            continue
        swapped = other.verdict == FAIL and _equals(Case(other, case.subject, case.others), case.found)
        tail = f": {case.name} and d{other.name} are swapped" if swapped else ""
        return f"{case.name} equals the numerical gradient of {other.name}{tail}."
    return ""


def _equals(case: Case, other: TensorVerdict) -> bool:
    """Whether the gradient is another tensor's numerical gradient."""
    there, shape = other.comparison, case.comparison.tensor.shape
    if there.where is not None or there.tensor.shape != shape:
        return False
    return same(case, lambda rows: there.derivative.reshape(shape)[rows])


def own_penalty(case: Case) -> str:
    """The L2 term of a penalised tensor is missing, doubled, wrongly scaled, or made with another tensor."""
    if not _has_penalty(case):
        return ""
    weight, m = case.subject.l2_weight, case.subject.samples
    multiple = multiple_of(case, case.parameters(case.comparison), 0.0)
    if multiple is None:
        return _penalty_of_another(case)
    share = 1.0 + multiple / weight
    if case.comparison.sizes.gradient == 0.0:
        return f"{case.name} is exactly zero everywhere, and all there is to it here is L2: the L2 term is missing."
    if abs(share) < 1e-6:
        return f"{case.name} is off by -l2/m times {case.found.name}: the L2 term is missing."
    usual = ((2.0, "it is counted twice"), (0.5, "a factor 2 is missing"), (float(m), "l2 stands where l2/m should"),
             (1.0 / max(m, 1), "1/m is applied twice"), (-1.0, "its sign is wrong"))
    meaning = next((f": {text}" for value, text in usual if math.isclose(share, value, rel_tol=1e-5)), "")
    return f"the L2 term of {case.name} is {number(share)} times what it should be{meaning}."


def foreign_penalty(case: Case) -> str:
    """An L2 term where the cost has none."""
    if _has_penalty(case):
        return ""
    multiple = multiple_of(case, case.parameters(case.comparison), 0.0)
    if multiple is None:
        return ""
    off = f"{case.name} is off by {number(multiple)} times {case.found.name}"
    if multiple < 0.0 and not case.subject.samples:  # nothing is known of a user's cost but its values
        return (f"{off}: it lacks an L2 term of the cost, {number(-multiple)} / 2 times the sum of squares, or has "
                "that much too little of a larger one.")
    smaller = "" if case.subject.samples else ", or has a smaller one of"
    return f"{off}: an L2 term that the cost does not have{smaller}."


def _penalty_of_another(case: Case) -> str:
    """The L2 term made with the parameters of another tensor."""
    shape, weight = case.comparison.tensor.shape, case.subject.l2_weight
    for other in case.others:
        there = other.comparison
        if other is case.found or there.where is not None or there.tensor.shape != shape or not case.whole:
            continue
        multiple = multiple_of(case, case.parameters(there), weight)
        if multiple is not None and math.isclose(multiple, weight, rel_tol=1e-5):
            return f"the L2 term of {case.name} is made with {other.name} instead of {case.found.name}."
    return ""


def one_value(case: Case) -> str:
    """The same number in every entry."""
    gradient, approx = case.comparison.gradient, case.comparison.derivative
    if gradient.size < 2 or gradient.min() != gradient.max() or approx.min() == approx.max():
        return ""
    value, size = float(gradient[0]), case.comparison.root_mean_square
    words = ""
    for name, should in (("sum", float(approx.sum())), ("mean", float(approx.mean()))):
        if abs(value - should) <= LEFT_OF_GRADIENT * size * gradient.size and abs(should) > 1e-3 * size:
            words = f": the {name} of the numerical gradient"
            break
    return f"{case.name} holds one value, {number(value)}, everywhere{words}."


def masks(case: Case) -> str:
    """Gradient in units whose numerical gradient is exactly zero: dead or saturated ones."""
    if not case.whole:
        return ""
    gradient, approx = case.matrices()
    dead = ~approx.any(axis=1)
    struck = dead & gradient.any(axis=1)
    if not struck.any() or dead.all():
        return ""
    wrong = wrong_entries(case).any(axis=1)
    if not case.subject.samples:  # what the rows are of a user's own array is not known
        rows = listed("row", np.flatnonzero(struck), gradient.shape[0])
        where = f"wrong exactly in {rows}" if np.array_equal(wrong, struck) else f"not zero in {rows}"
        return (f"{case.name} is {where}, where the numerical gradient is zero: nothing there moves the cost (an index "
                "that does not occur, a mask, an activation that is off).")
    units = listed("unit", np.flatnonzero(struck), gradient.shape[0])
    if np.array_equal(wrong, struck):
        return (f"{case.name} is wrong exactly where units are dead or saturated ({units}): "
                "the activation's derivative (mask) is missing.")
    return (f"{case.name} is not zero in dead or saturated units ({units}), whose numerical gradient is: "
            "look at the activation's derivative (mask).")


def single_precision(case: Case) -> str:
    """Every entry rounded to single precision."""
    if case.found.cause is not Cause.SINGLE or not representable(case.comparison):
        return ""
    return f"{case.name} holds float32 numbers, right to single precision only."


def few_places(case: Case) -> str:
    """A single entry, row or column, or a few."""
    if case.comparison.where is not None:
        return _some_entries(case)
    if not case.whole:
        return _only_entries(case) if case.found.entries.wrong.size <= FEW else ""
    wrong = wrong_entries(case)
    count = int(np.count_nonzero(wrong))
    if count == wrong.size:
        return ""
    if count <= FEW:
        return _only_entries(case)
    for axis, kind in ((0, "row"), (1, "column")):
        lines = np.flatnonzero(wrong.any(axis=1 - axis))
        total = wrong.shape[axis]
        if total > 1 and lines.size <= min(FEW, max(1, total // 4)):
            times = _line_factor(case, axis, int(lines[0])) if lines.size == 1 else ""
            return f"{case.name} is wrong in {listed(kind, lines, total)} only{times}."
    return ""


def _line_factor(case: Case, axis: int, line: int) -> str:
    """By what factor one row or column is wrong, if by one."""
    x, y = (np.take(matrix, line, axis) * case.comparison.unit for matrix in case.matrices())
    d = x - y
    found = Products(float(x @ x), float(y @ y), float(x @ y), float(d @ d))
    left = float(np.linalg.norm(x - found.factor * y))
    if np.count_nonzero(y) < 2 or not case.explained(left, math.sqrt(found.error), math.sqrt(min(found.xx, found.yy))):
        return ""
    return f", which is {number(found.factor)} times the numerical gradient"


def _only_entries(case: Case) -> str:
    places = [int(k) for k in case.found.entries.wrong[: FEW + 1]]
    if not places or len(places) > FEW or case.comparison.checked <= len(places):
        return ""
    named = [f"{case.name}{index_text(case.comparison.index(k))}" for k in places]
    if len(places) > 1:
        return f"only {', '.join(named[:-1])} and {named[-1]} are wrong{_in_common(case, places)}."
    return f"only one entry is wrong, {named[0]}: it is {_beside(case, places[0])}."


def _in_common(case: Case, places: Sequence[int]) -> str:
    """What a few wrong entries have in common: zero where their numerical ones are not, or the wrong sign."""
    c = case.comparison
    gradient, approx = c.gradient[places], c.derivative[places]
    if approx.all() and not gradient.any():
        return ": they are zero where the numerical gradient is not"
    if approx.all() and bool(np.all(np.abs(gradient + approx) <= LEFT_OF_GRADIENT * np.abs(approx))):
        return ": their sign is wrong"
    return ""


def _some_entries(case: Case) -> str:
    """The wrong entries where not all were checked; that they are the only ones needs others that are right."""
    places, c = case.found.entries.wrong, case.comparison
    if not places.size or places.size > FEW:
        return ""
    worst = int(places[int(np.argmax(np.abs(c.gradient[places] - c.derivative[places])))])
    name, beside = f"{case.name}{index_text(c.index(worst))}", _beside(case, worst)
    right = np.count_nonzero(c.derivative) - np.count_nonzero(c.derivative[places])
    if places.size > 1 or right < FEW:
        were = "was" if c.checked == 1 else "were"
        return f"{name} is {beside}; {c.checked:,} of {c.tensor.size:,} entries {were} checked."
    return f"of the {c.checked:,} entries that were checked only one is wrong, {name}: it is {beside}."


def _beside(case: Case, place: int) -> str:
    """An entry beside its numerical gradient, which is not divided by where it is zero or no more than noise."""
    c = case.comparison
    gradient, approx = float(c.gradient[place]), float(c.derivative[place])
    noise = float(c.noise[0] if c.noise.size == 1 else c.noise[place])
    if abs(approx) <= max(NOISE_SIGMAS * noise, NEGLIGIBLE * c.root_mean_square):
        return f"{gradient:.4g}, and should be zero"
    if gradient == 0.0:
        return f"zero, and should be {approx:.4g}"
    return f"{number(gradient / approx)} times the numerical gradient"


def _has_penalty(case: Case) -> bool:
    return case.subject.l2_weight > 0.0 and case.found.name[0] == "W"


# Their order matters.  Rounding first: what it explains is nothing else.  Then L2: in a layer that does nothing the
# numerical gradient is the L2 term, so any mistake in it would also look like a factor.  Claims about all of a tensor
# come before those about some of its places.
CLAIMS: tuple[Callable[[Case], str], ...] = (
    single_precision, own_penalty, still, zero, factor, transposed, another_tensor, sum_of_tensors, foreign_penalty,
    one_value, signs, known_mistake, clipped, masks, unmasked, repeated, picked, rearranged,
)
# What only says where comes last, and the parts of the program that explain it, where they do, behind it.
PLACES: tuple[Callable[[Case], str], ...] = (
    by_value, misplaced, ends, few_places, left_out, other_mask, triangles, some_times, overwritten, shifted,
    scaled_slices, slices, not_centred, centred,
)
# Of these, what asks whether something is the cause: idle where the cause is proven.
GUESSES = (overwritten, not_centred, centred)
