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
    later="The inputs: 1,800 reads of either sign became the report's 257 reads of each row, each adding a fraction.",
    apart="PyTorch's own indexing and embedding add up in float16 too, and are as far from the truth: 2 %.",
    subject=repeated_rows([257] * 8, 0.3, "float16", seed=104),
)
