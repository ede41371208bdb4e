"""The names that callers choose by, for editors and type checkers; a test holds them against the tables."""

from typing import Any, Literal, TypedDict

Activation = Literal[
    "identity", "relu", "leaky_relu", "relu6", "hardtanh", "elu", "selu", "sigmoid", "tanh", "softplus", "silu", "gelu",
    "gelu_tanh", "softmax",
]  # fmt: skip
Cost = Literal["binary_cross_entropy", "cross_entropy", "squared_error", "mean_squared_error"]
Engine = Literal["response", "full", "reference"]
FunctionEngine = Literal["program", "differences"]
Method = Literal["all", "sample", "directional"]
Order = Literal[2, 4, 6]


class CheckOptions(TypedDict, total=False):
    """Options of ``fastcheck.check``, for what passes them on."""

    epsilon: float
    tolerance: float | None
    norm: float
    engine: Engine
    method: Method
    samples: int | None
    directions: int | None
    seed: int
    threads: int | None
    memory_limit: int | None
    time_limit: float | None
    progress: Any
    executor: Any
    checkpoint: Any


class FunctionOptions(TypedDict, total=False):
    """Options of ``fastcheck.check_function``, for what passes them on."""

    engine: FunctionEngine | None
    order: Order
    complex_step: bool
    tolerance: float | None
    norm: float
    method: Method
    samples: int | None
    directions: int | None
    threads: int | None
    memory_limit: int | None
    time_limit: float | None
    progress: Any
    executor: Any
