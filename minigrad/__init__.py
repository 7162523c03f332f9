"""minigrad: a neural-network framework to read in an afternoon.

    from minigrad import BinaryCrossEntropy, Dense, SGD, Sequential, Sigmoid

    model = Sequential([Dense(400, 25), Sigmoid(), Dense(25, 10), Sigmoid()])
    history = model.fit(x, t, loss=BinaryCrossEntropy(), optimizer=SGD(learning_rate=0.5), epochs=20)

Read on in this order: parameter, layer, functions, layers, losses, objective, optimizers, files, training, sequential.
"""

__version__ = "0.1.0"

from minigrad.files import ModelFileError, load
from minigrad.layer import Layer
from minigrad.layers.activations import (
    ELU,
    GELU,
    Identity,
    LeakyReLU,
    ReLU,
    Sigmoid,
    Softmax,
    Softplus,
    Swish,
    Tanh,
)
from minigrad.layers.dense import Dense
from minigrad.losses import (
    BinaryCrossEntropy,
    BinaryCrossEntropyOnLogits,
    CategoricalCrossEntropy,
    CategoricalCrossEntropyOnLogits,
    Huber,
    Loss,
    MeanAbsoluteError,
    MeanSquaredError,
)
from minigrad.objective import Objective
from minigrad.optimizers import SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop
from minigrad.parameter import parameter, state
from minigrad.sequential import Sequential
from minigrad.training import DivergenceError, Epoch, History

__all__ = [
    "ELU",
    "GELU",
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "BinaryCrossEntropy",
    "BinaryCrossEntropyOnLogits",
    "CategoricalCrossEntropy",
    "CategoricalCrossEntropyOnLogits",
    "Dense",
    "DivergenceError",
    "Epoch",
    "History",
    "Huber",
    "Identity",
    "Layer",
    "LeakyReLU",
    "Loss",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "ModelFileError",
    "Objective",
    "Optimizer",
    "RMSprop",
    "ReLU",
    "Sequential",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Swish",
    "Tanh",
    "load",
    "parameter",
    "state",
]
