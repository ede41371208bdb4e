"""The mistakes that people make in back-propagation, as back-propagations with one step replaced.

A diagnosis runs them and names the one that gives the numbers of a failing gradient.
"""
