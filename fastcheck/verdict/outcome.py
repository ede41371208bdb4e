"""What a check can come to: the three verdicts, and the causes that a verdict rests on beside its figures."""

from enum import StrEnum
from typing import Final, Literal

Verdict = Literal["pass", "fail", "inconclusive"]
PASS: Final = "pass"  # noqa: S105 - a verdict, not a password
FAIL: Final = "fail"
INCONCLUSIVE: Final = "inconclusive"

BUT = "{names} disagree{s} by more than the tolerance, but by no more than"


class Cause(StrEnum):
    """What a verdict rests on beside its figures; a member compares equal to its short name.

    Attributes
    ----------
    sentence : what it means, where it leaves a doubt or decides the whole check; {names} stands for the gradients
        concerned, {s} for the ending of a verb.
    remedy : what to do about it, as a sentence; "" where that depends on the engine.
    """

    sentence: str
    remedy: str

    def __new__(cls, name: str, sentence: str = "", remedy: str = "") -> "Cause":
        """Return a member from its short name and its sentences."""
        member = str.__new__(cls, name)
        member._value_ = name
        member.sentence, member.remedy = sentence, remedy
        return member

    # Of tensors that pass or fail.
    NONE = ""
    NOT_FINITE = "not finite"
    UNCHECKED = "unchecked"
    SINGLE = "single"
    ZERO = "zero"
    SPREAD = "spread"
    # Of the whole check.
    COST = (
        "cost", "The cost itself is not finite: there is nothing to check the gradients against.",
        "Look for nan, inf or overflow in the parameters, the inputs and the targets.",
    )
    NOTHING = (
        "nothing", "Every gradient is exactly zero on both sides: nothing was exercised.",
        "Check with other parameters or data: weights that are all zero, units that are dead or saturated, and a cost "
        "at its minimum have no gradient.",
    )
    # Doubts, the strongest first: the summary speaks of them in this order.
    STEP = "step", f"{BUT} so large an epsilon, or a kink, can explain."
    KINKS = (
        "kinks", f"{BUT} the choice of slopes at several kinks can explain.",
        "Check at parameters a little off: where kinks meet there is no one right gradient.",
    )
    LOOSE = (
        "loose", "{names} lie{s} between the one-sided derivatives at kinks and equal{s} none: that proves too little.",
        "Check at parameters a little off, or with inputs that are not rounded: no unit then stands on a kink.",
    )
    ROUNDING = (
        "rounding", f"{BUT} rounding in back-propagation itself can explain.",
        "Check where units are less saturated, or write what cancels so that it keeps its digits: "
        "sigmoid(-z) for 1 - a, and the like.",
    )
    HIDDEN = (
        "hidden", f"{BUT} sums in single precision, or mistakes as small, can explain.",
        "Look for float32 in back-propagation, as in np.zeros(..., dtype=np.float32); or hand in what is run again and "
        "so tells the two apart: the layer to check_vjp, or the gradient as a function.",
    )
    NOISE = "noise", f"{BUT} rounding of the cost can explain."
    BLIND = "blind", "The rounding of the cost hides {names}: it is larger than the gradient."
    COARSE = (
        "coarse", "{names} came in low precision, whose rounding hides mistakes that would matter.",
        "Check in double precision as well: the same backward code is then judged sharply.",
    )
    ROUGH = (
        "rough", "{names} round{s} several times as much as automatic differentiation of the same forward pass does.",
        "Keep sums and what they are made of in float32 until the end; or check that the rounding does not matter.",
    )
    SAMPLED = (
        "sampled", "{names} act{s} through samples whose gradient is that of their quantiles (Gamma, Beta, Dirichlet): "
        "a rejection sampler with the same random numbers does not move like that.",
        "Draw the samples outside of what is checked, and hand them in.",
    )
    STRAIGHT = (
        "straight", "{names} act{s} through fake quantisation, which moves in steps and, by design, hands gradients "
        "straight through.",
        "Switch it off for the check, as model.apply(torch.ao.quantization.disable_fake_quant) does.",
    )
    SHORTENED = (
        "shortened", "{names} act{s} through rows that are shortened in place (max_norm) before they are looked up: "
        "the gradient is by design that of the short rows.",
        "Leave max_norm out for the check, or check at rows that are not as long.",
    )
    COUNTED = (
        "counted", "{names} act{s} through an embedding that divides gradients by design by how often a row is looked "
        "up (scale_grad_by_freq): the gradient is not that of the loss.",
        "Leave scale_grad_by_freq out for the check, or look no row up twice.",
    )
    ITERATED = (
        "iterated", "{names} act{s} through spectral normalisation in training: its singular vectors follow the weight "
        "and are updated by each call, and by design no gradient goes through them.",
        "Call module.eval() first: the vectors stand still then.",
    )
    CLAMPED = (
        "clamped", "{names} act{s} through binary_cross_entropy of outputs so near 0 or 1 that it clamps what it "
        "divides by: the gradient is by design another there than that of the loss.",
        "Leave the sigmoid to the loss, which is binary_cross_entropy_with_logits then; or check where outputs are "
        "further from 0 and 1.",
    )
    POWER = (
        "power", "Random directions would not show a single wrong entry of ordinary size in {names}.",
        'Use method="all", or method="sample"; or check at parameters a little off, where no unit stands on a kink.',
    )


DOUBTS = (
    Cause.STEP, Cause.KINKS, Cause.LOOSE, Cause.ROUNDING, Cause.HIDDEN, Cause.NOISE, Cause.BLIND, Cause.COARSE,
    Cause.ROUGH, Cause.SAMPLED, Cause.STRAIGHT, Cause.SHORTENED, Cause.COUNTED, Cause.ITERATED, Cause.CLAMPED,
    Cause.POWER,
)
# Of these the remedy is a cost, or an engine, with less rounding.
NOISY = (Cause.NOISE, Cause.BLIND)


class Judged:
    """What came to a verdict: ``bool`` says whether it passed, so that ``assert fastcheck.check(...)`` means that.

    Attributes
    ----------
    verdict : "pass", "fail" or "inconclusive".
    """

    verdict: Verdict

    @property
    def ok(self) -> bool:
        """Whether the verdict is "pass"."""
        return self.verdict == PASS

    def __bool__(self) -> bool:
        """Return ``ok``."""
        return self.ok

    def raise_if_wrong(self, inconclusive_ok: bool = False) -> None:
        """Raise unless the verdict is "pass".

        Parameters
        ----------
        inconclusive_ok : let a check pass that could not decide.

        Raises
        ------
        AssertionError : if the verdict is "fail", or "inconclusive" and that is not ok; its message is the text.  It is
            raised, not asserted, and so works under ``python -O`` too.
        """
        __tracebackhide__ = True  # pytest then shows the caller's line, not this one
        if not (self.ok or (inconclusive_ok and self.verdict == INCONCLUSIVE)):
            error = AssertionError(f"\n{self}")
            error.report = self  # type: ignore[attr-defined]  # for who catches it, as ``fastcheck run`` does
            raise error
