"""What the files in `files/` hold, and how each goes on: networks and trainings of the version that wrote them.

    python -c "from tests.saving import kept; kept.write()"

writes them anew with the package that is imported: only where a format gets a successor, which then has files too.
"""

import json
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from minigrad import (
    GRU,
    SGD,
    Adam,
    BatchNorm,
    BinaryCrossEntropy,
    CategoricalCrossEntropy,
    Conv2D,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    Layer,
    LayerNorm,
    MaxPool2D,
    MeanSquaredError,
    MultiHeadAttention,
    PositionalEncoding,
    ReLU,
    Residual,
    Sequential,
    Sigmoid,
    Softmax,
    load,
    parameter,
    state,
)
from minigrad.command.main import main

FILES = Path(__file__).with_name("files")
ROWS = 24


class Scale(Layer):
    """A user's layer: an argument, a parameter, a state."""

    a, da = parameter()
    seen = state()

    def __init__(self, features, start=1.0):
        self.features, self.start = features, start
        self.a, self.seen = np.full(features, start), np.array(0)

    def forward(self, x):
        self.x = x
        self.seen = self.seen + len(x)
        return x * self.a

    def predict(self, x):
        return x * self.a

    def backward(self, dy):
        self.da = (dy * self.x).sum(axis=0)
        return dy * self.a


def canonical():
    return Sequential([Dense(6, 5), Sigmoid(), Dense(5, 3), Sigmoid()], seed=0)


def image():
    head = [Conv2D(2, 3, 3, padding="same"), BatchNorm(3), ReLU(), MaxPool2D(2), Dropout(0.3, seed=1)]
    return Sequential([*head, Flatten(), Dense(12, 3), Softmax()], dtype="float64", seed=0)


def sequence():
    block = Residual(LayerNorm(4), MultiHeadAttention(4, 2))
    layers = [Embedding(6, 4), PositionalEncoding(4), block, GRU(4, 3), Dense(3, 3), Softmax()]
    return Sequential(layers, dtype="float64", seed=0)


def own():
    return Sequential([Dense(6, 4), Scale(4, 0.5), Dense(4, 3)], dtype="float64", seed=0)


def rows(name):
    """x and t, from a generator whose stream NumPy keeps."""
    rng = np.random.Generator(np.random.PCG64(0))
    x = {"image": rng.standard_normal((ROWS, 4, 4, 2)), "sequence": rng.integers(0, 6, (ROWS, 5))}.get(name)
    x = rng.standard_normal((ROWS, 6)) if x is None else x
    labels = np.arange(ROWS) % 3
    return x, rng.standard_normal((ROWS, 3)) if name == "own" else np.array(["high", "low", "middle"])[labels]


NETWORKS = {
    "canonical": (canonical, BinaryCrossEntropy),
    "image": (image, CategoricalCrossEntropy),
    "sequence": (sequence, CategoricalCrossEntropy),
    "own": (own, MeanSquaredError),
}


def train(model, name, **more):
    """Two epochs, as they were trained before the file was written, and go on after it."""
    x, t = rows(name)
    settings = {"loss": NETWORKS[name][1](), "optimizer": SGD(0.1, momentum=0.9), "epochs": 2, "batch_size": 7}
    return model.fit(x, t, **settings | more)


def from_checkpoint(path, epochs):
    """The training that `checkpoint` keeps: 3 epochs are in the file, after 5 it is over."""
    model = image()
    training = {"validation": 0.25, "patience": 4, "l2": 0.001, "optimizer": Adam(0.01), "seed": 4}
    return model, train(model, "image", checkpoint=path, epochs=epochs, **training)


def answers(model, name):
    """What is compared: predictions, classes, and what two more epochs do."""
    x, _ = rows(name)
    found = {"predictions": model.predict(x), "classes": [] if name == "own" else model.predict_classes(x)}
    found["loss"] = train(model, name).loss
    return found | {"theta": model.theta}


def table_answers():
    """What the model of the table tells about its rows."""
    model, frame = load(FILES / "table.safetensors"), pd.read_csv(FILES / "table.csv")
    return {"kinds": model.predict(frame), "probabilities": model.predict_probabilities(frame)}


def write():
    """Write all files but `table.csv`."""
    expected = {}
    for name, (made, _) in NETWORKS.items():
        model = made()
        train(model, name)
        model.save(FILES / f"{name}.safetensors")
        expected[name] = answers(model, name)
    from_checkpoint(FILES / "checkpoint.safetensors", 3)
    model, history = from_checkpoint(None, 5)
    expected["checkpoint"] = {"loss": history.loss, "validation_loss": history.validation_loss, "theta": model.theta}
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "out")
        words = ["--target", "kind", "--hidden", "4", "--epochs", "20", "--test-size", "0.25", "--out", str(out)]
        main(["train", str(FILES / "table.csv"), *words])
        (out / "model.safetensors").replace(FILES / "table.safetensors")
    expected["table"] = table_answers()
    text = json.dumps(expected, default=np.ndarray.tolist)
    (FILES / "expected.json").write_text(text + "\n", encoding="utf-8")
