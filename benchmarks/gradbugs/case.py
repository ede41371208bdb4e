"""What a case is: a public report of a mistake, and a small program with it and without it."""

import importlib
import pkgutil
import re
from dataclasses import dataclass, field, replace
from typing import Literal

from . import cases
from .subjects import Subject

Area = Literal["kernels", "layers", "precision", "training", "adjoints"]
Precision = Literal["float64", "float32", "bfloat16", "float16"]


@dataclass(frozen=True)
class Case:
    """One mistake.

    Parameters
    ----------
    source : where it was reported: "owner/name#number", "owner/name@commit", or the address of a public page.
    mistake : what was wrong, in one sentence.
    kind : the family of the mistake, such as "mask" or "stride"; no kind has more than five cases.
    precision : the one in which the mistake was reported and is tried.
    wrong : the names of the tensors whose gradients are wrong, as the checker's report calls them.
    says : a regular expression; a diagnosis that it matches has named the cause.
    subject : the right and the wrong program.
    third : 1, 2 or 3; the cases of the last third were written after the verdicts and diagnoses were finished.
    hidden : whether rounding truly hides the mistake, so that "inconclusive" is an answer as good as "fail".
    missed : why fastcheck passes the wrong version, where it does; counted as a miss all the same.
    """

    source: str
    mistake: str
    kind: str
    precision: Precision
    wrong: tuple[str, ...]
    says: str
    subject: Subject
    third: Literal[1, 2, 3] = 1
    hidden: bool = False
    missed: str = ""
    name: str = field(default="", compare=False)
    area: Area = "layers"

    def named_by(self, text: str) -> bool:
        """Whether a checker's message says the cause."""
        return re.search(self.says, text, re.IGNORECASE | re.DOTALL) is not None


def load(frameworks: bool = True) -> list[Case]:
    """All cases, by area and name.

    Parameters
    ----------
    frameworks : whether those that need PyTorch or JAX are wanted too.
    """
    found = []
    for module in sorted(pkgutil.walk_packages(cases.__path__, cases.__name__ + "."), key=lambda m: m.name):
        if not module.ispkg:
            found += _case_of(module.name, frameworks)
    return found


def _case_of(module: str, frameworks: bool) -> list[Case]:
    if not frameworks and module.rsplit(".", 1)[1].startswith(("torch_", "jax_")):
        return []
    area, name = module.split(".")[-2:]
    case: Case = importlib.import_module(module).CASE
    return [replace(case, name=name, area=area)]  # type: ignore[arg-type]  # the folder's name is the area's
