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
    third : 1, 2 or 3; the cases of the last third were written after the verdicts and diagnoses were finished; 4 for
        those written afterwards, after claims had been added for what the first three showed.
    hidden : whether rounding truly hides the mistake, so that "inconclusive" is an answer as good as "fail".
    later : what was changed after the first run, such as inputs too small to show the mistake as it was reported.
    apart : why the wrong version is as near to the truth as others are, by numbers: such a case does not count.
    """

    source: str
    mistake: str
    kind: str
    precision: Precision
    wrong: tuple[str, ...]
    says: str
    subject: Subject
    third: Literal[1, 2, 3, 4] = 1
    hidden: bool = False
    later: str = ""
    apart: str = ""
    name: str = field(default="", compare=False)
    area: Area = "layers"

    def named_by(self, text: str) -> bool:
        """Whether a checker's message says the cause."""
        return re.search(self.says, text, re.IGNORECASE | re.DOTALL) is not None


def load(frameworks: bool = True, apart: bool = False) -> list[Case]:
    """All cases that count, by area and name; or those set apart.

    Parameters
    ----------
    frameworks : whether those that need PyTorch or JAX are wanted too.
    apart : whether those are wanted that do not count instead, whose wrong versions are as near to the truth as others.
    """
    found = []
    for module in sorted(pkgutil.walk_packages(cases.__path__, cases.__name__ + "."), key=lambda m: m.name):
        if not module.ispkg:
            found += _case_of(module.name, frameworks)
    return [case for case in found if bool(case.apart) == apart]


def _case_of(module: str, frameworks: bool) -> list[Case]:
    if not frameworks and module.rsplit(".", 1)[1].startswith(("torch_", "jax_")):
        return []
    area, name = module.split(".")[-2:]
    case: Case = importlib.import_module(module).CASE
    return [replace(case, name=name, area=area)]  # type: ignore[arg-type]  # the folder's name is the area's
