"""Whether two checkouts compute the same bits: layers, losses, optimizers, trainings, files, ranks.

    python -m benchmarks.same_bits --package OLD --package NEW [--only WORD] [--ranks N]

Each run is made in a process of its own checkout, by public names alone: with recorded programs as native code, as
NumPy code, and by N ranks of mpiexec (3; with 0 none). What it leaves is digested (SHA-256): θ, dθ,
the states of layers and optimizer, the losses of every epoch, the predictions. The table has a row for each kind of
runs: how many there are, how many are equal, how many are not, and what the first difference is in. A run that raises
is compared by the class of what it raises, and is told below.

The process ends with status 1 where anything differs. Digests belong to a machine and its BLAS: compare on one.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import json
import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from benchmarks.ranks import ON_THIS_MACHINE, mpiexec

ROOT = Path(__file__).parent.parent
ROWS, BATCH = 37, 8  # the last batch of an epoch is a smaller one
BY_HAND, RECORDED = 3, 12  # epochs: too few for a program, and more than enough
NEVER, SOON = 10**9, 2  # steps by hand before there is a program
SEEDS, DTYPES = (0, 1, 2), ("float32", "float64")

Parts: TypeAlias = dict[str, Any]
Run: TypeAlias = Callable[[int, str], Parts]
Made: TypeAlias = Callable[[], Any]


# --- what there is to run: tables by name ---


def layers(m: Any) -> dict[str, tuple[str, Made]]:
    """Each layer with the kind of rows that it takes (see `rows_of`); a function makes it, or a list of layers."""

    def tied() -> list[Any]:
        embedding = m.Embedding(7, 6)
        return [embedding, m.GRU(6, 6, return_sequences=True), m.Tied(embedding)]

    plain = "ELU GELU HardSigmoid HardSwish HardTanh Identity LeakyReLU LogSigmoid LogSoftmax Mish PReLU ReLU ReLU6"
    plain += " CELU SELU Sigmoid Softmax Softplus Softsign Swish Tanh GLU SwiGLU"
    image = {
        "Conv2D": lambda: m.Conv2D(4, 6, 3),
        "Conv2D, same, strided": lambda: m.Conv2D(4, 6, 3, stride=2, padding="same"),
        "Conv2D, groups, dilation": lambda: m.Conv2D(4, 6, (2, 3), dilation=2, groups=2, bias=False),
        "ConvTranspose2D": lambda: m.ConvTranspose2D(4, 3, 2, stride=2),
        "MaxPool2D": lambda: m.MaxPool2D(2),
        "MaxPool2D, padded": lambda: m.MaxPool2D(3, stride=2, padding=1),
        "AvgPool2D": lambda: m.AvgPool2D(2),
        "GlobalAvgPool2D": lambda: m.GlobalAvgPool2D(),
        "UpSampling2D": lambda: m.UpSampling2D(2),
        "Flatten": lambda: m.Flatten(),
        "GroupNorm": lambda: m.GroupNorm(2, 4),
        "InstanceNorm": lambda: m.InstanceNorm(4),
        "BatchNorm of images": lambda: m.BatchNorm(4),
        "a convolutional network": lambda: [m.Conv2D(4, 5, 3), m.BatchNorm(5), m.ReLU(), m.MaxPool2D(2), m.Flatten()],
    }
    steps = {
        "Conv1D": lambda: m.Conv1D(6, 4, 3, padding="same"),
        "SimpleRNN": lambda: m.SimpleRNN(6, 5),
        "LSTM": lambda: m.LSTM(6, 5),
        "LSTM, sequences, padding": lambda: m.LSTM(6, 5, return_sequences=True, padding=0.0),
        "GRU": lambda: m.GRU(6, 5, return_sequences=True),
        "Bidirectional": lambda: m.Bidirectional(m.GRU(6, 5, return_sequences=True)),
        "MultiHeadAttention": lambda: m.MultiHeadAttention(6, 2),
        "MultiHeadAttention, causal": lambda: m.MultiHeadAttention(6, 3, causal=True),
        "PositionalEncoding": lambda: m.PositionalEncoding(6),
        "a transformer's block": lambda: [
            m.Residual(m.LayerNorm(6), m.MultiHeadAttention(6, 2)),
            m.Residual(m.RMSNorm(6), m.Dense(6, 8), m.SwiGLU(), m.Dense(4, 6)),
        ],
    }
    rows = {
        "Dense": lambda: m.Dense(6, 4),
        "Dense, no bias": lambda: m.Dense(6, 4, init="he_normal", bias=False),
        "Dropout": lambda: m.Dropout(0.3),
        "Dropout of a seed": lambda: [m.Dense(6, 5), m.Dropout(0.3, seed=3), m.ReLU()],
        "BatchNorm": lambda: m.BatchNorm(6, momentum=0.3),
        "BatchNorm, no parameters": lambda: m.BatchNorm(6, affine=False),
        "LayerNorm": lambda: m.LayerNorm(6),
        "RMSNorm": lambda: m.RMSNorm(6),
        "Residual": lambda: m.Residual(m.Dense(6, 6), m.Tanh()),
        "Concatenate": lambda: m.Concatenate(m.Dense(6, 3), m.Sequential([m.Dense(6, 4), m.ReLU()])),
        "Average": lambda: m.Average(m.Dense(6, 3), m.Dense(6, 3)),
        "Columns": lambda: m.Concatenate(
            m.Sequential([m.Columns(0, 2), m.Dense(2, 3)]), m.Sequential([m.Columns(2, 6), m.Tanh()])
        ),
        "Reshape": lambda: m.Reshape((3, 2)),
        "Standardize": lambda: m.Standardize(6).fit(rows_of("rows", 9)),
        "Frozen": lambda: [m.Frozen(m.Dense(6, 5, seed=1)), m.Tanh()],
        "a Sequential": lambda: m.Sequential([m.Dense(6, 5), m.Sigmoid()]),
        "Softplus, deep": lambda: [m.Dense(6, 8), m.Softplus(), m.Dense(8, 8), m.ELU(0.5), m.Dense(8, 4), m.Sigmoid()],
    }
    codes = {"Embedding": lambda: m.Embedding(7, 4), "Embedding, padding": lambda: m.Embedding(7, 4, padding=0)}
    return {
        **{name: ("rows", getattr(m, name)) for name in plain.split()},
        **{name: ("rows", made) for name, made in rows.items()},
        **{name: ("steps", made) for name, made in steps.items()},
        **{name: ("image", made) for name, made in image.items()},
        **{name: ("codes", made) for name, made in codes.items()},
        "Tied": ("codes", tied),
    }


def losses(m: Any) -> dict[str, tuple[Any, Any, str]]:
    """Each loss with the last layer before it (or None) and the kind of its targets (see `targets_of`)."""
    return {
        "BinaryCrossEntropy": (m.BinaryCrossEntropy(), m.Sigmoid, "yes or no"),
        "BinaryCrossEntropy, smoothed": (m.BinaryCrossEntropy(label_smoothing=0.1), m.Sigmoid, "yes or no"),
        "BinaryCrossEntropy, not absorbed": (m.BinaryCrossEntropy(), m.HardSigmoid, "yes or no"),
        "BinaryCrossEntropyOnLogits": (m.BinaryCrossEntropyOnLogits(), None, "yes or no"),
        "CategoricalCrossEntropy": (m.CategoricalCrossEntropy(), m.Softmax, "one-hot"),
        "CategoricalCrossEntropy, smoothed": (m.CategoricalCrossEntropy(label_smoothing=0.1), m.Softmax, "one-hot"),
        "CategoricalCrossEntropy of labels": (m.CategoricalCrossEntropy(), m.Softmax, "labels"),
        "CategoricalCrossEntropyOnLogits": (m.CategoricalCrossEntropyOnLogits(), None, "one-hot"),
        "CosineSimilarity": (m.CosineSimilarity(), None, "numbers"),
        "GaussianNLL": (m.GaussianNLL(), m.Softplus, "gaussian"),
        "Hinge": (m.Hinge(), None, "yes or no"),
        "Huber": (m.Huber(0.5), None, "numbers"),
        "KLDivergence": (m.KLDivergence(), m.Softmax, "one-hot"),
        "MeanAbsoluteError": (m.MeanAbsoluteError(), None, "numbers"),
        "MeanSquaredError": (m.MeanSquaredError(), None, "numbers"),
        "NegativeLogLikelihood": (m.NegativeLogLikelihood(), m.LogSoftmax, "one-hot"),
        "Poisson": (m.Poisson(), m.Softplus, "counts"),
        "Quantile": (m.Quantile(0.8), None, "numbers"),
        "SumOfLosses": (m.SumOfLosses([(m.MeanSquaredError(), 1), (m.Huber(), 2, 0.5)]), None, "numbers"),
    }


def optimizers(m: Any) -> dict[str, Made]:
    """Each optimizer and each wrapper, plain and with its options, with rates that follow each schedule."""
    s = m.schedules
    return {
        "SGD": lambda: m.SGD(0.1),
        "SGD, momentum": lambda: m.SGD(0.05, momentum=0.9, weight_decay=0.01),
        "SGD, Nesterov": lambda: m.SGD(0.05, momentum=0.8, nesterov=True),
        "Adam": lambda: m.Adam(0.01),
        "Adam, decay": lambda: m.Adam(0.01, beta1=0.8, beta2=0.99, eps=1e-6, weight_decay=0.1),
        "AdamW": lambda: m.AdamW(0.01, weight_decay=0.1),
        "Adamax": lambda: m.Adamax(0.01),
        "NAdam": lambda: m.NAdam(0.01),
        "RAdam": lambda: m.RAdam(0.01),
        "RMSprop": lambda: m.RMSprop(0.01),
        "RMSprop, momentum": lambda: m.RMSprop(0.005, momentum=0.8, weight_decay=0.01),
        "Adagrad": lambda: m.Adagrad(0.1),
        "Adadelta": lambda: m.Adadelta(),
        "Lion": lambda: m.Lion(0.003, weight_decay=0.1),
        "Rprop": lambda: m.Rprop(),
        "ClipByNorm": lambda: m.ClipByNorm(m.SGD(0.1, momentum=0.9), 0.5),
        "ClipByValue": lambda: m.ClipByValue(m.Adam(0.01), 0.05),
        "ParameterAverage": lambda: m.ParameterAverage(m.Adam(0.01), 0.9),
        "ByPart": lambda: m.ByPart({0: m.Adam(0.01)}, default=m.SGD(0.05, momentum=0.9)),
        "ByPart in wrappers": lambda: m.ClipByNorm(m.ByPart({1: m.Lion(0.01)}, default=m.RMSprop(0.01)), 1.0),
        "step": lambda: m.SGD(s.step(0.2, 7, 0.5)),
        "exponential": lambda: m.Adam(s.exponential(0.05, 0.97)),
        "inverse_time": lambda: m.SGD(s.inverse_time(0.2, 0.05), momentum=0.9),
        "cosine": lambda: m.AdamW(s.cosine(0.05, 40)),
        "warm_restarts": lambda: m.RMSprop(s.warm_restarts(0.02, 10, 2, 0.001)),
        "one_cycle": lambda: m.SGD(s.one_cycle(0.2, 40)),
        "warmup": lambda: m.Lion(s.warmup(10, s.cosine(0.01, 40))),
    }


def options(m: Any) -> dict[str, dict[str, Any]]:
    """The arguments of `fit`, in the combinations that are of interest; "rows" are those of x and t."""

    def noise(x: Any, rng: np.random.Generator) -> Any:
        return x + rng.normal(size=x.shape).astype(x.dtype) * x.dtype.type(0.1)

    def error(t: Any, p: Any) -> float:
        return float(np.abs(np.asarray(p) - t).mean()) if np.ndim(t) > 1 else 0.0

    weights = np.linspace(0, 2, ROWS)
    held_out = {"validation": 0.25, "epochs": 25, "patience": 2}
    return {
        "nothing": {},
        "not shuffled": {"shuffle": False},
        "windows": {"shuffle": "windows"},
        "l2": {"l2": 0.01},
        "l1": {"l1": 0.003},
        "l1 and l2, weights": {"l1": 0.003, "l2": 0.01, "sample_weight": weights},
        "sample weights": {"sample_weight": weights},
        "sample weights, windows": {"sample_weight": weights, "shuffle": "windows"},
        "class weights": {"class_weight": "balanced", "labels": True},
        "class weights given": {"class_weight": {"a": 1.0, "b": 2.0, "c": 0.5}, "labels": True},
        "labels": {"labels": True},
        "augment": {"augment": noise},
        "augment, labels, weights": {"augment": noise, "labels": True, "sample_weight": weights},
        "validation": {"validation": 0.25},
        "validation of labels": {"validation": 0.25, "labels": True},
        "patience": held_out,
        "patience, labels, windows": held_out | {"shuffle": "windows", "labels": True, "single": True},
        "metrics": {"validation": 0.25, "metrics": {"mae": error}},
        "monitor": held_out | {"metrics": {"mae": error}, "monitor": "mae"},
        "a batch of one": {"batch_size": 1, "single": True},
        "a batch larger than the rows": {"batch_size": 100},
        "batches without a rest": {"batch_size": 4, "rows": 36},
        "one row": {"rows": 1, "single": True},
        "blocks": {"blocks": 10},
        "blocks, labels, balanced": {"blocks": 10, "labels": True, "class_weight": "balanced"},
        "blocks, validation": {"blocks": 7, "validation": 0.25, "epochs": 10, "patience": 3},
        "seed 5": {"seed": 5},
    }


# --- rows, targets, networks ---


def rows_of(kind: str, seed: int, count: int = ROWS) -> Any:
    """x (count, …): table rows, steps (5, 6), images (6, 6, 4), or codes (5,); some steps are all 0."""
    rng = np.random.default_rng([seed, 1])
    if kind == "codes":
        return rng.integers(0, 7, (count, 5))
    x = rng.normal(size=(count, *{"rows": (6,), "steps": (5, 6), "image": (6, 6, 4)}[kind]))
    if kind == "steps":
        x[::3, 3:] = 0
    return x


def targets_of(kind: str, x: Any) -> Any:
    """t for rows x (m, 6), which has something to do with them."""
    numbers = np.tanh(x[:, :3] - x[:, 3:])
    if kind == "numbers":
        return numbers
    if kind == "gaussian":
        return numbers[:, :1]
    if kind == "counts":
        return np.floor(np.exp(numbers))
    if kind == "yes or no":
        return (numbers > 0).astype(float)
    codes = numbers.argmax(axis=1)
    codes[:3] = np.arange(min(3, len(codes)))  # no class is without rows
    return np.eye(3)[codes] if kind == "one-hot" else np.array(["a", "b", "c"])[codes]


def network(
    m: Any, seed: int, dtype: str, labels: bool = False, last: Any = None, outputs: int = 3, single: bool = False
) -> Any:
    """A network for rows (m, 6), with a layer that draws, and one that keeps means unless it gets `single` rows."""
    body = [m.Dense(6, 8), m.LayerNorm(8) if single else m.BatchNorm(8), m.Tanh(), m.Dropout(0.2), m.Dense(8, outputs)]
    end = [m.Softmax()] if labels else [] if last is None else [last()]
    return m.Sequential([*body, *end], dtype=dtype, seed=seed)


# --- what a run leaves ---


def digest(*values: Any) -> str:
    """The SHA-256 of arrays with their dtype and shape, generators, numbers, texts, mappings and lists of them."""
    found = hashlib.sha256()

    def add(value: Any) -> None:
        if isinstance(value, dict):
            for name in sorted(value, key=str):
                found.update(str(name).encode())
                add(value[name])
        elif isinstance(value, list | tuple):
            for each in value:
                add(each)
        elif isinstance(value, np.random.Generator):
            found.update(str(value.bit_generator.state).encode())
        elif isinstance(value, np.ndarray) and value.dtype.kind in "fiub":
            found.update(f"{value.dtype.str}{value.shape}".encode() + np.ascontiguousarray(value).tobytes())
        elif isinstance(value, float | np.floating):
            found.update(float(value).hex().encode())
        else:
            found.update(repr(value).encode())

    add(values)
    return found.hexdigest()[:16]


def walk(layer: Any) -> Iterator[Any]:
    """A layer and those that it is made of."""
    yield layer
    for inner in getattr(layer, "layers", ()):
        yield from walk(inner)


def parts_of(model: Any, optimizer: Any = None, history: Any = None, x: Any = None, **more: Any) -> Parts:
    """The digests of what a training leaves; x are rows to predict."""
    parts: Parts = {"theta": model.theta, "dtheta": model.dtheta}
    parts["state"] = [layer.states for layer in walk(model) if layer is not model and getattr(layer, "states", None)]
    if optimizer is not None:
        parts["optimizer"] = optimizer.state()
    if history is not None:
        parts["losses"] = [history.loss, history.validation_loss, history.metrics]
    if x is not None:
        parts["predictions"] = [model.predict(x), model.predict(x[:1])]
    return {name: digest(value) for name, value in (parts | more).items()}


# --- kinds of runs ---


def trained(
    m: Any,
    model: Any,
    x: Any,
    t: Any,
    loss: Any,
    optimizer: Any,
    *,
    recorded: bool = False,
    blocks: int = 0,
    by_epochs: int = 0,
    **more: Any,
) -> Parts:
    """`fit`, or with `by_epochs` so many epochs of `epochs`; and what that leaves."""
    model.steps_by_hand = SOON if recorded else NEVER
    settings = {"batch_size": BATCH, "loss": loss, "optimizer": optimizer} | more
    given = (x, t)
    if blocks:
        given = (m.data.Blocks([(x[i : i + blocks], t[i : i + blocks]) for i in range(0, len(x), blocks)], 3), None)
    if by_epochs:
        epochs = zip(range(by_epochs), model.epochs(*given, **settings), strict=False)
        return parts_of(model, optimizer, x=x, losses=[epoch.loss for _, epoch in epochs])
    history = model.fit(*given, **{"epochs": RECORDED if recorded else BY_HAND} | settings)
    return parts_of(model, optimizer, history, x)


def with_options(m: Any, seed: int, dtype: str, settings: dict[str, Any], **more: Any) -> Parts:
    """A training of the network with these options."""
    settings = {"seed": seed} | settings | more
    labels, single = settings.pop("labels", False), settings.pop("single", False) or "comm" in settings
    x = rows_of("rows", seed, settings.pop("rows", ROWS))
    t = targets_of("labels" if labels else "numbers", x)
    loss = m.CategoricalCrossEntropy() if labels else m.MeanSquaredError()
    return trained(m, network(m, seed, dtype, labels, single=single), x, t, loss, m.Adam(0.01), **settings)


def of_layer(m: Any, kind: str, made: Made, seed: int, dtype: str, recorded: bool = False) -> Parts:
    """A layer in a network: its backward, steps by hand, and a `fit`."""

    def chain() -> list[Any]:
        layers = made()
        return list(layers) if isinstance(layers, list) else [layers]

    x = rows_of(kind, seed)
    if kind != "codes":
        x = x.astype(dtype)
    shape = m.Sequential(chain()).predict(x[:2]).shape[1:]
    ends = [m.Flatten()] if len(shape) > 1 else []
    head = [m.Dense(6, 6)] if kind in ("rows", "steps") else []
    model = m.Sequential([*head, *chain(), *ends, m.Dense(int(np.prod(shape)), 2)], dtype=dtype, seed=seed)
    t = np.random.default_rng([seed, 2]).normal(size=(ROWS, 2)).astype(dtype)
    if recorded:
        return trained(m, model, x, t, m.MeanSquaredError(), m.SGD(0.003, momentum=0.9), recorded=True, seed=seed)
    y = model.forward(x)
    before = {"y": digest(y), "dx": digest(model.backward(t - y)), "gradient": digest(model.dtheta)}
    objective, optimizer = m.Objective(model, m.MeanSquaredError()), m.SGD(0.003, momentum=0.9)
    before["by hand"] = digest([_step(objective, optimizer, x, t) for _ in range(3)])
    return before | trained(m, model, x, t, m.MeanSquaredError(), m.Adam(0.01), seed=seed)


def _step(objective: Any, optimizer: Any, x: Any, t: Any) -> float:
    value: float = objective.gradient(x, t)
    optimizer.step(objective.model.theta, objective.model.dtheta)
    return value


def of_loss(m: Any, loss: Any, last: Any, kind: str, seed: int, dtype: str, recorded: bool = False) -> Parts:
    """A loss by hand, with weights and without, and in a `fit`."""
    x = rows_of("rows", seed)
    t = targets_of(kind, x)
    model = network(m, seed, dtype, last=last, outputs=2 if kind == "gaussian" else 3)
    weights = np.linspace(0, 2, ROWS)
    parts: Parts = {}
    if kind != "labels" and not recorded:
        p, as_given = model.predict(x), t.astype(dtype)
        calls = [(p, as_given), (p, as_given, weights.astype(dtype))]
        parts = {"forward": digest([loss.forward(*each) for each in calls])}
        parts |= {"backward": digest([loss.backward(*each) for each in calls])}
    weighted = {"sample_weight": weights} if seed == 2 else {}
    return parts | trained(m, model, x, t, loss, m.Adam(0.01), recorded=recorded, seed=seed, **weighted)


def of_optimizer(m: Any, made: Made, seed: int, dtype: str, recorded: bool = False) -> Parts:
    """An optimizer in a `fit`."""
    x = rows_of("rows", seed)
    model, optimizer = network(m, seed, dtype), made()
    return trained(
        m, model, x, targets_of("numbers", x), m.MeanSquaredError(), optimizer, recorded=recorded, seed=seed, l2=0.001
    )


def resumed(m: Any, made: Made, seed: int, dtype: str, how: str) -> Parts:
    """10 epochs: at once; as 4 and 6; as 4, saved and loaded, and 6 more; from a checkpoint after 4, by epochs."""
    x = rows_of("rows", seed)
    t = targets_of("labels", x)
    settings: dict[str, Any] = {"loss": m.CategoricalCrossEntropy(), "batch_size": BATCH, "seed": seed, "l1": 0.001}
    model, optimizer = network(m, seed, dtype, labels=True), made()
    model.steps_by_hand = SOON if "recorded" in how else NEVER
    if "whole" in how:
        history = model.fit(x, t, optimizer=optimizer, epochs=10, **settings)
        return parts_of(model, optimizer, history, x)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "file")
        if "checkpoint" in how:
            held_out = {"validation": 0.2, "patience": 9, "checkpoint": path}
            model.fit(x, t, optimizer=optimizer, epochs=4, **settings, **held_out)
            model, optimizer = network(m, seed, dtype, labels=True), made()
            history = model.fit(x, t, optimizer=optimizer, epochs=10, **settings, **held_out)
            return parts_of(model, optimizer, history, x) | {"loaded": digest(m.load(path).predict(x))}
        model.fit(x, t, optimizer=optimizer, epochs=4, **settings)
        if "saved" in how:
            model.save(path)
            model, state = m.load(path), optimizer.state()
            optimizer = made()
            optimizer.load_state({name: np.array(value) for name, value in state.items()})
        history = model.fit(x, t, optimizer=optimizer, epochs=6, **settings)
        return parts_of(model, optimizer, history, x, classes=model.predict_classes(x).tolist())


def of_everything_else(m: Any) -> dict[str, Run]:
    """Ways to train that stand beside `fit`: L-BFGS, schedules that see the loss, predictions in blocks."""

    def lbfgs(seed: int, dtype: str) -> Parts:
        x = rows_of("rows", seed)
        model = m.Sequential([m.Dense(6, 5), m.Tanh(), m.Dense(5, 3)], dtype=dtype, seed=seed)
        m.minimize_lbfgs(m.Objective(model, m.MeanSquaredError(), 0.01), x, targets_of("numbers", x))
        return parts_of(model, x=x)

    def plateau(seed: int, dtype: str) -> Parts:
        x = rows_of("rows", seed)
        model, optimizer = network(m, seed, dtype), m.SGD(0.3)
        rate, found = m.schedules.ReduceOnPlateau(optimizer, patience=1, factor=0.5, threshold=0.1), []
        training = model.epochs(x, targets_of("numbers", x), loss=m.MeanSquaredError(), optimizer=optimizer, seed=seed)
        for _, epoch in zip(range(12), training, strict=False):
            rate.update(epoch.loss)
            found.append([epoch.loss, optimizer.learning_rate])
        return parts_of(model, optimizer, x=x, losses=found)

    def many_rows(seed: int, dtype: str) -> Parts:
        x = rows_of("rows", seed, 2500)
        model, out = network(m, seed, dtype), np.empty((2500, 3), dtype)
        return {"predictions": digest(model.predict(x), [model.predict(x) for _ in range(3)], model.predict(x, out))}

    def rates(seed: int, dtype: str) -> Parts:
        x = rows_of("rows", seed)
        model = network(m, seed, dtype)
        found = model.learning_rates(x, targets_of("numbers", x), loss=m.MeanSquaredError(), optimizer=m.SGD(0.1))
        return parts_of(model, x=x, losses=[found.loss] if hasattr(found, "loss") else [])

    def diverging(seed: int, dtype: str) -> Parts:
        x = rows_of("rows", seed)
        model = m.Sequential([m.Dense(6, 3)], dtype=dtype, seed=seed)
        model.steps_by_hand = NEVER
        try:
            model.fit(x, x[:, :3], loss=m.MeanSquaredError(), optimizer=m.SGD(1e30), epochs=30, seed=seed)
        except m.DivergenceError:
            return parts_of(model)
        raise RuntimeError("it does not diverge")

    return {
        "L-BFGS": lbfgs,
        "ReduceOnPlateau": plateau,
        "many rows": many_rows,
        "learning_rates": rates,
        "a divergence": diverging,
    }


def own_layer(m: Any) -> Made:
    """A network with a layer of one's own, which is no layer of the package."""

    class Scale(m.Layer):  # type: ignore[misc]
        a, da = m.parameter()

        def __init__(self, features: int) -> None:
            self.features = features
            self.a = np.ones(features)

        def forward(self, x: Any) -> Any:
            self.x = x
            return x * self.a

        def backward(self, dy: Any) -> Any:
            self.da = (dy * self.x).sum(axis=0)
            return dy * self.a

    return lambda: Scale(6)


