"""Which cost an output activation has, and which output a cost needs, where only one of them is said."""

from typing import cast

from ..._names import ACTIVATION_SYNONYMS, COST_SYNONYMS, Activation, Cost
from ..._validation import known
from ...rules.activations import ACTIVATIONS
from ...rules.losses import COSTS

COST_OF_OUTPUT = {cost.output: cast(Cost, name) for name, cost in COSTS.items() if cost.output}


def output_and_cost(output: Activation | None, cost: Cost | None, regression: Cost) -> tuple[Activation, Cost]:
    """Return the output activation and the cost of a network, each from the other where only one is given.

    Parameters
    ----------
    output : None for the one that the cost needs, else identity.
    cost : None for the one that belongs to the output, else ``regression``.
    regression : the squared error that a door's users expect: "squared_error" is the course's, "mean_squared_error"
        the frameworks'.

    Raises
    ------
    ValueError, TypeError : for names that are not known.
    """
    if cost is not None:
        cost = cast(Cost, known("cost", cost, COSTS, COST_SYNONYMS))
    if output is None:
        output = cast(Activation, (COSTS[cost].output if cost is not None else None) or "identity")
    output = cast(Activation, known("output activation", output, ACTIVATIONS, ACTIVATION_SYNONYMS))
    return output, COST_OF_OUTPUT.get(output, regression) if cost is None else cost
