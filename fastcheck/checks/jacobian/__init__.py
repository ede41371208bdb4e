"""Jacobians entry by entry: differences of a function of several arrays against what automatic differentiation gave.

What a framework's own checker asks is kept (|a - n| <= atol + rtol |n|), and two things are added.  An absolute
tolerance counts in full only where the derivatives of that output are not themselves as small, or it would let a
gradient that is missing altogether pass.  And no entry fails, or passes, on one difference alone where another step
says otherwise: entries in doubt are looked at again with steps of their own, which tells noise and kinks from mistakes.
"""
