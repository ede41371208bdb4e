"""A fixed sample of the operators gate: 150 of those that torch tests itself with, half as many complex ones and
second derivatives each, in both modes; and mistakes planted in 50 of them.

``scripts/operators`` runs the whole gate.
"""

from itertools import islice

import pytest
import torch

import fastcheck.torch as ft
from tests.torch.operators import answer, cases, mistakes, named, operators

COUNTS = {"double": 150, "complex": 75, "second": 75}


def sample(kind: str, count: int) -> dict[str, list]:
    """Some operators of a kind, spread over the alphabet, by name; variants of one name together."""
    found: dict[str, list] = {}
    for op in operators(kind):
        found.setdefault(named(op), []).append(op)
    names = list(found)
    return {name: found[name] for name in names[:: len(names) // count][:count]}


SAMPLE = {kind: sample(kind, count) for kind, count in COUNTS.items()}


@pytest.mark.parametrize("fast", [False, True], ids=["slow", "fast"])
@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, found in SAMPLE.items() for name in found])
def test_what_torch_passes_passes(kind, name, fast):
    ours, theirs = ((ft.gradgradcheck, torch.autograd.gradgradcheck) if kind == "second"
                    else (ft.gradcheck, torch.autograd.gradcheck))
    for op in SAMPLE[kind][name]:
        for case in islice(cases(op, kind), 1):
            said, message, _ = answer(ours, case, fast_mode=fast)
            if said != "pass":
                assert answer(theirs, case, fast_mode=fast)[0] != "pass", f"{case.name}: {message}"


@pytest.mark.parametrize("fast", [False, True], ids=["slow", "fast"])
@pytest.mark.parametrize("name", list(SAMPLE["double"])[::3])
def test_planted_mistakes_are_found(name, fast):
    for op in SAMPLE["double"][name]:
        for case in islice(cases(op, "double"), 1):
            if answer(torch.autograd.gradcheck, case, fast_mode=True)[0] == "pass":
                for wrong in mistakes(case):
                    assert answer(ft.gradcheck, wrong, fast_mode=fast)[0] != "pass", wrong.name


def test_the_sample_is_as_large_as_it_says():
    assert {kind: len(found) for kind, found in SAMPLE.items()} == COUNTS