def kinds(m: Any) -> dict[str, dict[str, Run]]:
    """The runs by kind and name; those of a kind with "recorded" in its name are made once more without native code."""
    of_layers, of_optimizers = layers(m) | {"a layer of one's own": ("rows", own_layer(m))}, optimizers(m)

    def named(run: Callable[..., Parts], table: Iterable[tuple[str, tuple[Any, ...]]], **more: Any) -> dict[str, Run]:
        return {
            name: lambda seed, dtype, row=row: run(m, *row, seed=seed, dtype=dtype, **more)  # type: ignore[misc]
            for name, row in table
        }

    singles = [(name, (made,)) for name, made in of_optimizers.items()]
    chosen = [(name, row) for name, row in singles if name in ("Adam", "SGD, momentum", "ByPart", "ParameterAverage")]
    settings = [(name, (row,)) for name, row in options(m).items()]

    def optional(m: Any, row: dict[str, Any], *, seed: int, dtype: str, **more: Any) -> Parts:
        return with_options(m, seed, dtype, row, **more)

    in_fit_alone = {"validation", "patience", "metrics", "monitor", "epochs"}
    return {
        "layers by hand and by fit": named(of_layer, of_layers.items()),
        "layers, recorded": named(of_layer, of_layers.items(), recorded=True),
        "losses by hand and by fit": named(of_loss, losses(m).items()),
        "losses, recorded": named(of_loss, losses(m).items(), recorded=True),
        "optimizers": named(of_optimizer, singles),
        "optimizers, recorded": named(of_optimizer, singles, recorded=True),
        "options of fit": named(optional, settings),
        "options of fit, recorded": named(optional, settings, recorded=True),
        "options of epochs": named(
            optional, [(name, row) for name, row in settings if not in_fit_alone & {*row[0]}], by_epochs=4
        ),
        **{f"10 epochs, {how}": named(resumed, chosen, how=how) for how in RESUMED},
        "other ways to train": of_everything_else(m),
    }


