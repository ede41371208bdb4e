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
# The axes of weights: W @ a with (outputs, inputs), a @ W with (inputs, outputs); and where samples lie in X and Y.
Weights = Literal["out_in", "in_out"]
Samples = Literal["columns", "rows"]

# What others call them, in small letters and digits alone.
ACTIVATION_SYNONYMS: dict[str, Activation] = {
    "linear": "identity", "none": "identity", "id": "identity", "rectifier": "relu", "rectifiedlinear": "relu",
    "lrelu": "leaky_relu", "logistic": "sigmoid", "sigm": "sigmoid", "expit": "sigmoid", "swish": "silu",
    "softrelu": "softplus", "gelunew": "gelu_tanh", "geluapproximate": "gelu_tanh",
}  # fmt: skip
COST_SYNONYMS: dict[str, Cost] = {
    "mse": "mean_squared_error", "mseloss": "mean_squared_error", "bce": "binary_cross_entropy",
    "bceloss": "binary_cross_entropy", "binarycrossentropyloss": "binary_cross_entropy",
    "logloss": "binary_cross_entropy", "logistic": "binary_cross_entropy", "binary": "binary_cross_entropy",
    "ce": "cross_entropy", "crossentropyloss": "cross_entropy", "categoricalcrossentropy": "cross_entropy",
    "sparsecategoricalcrossentropy": "cross_entropy", "softmaxcrossentropy": "cross_entropy",
    "quadratic": "squared_error", "halfmse": "squared_error",
}  # fmt: skip


class SharedOptions(TypedDict, total=False):
    """Options of both ``fastcheck.check`` and ``fastcheck.check_function``."""

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


class CheckOptions(SharedOptions, total=False):
    """Options of ``fastcheck.check``, for what passes them on."""

    epsilon: float
    engine: Engine
    seed: int
    checkpoint: Any


class NumericalOptions(TypedDict, total=False):
    """Options of ``fastcheck.numerical_gradient``."""

    vectorized: bool
    epsilon: float | None
    order: Order
    complex_step: bool
    seed: int
    engine: FunctionEngine | None
    threads: int | None
    memory_limit: int | None
    progress: Any
    executor: Any


class FunctionOptions(SharedOptions, total=False):
    """Options of ``fastcheck.check_function``, for what passes them on."""

    engine: FunctionEngine | None
    order: Order
    complex_step: bool


FUNCTION_OPTIONS: tuple[str, ...] = tuple(FunctionOptions.__annotations__)
NUMERICAL_OPTIONS: tuple[str, ...] = tuple(NumericalOptions.__annotations__)
