"""Exact differences of programs: which entries move together, what that proves, and when to distrust it.

Front ends run the programs, ``arrays`` for NumPy and ``fastcheck.torch.program`` for PyTorch; ``protocols``
says what the engine asks of them.
"""
