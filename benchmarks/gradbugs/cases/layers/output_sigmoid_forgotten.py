"""A digit network with squared error whose output layer leaves the sigmoid's derivative out."""

from benchmarks.gradbugs.case import Case
from benchmarks.gradbugs.making import normal, sigmoid
from benchmarks.gradbugs.subjects import Dense


def network():
    import fastcheck as fc

    net = fc.Network([fc.Dense(6, 5, "sigmoid"), fc.Dense(5, 3, "sigmoid")], cost="squared_error")
    X, Y = normal((6, 15), (3, 15), seed=7)
    return net, net.initialize(1), X, (Y > 0).astype(float)


def backward(parameters, X, Y, derivative):
    a = sigmoid(parameters["W1"] @ X + parameters["b1"])
    out = sigmoid(parameters["W2"] @ a + parameters["b2"])
    d2 = (out - Y) / X.shape[1] * (out * (1 - out) if derivative else 1.0)
    d1 = parameters["W2"].T @ d2 * a * (1 - a)
    return {"dW1": d1 @ X.T, "db1": d1.sum(1, keepdims=True), "dW2": d2 @ a.T, "db2": d2.sum(1, keepdims=True)}


CASE = Case(
    source="Bot-Academy/NeuralNetworkFromScratch#3",
    mistake="The derivative of the output layer's sigmoid is missing from the error that is passed back.",
    kind="activation", precision="float64", wrong=("W1", "b1", "W2", "b2"),
    says=r"cross.entropy|derivative .*(missing|left out|forgotten)|without .*derivative|sigma",
    subject=Dense(network, lambda p, X, Y: backward(p, X, Y, True), lambda p, X, Y: backward(p, X, Y, False)),
)
