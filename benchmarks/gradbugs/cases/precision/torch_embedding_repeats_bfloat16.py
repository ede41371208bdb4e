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
    hidden=True,
    missed="The error is smaller than the one that the report says it would have seen.",
    subject=repeated_rows(1500, "bfloat16", seed=103),
)