RESUMED = ("whole", "4 + 6", "4 + 6, saved", "by checkpoint", "whole, recorded", "4 + 6, saved, recorded")


def of_ranks(m: Any, comm: Any) -> dict[str, dict[str, Run]]:
    """Trainings by several processes."""
    of_optimizers = {
        name: made for name, made in optimizers(m).items() if name in ("SGD", "Adam", "ClipByNorm", "ByPart")
    }
    left_out = ("a batch of one", "one row", "not shuffled", "seed 5", "class weights given")
    chosen = {name: row for name, row in options(m).items() if name not in left_out and "windows" not in name}

    def optional(row: dict[str, Any], **more: Any) -> Run:
        return lambda seed, dtype: with_options(m, seed, dtype, row, comm=comm, **more)

    def optimized(made: Made) -> Run:
        def run(seed: int, dtype: str) -> Parts:
            x, optimizer = rows_of("rows", seed), made()
            model, t, loss = network(m, seed, dtype, single=True), targets_of("numbers", x), m.MeanSquaredError()
            return trained(m, model, x, t, loss, optimizer, comm=comm, seed=seed)

        return run

    return {
        "options of fit": {name: optional(row) for name, row in chosen.items()},
        "options of fit, recorded": {name: optional(row, recorded=True) for name, row in [*chosen.items()][:8]},
        "optimizers": {name: optimized(made) for name, made in of_optimizers.items()},
        "epochs": {
            "by epochs": optional({}, by_epochs=4),
            "by epochs, labels": optional({"labels": True}, by_epochs=4),
        },
    }


