"""Where a mistake sits: which of the failing tensors to look at first, and what the failing set says."""

import math
from collections.abc import Sequence

from ...problems.gradients import Trials
from ...problems.networks.names import kind_and_number, layer_of, name_of
from ..judgement import TensorVerdict
from ..outcome import FAIL, PASS


def first_to_look_at(found: Sequence[TensorVerdict]) -> list[TensorVerdict]:
    """The failing tensors, most telling first.

    Back-propagation runs from the output to the input: a mistake spreads to all earlier layers and to none behind it,
    so the failing tensor nearest the output is where it sits.  Where names do not tell layers, most wrong first.
    """
    failing = [t for t in found if t.verdict == FAIL]
    layers = [kind_and_number(t.name) for t in found]
    if not all(layers):
        return sorted(failing, key=lambda t: -t.difference if math.isfinite(t.difference) else -math.inf)
    return sorted(failing, key=lambda t: (-layer_of(t.name), t.name[0] == "b"))


def where_it_sits(found: Sequence[TensorVerdict]) -> str:
    """What the set of failing tensors says about the place of the mistake, or "" where it says nothing."""
    failing = first_to_look_at(found)
    if not failing:
        return ""
    if not all(kind_and_number(t.name) for t in found):
        right = [t for t in found if t.verdict == PASS and t.moves]
        if len(failing) != 1 or not right or len(right) + 1 != len(found):
            return ""
        if not failing[0].comparison.sizes.approx:  # the cost may not use it at all: then its line is right
            return ""
        return f"only d{failing[0].name} is wrong: look at its own line, not at what it shares with others."
    layer = layer_of(failing[0].name)
    names = {t.name for t in failing}
    # What is passed back is right where another gradient that is made of it is.
    witnesses = [t for t in found if t.verdict == PASS and t.moves and layer_of(t.name) <= layer]
    if names == {failing[0].name} and witnesses:
        return f"only d{failing[0].name} is wrong: the mistake is in its own line, not in what is passed back."
    if layer == 1 and len(found) > len(failing):
        here = "dZ1" if {"W1", "b1"} <= names else f"d{failing[0].name}"
        return (f"layer 1 is wrong and all behind it are right, so look at {here} and what makes it: what layer 2 "
                "passes back, and the derivative of layer 1's activation.")
    earlier = {t.name for t in found if layer_of(t.name) < layer and t.comparison.sizes.approx}
    if earlier and earlier <= names:
        last = max(layer_of(t.name) for t in found) == layer
        behind = "" if last else ", all behind it are right"
        both = {name_of("W", layer), name_of("b", layer)} <= names
        here = f"dZ{layer}" if both else f"d{failing[0].name}"
        return (f"layer {layer} and all layers before it are wrong{behind}: mistakes spread from the output to the "
                f"input, so look first at {here} and what makes it.")
    return ""


def other_description(found: Sequence[TensorVerdict], trials: Trials | None) -> str:
    """Which other network all gradients are right for, where every one is wrong for the one described; else ""."""
    if trials is None or any(t.verdict != FAIL for t in found if t.moves):
        return ""
    agreeing = trials.descriptions
    if not agreeing:
        return ""
    return (f"All of them agree with {', or '.join(agreeing)} instead: question the description of the network before "
            "the gradients.")
