"""A table of rows, read again and again, whose gradient is added up in float16."""

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.repeated_rows import repeated_rows

CASE = Case(
    source="flagos-ai/FlagGems#4295",
    mistake="The gradients of an entry that is gathered many times are accumulated in float16.",
    kind="low accumulation",
    precision="float16",
    wrong=("table",),
    says=r"truth|rounding|norm|\[",
    third=3,
    hidden=True,
    missed="The error is smaller than the one that the report says it would have seen.",
    subject=repeated_rows(1800, "float16", seed=104),
)
