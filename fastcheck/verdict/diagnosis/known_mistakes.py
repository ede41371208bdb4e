"""The claim that a known mistake gives the numbers of a gradient: see ``trials``."""

from .evidence import Case

# This many mistakes that give the same numbers are named.
NAMED = 4


def known_mistake(case: Case) -> str:
    """Back-propagation with a known mistake gives this gradient, to rounding."""
    trials = case.subject.trials
    found = None if trials is None else trials.named.get(case.found.name)
    if found is None:
        return ""
    if found.follows:
        return f"{case.name} follows from the mistake in layer {found.layer}: nothing else is wrong there."
    return f"{case.name} equals what back-propagation gives {_either(found.words)}."


def also_known(case: Case) -> str:
    """The same mistakes, as the end of a sentence that has already named the gradient by its numbers; "" for none."""
    trials = case.subject.trials
    found = None if trials is None else trials.named.get(case.found.name)
    if found is None or found.follows or found.scaled or not found.words:
        return ""
    return f" Back-propagation gives these numbers {_either(found.words)}."


def _either(words: tuple[str, ...]) -> str:
    more = f", or with {len(words) - NAMED} other mistakes" if len(words) > NAMED else ""
    return ", or ".join(words[:NAMED]) + more
