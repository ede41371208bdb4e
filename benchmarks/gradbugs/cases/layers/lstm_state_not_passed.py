"""An LSTM that passes no gradient to the hidden state of the step before."""

from functools import partial

from benchmarks.gradbugs import lstm
from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.making import normal
from benchmarks.gradbugs.subjects import Layer

CASE = Case(
    source="ooples/AiDotNet#722",
    mistake="The gradient of the hidden state is set to zero after each step, so that nothing flows through the "
            "recurrent weights.",
    kind="recurrence",
    precision="float64",
    wrong=("x", "W", "U", "b"),
    says=r"last (time )?step|step before|time",
    subject=Layer(
        lstm.forward,
        lstm.backward,
        partial(lstm.backward, mistake="state"),
        lambda: normal((5, 3), (3, 12), (3, 12), (12,), seed=12),
    ),
)
