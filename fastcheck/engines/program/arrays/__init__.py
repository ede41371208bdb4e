"""The front end for NumPy: arrays that carry their changes through a user's function, and the ``Program`` that runs it.

What operations do to changes is the business of ``fastcheck.rules``; how programs are differenced, that of the room
above.
"""
