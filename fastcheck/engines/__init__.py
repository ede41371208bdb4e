"""How costs are differenced: from a problem, a function or a program to a numerical gradient.  No verdicts here."""
