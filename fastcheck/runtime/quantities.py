"""Lengths of time and amounts of memory in words."""

TIMES = (1e-6, "µs"), (1e-3, "ms"), (1.0, "s"), (60.0, "min"), (3600.0, "h"), (86400.0, "days")
SIZES = (2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")


def readable_seconds(seconds: float) -> str:
    """Return a length of time in words, to two digits: "3.4 ms", "1.5 h"."""
    # A unit serves until there are two of the next one; milliseconds and less until there is one.
    factor, name = next(
        (factor, name) for (factor, name), (following, _) in zip(TIMES, (*TIMES[1:], (float("inf"), "")), strict=True)
        if seconds < following * (1.0 if following <= 1.0 else 2.0)
    )
    digits = f"{seconds / factor:.2g}"
    return f"{float(digits):,.0f} {name}" if "e+" in digits else f"{digits} {name}"


def readable_bytes(count: float) -> str:
    """Return an amount of memory in words, to three digits: "1.5 GiB"."""
    factor, name = next((each for each in SIZES if count >= each[0]), SIZES[-1])
    return f"{count / factor:.3g} {name}"
