"""The report: what was found, as attributes, text, dictionary and JSON."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from .activations import Array
from .differences import Differences, Indices, Subject
from .verdict import PASS, Judgement, judge


class Report:
    """What a check found.  ``print(report)`` shows it; ``report.ok`` is the short answer."""

    def __init__(self, subject: Subject, differences: Differences, judgement: Judgement, run: dict[str, Any]) -> None:
        self._subject, self._differences, self._judgement, self._run = subject, differences, judgement, run

    @classmethod
    def of(
        cls, subject: Subject, differences: Differences, *, epsilon: float, norm: float, tolerance: float | None,
        engine: str, method: str, seed: int, seconds: float, **extra: Any,
    ) -> "Report":
        """Judge what an engine found and report it."""
        judgement = judge(subject, differences, epsilon=epsilon, norm=norm, tolerance=tolerance)
        run = dict(epsilon=epsilon, norm=norm, tolerance=tolerance, engine=engine, method=method, seed=seed,
                   seconds=seconds, **extra)
        return cls(subject, differences, judgement, run)

    @property
    def verdict(self) -> str:
        return self._judgement.verdict

    @property
    def ok(self) -> bool:
        return self.verdict == PASS

    @property
    def difference(self) -> float:
        return self._judgement.difference

    @property
    def cost(self) -> float:
        return self._differences.cost

    @property
    def J_plus(self) -> Array:
        return self._differences.J_plus

    @property
    def J_minus(self) -> Array:
        return self._differences.J_minus

    @property
    def gradapprox(self) -> Array:
        return self._differences.gradapprox

    @property
    def indices(self) -> Indices:
        if self._subject.indices is None:
            return np.arange(self._subject.gradient.size)
        return self._subject.indices

    def gradapprox_of(self, name: str) -> Array:
        for row in self._judgement.tensors:
            if row.name == name:
                c = row.comparison
                whole = np.full(int(np.prod(c.tensor.shape)), np.nan)
                whole[slice(None) if c.where is None else c.where] = c.approx
                return whole.reshape(c.tensor.shape)
        raise KeyError(name)

    @property
    def engine(self) -> str:
        return str(self._run["engine"])

    @property
    def epsilon(self) -> Any:
        return self._run["epsilon"]

    @property
    def norm(self) -> float:
        return float(self._run["norm"])

    @property
    def tolerance(self) -> float:
        return min(t.tolerance for t in self._judgement.tensors)

    @property
    def seconds(self) -> float:
        return float(self._run["seconds"])

    @property
    def tensors(self) -> Sequence[Any]:
        return self._judgement.tensors

    def __str__(self) -> str:
        lines = [f"{self.verdict}: difference {self.difference:.3g}"]
        lines += [f"{t.name:>4} {t.difference:10.2e} {t.verdict}" for t in self._judgement.tensors]
        return "\n".join(lines)
