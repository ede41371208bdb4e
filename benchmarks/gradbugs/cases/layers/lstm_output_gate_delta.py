"""An LSTM: the output gate is given the error of the cell instead of the error of the hidden state."""

from functools import partial

from benchmarks.gradbugs import lstm
from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.making import normal
from benchmarks.gradbugs.subjects import Layer

CASE = Case(
    source="lhnguyen102/cuTAGI#77",
    mistake="The output gate is given the error of the cell instead of the error of the hidden state.",
    kind="wrong variable", precision="float64", wrong=("x", "W", "U", "b"),
    says=r"output gate|columns? (9|6|12)|block|quarter|last .*columns",
    subject=Layer(lstm.forward, lstm.backward, partial(lstm.backward, mistake="output gate"),
                  lambda: normal((5, 3), (3, 12), (3, 12), (12,), seed=12)),
)
