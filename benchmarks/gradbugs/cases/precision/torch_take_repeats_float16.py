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
    hidden=True,
    missed="The error is smaller than the one that the report says it would have seen.",
    subject=repeated_rows(2200, "float16", seed=105),
)
