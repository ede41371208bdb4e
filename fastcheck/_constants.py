"""Constants that decide a verdict, each with its reason; those that only decide speed stand where they are used."""

from typing import Final

# Largest relative error of one rounding: half of the distance between neighbouring numbers near one.  (What NumPy calls
# eps is that distance, twice as much.)
UNIT_ROUNDOFF: Final = 2.0**-53
UNIT_ROUNDOFFS: Final = {"float16": 2.0**-11, "bfloat16": 2.0**-8, "float32": 2.0**-24, "float64": UNIT_ROUNDOFF}

# The textbook's rule: a relative difference beyond it is a mistake.
TOLERANCE: Final = 1e-7

# An entry smaller than this share of its tensor's root mean square is compared with that share instead of itself: its
# rounding is that of the larger entries that it was computed with.
NEGLIGIBLE: Final = 2e-5

# Standard errors that noise may reach in any one entry.  Among a million entries normal noise reaches 5; the noise of a
# cost is measured from a few values, and may be half as large again.
NOISE_SIGMAS: Final = 8.0
# ... and in the norm of many entries together, where single ones average out and the measurement's own error is left.
NORM_SIGMAS: Final = 4.0

# A check has power over a tensor where noise and rounding stay below this share of its gradient: what is off by a
# thousandth and more is then seen.  Where they do not, agreement proves nothing and disagreement neither.
RESOLVED: Final = 1e-3
# ... in less than double precision, where the errors themselves must stay below it: rounding may carry a pre-activation
# across a kink, and with it a sample's whole share of the gradient.
RESOLVED_LOW: Final = 0.1

# Numbers below this lose digits, or are flushed to zero.
SMALLEST_NORMALS: Final = {"float16": 2.0**-14, "bfloat16": 2.0**-126, "float32": 2.0**-126, "float64": 2.0**-1022}
# A right gradient may leave out terms below this.  No machine flushes numbers of float16 to zero before its least one.
SMALLEST_TERMS: Final = {**SMALLEST_NORMALS, "float16": 2.0**-24}

# Roundings of its precision that a right gradient may be off by, beside the square root of the number of terms summed.
ROUNDINGS: Final = 16.0

# A relative difference above this cannot come from double-precision rounding.
BEYOND_DOUBLE: Final = 3e-9

# Share of a gradient's norm within which a mistaken back-propagation gives "the same numbers": far above what the order
# of sums makes of double precision, and far below what two different mistakes have in common by chance.
TRIAL_AGREES: Final = 1e-9

# Gradients in less than single precision are judged by their measured spread (``fastcheck.verdict.spread``).  Over 60
# seeds each of an MLP and a transformer layer, the factor of a right gradient to the truth varies by 0.03 to 0.25 % per
# weight tensor in bfloat16 and by 0.01 to 0.07 % in float16; ReLU masks that flip are the long tail, up to 1 %.
# Rounding that all runs share may leave this many times that spread in the factor, and no less than the least: where
# the spread is below 0.15 % an error of 1 % is seen, elsewhere one of 3 %.
SPREADS_SHARED: Final = 4.0
LEAST_SHARED: Final = 6e-3
MOST_SHARED: Final = 1.8e-2
# ... and in single precision, where the factor varies by less than 1e-6: some thousand roundings, of sums that all
# round to one side.
LEAST_SHARED_SINGLE: Final = 1e-4
# Backward passes whose results spread by this many unit roundoffs of single precision, when their inputs move by one,
# round in single precision somewhere.  Double precision spreads a millionth as much, but where it loses digits.
SINGLE_SEEN: Final = 2.0**-8
# What formulas in low precision lose where all is saturated, as a share of what they may lose in double precision.
SATURATED: Final = 0.5
# Points whose rounding is not shared are moved by these, relative to each entry, one after the other while something
# seems wrong: 1 - p, where p is near one, rounds alike at all points a rounding apart, and near a perfect fit (a loss
# of 1e-5) at points a thousandth apart.
FURTHER: Final = (2.0**-10, 2.0**-7, 2.0**-5)
# A slice of a tensor averages over fewer entries than the whole.
SLICE_FLOORS: Final = 4.0
# Roundings of its precision that one entry may be off by in every run: those of the sums that go into it.
ENTRY_ROUNDINGS: Final = 8.0
# A normal variable stays above its mean less this many standard errors with probability 0.999.
POWER_SIGMAS: Final = 3.1

# Relative errors below this are not told from rounding where a program computes in less than single precision: signs of
# small entries turn over there, and masks with them.
COARSE: Final = 0.5

# Derivatives that cancel in a Jacobian are made of the rounding of what cancelled, unknown there: of this many unit
# roundoffs of double precision of the largest derivative, of the largest input, or of one, whichever is most.
# Saturated attention at inputs of 10 leaves 6e-11 in place of second derivatives of 2e-12.
CANCELLED = 1e4
