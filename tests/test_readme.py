"""What the READMEs show is what the package prints, and their commands, files and links are there."""

import doctest
import os
import re
from importlib.util import find_spec

import pytest

import fastcheck as fc
from tests.support.repository import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
READMES = ["README.md", "tests/README.md", "benchmarks/README.md"]
FIGURE = re.compile(r"[+-]?\d[\d.,]*(e[+-]?\d+)?")


def without_figures(text):
    """The words, with all rounding and times left out."""
    return FIGURE.sub("#", text).split()


def test_report_shown_is_the_report_of_the_example():
    example = doctest.DocTestParser().get_examples(README)
    names = {}
    shown_by = next(number for number, step in enumerate(example) if step.source.startswith("print(report"))
    for step in example[:shown_by]:
        exec(step.source, names)
    assert isinstance(names["report"], fc.Report)
    shown = re.search(r"```text\n(.*?)```", README, re.DOTALL).group(1)
    assert without_figures(shown) == without_figures(str(names["report"]))
    assert shown.splitlines()[0] == str(names["report"]).splitlines()[0]


def test_scripts_are_there_and_can_be_run():
    for name in ("scripts/demo", "scripts/test", ".ci/run"):
        assert os.access(ROOT / name, os.X_OK), name
        assert (ROOT / name).read_text().startswith("#!/usr/bin/env bash\n")
    assert "scripts/demo" in README
    assert "scripts/test" in README


@pytest.mark.parametrize("name", READMES)
def test_commands_files_and_links_exist(name):
    text, folder = (ROOT / name).read_text(encoding="utf-8"), (ROOT / name).parent
    for module in re.findall(r"python -m\s+([\w.]+)", text):
        assert find_spec(module), module
    for script in re.findall(r"(?<![\w/])(scripts/[\w-]+)", text):
        assert os.access(ROOT / script, os.X_OK), script
    for link in re.findall(r"\]\((?!https?:)([^)#]+)\)", text):
        assert (folder / link).exists(), link
    for path in re.findall(r"`([\w./-]+/(?:[\w.-]+\.\w+)?)`", text):
        assert (folder / path).exists() or (ROOT / path).exists(), path


def test_every_activation_cost_and_engine_is_named():
    from fastcheck.engines.base import ENGINES
    from fastcheck.rules.activations import ACTIVATIONS
    from fastcheck.rules.losses import COSTS

    for name in (*ACTIVATIONS, *COSTS, *ENGINES):
        assert re.search(rf"\b{name}\b", README), name
