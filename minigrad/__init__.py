"""minigrad: a neural-network framework to read in an afternoon.

    from minigrad import BinaryCrossEntropy, Dense, SGD, Sequential, Sigmoid

    model = Sequential([Dense(400, 25), Sigmoid(), Dense(25, 10), Sigmoid()])
    history = model.fit(x, t, loss=BinaryCrossEntropy(), optimizer=SGD(learning_rate=0.5), epochs=20)

The textbook is read in this order: parameter, layer, model, functions, initializers, layers, losses, optimizers,
training.objective, training.loop, sequential. The README has its files, CONTRIBUTING.md a line on every file there is.
"""

from minigrad.command import interrupt as interrupt  # isort: split

from importlib import import_module
from typing import TYPE_CHECKING, Any

from minigrad import schedules, tools
from minigrad.layer import Layer
from minigrad.layers.activations import Identity, ReLU, Sigmoid, Softmax, Tanh
from minigrad.layers.attention import MultiHeadAttention, PositionalEncoding
from minigrad.layers.bidirectional import Bidirectional
from minigrad.layers.combine import Average, Concatenate, Residual
from minigrad.layers.convolution import Conv1D, Conv2D
from minigrad.layers.dense import Dense
from minigrad.layers.dropout import Dropout
from minigrad.layers.embedding import Embedding
from minigrad.layers.gates import GLU, SwiGLU
from minigrad.layers.more_activations import (
    ELU,
    GELU,
    HardSigmoid,
    LeakyReLU,
    LogSoftmax,
    Mish,
    Softplus,
    Softsign,
    Swish,
)
from minigrad.layers.normalization import BatchNorm, GroupNorm, InstanceNorm, LayerNorm, RMSNorm
from minigrad.layers.pooling import AvgPool2D, GlobalAvgPool2D, MaxPool2D, UpSampling2D
from minigrad.layers.rectifiers import CELU, SELU, HardSwish, HardTanh, LogSigmoid, PReLU, ReLU6
from minigrad.layers.recurrent import GRU, LSTM, SimpleRNN
from minigrad.layers.reuse import Frozen, Tied
from minigrad.layers.shape import Columns, Flatten, Reshape
from minigrad.layers.standardize import Standardize
from minigrad.layers.transposed import ConvTranspose2D
from minigrad.losses import (
    PADDING,
    BinaryCrossEntropy,
    BinaryCrossEntropyOnLogits,
    CategoricalCrossEntropy,
    CategoricalCrossEntropyOnLogits,
    CosineSimilarity,
    GaussianNLL,
    Hinge,
    Huber,
    KLDivergence,
    Loss,
    MeanAbsoluteError,
    MeanSquaredError,
    NegativeLogLikelihood,
    Poisson,
    Quantile,
    SumOfLosses,
)
from minigrad.optimizers import (
    SGD,
    Adadelta,
    Adagrad,
    Adam,
    Adamax,
    AdamW,
    ByPart,
    ClipByNorm,
    ClipByValue,
    Lion,
    NAdam,
    Optimizer,
    ParameterAverage,
    RAdam,
    RMSprop,
    Rprop,
)
from minigrad.parameter import parameter, state
from minigrad.saving import ModelFileError
from minigrad.sequential import Sequential
from minigrad.training.history import DivergenceError, Epoch, History
from minigrad.training.objective import Objective
from minigrad.version import __version__ as __version__

if TYPE_CHECKING:
    from minigrad.tables.model import TableModel, load
    from minigrad.training.lbfgs import minimize_lbfgs

_HOMES = {"TableModel": "tables.model", "load": "tables.model", "minimize_lbfgs": "training.lbfgs"}
"""Where the names are that are imported when they are asked for: `import minigrad` is to be quick."""
_MODULES = ("derivation", "metrics", "onnx", "plots", "programs", "sklearn", "tables", "testing")
"""Public modules that come, too, when they are asked for: `minigrad.testing.check_layer(layer)`."""


def _derivation() -> Any:
    """What derives a backward, imported by the first layer without one: `import minigrad` is to be quick."""
    from minigrad import derivation

    return derivation


def derive(layer: Layer, x: Any = None) -> Any:
    """The backward of a layer, derived from its forward, as source: `print(derive(layer))`; see minigrad.derivation."""
    from minigrad.testing.derived import derive

    return derive(layer, x)


Layer._derivation = staticmethod(_derivation)
Sequential.tools = tools

__all__ = [
    "CELU",
    "ELU",
    "GELU",
    "GLU",
    "GRU",
    "LSTM",
    "PADDING",
    "SELU",
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Average",
    "AvgPool2D",
    "BatchNorm",
    "Bidirectional",
    "BinaryCrossEntropy",
    "BinaryCrossEntropyOnLogits",
    "ByPart",
    "CategoricalCrossEntropy",
    "CategoricalCrossEntropyOnLogits",
    "ClipByNorm",
    "ClipByValue",
    "Columns",
    "Concatenate",
    "Conv1D",
    "Conv2D",
    "ConvTranspose2D",
    "CosineSimilarity",
    "Dense",
    "DivergenceError",
    "Dropout",
    "Embedding",
    "Epoch",
    "Flatten",
    "Frozen",
    "GaussianNLL",
    "GlobalAvgPool2D",
    "GroupNorm",
    "HardSigmoid",
    "HardSwish",
    "HardTanh",
    "Hinge",
    "History",
    "Huber",
    "Identity",
    "InstanceNorm",
    "KLDivergence",
    "Layer",
    "LayerNorm",
    "LeakyReLU",
    "Lion",
    "LogSigmoid",
    "LogSoftmax",
    "Loss",
    "MaxPool2D",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "Mish",
    "ModelFileError",
    "MultiHeadAttention",
    "NAdam",
    "NegativeLogLikelihood",
    "Objective",
    "Optimizer",
    "PReLU",
    "ParameterAverage",
    "Poisson",
    "PositionalEncoding",
    "Quantile",
    "RAdam",
    "RMSNorm",
    "RMSprop",
    "ReLU",
    "ReLU6",
    "Reshape",
    "Residual",
    "Rprop",
    "Sequential",
    "Sigmoid",
    "SimpleRNN",
    "Softmax",
    "Softplus",
    "Softsign",
    "Standardize",
    "SumOfLosses",
    "SwiGLU",
    "Swish",
    "TableModel",
    "Tanh",
    "Tied",
    "UpSampling2D",
    "derive",
    "load",
    "minimize_lbfgs",
    "parameter",
    "schedules",
    "state",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"minigrad.{name}")
    if name not in _HOMES:
        from minigrad.configured.hints import absent

        raise absent("minigrad", name)
    value = getattr(import_module(f"minigrad.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
