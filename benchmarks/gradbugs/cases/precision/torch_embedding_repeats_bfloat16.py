"""A table of rows, read again and again, whose gradient is added up in bfloat16."""

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.repeated_rows import repeated_rows

CASE = Case(
    source="tenstorrent/tt-metal#53386",
    mistake="Rows of a table that are read often are added up in bfloat16, which drops the increments once "
    "the sum is large.",
    kind="low accumulation",
    precision="bfloat16",
    wrong=("table",),
    says=r"truth|rounding|norm|\[",
    third=3,
    later="The inputs: 1,500 reads of either sign became the report's 2,000 over 35 rows, 1,000 of them of "
          "one row, each adding one.",
    subject=repeated_rows([1000, *[31] * 34], 1.0, "bfloat16", seed=103),
)
