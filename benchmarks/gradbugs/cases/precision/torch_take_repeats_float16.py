"""A table of rows, read again and again, whose gradient is added up in float16."""

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.repeated_rows import repeated_rows

CASE = Case(
    source="apache/mxnet#17703",
    mistake="The gradient of a row that is taken many times is accumulated in float16 without a wider sum.",
    kind="low accumulation",
    precision="float16",
    wrong=("table",),
    says=r"truth|rounding|norm|\[",
    third=3,
    later="The inputs: 2,200 reads of either sign became 40,000 reads of eight rows, each adding 0.01, of the report's "
          "100,000.",
    subject=repeated_rows([5000] * 8, 0.01, "float16", seed=105, columns=1),
)
