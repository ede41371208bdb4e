"""An LSTM: the upstream gradient of the last cell state, which is an output too, is ignored."""

from functools import partial

from benchmarks.gradbugs import lstm
from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.making import normal
from benchmarks.gradbugs.subjects import Layer

CASE = Case(
    source="deeplearning4j/deeplearning4j#8838",
    mistake="The upstream gradient of the last cell state, which is an output too, is ignored.",
    kind="upstream ignored", precision="float64", wrong=("x", "W", "U", "b"),
    says=r"output|upstream|cell|ignored",
    subject=Layer(lstm.forward, lstm.backward, partial(lstm.backward, mistake="last cell"),
                  lambda: normal((5, 3), (3, 12), (3, 12), (12,), seed=12)),
)
