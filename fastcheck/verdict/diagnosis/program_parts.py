"""The claim that a gradient lacks parts, or holds them too often: see ``fastcheck.engines.program.parts.paths``."""

from ..outcome import FAIL
from .evidence import Case


def program_parts(case: Case) -> str:
    """What comes through some places is missing, of the wrong sign or counted too often; without its full stop."""
    paths = case.subject.paths
    if paths is None or not case.all_checked:
        return ""
    failing = [other for other in case.others if other.verdict == FAIL and other.comparison.where is None
               and other.comparison.tensor.shape and other.comparison.sizes.finite]
    approx = {other.name: other.comparison.derivative for other in failing}
    tensors = [other.comparison.tensor for other in failing]
    return paths.said(tensors, case.subject.gradient, approx).get(case.found.name, "")