# --- the processes ---


def imported(folder: str) -> Any:
    """The package of this folder, which records its programs at once, whatever the clock says."""
    sys.path.insert(0, folder)
    package = importlib.import_module("minigrad")
    if Path(str(package.__file__)).parent.parent != Path(folder):
        raise RuntimeError(f"{folder} has no folder minigrad: {package.__file__} was imported")
    logging.disable()  # what runs as it is inside a program
    for module in ("minigrad.data", "minigrad.schedules"):
        importlib.import_module(module)
    try:  # how an older package asks whether a program pays
        running: Any = importlib.import_module("minigrad.programs.running")
        running.price = lambda *_: 0.0
    except ImportError:
        pass
    return package


def records(m: Any) -> bool:
    """Whether a training of the length that is meant for it runs as a program: then `forward` is called no more."""
    called, x = 0, rows_of("rows", 0)

    def count(frame: Any, event: str, _: Any) -> None:
        nonlocal called
        called += event == "call" and frame.f_code.co_qualname == "Dense.forward"

    model = network(m, 0, "float32")
    before = sys.getprofile()
    sys.setprofile(count)
    try:
        trained(m, model, x, targets_of("numbers", x), m.MeanSquaredError(), m.Adam(), recorded=True)
    finally:
        sys.setprofile(before)
    return called < RECORDED * -(-ROWS // BATCH)  # half the calls of its two Dense


def results(runs: dict[str, dict[str, Run]], only: str) -> dict[str, dict[str, Parts]]:
    """What each run leaves, by kind and name; for each seed and dtype."""
    found: dict[str, dict[str, Parts]] = {}
    for kind, by_name in runs.items():
        for name, run in by_name.items():
            for seed in SEEDS if only in f"{kind}: {name}" else ():
                for dtype in DTYPES:
                    try:
                        parts = run(seed, dtype)
                    except Exception as error:
                        parts = {"raises": type(error).__name__, "says": str(error)}
                    found.setdefault(kind, {})[f"{name}, seed {seed}, {dtype}"] = parts
    return found


def child(folder: str, out: str, only: str, how: str) -> None:
    """What a process of a checkout does: all runs, written to `out`; `how` is "native", "numpy" or "ranks"."""
    m = imported(folder)
    written: dict[str, Any]
    if how == "ranks":
        from mpi4py import MPI

        comm = MPI.COMM_WORLD
        mine = results(of_ranks(m, comm), only)
        every = comm.gather(mine)
        if comm.rank:
            return
        written = {
            f"{comm.size} ranks: {kind}": {
                f"{name}, rank {rank}": each[kind][name] for name in runs for rank, each in enumerate(every)
            }
            for kind, runs in mine.items()
        }
    else:
        runs = kinds(m)
        if how == "numpy":
            runs = {f"{kind}, without native code": each for kind, each in runs.items() if "recorded" in kind}
        written = results(runs, only)
        written["records"] = records(m)
    Path(out).write_text(json.dumps(written), encoding="utf-8")


def measure(folder: str, only: str, ranks: int) -> dict[str, Any]:
    """The results of a checkout, made by processes of its own."""
    ways = [("native", []), ("numpy", []), *([("ranks", [*mpiexec(), "-n", str(ranks)])] if ranks else [])]
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as temporary:
        for how, start in ways:
            out = str(Path(temporary, how))
            call = f"from benchmarks.same_bits import child; child({folder!r}, {out!r}, {only!r}, {how!r})"
            python = [sys.executable, "-W", "ignore", *(["-m", "mpi4py"] if start else []), "-c", call]
            environment = os.environ | ON_THIS_MACHINE | {"OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
            environment |= {"MINIGRAD_NATIVE": "0"} if how == "numpy" else {}
            subprocess.run([*start, *python], cwd=ROOT, env=environment, check=True)
            written = json.loads(Path(out).read_text(encoding="utf-8"))
            found[f"records, {how}"] = written.pop("records", True)
            found |= written
    return found


# --- the table ---


def differences(old: dict[str, Parts], new: dict[str, Parts]) -> list[str]:
    """The runs that differ, each with the first part that does."""
    found = []
    for name in dict.fromkeys([*old, *new]):
        one, other = (dict(each.get(name, {"run": "missing"})) for each in (old, new))
        one.pop("says", None), other.pop("says", None)
        if one != other:
            part = next(part for part in [*one, *other] if one.get(part) != other.get(part))
            found.append(f"{name}: {part}")
    return found


def report(old: dict[str, Any], new: dict[str, Any]) -> tuple[str, bool]:
    """A Markdown table and what is to be said below it; and whether all is equal."""
    lines = ["| kind | runs | equal | different | the first difference |", "|---|---|---|---|---|"]
    notes, same, count = [], True, 0
    for kind in dict.fromkeys([*old, *new]):
        one, other = old.get(kind, {}), new.get(kind, {})
        if kind.startswith("records"):
            for which, each in (("old", one), ("new", other)):
                if each is not True:
                    notes.append(f"{kind}: no program ran in the {which} package, so that none is compared")
            continue
        found, runs = differences(one, other), len({*one, *other})
        count += runs
        same = same and not found
        lines.append(f"| {kind} | {runs} | {runs - len(found)} | {len(found)} | {found[0] if found else ''} |")
        for which, each in (("old", one), ("new", other)):
            raised = {name: parts for name, parts in each.items() if "raises" in parts}
            if raised:
                name, parts = next(iter(raised.items()))
                notes.append(
                    f"{kind}: {len(raised)} raise in the {which} package, the first is {name}: "
                    f"{parts['raises']}: {parts['says']}"
                )
    verdict = "all are equal" if same else "they DIFFER"
    return "\n".join([*lines, "", *notes, f"{count} runs: {verdict}"]), same


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--package", action="append", metavar="FOLDER", required=True, help="a checkout; give two")
    parser.add_argument("--only", default="", metavar="WORD", help="runs with this word in their kind or name")
    parser.add_argument("--ranks", type=int, default=3, metavar="N", help="processes of mpiexec, or 0")
    options = parser.parse_args(arguments)
    if len(options.package) != 2:
        parser.error("give --package twice: the old checkout, and the new one")
    old, new = (measure(str(Path(folder).resolve()), options.only, options.ranks) for folder in options.package)
    text, same = report(old, new)
    print(text)
    if not same:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
